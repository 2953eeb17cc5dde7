"""`python -m retrain.training --spec DIR/spec.json`: one run in a process of its own."""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from feedback.errors import InvalidInputError, TrainingFailedError, UnderstudyError
from retrain.training.process import EXIT_FAILED, EXIT_OK, EXIT_UNUSABLE
from retrain.training.progress import JsonlProgress
from retrain.training.qlora import train_adapter
from retrain.training.spec import TrainingSpec


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one spec and returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m retrain.training", description=__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="spec.json of the run")
    spec_path: Path = parser.parse_args(arguments).spec
    folder = spec_path.parent
    try:
        result = train_adapter(_read(spec_path), JsonlProgress(folder / "progress.jsonl"))
    except UnderstudyError as exc:
        print(str(exc), file=sys.stderr)  # noqa: T201  (the log of the run)
        failed = isinstance(exc, TrainingFailedError)
        if folder.is_dir():
            _write(folder / "error.json", {"error": str(exc), "kind": type(exc).__name__})
        return EXIT_FAILED if failed else EXIT_UNUSABLE
    _write(folder / "result.json", result.to_row())
    return EXIT_OK


def _read(path: Path) -> TrainingSpec:
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise InvalidInputError(f"cannot read the training spec {path}: {exc}") from exc
    if not isinstance(row, dict):
        raise InvalidInputError(f"{path} holds no JSON object")
    return TrainingSpec.from_row(row)


def _write(path: Path, row: Mapping[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(row, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main())

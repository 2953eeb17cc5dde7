"""`python -m retrain.training --spec DIR/spec.json`: one run in a process of its own."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from feedback.errors import TrainingFailedError, UnderstudyError
from retrain.jobs.files import read_spec, report_failure, write_json
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
        spec = TrainingSpec.from_row(read_spec(spec_path))
        result = train_adapter(spec, JsonlProgress(folder / "progress.jsonl"))
    except UnderstudyError as exc:
        report_failure(folder, exc)
        return EXIT_FAILED if isinstance(exc, TrainingFailedError) else EXIT_UNUSABLE
    write_json(folder / "result.json", result.to_row())
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())

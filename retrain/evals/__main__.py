"""`python -m retrain.evals --spec DIR/spec.json`: evaluates champion and candidate.

Writes `champion.json` and `candidate.json` (every outcome) and `signature.json` (how base and
candidate answer the probes that later prove a server) beside the spec and, as the last act,
`result.json`; on a failure that a restart cannot mend, `error.json`. Exit status 0 or 2.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from feedback.errors import InvalidInputError, UnderstudyError
from retrain.evals.job import run_evaluation
from retrain.evals.spec import EvaluationSpec
from retrain.publishing.signing import sign_adapter


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one spec and returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m retrain.evals", description=__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="spec.json of the evaluation")
    spec_path: Path = parser.parse_args(arguments).spec
    folder = spec_path.parent
    try:
        spec = _read(spec_path)
        pair = run_evaluation(spec)
        signature = sign_adapter(spec.base_dir, spec.candidate_dir, threads=spec.threads)
    except UnderstudyError as exc:
        print(str(exc), file=sys.stderr)  # noqa: T201  (the log of the job)
        if folder.is_dir():
            _write(folder / "error.json", {"error": str(exc), "kind": type(exc).__name__})
        return 2
    for name, evaluation in (("champion", pair.champion), ("candidate", pair.candidate)):
        _write(folder / f"{name}.json", evaluation.to_row())
    _write(folder / "signature.json", signature.to_json())
    _write(
        folder / "result.json",
        {
            name: {metric: found.value for metric, found in evaluation.metrics.items()}
            for name, evaluation in (("champion", pair.champion), ("candidate", pair.candidate))
        },
    )
    return 0


def _read(path: Path) -> EvaluationSpec:
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise InvalidInputError(f"cannot read the evaluation spec {path}: {exc}") from exc
    if not isinstance(row, dict):
        raise InvalidInputError(f"{path} holds no JSON object")
    return EvaluationSpec.from_row(row)


def _write(path: Path, row: Mapping[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(row) + "\n", encoding="utf-8")
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main())

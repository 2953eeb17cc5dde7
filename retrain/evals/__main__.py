"""`python -m retrain.evals --spec DIR/spec.json`: evaluates champion, candidate and base.

Writes `champion.json`, `candidate.json`, `base.json` (every outcome; no base when it is the
champion) and `signature.json` (how base and
candidate answer the probes that later prove a server) beside the spec and, as the last act,
`result.json`; on a failure that a restart cannot mend, `error.json`. Exit status 0 or 2.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from feedback.errors import UnderstudyError
from retrain.evals.job import run_evaluation
from retrain.evals.spec import EvaluationSpec
from retrain.jobs.files import read_spec, report_failure, write_json
from retrain.publishing.signing import sign_adapter


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one spec and returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m retrain.evals", description=__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="spec.json of the evaluation")
    spec_path: Path = parser.parse_args(arguments).spec
    folder = spec_path.parent
    try:
        spec = EvaluationSpec.from_row(read_spec(spec_path))
        found = run_evaluation(spec).by_name()
        signature = sign_adapter(spec.base_dir, spec.candidate_dir, threads=spec.threads)
    except UnderstudyError as exc:
        report_failure(folder, exc)
        return 2
    for name, evaluation in found.items():
        write_json(folder / f"{name}.json", evaluation.to_row())
    write_json(folder / "signature.json", signature.to_json())
    values = {
        name: {metric: measured.value for metric, measured in evaluation.metrics.items()}
        for name, evaluation in found.items()
    }
    write_json(folder / "result.json", values)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m retrain.training.on_ray --workers N --spec DIR/spec.json`: one run on a Ray cluster.

The same training function as `python -m retrain.training`, in N workers that share every batch; the
same files and exit statuses. All of them, and this process, must see the folder of the
specification under one path: on several machines put `UNDERSTUDY_STATE_DIR` on shared storage.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
import torch
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train import TrainingFailedError as RayFailedError
from ray.train.torch import TorchConfig, TorchTrainer

from feedback.errors import InvalidInputError, TrainingFailedError, UnderstudyError
from retrain.jobs.files import read_spec, report_failure, write_json
from retrain.training.process import EXIT_FAILED, EXIT_OK, EXIT_UNUSABLE, training_environment
from retrain.training.progress import JsonlProgress, NoProgress
from retrain.training.qlora import train_adapter
from retrain.training.ranks import rank
from retrain.training.spec import TrainingSpec

# A busy machine needs more than Ray's minute until torch is imported everywhere.
_PATIENCE = {"RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "600"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one spec on Ray and returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m retrain.training.on_ray", description=__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="spec.json of the run")
    parser.add_argument("--workers", type=int, default=1, help="processes that share every batch")
    parser.add_argument("--address", help="of a Ray cluster; without it, one starts here")
    options = parser.parse_args(arguments)
    folder: Path = options.spec.resolve().parent
    try:
        spec = TrainingSpec.from_row(read_spec(options.spec))
        if spec.recipe.batch_size % options.workers:
            raise InvalidInputError(
                f"a batch of {spec.recipe.batch_size} rows cannot be shared by {options.workers} "
                "workers; set UNDERSTUDY_RETRAIN__RAY_WORKERS to a divisor of it"
            )
    except UnderstudyError as exc:
        report_failure(folder, exc)
        return EXIT_UNUSABLE
    _connect(options.address, options.workers, spec.recipe.threads)
    trainer = TorchTrainer(
        work,
        train_loop_config={"spec": spec.to_row(), "folder": str(folder)},
        torch_config=TorchConfig(backend="nccl" if torch.cuda.is_available() else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=options.workers, use_gpu=torch.cuda.is_available()
        ),
        # Whoever started us starts us again, and the run goes on from its checkpoint.
        run_config=RunConfig(
            storage_path=str(folder / "ray"), failure_config=FailureConfig(max_failures=0)
        ),
    )
    try:
        trainer.fit()
    except RayFailedError:
        if not (folder / "error.json").exists():
            raise
        kind = read_spec(folder / "error.json").get("kind")
        return EXIT_FAILED if kind == TrainingFailedError.__name__ else EXIT_UNUSABLE
    finally:
        ray.shutdown()
    return EXIT_OK


def work(config: Mapping[str, Any]) -> None:
    """Trains as one of the workers; the first one tells and writes.

    Raises:
        UnderstudyError: After it was written down, so that Ray ends the others.
    """
    folder = Path(config["folder"])
    first = rank() == 0
    sink = JsonlProgress(folder / "progress.jsonl") if first else NoProgress()
    try:
        result = train_adapter(TrainingSpec.from_row(config["spec"]), sink)
    except UnderstudyError as exc:
        if first:
            report_failure(folder, exc)
        raise
    if first:
        write_json(folder / "result.json", result.to_row())


def _connect(address: str | None, workers: int, threads: int) -> None:
    ray.init(
        address=address,
        # This process and its workers: what Ray counts as a CPU is one process here.
        num_cpus=None if address else workers + 1,
        include_dashboard=False,
        configure_logging=False,
        runtime_env={"env_vars": {**training_environment(threads), **_PATIENCE}},
    )


if __name__ == "__main__":
    sys.exit(main())

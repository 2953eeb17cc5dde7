"""How another process starts a run and reads what became of it.

`python -m retrain.training --spec DIR/spec.json` writes `progress.jsonl` while it runs and, as its
last act, `result.json` or `error.json`, all beside the spec. Exit status: 0 done, 2 unusable input
or configuration, 3 diverged. A kill leaves neither file: start it again and it resumes.
"""

import sys
from collections.abc import Mapping
from typing import Final

EXIT_OK: Final = 0
EXIT_UNUSABLE: Final = 2
EXIT_FAILED: Final = 3


def training_command() -> list[str]:
    """Returns the command line, to which `--spec PATH` is appended."""
    return [sys.executable, "-m", "retrain.training"]


def ray_command(workers: int, address: str = "") -> list[str]:
    """Returns the command line of a run on Ray, to which `--spec PATH` is appended.

    Args:
        workers: Processes that share every batch.
        address: Of a Ray cluster; empty starts one here.
    """
    command = [sys.executable, "-m", "retrain.training.on_ray", "--workers", str(workers)]
    return [*command, "--address", address] if address else command


def training_environment(threads: int) -> Mapping[str, str]:
    """Returns the variables a run needs on top of the caller's: no network, bounded threads."""
    return {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "BITSANDBYTES_NOWELCOME": "1",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
    }

"""Which checkpoints of an interrupted run can be trusted.

A kill while saving leaves a folder that looks like a checkpoint. The trainer would crash on some of
these and silently restart optimizer or schedule on others, so we check completeness ourselves and
delete what is not whole.
"""

import json
import shutil
from pathlib import Path

_PREFIX = "checkpoint-"
_PARTS = (
    "trainer_state.json",
    "adapter_model.safetensors",
    "optimizer.pt",
    "scheduler.pt",
    "rng_state.pth",
)


def newest_complete(work_dir: Path) -> Path | None:
    """Returns the newest whole checkpoint and deletes the broken ones."""
    whole = []
    for folder in work_dir.glob(f"{_PREFIX}*"):
        if is_complete(folder):
            whole.append(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return max(whole, key=step_of, default=None)


def is_complete(folder: Path) -> bool:
    """Whether every part is there, non-empty, and the recorded step is the folder's.

    The trainer writes `trainer_state.json` last, so that a readable one with the right step means
    that the files before it were closed.
    """
    try:
        if any((folder / part).stat().st_size == 0 for part in _PARTS):
            return False
        state = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
        return int(state["global_step"]) == step_of(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def step_of(folder: Path) -> int:
    """Returns the step in a checkpoint folder's name.

    Raises:
        ValueError: When the name carries no number.
    """
    return int(folder.name.removeprefix(_PREFIX))

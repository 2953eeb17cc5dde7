"""Which of the workers this process is, when a run is spread over several."""

import torch.distributed as dist


def rank() -> int:
    """Returns this worker's number; 0 writes the files. 0 when there is one process only."""
    return int(dist.get_rank()) if _several() else 0


def world_size() -> int:
    """Returns how many workers train together."""
    return int(dist.get_world_size()) if _several() else 1


def wait_for_all() -> None:
    """Returns when every worker has come this far."""
    if _several():
        dist.barrier()


def _several() -> bool:
    return bool(dist.is_available() and dist.is_initialized())

"""Finds and ends what servers of an earlier life left behind: shards of a launcher, for example.

Every process that a server starts inherits the variable that its launcher was given, in whatever
group or session it puts itself. So a server that lost its supervisor, or a shard that lost its
server, is known by it, and nothing else is.
"""

import os
from pathlib import Path

import psutil

VARIABLE = "UNDERSTUDY_SERVER_OF"
"""`<pid of the supervisor>/<when that began>/<state folder>:<port>` in the servers' environment."""

_END_S = 10.0


def mark(state_dir: Path, port: int) -> str:
    """Returns the variable's value for a server that this process starts."""
    return f"{os.getpid()}/{psutil.Process().create_time()}/{_place(state_dir, port)}"


def end_leftovers(state_dir: Path, port: int) -> int:
    """Kills what still runs for a place, unless another living supervisor looks after it.

    Returns:
        How many processes were killed.
    """
    own = mark(state_dir, port)
    found = [
        process
        for process in psutil.process_iter()
        if (value := _variable(process)).endswith(f"/{_place(state_dir, port)}")
        and (value == own or not _lives(value))
    ]
    for process in found:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(found, timeout=_END_S)
    return len(found)


def _place(state_dir: Path, port: int) -> str:
    return f"{state_dir}:{port}"


def _variable(process: psutil.Process) -> str:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return ""
        return process.environ().get(VARIABLE, "")
    except (psutil.Error, OSError):
        return ""  # gone, or somebody else's


def _lives(value: str) -> bool:
    """Whether the supervisor that a mark names still runs."""
    pid, created, _ = value.split("/", 2)
    try:
        return psutil.Process(int(pid)).create_time() == float(created)
    except psutil.Error:
        return False

"""Child processes that die with us and come back when they die by themselves."""

import asyncio
import ctypes
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from feedback.errors import ConfigurationError

_PR_SET_PDEATHSIG = 1
_CONFIGURATION_ERROR = 2
"""Exit status of our commands when settings or input are wrong."""
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """How to start one process.

    Attributes:
        name: What people and log files call it.
        environment: The whole environment of the process.
        log: Where its output goes, appended.
        before_start: Called before every start, also those after a death.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    log: Path
    before_start: Callable[[], object] | None = None


def understudy(*arguments: str) -> tuple[str, ...]:
    """Returns the command line that runs `understudy ARGUMENTS` in this interpreter."""
    return (sys.executable, "-m", "deploy", *arguments)


class ManagedProcess:
    """One running process."""

    def __init__(self, spec: ProcessSpec) -> None:
        if spec.before_start is not None:
            spec.before_start()
        self.spec = spec
        self.start_id = uuid.uuid4().hex[:12]
        self.started = time.monotonic()
        spec.log.parent.mkdir(parents=True, exist_ok=True)
        with spec.log.open("ab") as log:
            self._process = subprocess.Popen(
                list(spec.command),
                env=dict(spec.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent if _LIBC else None,  # noqa: PLW1509
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll()

    async def stop(self, grace_s: float = 10.0) -> None:
        """Asks it to finish, and kills it when it has not after `grace_s` seconds."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self._process.wait, grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)

    def tail(self, lines: int = 15) -> str:
        """Returns the end of its log, for messages."""
        try:
            text = self.spec.log.read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


class Supervisor:
    """Keeps processes running: one that dies is started again, ever more slowly.

    Args:
        poll_s: Seconds between two looks.
        give_up_after: Deaths in a row after which a process is left dead.
        settled_s: Whoever lived this long had started well: the deaths before are forgotten.
    """

    def __init__(
        self, *, poll_s: float = 0.2, give_up_after: int = 5, settled_s: float = 60.0
    ) -> None:
        self._poll_s = poll_s
        self._give_up_after = give_up_after
        self._settled_s = settled_s
        self._processes: dict[str, ManagedProcess] = {}
        self._deaths: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None
        self.restarts = 0

    def start(self, spec: ProcessSpec) -> ManagedProcess:
        """Starts a process and watches it from now on."""
        process = ManagedProcess(spec)
        self._processes[spec.name] = process
        self._deaths.setdefault(spec.name, 0)
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="supervisor")
        return process

    def get(self, name: str) -> ManagedProcess | None:
        """Returns a watched process by name."""
        return self._processes.get(name)

    def gave_up(self, name: str) -> bool:
        """Returns whether a process died too often, or in a way that would only repeat."""
        return self._deaths.get(name, 0) >= self._give_up_after

    def names(self) -> list[str]:
        """Returns the names of the watched processes."""
        return list(self._processes)

    async def stop(self, name: str, grace_s: float = 10.0) -> None:
        """Stops one process for good."""
        process = self._processes.pop(name, None)
        if process is not None:
            await process.stop(grace_s)

    async def close(self) -> None:
        """Stops everything, last started first."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        for name in reversed(list(self._processes)):
            await self.stop(name)

    def require_alive(self) -> None:
        """Refuses to go on when a process keeps dying.

        Raises:
            ConfigurationError: Naming the process, with the end of its log.
        """
        for name, deaths in self._deaths.items():
            process = self._processes.get(name)
            if process is None or not self.gave_up(name):
                continue
            if process.exit_code == _CONFIGURATION_ERROR:
                raise ConfigurationError(process.tail(1).removeprefix("understudy: "))
            raise ConfigurationError(
                f"{name} died {deaths} times; the end of {process.spec.log}:\n{process.tail()}"
            )

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            for name, process in list(self._processes.items()):
                if process.running or self.gave_up(name):
                    continue
                # The same start would fail the same way.
                fatal = process.exit_code == _CONFIGURATION_ERROR
                if time.monotonic() - process.started >= self._settled_s:
                    self._deaths[name] = 0
                self._deaths[name] = self._give_up_after if fatal else self._deaths[name] + 1
                if not fatal:
                    await asyncio.sleep(min(0.2 * self._deaths[name], 2.0))
                    # Somebody may have stopped it for good meanwhile.
                    if self._processes.get(name) is process:
                        self._processes[name] = ManagedProcess(process.spec)
                        self.restarts += 1


def _die_with_parent() -> None:
    """Asks the kernel for SIGTERM when the supervisor dies, however it dies (Linux)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

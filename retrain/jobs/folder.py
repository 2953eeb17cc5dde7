"""A folder in which one process works towards `result.json`, however often it is killed.

The process inherits an exclusively locked file: while anything holds the lock it is running, and
the kernel frees the lock when it dies. So a scheduler that was itself killed and restarted knows
whether to wait, to start the job again (it resumes by itself), or to read the result. One that is
told to stop takes the job with it, so that nobody finds a process that belongs to nothing.
"""

import contextlib
import fcntl
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from feedback.errors import ConfigurationError, PermanentError
from retrain.jobs.files import write_atomically, write_json

# Children of this process, so that finished ones are reaped: a job may outlive the object that
# started it, and its successor in another process only looks at the lock.
_CHILDREN: list[subprocess.Popen[bytes]] = []


class JobFolder:
    """One job: its specification, lock, log, progress and result, all in one folder."""

    def __init__(self, path: Path, *, max_starts: int = 5) -> None:
        self.path = path
        self._max_starts = max_starts

    @property
    def result_path(self) -> Path:
        """Where the process puts its result, atomically, as the last thing it does."""
        return self.path / "result.json"

    def result(self) -> Mapping[str, Any] | None:
        """Returns the finished job's result.

        Raises:
            PermanentError: When the job itself reported a failure that a restart cannot mend.
        """
        failed = self._read("error.json")
        if failed is not None:
            raise PermanentError(str(failed.get("error", failed)))
        return self._read("result.json")

    def progress(self) -> Mapping[str, Any]:
        """Returns the newest line of `progress.jsonl`, empty before the first."""
        reports = self.reports()
        return reports[-1] if reports else {}

    def reports(self) -> list[Mapping[str, Any]]:
        """Returns every whole line of `progress.jsonl`, oldest first."""
        try:
            lines = (self.path / "progress.jsonl").read_text().splitlines()
        except OSError:
            return []
        reports: list[Mapping[str, Any]] = []
        for line in lines:
            try:
                report = json.loads(line)
            except ValueError:
                continue  # the last line may be half written, also before a resumed run's first
            if isinstance(report, dict):
                reports.append(report)
        return reports

    def running(self) -> bool:
        """Whether a process of this job is alive."""
        _CHILDREN[:] = [child for child in _CHILDREN if child.poll() is None]
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            # Shared, so that two who look at once do not take each other for the job.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def start(
        self,
        command: Sequence[str],
        spec: Mapping[str, Any],
        environment: Mapping[str, str],
    ) -> None:
        """Starts (or restarts) the job's process; it outlives us.

        Args:
            command: Gets `--spec <folder>/spec.json` appended.
            spec: Written once; a restart reads the same one.
            environment: The process's whole environment.

        Raises:
            PermanentError: When it already died too often.
            ConfigurationError: When the folder cannot be written.
        """
        spec_path = self.path / "spec.json"
        with self._written():
            self.path.mkdir(parents=True, exist_ok=True)
            if not spec_path.exists():
                write_json(spec_path, spec)
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self.result() is not None:
                return  # it finished between our look and now
            with self._written():
                starts = self._count_start()
            if starts > self._max_starts:
                raise PermanentError(
                    f"{self.path.name} died {self._max_starts} times without a result; the end of "
                    f"its log: {self.log_tail()}"
                )
            with (self.path / "log").open("ab") as log:
                child = subprocess.Popen(
                    [*command, "--spec", str(spec_path)],
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(descriptor,),
                )
            _CHILDREN.append(child)
            write_atomically(self.path / "pid", str(child.pid))
        except BlockingIOError:
            # Somebody else started it between our look and now, or looks whether it runs. That is
            # no start to be counted; where it does not run it is started at the next look.
            return
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise ConfigurationError(
                f"cannot write the job folder {self.path}: {exc.strerror}; free disk space or set "
                "UNDERSTUDY_STATE_DIR to a writable folder"
            ) from exc

    def stop(self, grace_s: float = 5.0) -> None:
        """Ends the job's process if it runs, whoever started it; a later start goes on."""
        if not self.running():
            return
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            process = psutil.Process(int((self.path / "pid").read_text()))
            if str(self.path / "spec.json") not in process.cmdline():
                return  # whoever started it was killed before it could say which one it is
            process.terminate()
            try:
                process.wait(grace_s)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(grace_s)
            # It was told to: that is no death to be counted.
            write_atomically(self.path / "starts", str(self._starts() - 1))

    def log_tail(self, lines: int = 5) -> str:
        """Returns the end of the process's output."""
        try:
            text = (self.path / "log").read_text(errors="replace")
        except OSError:
            return ""
        return " | ".join(text.splitlines()[-lines:])

    def _count_start(self) -> int:
        count = self._starts() + 1
        write_atomically(self.path / "starts", str(count))
        return count

    def _starts(self) -> int:
        path = self.path / "starts"
        return int(path.read_text()) if path.exists() else 0

    def _read(self, name: str) -> Mapping[str, Any] | None:
        try:
            content = json.loads((self.path / name).read_text())
        except FileNotFoundError:
            return None
        return content if isinstance(content, dict) else {"error": f"{name} is no JSON object"}

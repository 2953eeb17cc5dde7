"""What survives a kill: a key-value journal in SQLite.

WAL with `synchronous=OFF` hands every commit to the operating system before the call is answered,
which survives the death of the process (not of the machine); that is what the sandbox promises.
"""

import fcntl
import json
import sqlite3
from pathlib import Path
from typing import IO, Any

from bot.sandbox.jsontypes import JsonValue
from feedback.errors import ConfigurationError


class Journal:
    """Rows `(kind, key) -> JSON`, changed in transactions that the caller ends with `commit`."""

    def __init__(self, directory: Path | None) -> None:
        """Opens or creates the journal; without a directory it lives in memory.

        Raises:
            ConfigurationError: The directory cannot be written, or another sandbox uses it.
        """
        self._lock: IO[str] | None = None
        if directory is None:
            self._db = sqlite3.connect(":memory:")
        else:
            self._lock = _lock_directory(directory)
            self._db = sqlite3.connect(directory / "sandbox.sqlite")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS row (kind TEXT, key TEXT, body TEXT, "
            "PRIMARY KEY (kind, key)) WITHOUT ROWID"
        )
        self._db.commit()

    def put(self, kind: str, key: str, body: JsonValue) -> None:
        """Writes a row within the open transaction."""
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        self._db.execute(
            "INSERT INTO row VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body",
            (kind, key, text),
        )

    def delete(self, kind: str, key: str) -> None:
        """Deletes a row within the open transaction."""
        self._db.execute("DELETE FROM row WHERE kind = ? AND key = ?", (kind, key))

    def load(self, kind: str) -> dict[str, Any]:
        """Returns every row of a kind, ordered by key."""
        rows = self._db.execute("SELECT key, body FROM row WHERE kind = ? ORDER BY key", (kind,))
        return {key: json.loads(body) for key, body in rows}

    def clear(self) -> None:
        """Deletes everything within the open transaction."""
        self._db.execute("DELETE FROM row")

    def commit(self) -> None:
        """Makes every change since the last commit survive a kill."""
        if self._db.in_transaction:
            self._db.commit()

    def close(self, *, keep: bool = True) -> None:
        """Releases the directory; `keep` says whether open changes are committed or dropped."""
        if keep:
            self.commit()
        self._db.close()
        if self._lock is not None:
            self._lock.close()


def _lock_directory(directory: Path) -> IO[str]:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / "lock").open("w")
    except OSError as exc:
        raise ConfigurationError(
            f"cannot write the sandbox state directory {directory}: {exc.strerror or exc}; "
            "choose another with --state-dir"
        ) from exc
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        lock.close()
        raise ConfigurationError(
            f"another sandbox uses the state directory {directory}; stop it or choose another "
            "with --state-dir"
        ) from exc
    return lock

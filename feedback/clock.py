"""Time is a port: rules never ask the operating system for it.

`SystemClock` is real time. `FileClock` reads a simulated time that several processes share
(the demo moves it); the file holds seconds since the epoch as text and is replaced atomically.
"""

import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from feedback.errors import ConfigurationError


class Clock(Protocol):
    """Tells the time as an aware UTC datetime."""

    def now(self) -> datetime:
        """Returns the current time, timezone-aware, in UTC."""
        ...


class SystemClock:
    """Real time."""

    def now(self) -> datetime:
        """Returns the operating system's time in UTC."""
        return datetime.now(UTC)


class FixedClock:
    """A clock that stands still until it is moved; for tests and pure replays."""

    def __init__(self, start: datetime) -> None:
        require_aware(start)
        self._now = start

    def now(self) -> datetime:
        """Returns the time it was last set to."""
        return self._now

    def advance(self, by: timedelta) -> None:
        """Moves the clock forward."""
        self._now += by


class FileClock:
    """A simulated clock shared by processes through one small file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def now(self) -> datetime:
        """Returns the simulated time.

        Raises:
            ConfigurationError: When the file is missing or holds no number.
        """
        try:
            return datetime.fromtimestamp(float(self._path.read_text()), UTC)
        except (OSError, ValueError) as exc:
            raise ConfigurationError(
                f"clock file {self._path} is missing or holds no seconds since the epoch: {exc}"
            ) from exc

    def set(self, moment: datetime) -> None:
        """Replaces the simulated time atomically, so that a reader never sees half a number."""
        require_aware(moment)
        handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=".clock")
        with os.fdopen(handle, "w") as stream:
            stream.write(repr(moment.timestamp()))
        Path(temporary).replace(self._path)


def require_aware(moment: datetime) -> None:
    """Refuses naive datetimes at the door.

    Raises:
        ValueError: When `moment` has no timezone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no timezone; pass an aware datetime in UTC")

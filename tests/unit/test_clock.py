"""Time is a port; the simulated clock is shared through a file."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from feedback.clock import FileClock, FixedClock, SystemClock
from feedback.errors import ConfigurationError

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)


def test_system_clock_is_aware() -> None:
    assert SystemClock().now().tzinfo is UTC


def test_fixed_clock_moves_only_when_told() -> None:
    clock = FixedClock(MONDAY)
    clock.advance(timedelta(days=2))
    assert clock.now() == MONDAY + timedelta(days=2)


def test_file_clock_is_shared(tmp_path: Path) -> None:
    path = tmp_path / "clock"
    FileClock(path).set(MONDAY)
    assert FileClock(path).now() == MONDAY
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [None, "", "noon"])
def test_file_clock_says_what_is_wrong(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "clock"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match="seconds since the epoch"):
        FileClock(path).now()


def test_naive_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="timezone"):
        FileClock(tmp_path / "clock").set(datetime(2026, 1, 5))

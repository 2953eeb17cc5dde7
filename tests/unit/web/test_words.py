"""How values read to people."""

from datetime import UTC, datetime, timedelta

import pytest

from feedback.web import words

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-5, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (74, "1 min 14 s"),
        (3600, "1 h"),
        (3660, "1 h 1 min"),
        (3601, "1 h"),
        (90_000, "1 d 1 h"),
        (None, "\N{EN DASH}"),
        (float("nan"), "\N{EN DASH}"),
        (float("inf"), "\N{EN DASH}"),
    ],
)
def test_durations(seconds: float | None, told: str) -> None:
    assert words.duration(seconds) == told


@pytest.mark.parametrize(
    ("passed", "told"),
    [
        (timedelta(seconds=-3), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=5, minutes=59), "5 hours ago"),
        (timedelta(days=11), "11 days ago"),
    ],
)
def test_how_long_ago(passed: timedelta, told: str) -> None:
    assert words.ago(NOW - passed, NOW) == told


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("NONE", "undecided"),
        ("PROMOTE", "promote"),
        ("HOLD_response", "hold: response"),
        ("REJECTED_GUARD:tone", "rejected: tone"),
        ("FREEZE_SRM", "freeze: srm"),
        ("INCONCLUSIVE", "inconclusive"),
    ],
)
def test_decisions(code: str, told: str) -> None:
    assert words.decision(code) == told


@pytest.mark.parametrize(
    ("share", "told"),
    [(0, "0 %"), (0.05, "5 %"), (0.054, "5.4 %"), (0.3333, "33 %"), (1, "100 %")],
)
def test_percentages(share: float, told: str) -> None:
    assert words.percent(share).replace("\N{NARROW NO-BREAK SPACE}", " ") == told


@pytest.mark.parametrize(
    ("value", "told"),
    [(3.4149, "3.41"), (0, "0"), (1234.5, "1 234"), (2.5e9, "2.5e9"), (4e-7, "4.0e-7")],
)
def test_measured_values(value: float, told: str) -> None:
    assert words.figure(value).replace("\N{NARROW NO-BREAK SPACE}", " ") == told


def test_what_is_missing_is_a_dash() -> None:
    told = {words.plain(None), words.moment(None), words.number(None), words.short("")}
    assert told | {words.percent(None), words.figure(None)} == {"\N{EN DASH}"}

"""Rate tiers: n calls pass, the next is told how long to wait; nothing else slows it down."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

import bot.sandbox.web_api.dispatch  # noqa: F401 - registers the methods
from bot.sandbox.tiers import ALLOWANCES, TIERS, Tiers
from bot.sandbox.web_api.call import METHODS

TABLE = Path(__file__).parents[4] / "shared" / "data" / "slack" / "rate_limit_tiers.json"
TEAM = "T1"


@dataclass
class Seconds:
    """A monotonic clock that a test moves."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def tiers(seconds: Seconds) -> Tiers:
    return Tiers(enforced=True, clock=seconds)


def test_every_method_has_the_tier_of_the_published_table() -> None:
    if not TABLE.exists():
        pytest.skip("the published table is not here")
    published = json.loads(TABLE.read_text(encoding="utf-8"))
    newer = {"agents.sessions.rename", "agents.sessions.setStatus"}
    assert {name: published.get(name) for name in TIERS if name not in newer} == {
        name: tier for name, tier in TIERS.items() if name not in newer
    }


def test_every_method_of_the_sandbox_has_a_tier() -> None:
    assert sorted(METHODS) == sorted(name for name in TIERS if name in METHODS)
    assert set(TIERS.values()) <= set(ALLOWANCES)


@pytest.mark.parametrize(
    ("method", "calls"),
    [("chat.startStream", 20), ("chat.update", 50), ("views.open", 100), ("auth.test", 600)],
)
def test_the_call_after_the_last_one_waits_for_the_first_to_age(
    tiers: Tiers, seconds: Seconds, method: str, calls: int
) -> None:
    assert [tiers.take(TEAM, method, "C1") for _ in range(calls)] == [None] * calls
    seconds.now += 12.5
    assert tiers.take(TEAM, method, "C2") == 48
    assert tiers.refused == {method: 1}
    seconds.now += 47.2
    assert tiers.take(TEAM, method, "C1") == 1
    seconds.now += 0.1
    assert tiers.take(TEAM, method, "C1") is None


def test_methods_and_workspaces_are_counted_apart(tiers: Tiers) -> None:
    for _ in range(20):
        tiers.take(TEAM, "chat.startStream", "C1")
    assert tiers.take(TEAM, "chat.stopStream", "C1") is None
    assert tiers.take("T2", "chat.startStream", "C1") is None
    assert tiers.take(TEAM, "chat.startStream", "C1") == 60


def test_one_post_a_second_in_a_channel_with_short_bursts(tiers: Tiers, seconds: Seconds) -> None:
    def post(channel: str) -> int | None:
        return tiers.take(TEAM, "chat.postMessage", channel)

    for _ in range(50):
        assert post("C1") is None
        seconds.now += 1.0
    assert [post("C2") for _ in range(4)] == [None, None, None, 3]
    assert post("C3") is None


def test_posts_of_all_channels_together_are_limited_too(tiers: Tiers) -> None:
    posts = [tiers.take(TEAM, "chat.postMessage", f"C{number}") for number in range(301)]
    assert posts == [None] * 300 + [60]


def test_tiers_that_are_not_enforced_count_nothing(seconds: Seconds) -> None:
    tiers = Tiers(clock=seconds)
    assert [tiers.take(TEAM, "chat.startStream", "C1") for _ in range(100)] == [None] * 100
    assert tiers.refused == {}


def test_a_short_minute(tiers: Tiers, seconds: Seconds) -> None:
    tiers.minute_s = 3.0
    for _ in range(20):
        tiers.take(TEAM, "chat.startStream", "C1")
    assert tiers.take(TEAM, "chat.startStream", "C1") == 3
    seconds.now += 3.0
    assert tiers.take(TEAM, "chat.startStream", "C1") is None

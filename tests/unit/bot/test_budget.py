"""A workspace's budget: never more calls in any window than its tier says, in order, for all."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.budget import (
    BEST_EFFORT,
    POSTS_PER_CHANNEL,
    POSTS_SECONDS,
    TIER_PER_MINUTE,
    Budget,
    patience_s,
)
from feedback.errors import OverloadedError

TIERS = Path(__file__).parents[4] / "shared" / "data" / "slack" / "rate_limit_tiers.json"
PER_MINUTE = {"Tier1": 1, "Tier2": 20, "Tier3": 50, "Tier4": 100}
SPECIAL = {"SpecialTier_auth_test": 600, "SpecialTier_chat_getPermalink": 600}


@dataclass
class Hands:
    """A clock that only moves when somebody waits or says so."""

    now: float = 1000.0
    waits: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def budget_of(hands: Hands, share: float = 1.0) -> Budget:
    return Budget(share=share, travel_s=0, clock=hands.clock, sleep=hands.sleep)


def made_at(hands: Hands, budget: Budget, method: str, channel: str = "") -> float | None:
    """Takes a turn and returns when it comes; None when it is refused."""
    before = len(hands.waits)
    try:
        asyncio.run(budget.take(method, channel))
    except OverloadedError:
        return None
    return hands.now + sum(hands.waits[before:])


@given(
    st.lists(
        st.tuples(st.floats(0, 20), st.sampled_from(["C1", "C2", "C3"])), min_size=1, max_size=60
    ),
    st.sampled_from([1.0, 0.5, 0.3]),
)
def test_no_window_is_ever_too_full(gaps: list[tuple[float, str]], share: float) -> None:
    hands = Hands()
    budget = budget_of(hands, share)
    made: list[tuple[float, str]] = []
    for gap, channel in gaps:
        hands.now += gap
        at = made_at(hands, budget, "chat.postMessage", channel)
        if at is not None:
            made.append((at, channel))
    for channel in ("C1", "C2", "C3"):
        times = sorted(at for at, where in made if where == channel)
        most = max(1, int(POSTS_PER_CHANNEL * share))
        window = POSTS_SECONDS * most / (POSTS_PER_CHANNEL * share)
        for first, last in zip(times, times[most:], strict=False):
            assert last - first >= window - 1e-6


def test_turns_of_one_channel_come_in_order() -> None:
    hands = Hands()
    budget = budget_of(hands)
    times = [made_at(hands, budget, "chat.postMessage", "C1") for _ in range(9)]
    assert times == [1000.0] * 3 + [1003.0] * 3 + [1006.0] * 3


def test_another_channel_does_not_wait() -> None:
    hands = Hands()
    budget = budget_of(hands)
    for _ in range(6):
        made_at(hands, budget, "chat.postMessage", "C1")
    assert made_at(hands, budget, "chat.postMessage", "C2") == hands.now


def test_who_would_wait_too_long_is_told_when_to_come_back() -> None:
    hands = Hands()
    budget = budget_of(hands)
    for _ in range(TIER_PER_MINUTE["chat.update"]):
        assert made_at(hands, budget, "chat.update") == hands.now
    with pytest.raises(OverloadedError) as refused:
        asyncio.run(budget.take("chat.update"))
    assert refused.value.retry_after == 60.0
    hands.now += 60 - patience_s("chat.update")
    assert made_at(hands, budget, "chat.update") == 1060.0


def test_a_refused_turn_costs_nothing() -> None:
    hands = Hands()
    budget = budget_of(hands)
    for _ in range(TIER_PER_MINUTE["chat.update"] + 30):
        made_at(hands, budget, "chat.update")
    hands.now += 60.0
    times = [made_at(hands, budget, "chat.update") for _ in range(TIER_PER_MINUTE["chat.update"])]
    assert times == [hands.now] * len(times)


@pytest.mark.parametrize("method", sorted(BEST_EFFORT))
def test_what_would_come_late_is_dropped(method: str) -> None:
    hands = Hands()
    budget = budget_of(hands)
    for _ in range(TIER_PER_MINUTE[method]):
        assert made_at(hands, budget, method) is not None
    assert made_at(hands, budget, method) is None
    assert hands.waits == []


def test_a_pause_holds_for_everybody_even_without_a_share() -> None:
    hands = Hands()
    for share in (0.0, 1.0):
        budget = budget_of(hands, share)
        budget.pause("chat.postMessage", 7.0)
        budget.pause("chat.postMessage", 2.0)
        assert made_at(hands, budget, "chat.postMessage", "C9") == hands.now + 7.0
        assert made_at(hands, budget, "chat.update") == hands.now


@dataclass
class Refused(Hands):
    """Slack refuses somebody else while the first of us waits."""

    budget: Budget | None = None
    seconds: float = 0.0

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        if self.budget is not None:
            budget, self.budget = self.budget, None
            budget.pause("chat.postMessage", self.seconds)


def refused_while_waiting(seconds: float) -> tuple[Refused, Budget]:
    """Returns a channel whose next post has to wait, and is then held back from `now` on."""
    hands = Refused(seconds=seconds)
    budget = budget_of(hands)
    for _ in range(POSTS_PER_CHANNEL):
        made_at(hands, budget, "chat.postMessage", "C1")
    hands.budget = budget
    return hands, budget


def test_a_pause_holds_those_who_wait_already() -> None:
    hands, budget = refused_while_waiting(30.0)
    assert made_at(hands, budget, "chat.postMessage", "C1") == 1030.0


def test_those_who_waited_do_not_call_all_at_once_after_a_pause() -> None:
    hands, budget = refused_while_waiting(30.0)
    times = [made_at(hands, budget, "chat.postMessage", "C1") for _ in range(5)]
    assert times == [1030.0] * 3 + [1033.0] * 2


def test_a_pause_longer_than_patience_sends_who_waits_away() -> None:
    _, budget = refused_while_waiting(500.0)
    with pytest.raises(OverloadedError) as refused:
        asyncio.run(budget.take("chat.postMessage", "C1"))
    assert refused.value.retry_after == 497.0, "three seconds were waited already"


def test_no_share_asks_no_questions() -> None:
    hands = Hands()
    budget = budget_of(hands, 0.0)
    assert {made_at(hands, budget, "chat.startStream") for _ in range(500)} == {hands.now}
    assert budget.stream_room() is not None


def streams(hands: Hands, budget: Budget) -> bool:
    """Whether a stream could begin; nothing stays set aside."""
    room = budget.stream_room()
    if room is not None:
        room.give_back()
    return room is not None


def test_a_stream_needs_room_for_all_of_it() -> None:
    hands = Hands()
    budget = budget_of(hands)
    for _ in range(TIER_PER_MINUTE["chat.stopStream"]):
        assert streams(hands, budget)
        made_at(hands, budget, "chat.stopStream")
    assert not streams(hands, budget)
    hands.now += 60.0
    assert streams(hands, budget)
    for _ in range(TIER_PER_MINUTE["chat.appendStream"] - 3):
        made_at(hands, budget, "chat.appendStream")
    assert not streams(hands, budget)
    assert not streams(hands, budget_of(hands, 0.01)), "four appends never fit one a minute"


def test_those_who_ask_at_once_get_no_more_streams_than_there_is_room_for() -> None:
    hands = Hands()
    budget = budget_of(hands)
    rooms = [budget.stream_room() for _ in range(100)]
    begun = [room for room in rooms if room is not None]
    assert len(begun) == TIER_PER_MINUTE["chat.stopStream"]
    for room in begun:
        for method, calls in (("chat.startStream", 1), ("chat.appendStream", 4)):
            for _ in range(calls):
                asyncio.run(budget.take(method, room=room))
    hands.now += 50.0
    for room in begun:
        asyncio.run(budget.take("chat.stopStream", room=room))
    assert hands.waits == [], "what was set aside waits for nobody"
    hands.now += 20.0
    assert not streams(hands, budget), "the stops were twenty seconds ago"
    hands.now += 40.0
    assert streams(hands, budget)


def test_nobody_else_gets_what_is_set_aside_and_what_was_not_needed_is_free() -> None:
    hands = Hands()
    budget = budget_of(hands)
    begun = [budget.stream_room() for _ in range(TIER_PER_MINUTE["chat.stopStream"])]
    with pytest.raises(OverloadedError) as refused:
        asyncio.run(budget.take("chat.stopStream"))
    assert refused.value.retry_after is not None
    assert refused.value.retry_after <= 60.0
    for room in begun:
        assert room is not None
        room.give_back()
        room.give_back()
    asyncio.run(budget.take("chat.stopStream"))
    assert hands.waits == []


def test_what_a_dead_stream_had_set_aside_is_free_after_five_minutes() -> None:
    hands = Hands()
    budget = budget_of(hands)
    while budget.stream_room() is not None:
        pass
    hands.now += 299.0
    assert not streams(hands, budget)
    hands.now += 1.0
    assert streams(hands, budget)


def test_a_call_that_was_set_aside_still_waits_for_a_pause() -> None:
    hands = Hands()
    budget = budget_of(hands)
    room = budget.stream_room()
    budget.pause("chat.appendStream", 7.0)
    asyncio.run(budget.take("chat.appendStream", room=room))
    assert hands.waits == [7.0]


@pytest.mark.skipif(not TIERS.exists(), reason="the list of tiers is not at hand")
def test_tiers_are_those_of_slack() -> None:
    listed = json.loads(TIERS.read_text())
    tiers = listed.get("tiers", listed)
    known = {
        method: PER_MINUTE.get(tier) or SPECIAL.get(tier)
        for method, tier in tiers.items()
        if isinstance(tier, str)
    }
    for method, per_minute in TIER_PER_MINUTE.items():
        if known.get(method) is not None:
            assert per_minute == known[method], method
    assert known.keys() >= {"chat.update", "chat.postEphemeral", "chat.startStream"}


def test_windows_are_longer_by_the_way_to_slack() -> None:
    hands = Hands()
    budget = Budget(travel_s=0.25, clock=hands.clock, sleep=hands.sleep)
    for _ in range(POSTS_PER_CHANNEL):
        assert made_at(hands, budget, "chat.postMessage", "C1") == hands.now
    assert made_at(hands, budget, "chat.postMessage", "C1") == hands.now + POSTS_SECONDS + 0.25

"""How often a workspace lets us call a method: Slack's rate tiers, kept before Slack has to refuse.

Tiers are those of `slackapi/java-slack-sdk:metadata/web-api/rate_limit_tiers.json` (compared in a
test when that file is at hand); `agents.sessions.*` came later (slackapi/java-slack-sdk#1633).
Slack calls them floors and tolerates bursts, but promises no more, so we ask for no more: never
more calls in any minute than the tier says.
"""

import asyncio
import math
import time
from bisect import insort
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from feedback.errors import OverloadedError

TIER_PER_MINUTE: Mapping[str, int] = {
    # Tier 2
    "chat.startStream": 20,
    "chat.stopStream": 20,
    "usergroups.list": 20,
    "usergroups.users.list": 20,
    "users.list": 20,
    # Tier 3
    "agents.sessions.setStatus": 50,
    "assistant.threads.setSuggestedPrompts": 50,
    "chat.delete": 50,
    "chat.update": 50,
    "conversations.history": 50,
    "conversations.open": 50,
    "conversations.replies": 50,
    # Tier 4
    "chat.appendStream": 100,
    "chat.postEphemeral": 100,
    "views.open": 100,
    "views.publish": 100,
    "views.update": 100,
    # Special ones
    "assistant.threads.setStatus": 60,
    "auth.test": 600,
    "chat.getPermalink": 600,
    "chat.postMessage": 300,
}
"""Calls a minute, per workspace, of every method we call."""

POSTS_PER_CHANNEL = 3
POSTS_SECONDS = 3.0
"""One post a second in a channel, with the short bursts that Slack allows."""

TRAVEL_S = 0.25
"""Slack counts calls when they arrive, some late, some not: windows are so many seconds longer."""

BEST_EFFORT = frozenset(
    [
        "agents.sessions.setStatus",
        "assistant.threads.setStatus",
        "assistant.threads.setSuggestedPrompts",
        "chat.postEphemeral",
    ]
)
"""Worth nothing when they come late: dropped instead of queued."""

TRIGGERED = frozenset(["views.open"])
"""A trigger lives for three seconds; waiting longer is useless."""

PATIENCE_S = 45.0
"""Longest wait of a worker for its turn; then the row goes back and others get the worker."""
_TRIGGER_PATIENCE_S = 1.5
_BEST_EFFORT_PATIENCE_S = 0.2

LIMIT_S = 60.0
"""Longest that a call takes in all: its turns, its tries, and Slack's time for them."""
_TRIGGER_LIMIT_S = 3.0
_BEST_EFFORT_LIMIT_S = 10.0

_STREAM_COSTS = {"chat.startStream": 1, "chat.appendStream": 4, "chat.stopStream": 1}
"""What an answer of full length costs when it is streamed."""
_STREAM_LIFE_S = 300.0
"""No stream lives longer; what is set aside for it is free again then."""
_LONGEST_S = 60.0
"""Seconds in which every window has room again."""


@dataclass(kw_only=True)
class _Window:
    """At most `calls` in any `seconds`. Reserved times are sorted and may lie ahead.

    Attributes:
        held: Calls set aside for streams, to be made at any time; nobody else gets those.
    """

    calls: int
    seconds: float
    times: list[float] = field(default_factory=list)
    held: int = 0

    def earliest(self, now: float, more: int = 1) -> float:
        """Returns when `more` further calls could all be made."""
        calls = self.calls - self.held
        if more > calls:
            return math.inf
        while self.times and self.times[0] <= now - self.seconds:
            del self.times[0]
        # With the n-th last call a window away, a further one cannot make any window too full.
        over = len(self.times) + more - calls
        return now if over <= 0 else max(now, self.times[over - 1] + self.seconds)

    def give_back(self, at: float) -> None:
        """Frees a reserved time that was not used; one that is over may be forgotten already."""
        with suppress(ValueError):
            self.times.remove(at)


@dataclass(kw_only=True)
class StreamRoom:
    """The calls that one streamed answer needs, set aside: they wait for nobody.

    Attributes:
        until: Time at which what is left of it is free for all.
    """

    windows: Mapping[str, _Window]
    left: dict[str, int]
    until: float

    def holds(self, method: str) -> bool:
        """Whether a call of a method is set aside."""
        return self.left.get(method, 0) > 0

    def spend(self, method: str, at: float) -> None:
        """Makes a call that was set aside."""
        self.left[method] -= 1
        self.windows[method].held -= 1
        insort(self.windows[method].times, at)

    def give_back(self) -> None:
        """Frees what was not needed; may be repeated."""
        for method, calls in self.left.items():
            self.windows[method].held -= calls
        self.left.clear()


class Budget:
    """What may still be called, per method and channel, in one workspace.

    Args:
        share: Part of the tiers that this process uses, 0..1; several processes divide them. 0
            asks no questions (a local workspace on simulated time has no tiers).
        travel_s: Most seconds by which the way to Slack of two calls differs.
        clock: Seconds of a monotonic clock.
        sleep: Waits so many seconds of that clock.
    """

    def __init__(
        self,
        *,
        share: float = 1.0,
        travel_s: float = TRAVEL_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._share = share
        self._travel_s = travel_s
        self._clock = clock
        self._sleep = sleep
        self._windows: dict[tuple[str, str], _Window] = {}
        self._paused_until: dict[str, float] = defaultdict(float)
        self._rooms: list[StreamRoom] = []

    async def take(
        self,
        method: str,
        channel: str = "",
        *,
        room: StreamRoom | None = None,
        patience: float | None = None,
    ) -> None:
        """Waits until a call is in budget, and counts it; first come, first served.

        Args:
            method: Of the Web API.
            channel: Where it acts, for limits per channel.
            room: The call may have been set aside there; then it waits for a pause at most.
            patience: Seconds it may wait; those of `patience_s` when None.

        Raises:
            OverloadedError: When its turn is too far away, with the seconds until then.
        """
        began = now = self._clock()
        patience = patience_s(method) if patience is None else patience
        self._free_old_rooms(now)
        aside = room if room is not None and room.holds(method) else None
        windows = [] if aside else self._of(method, channel)
        while True:
            at = max([now, self._paused_until[method], *(w.earliest(now) for w in windows)])
            if at - began > patience:
                wait_s = min(at - now, max(_LONGEST_S, self._paused_until[method] - now))
                raise OverloadedError(
                    f"{method} is over our share of Slack's tier for {wait_s:.1f} s",
                    retry_after=wait_s,
                )
            for window in windows:
                insort(window.times, at)
            if at > now:
                await self._sleep(at - now)
            if self._paused_until[method] <= at:
                if aside is not None and aside.holds(method):
                    aside.spend(method, at)
                return
            # Slack refused somebody else meanwhile: the turn is void, and a new one is taken, so
            # that all who waited do not call at once when the pause ends.
            for window in windows:
                window.give_back(at)
            now = at

    def pause(self, method: str, seconds: float) -> None:
        """Holds every call of a method back, waiting ones too, because Slack said so."""
        until = self._clock() + seconds
        self._paused_until[method] = max(self._paused_until[method], until)

    def stream_room(self) -> StreamRoom | None:
        """Sets aside what a whole streamed answer needs; None when it would have to wait."""
        now = self._clock()
        self._free_old_rooms(now)
        windows = {method: self._of(method, "") for method in _STREAM_COSTS}
        for method, calls in _STREAM_COSTS.items():
            late = any(window.earliest(now, calls) > now for window in windows[method])
            if late or self._paused_until[method] > now:
                return None
        held = {method: window for method, found in windows.items() for window in found}
        for method, window in held.items():
            window.held += _STREAM_COSTS[method]
        room = StreamRoom(
            windows=held,
            left={method: _STREAM_COSTS[method] for method in held},
            until=now + _STREAM_LIFE_S,
        )
        self._rooms.append(room)
        return room

    def _free_old_rooms(self, now: float) -> None:
        """Frees what was set aside for streams that are over, whoever died with them."""
        for room in self._rooms:
            if room.until <= now:
                room.give_back()
        self._rooms = [room for room in self._rooms if room.left]

    def _of(self, method: str, channel: str) -> list[_Window]:
        if self._share == 0 or method not in TIER_PER_MINUTE:
            return []
        found = [self._window(method, "", TIER_PER_MINUTE[method], 60.0)]
        if method == "chat.postMessage" and channel:
            found.append(self._window(method, channel, POSTS_PER_CHANNEL, POSTS_SECONDS))
        return found

    def _window(self, method: str, channel: str, calls: int, seconds: float) -> _Window:
        key = (method, channel)
        if key not in self._windows:
            # A share of three posts would round to none: the stretch grows instead.
            most = max(1, int(calls * self._share))
            stretch = seconds * most / (calls * self._share)
            self._windows[key] = _Window(calls=most, seconds=stretch + self._travel_s)
        return self._windows[key]


def patience_s(method: str) -> float:
    """Returns how long a call of a method may wait for its turn, in seconds."""
    if method in BEST_EFFORT:
        return _BEST_EFFORT_PATIENCE_S
    return _TRIGGER_PATIENCE_S if method in TRIGGERED else PATIENCE_S


def limit_s(method: str) -> float:
    """Returns how long a call of a method may take in all, in seconds."""
    if method in BEST_EFFORT:
        return _BEST_EFFORT_LIMIT_S
    return _TRIGGER_LIMIT_S if method in TRIGGERED else LIMIT_S

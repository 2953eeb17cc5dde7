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
_STREAM_ROOM = {"chat.startStream": 1, "chat.appendStream": 4, "chat.stopStream": 1}
"""What an answer of full length costs when it is streamed."""


@dataclass(kw_only=True)
class _Window:
    """At most `calls` in any `seconds`. Reserved times are sorted and may lie ahead."""

    calls: int
    seconds: float
    times: list[float] = field(default_factory=list)

    def earliest(self, now: float, more: int = 1) -> float:
        """Returns when `more` further calls could all be made."""
        if more > self.calls:
            return math.inf
        while self.times and self.times[0] <= now - self.seconds:
            del self.times[0]
        # With the n-th last call a window away, a further one cannot make any window too full.
        over = len(self.times) + more - self.calls
        return now if over <= 0 else max(now, self.times[over - 1] + self.seconds)

    def give_back(self, at: float) -> None:
        """Frees a reserved time that was not used; one that is over may be forgotten already."""
        with suppress(ValueError):
            self.times.remove(at)


class Budget:
    """What may still be called, per method and channel, in one workspace.

    Args:
        share: Part of the tiers that this process uses, 0..1; several processes divide them. 0
            asks no questions (a local workspace on simulated time has no tiers).
        clock: Seconds of a monotonic clock.
        sleep: Waits so many seconds of that clock.
    """

    def __init__(
        self,
        *,
        share: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._share = share
        self._clock = clock
        self._sleep = sleep
        self._windows: dict[tuple[str, str], _Window] = {}
        self._paused_until: dict[str, float] = defaultdict(float)

    async def take(self, method: str, channel: str = "") -> None:
        """Waits until a call is in budget, and counts it; first come, first served.

        Raises:
            OverloadedError: When its turn is too far away, with the seconds until then.
        """
        began = now = self._clock()
        windows = self._of(method, channel)
        while True:
            at = max([now, self._paused_until[method], *(w.earliest(now) for w in windows)])
            if at - began > patience_s(method):
                raise OverloadedError(
                    f"{method} is over our share of Slack's tier for {at - now:.1f} s",
                    retry_after=at - now,
                )
            for window in windows:
                insort(window.times, at)
            if at > now:
                await self._sleep(at - now)
            if self._paused_until[method] <= at:
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

    def room_to_stream(self) -> bool:
        """Whether a whole streamed answer can be shown without waiting."""
        now = self._clock()
        return all(
            self._paused_until[method] <= now
            and all(w.earliest(now, calls) <= now for w in self._of(method, ""))
            for method, calls in _STREAM_ROOM.items()
        )

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
            self._windows[key] = _Window(calls=most, seconds=stretch)
        return self._windows[key]


def patience_s(method: str) -> float:
    """Returns how long a call of a method may wait for its turn, in seconds."""
    if method in BEST_EFFORT:
        return _BEST_EFFORT_PATIENCE_S
    return _TRIGGER_PATIENCE_S if method in TRIGGERED else PATIENCE_S

"""Rate tiers: how often the app may call a method in a workspace.

The tier of each method is the one in Slack's Java SDK (`metadata/web-api/rate_limit_tiers.json`);
`agents.sessions.*` came later (slackapi/java-slack-sdk#1633). Slack calls its tiers floors and lets
bursts through; the sandbox allows just the floor in any window, so that an app which is never
refused here is not refused there. Time is real: a simulated clock does not make Slack faster.
"""

import math
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Scope = Literal["workspace", "channel"]


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """So many calls in any stretch of so many seconds, counted per workspace or per channel."""

    calls: int
    seconds: float = 60.0
    scope: Scope = "workspace"


ALLOWANCES: dict[str, tuple[Allowance, ...]] = {
    # One a minute on paper; but an app may hold ten sockets, and each is opened by a call.
    "Tier1": (Allowance(calls=10),),
    "Tier2": (Allowance(calls=20),),
    "Tier3": (Allowance(calls=50),),
    "Tier4": (Allowance(calls=100),),
    # "One message per second per channel", short bursts allowed, and several hundred a minute.
    "SpecialTier_chat_postMessage": (
        Allowance(calls=3, seconds=3.0, scope="channel"),
        Allowance(calls=300),
    ),
    "SpecialTier_assistant_threads_setStatus": (Allowance(calls=60, scope="channel"),),
    "SpecialTier_auth_test": (Allowance(calls=600),),
    "SpecialTier_chat_getPermalink": (Allowance(calls=600),),
}

TIERS: dict[str, str] = {
    "agents.sessions.rename": "Tier3",
    "agents.sessions.setStatus": "Tier3",
    "apps.connections.open": "Tier1",
    "apps.uninstall": "Tier1",
    "assistant.threads.setStatus": "SpecialTier_assistant_threads_setStatus",
    "assistant.threads.setSuggestedPrompts": "Tier3",
    "assistant.threads.setTitle": "Tier3",
    "auth.revoke": "Tier3",
    "auth.test": "SpecialTier_auth_test",
    "bots.info": "Tier3",
    "chat.appendStream": "Tier4",
    "chat.delete": "Tier3",
    "chat.getPermalink": "SpecialTier_chat_getPermalink",
    "chat.postEphemeral": "Tier4",
    "chat.postMessage": "SpecialTier_chat_postMessage",
    "chat.startStream": "Tier2",
    "chat.stopStream": "Tier2",
    "chat.update": "Tier3",
    "conversations.history": "Tier3",
    "conversations.info": "Tier3",
    "conversations.join": "Tier3",
    "conversations.list": "Tier2",
    "conversations.members": "Tier4",
    "conversations.open": "Tier3",
    "conversations.replies": "Tier3",
    "oauth.v2.access": "Tier4",
    "reactions.add": "Tier3",
    "reactions.get": "Tier3",
    "reactions.remove": "Tier2",
    "team.info": "Tier3",
    "usergroups.list": "Tier2",
    "usergroups.users.list": "Tier2",
    "users.conversations": "Tier2",
    "users.info": "Tier4",
    "users.list": "Tier2",
    "views.open": "Tier4",
    "views.publish": "Tier4",
    "views.push": "Tier4",
    "views.update": "Tier4",
}


JITTER_S = 0.2
"""How much closer calls may arrive than they were sent: who keeps the tiers is not refused."""


@dataclass(kw_only=True)
class Tiers:
    """Counts calls and says when one comes too early.

    Attributes:
        enforced: Whether any call is refused.
        minute_s: Real seconds that make a minute of the tiers: 60, less in a hurried test.
        clock: Seconds of a monotonic clock.
        refused: How many calls of each method were refused.
    """

    enforced: bool = False
    minute_s: float = 60.0
    clock: Callable[[], float] = time.monotonic
    refused: dict[str, int] = field(default_factory=dict)
    _calls: dict[tuple[str, ...], deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def take(self, team: str, method: str, channel: str) -> int | None:
        """Counts a call, or refuses it; a refused call is not counted.

        Args:
            team: The workspace.
            method: Web API method; one without a tier is never refused.
            channel: The conversation it names, empty without one.

        Returns:
            None when the call may go ahead, else whole seconds to wait (`Retry-After`).
        """
        if not self.enforced or method not in TIERS:
            return None
        now = self.clock()
        windows, wait_s = [], 0.0
        for allowance in ALLOWANCES[TIERS[method]]:
            place = channel if allowance.scope == "channel" else ""
            calls = self._calls[team, method, allowance.scope, place]
            length_s = (allowance.seconds - JITTER_S) * self.minute_s / 60.0
            while calls and calls[0] <= now - length_s:
                calls.popleft()
            if len(calls) >= allowance.calls:
                wait_s = max(wait_s, calls[0] + length_s - now)
            windows.append(calls)
        if wait_s > 0:
            self.refused[method] = self.refused.get(method, 0) + 1
            return max(1, math.ceil(wait_s))
        for calls in windows:
            calls.append(now)
        return None

    def clear(self) -> None:
        """Forgets every call."""
        self._calls.clear()
        self.refused.clear()

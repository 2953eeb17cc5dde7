"""trigger_ids: good once, for about three real seconds, to open one view."""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bot.sandbox.errors import SlackError


@dataclass(kw_only=True)
class Trigger:
    """A person's gesture that the app may answer with a view.

    Attributes:
        view_id: The modal the gesture happened in, if any; only then can a view be pushed.
        opened: Set once a view was opened with it.
    """

    user: str
    born: float
    view_id: str | None = None
    used: bool = False
    opened: asyncio.Event = field(default_factory=asyncio.Event)


class Triggers:
    """Issues and consumes trigger ids. They do not survive a restart: they live seconds."""

    def __init__(self, life_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._life_s = life_s
        self._clock = clock
        self._triggers: dict[str, Trigger] = {}

    def issue(self, user: str, view_id: str | None = None) -> tuple[str, Trigger]:
        """Returns a new trigger id of a person."""
        now = self._clock()
        for old in [k for k, t in self._triggers.items() if now - t.born > 60]:
            del self._triggers[old]
        trigger_id = (
            f"{secrets.randbelow(10**13)}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        )
        trigger = Trigger(user=user, born=now, view_id=view_id)
        self._triggers[trigger_id] = trigger
        return trigger_id, trigger

    def consume(self, trigger_id: str) -> Trigger:
        """Uses a trigger up.

        Raises:
            SlackError: `invalid_trigger_id`, `expired_trigger_id` or `exchanged_trigger_id`.
        """
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            raise SlackError("invalid_trigger_id")
        if self._clock() - trigger.born > self._life_s:
            raise SlackError("expired_trigger_id")
        if trigger.used:
            raise SlackError("exchanged_trigger_id")
        trigger.used = True
        return trigger

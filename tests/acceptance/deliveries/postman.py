"""Delivers badly on purpose: late, out of order, twice, under new ids, and deaf to some acks.

It stands in for the sandbox's own delivery, on the same real sockets: every event is delivered
again until it is acknowledged. Interactions are delivered once, as Slack does, and sometimes once
more in an identical copy; whoever got no answer does the same again.
"""

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.delivery import Ack, Attempt
from bot.sandbox.jsontypes import Json
from bot.sandbox.server import RunningSandbox

COPIES = 0.7
"""Chance of one more copy of a delivery; half of them under a new event_id."""
DROPPED_ACKS = 0.08
LANES = 24
"""Deliveries under way at once: more would wait in line and pass Slack's deadline."""


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """An interactive payload that was delivered.

    Attributes:
        acked: Whether the person was told so.
    """

    payload: Json
    sent_at: float
    acked: bool


@dataclass(kw_only=True)
class Postman:
    """Delivers what happens in a sandbox.

    Attributes:
        delivered: Deliveries made so far, without those that only echo the bot's own messages.
        noticed: Called with every interaction.
    """

    running: RunningSandbox
    rng: random.Random = field(default_factory=random.Random)
    delivered: int = 0
    dropped: int = 0
    redelivered: int = 0
    noticed: Callable[[Interaction], None] = lambda _: None
    _rounds: set[asyncio.Task[object]] = field(default_factory=set)
    _lanes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LANES))

    def take_over(self) -> None:
        """Puts itself in the place of the sandbox's delivery."""
        sandbox = self.running.sandbox
        sandbox.events._deliver = self.publish
        sandbox.delivery.interact = self.interact  # type: ignore[method-assign]

    def publish(self, body: Json) -> None:
        """Sends an event on its way, in one copy or several."""
        if _echo(body):
            self._send(body, delay_s=0.0, counts=False)
            return
        self._send(body, delay_s=self._delay_s(), counts=True)
        while self.rng.random() < COPIES:
            renamed = {**body, "event_id": "Ev" + secrets.token_hex(5).upper()}
            copy = renamed if self.rng.random() < 0.5 else body
            self._send(copy, delay_s=self._delay_s(), counts=True)

    async def interact(self, kind: str, payload: Json) -> Ack | str:
        """Delivers an interaction and returns what the person is told."""
        sent_at = time.time()
        answer = await self._once(kind, payload)
        told = "timeout" if self._drops_ack() else answer
        self.noticed(Interaction(payload=payload, sent_at=sent_at, acked=isinstance(told, Ack)))
        if self.rng.random() < COPIES and payload["type"] == "block_actions":
            self._start(self._again(kind, payload))
        return told

    async def settled(self) -> None:
        """Returns once everything was acknowledged."""
        while self._rounds:
            await asyncio.wait(set(self._rounds))

    def _send(self, body: Json, *, delay_s: float, counts: bool) -> None:
        self._start(self._until_acked(body, delay_s, counts=counts))

    def _start(self, round_: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(round_)
        self._rounds.add(task)
        task.add_done_callback(self._rounds.discard)

    async def _until_acked(self, body: Json, delay_s: float, *, counts: bool) -> None:
        link = self.running.sandbox.socket_mode
        attempt = Attempt()
        while True:
            await asyncio.sleep(delay_s)
            async with self._lanes:
                await link.ready()
                answer = await link.send_event(body, attempt)
            self.delivered += counts
            if isinstance(answer, Ack) and not (counts and self._drops_ack()):
                return
            self.redelivered += 1
            reason = answer if isinstance(answer, str) else "timeout"
            attempt = Attempt(number=attempt.number + 1, reason=reason)
            delay_s = self._delay_s()

    async def _once(self, kind: str, payload: Json) -> Ack | str:
        link = self.running.sandbox.socket_mode
        await link.ready()
        self.delivered += 1
        return await link.send_interaction(kind, payload)

    async def _again(self, kind: str, payload: Json) -> None:
        await asyncio.sleep(self._delay_s())
        await self._once(kind, payload)

    def _drops_ack(self) -> bool:
        drops = self.rng.random() < DROPPED_ACKS
        self.dropped += drops
        return drops

    def _delay_s(self) -> float:
        """Mostly short, sometimes seconds: long enough to come after everything else."""
        return self.rng.expovariate(20.0) if self.rng.random() < 0.9 else self.rng.uniform(0.2, 2.0)


def _echo(body: Json) -> bool:
    event = body["event"]
    message = event.get("message") or event.get("previous_message") or event
    return "bot_id" in message

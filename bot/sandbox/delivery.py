"""Gets events and interactions to the app, again and again until they are acknowledged.

The queue is in the journal: an event that was not acknowledged before a kill is delivered after
the restart. Interactions are delivered once, as Slack does.
"""

import asyncio
import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from bot.sandbox.journal import Journal
from bot.sandbox.jsontypes import Json
from bot.sandbox.settings import SandboxSettings


@dataclass(frozen=True, kw_only=True)
class Ack:
    """The app's acknowledgement and what it answered.

    Attributes:
        payload: A JSON object, if it sent one.
        text: The body of an HTTP answer as it came.
    """

    payload: Json | None = None
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try at delivering an event.

    Attributes:
        number: 0 for the first delivery.
        reason: Why the previous one failed, empty for the first.
    """

    number: int = 0
    reason: str = ""


class Transport(Protocol):
    """One way to the app: Socket Mode or signed HTTP."""

    async def ready(self) -> None:
        """Returns once the app can be reached."""
        ...

    async def send_event(self, body: Json, attempt: Attempt, *, cut: bool = False) -> Ack | str:
        """Delivers once; returns the Ack, or why there is none in Slack's words.

        Args:
            body: The event.
            attempt: Which try it is.
            cut: Lose the connection as soon as the event is out.
        """
        ...

    async def send_interaction(self, kind: str, payload: Json, *, cut: bool = False) -> Ack | str:
        """Delivers once; returns the Ack, or why there is none."""
        ...


@dataclass(kw_only=True)
class DeliveryFaults:
    """How many of the next deliveries go wrong.

    Attributes:
        drop_acks: Acks to ignore.
        duplicate: Events to deliver twice, with the same event_id and no retry mark.
        renumber: Events to deliver twice, the second time under a new event_id, as Slack has done
            (slackapi/node-slack-sdk#2141).
        reorder: Events to hold back until the following one was sent.
        delay: Events to deliver `delay_ms` late.
        delay_ms: How late, in real milliseconds.
        swallow: Deliveries, interactions too, that a dead line takes and never hands over.
        cut: Deliveries, interactions too, after which the line breaks before the ack.
    """

    drop_acks: int = 0
    duplicate: int = 0
    renumber: int = 0
    reorder: int = 0
    delay: int = 0
    delay_ms: int = 1000
    swallow: int = 0
    cut: int = 0

    def take(self, name: str) -> bool:
        """Returns whether the next delivery goes wrong in this way, and counts it."""
        left: int = getattr(self, name)
        if left <= 0:
            return False
        setattr(self, name, left - 1)
        return True


@dataclass(kw_only=True)
class DeliveryCounts:
    """What happened to events since the start; read by tests and the page."""

    published: int = 0
    acknowledged: int = 0
    redelivered: int = 0
    given_up: int = 0


@dataclass(kw_only=True)
class Delivery:
    """The durable outbound queue in front of a transport."""

    journal: Journal
    settings: SandboxSettings
    transport: Transport
    faults: DeliveryFaults = field(default_factory=DeliveryFaults)
    counts: DeliveryCounts = field(default_factory=DeliveryCounts)
    given_up: deque[Json] = field(default_factory=lambda: deque(maxlen=100))
    pending: dict[str, Json] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _held: list[Json] = field(default_factory=list)
    _next: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self) -> None:
        """Takes up the events that an earlier process left undelivered."""
        for key, row in self.journal.load("pending").items():
            self.pending[key] = row
            self._next = max(self._next, int(key) + 1)
            self._spawn(key)

    async def settled(self) -> None:
        """Returns once every event was acknowledged or given up."""
        while self.pending:
            self._idle.clear()
            await self._idle.wait()

    async def stop(self) -> None:
        """Stops delivering; what is pending stays in the journal."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def publish(self, body: Json) -> None:
        """Queues an event within the open transaction and starts delivering it."""
        self.counts.published += 1
        if self.faults.take("reorder"):
            self._enqueue(body, held=True)
            return
        late_s = self.faults.delay_ms / 1000 if self.faults.take("delay") else 0.0
        self._enqueue(body, late_s=late_s)
        if self.faults.take("duplicate"):
            self._enqueue(body)
        if self.faults.take("renumber"):
            self._enqueue({**body, "event_id": new_event_id()})
        self._release()

    def _release(self) -> None:
        held, self._held = self._held, []
        for row in held:
            self._spawn(row["key"])

    def clear(self) -> None:
        """Drops every undelivered event (a reset)."""
        for task in self._tasks:
            task.cancel()
        for key in self.pending:
            self.journal.delete("pending", key)
        self.pending.clear()
        self._held.clear()
        self._idle.set()

    async def interact(self, kind: str, payload: Json) -> Ack | str:
        """Delivers an interaction once and returns the app's answer, or why there is none.

        Args:
            kind: `interactive` or `slash_commands`.
            payload: The interaction in Slack's shape.
        """
        if self.faults.take("swallow"):
            await asyncio.sleep(self.settings.ack_timeout_s)
            return "timeout"
        cut = self.faults.take("cut")
        answer = await self.transport.send_interaction(kind, payload, cut=cut)
        if isinstance(answer, Ack) and self.faults.take("drop_acks"):
            return "timeout"
        return answer

    def _enqueue(self, body: Json, *, held: bool = False, late_s: float = 0.0) -> None:
        key = f"{self._next:012d}"
        self._next += 1
        self.pending[key] = {"key": key, "body": body, "attempt": 0, "reason": ""}
        self.journal.put("pending", key, self.pending[key])
        if held:
            self._held.append(self.pending[key])
            # Without a following event the held one goes out late rather than never.
            asyncio.get_running_loop().call_later(self.settings.ack_timeout_s, self._release)
        else:
            self._spawn(key, late_s)

    def _spawn(self, key: str, late_s: float = 0.0) -> None:
        task = asyncio.create_task(self._deliver(key, late_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, key: str, late_s: float) -> None:
        row = self.pending[key]
        if late_s > 0:
            await asyncio.sleep(late_s)
        while True:
            answer = await self._try(row)
            if isinstance(answer, Ack) and not self.faults.take("drop_acks"):
                self.counts.acknowledged += 1
                break
            if row["attempt"] >= len(self.settings.retry_delays_s):
                self.counts.given_up += 1
                self.given_up.append(row["body"])
                break
            delay_s = self.settings.retry_delays_s[row["attempt"]]
            row["attempt"] += 1
            row["reason"] = answer if isinstance(answer, str) else "timeout"
            self.counts.redelivered += 1
            self.journal.put("pending", key, row)
            self.journal.commit()
            await asyncio.sleep(delay_s)
        self.pending.pop(key, None)
        self.journal.delete("pending", key)
        self.journal.commit()
        if not self.pending:
            self._idle.set()

    async def _try(self, row: Json) -> Ack | str:
        await self.transport.ready()
        if self.faults.take("swallow"):
            await asyncio.sleep(self.settings.ack_timeout_s)
            return "timeout"
        attempt = Attempt(number=row["attempt"], reason=row["reason"])
        cut = self.faults.take("cut")
        return await self.transport.send_event(row["body"], attempt, cut=cut)


def new_event_id() -> str:
    """Returns an id in the form Slack gives events."""
    return "Ev" + secrets.token_hex(5).upper()


def new_envelope_id() -> str:
    """Returns an id in the form Slack gives envelopes (a UUID)."""
    raw = secrets.token_hex(16)
    return f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"

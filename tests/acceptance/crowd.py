"""People who go on asking whatever happens, and the count of what they were answered."""

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass, field

from bot.sandbox.client import SandboxClient, SandboxMessage
from bot.slack.posting import EVENT_TYPE
from deploy.demo.cast import Cast, demo_cast
from feedback.errors import UnavailableError
from feedback.samples import Company, load_company
from feedback.store.unit_of_work import Store
from tests.waiting import until

LIMIT_S = 150.0
"""A process of ours takes seconds to come back on a quiet machine, and much more on a busy one."""
_PAUSE_S = 1.5


@dataclass(frozen=True, kw_only=True)
class Thread:
    """What a thread holds, read from the workspace itself.

    Attributes:
        questions: Messages of people that are meant for the bot.
        answers: Finished messages of the bot.
    """

    questions: tuple[SandboxMessage, ...]
    answers: tuple[SandboxMessage, ...]
    unfinished: int

    @property
    def fair(self) -> bool:
        """Whether every question has its answer and none has two."""
        return len(self.questions) == len(self.answers) and not self.unfinished


@dataclass(kw_only=True)
class Crowd:
    """Asks in channels, threads and direct messages."""

    people: SandboxClient
    rng: random.Random
    cast: Cast = field(default_factory=demo_cast)
    company: Company = field(default_factory=load_company)
    places: Counter[str] = field(default_factory=Counter)
    _roots: list[SandboxMessage] = field(default_factory=list)

    async def keep_asking(self, stop: asyncio.Event) -> None:
        """Asks one question after another until `stop` is set; waits for no answer."""
        while not stop.is_set():
            await self.ask()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE_S):
                    await stop.wait()

    async def burst(self, count: int) -> None:
        """Asks several questions at once."""
        await asyncio.gather(*(self.ask() for _ in range(count)))

    async def ask(self) -> None:
        """Asks one question somewhere; a workspace that is away is not asked."""
        user = self.rng.choice(self.cast.agents)
        text = self.rng.choice(self.rng.choice(self.company.intents).questions("live"))
        place = self.rng.choices(["channel", "direct", "thread"], (0.5, 0.35, 0.15))[0]
        # The message may stand there although the call failed: what counts is read at the end.
        with contextlib.suppress(UnavailableError):
            if place == "direct":
                channel = await self.people.open_dm(user=user)
                await self.people.post(user=user, channel=channel, text=text)
            elif place == "thread" and self._roots:
                root = self.rng.choice(self._roots)
                await self.people.post(
                    user=root.user,
                    channel=root.channel,
                    text=f"<@{self.cast.bot}> {text}",
                    thread_ts=root.ts,
                )
            else:
                channel = self.rng.choice(self.cast.channels)
                posted = await self.people.post(
                    user=user, channel=channel, text=f"<@{self.cast.bot}> {text}"
                )
                self._roots.append(posted)
            self.places[place] += 1

    async def threads(self) -> list[Thread]:
        """Returns every thread in which the bot was asked something."""
        found = []
        for channel in (await self.people.state())["channels"]:
            for root in await self.people.messages(channel=channel["id"]):
                if root.is_app:
                    continue
                messages = await self.people.messages(channel=channel["id"], thread_ts=root.ts)
                direct = channel["kind"] == "im"
                questions = [
                    message
                    for message in messages
                    if not message.is_app and (direct or self.cast.bot in message.text)
                ]
                mine = [message for message in messages if _answers(message)]
                if questions:
                    found.append(
                        Thread(
                            questions=tuple(questions),
                            answers=tuple(m for m in mine if not m.streaming),
                            unfinished=sum(message.streaming for message in mine),
                        )
                    )
        return found


def _answers(message: SandboxMessage) -> bool:
    """Whether a message is an answer, also a half-written one; not a call for a person."""
    kind = (message.metadata or {}).get("event_type")
    return message.is_app and (message.streaming or kind == EVENT_TYPE)


async def all_answered(people: SandboxClient, store: Store) -> None:
    """Returns once nothing is on its way to the bot and nothing is being worked on."""

    async def idle() -> bool:
        if (await people.deliveries())["pending"]:
            return False
        async with store.begin() as tx:
            return await tx.inbox.open_count() == 0

    await until(idle, LIMIT_S)

"""A hundred questions at once, in a workspace that enforces its tiers."""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

import pytest

from bot.sandbox.client import SandboxClient
from bot.sandbox.server import RunningSandbox
from bot.sandbox.workspace import default_workspace
from feedback.ports import Generation, GenerationOptions, Message
from feedback.settings import Settings
from feedback.store.unit_of_work import Store
from tests.integration.bot.conftest import Library, MakeBot, settle
from tests.integration.bot.gated import GatedGenerator
from tests.waiting import until

PEOPLE, EACH = 10, 10


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """As in a real workspace: the bot keeps to the tiers."""
    return settings.model_copy(
        update={"slack": settings.slack.model_copy(update={"rate_share": 1.0})}
    )


@dataclass(kw_only=True)
class Numbered(GatedGenerator):
    """Repeats the number it is asked for, once everybody has asked."""

    async def stream(
        self, messages: Sequence[Message], *, adapter: str | None, options: GenerationOptions
    ) -> AsyncGenerator[str | Generation, None]:
        self.asked.append(messages[-1].content)
        await self.gate.wait()
        [number] = re.findall(r"number (\d+)", messages[-1].content)
        yield self.said(f"Open Settings, then Export, and choose number {number}.")


@pytest.mark.slow
async def test_a_hundred_questions_at_once(
    sandbox: RunningSandbox, store: Store, make_bot: MakeBot
) -> None:
    model = Numbered()
    users = [person.id for person in default_workspace().people][:PEOPLE]
    async with SandboxClient(sandbox.url) as people, make_bot(model, Library()):
        await people.tiers(enforce=True)
        threads = [await begin(people, user) for user in users]
        await until(lambda: delivered(people))
        await asyncio.gather(*(go_on(people, *thread) for thread in threads))
        await until(lambda: delivered(people))
        model.gate.set()
        await settle(people, store)
        for _, channel, root in threads:
            thread = await people.messages(channel=channel, thread_ts=root)
            told = [re.findall(r"number (\d+)", said.text) for said in thread if said.is_app]
            assert told == [[str(number)] for number in range(EACH)], "each once, in order"
        assert await people.refused() == {}, "never faster than the tiers"
    assert len(model.asked) == PEOPLE * EACH


async def begin(people: SandboxClient, user: str) -> tuple[str, str, str]:
    """Asks a first question in a direct message; returns who, where and the thread."""
    channel = await people.open_dm(user=user)
    first = await people.post(user=user, channel=channel, text="Where is export number 0?")
    return user, channel, first.ts


async def go_on(people: SandboxClient, user: str, channel: str, root: str) -> None:
    """Asks on in the thread without waiting for answers."""
    for number in range(1, EACH):
        text = f"Where is export number {number}?"
        await people.post(user=user, channel=channel, text=text, thread_ts=root)


async def delivered(people: SandboxClient) -> bool:
    return not (await people.deliveries())["pending"]

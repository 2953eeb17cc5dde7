"""The real bot in the real sandbox workspace on a real PostgreSQL; only the model is scripted."""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import feedback.samples
from bot.guarding import StyleGuard
from bot.runtime import Bot, Outside, assembled, running
from bot.sandbox.client import SandboxClient
from bot.sandbox.gestures import SandboxMessage
from bot.sandbox.server import RunningSandbox, serve
from bot.sandbox.settings import SandboxSettings
from feedback.clock import SystemClock
from feedback.domain.interaction import Interaction
from feedback.domain.knowledge import Hit, SearchResult, Signals
from feedback.domain.vote import Vote
from feedback.ports import Message, TextGenerator
from feedback.serving.fake import FakeTextGenerator
from feedback.settings import Settings, load_settings
from feedback.store.unit_of_work import Store
from feedback.tone.guide import StyleGuide
from tests.waiting import until

AMIRA, BEN, GRACE, HENRIK = "U0AMIRA001", "U0BENNO002", "U0GRACE007", "U0HENRK008"
INES, JONAS = "U0INESC009", "U0JONAS010"
BOT = "U0UNDRSTDY"
SUPPORT, REVIEW = "C0SUPPORT2", "C0REVIEW04"

ANSWER = "Open Settings, then Export, and choose CSV."
PASSAGE = "To export a report, open Settings, then Export, and choose CSV."
HIT = Hit(
    doc_id="export",
    chunk_id="export-1",
    score=0.9,
    title="Exporting reports",
    heading="",
    text=PASSAGE,
    uri="https://docs.example/export",
)


def answer_everything(_: Sequence[Message], __: str | None) -> str:
    return ANSWER


@dataclass
class Library:
    """Knowledge with one document that answers whatever mentions an export."""

    asked: list[str] = field(default_factory=list)

    async def search(self, question: str, *, k: int, model_url: str) -> SearchResult:
        self.asked.append(question)
        if "export" in question.lower():
            return SearchResult(hits=(HIT,), answerable=True, signals=Signals(probability=0.9))
        if "near" in question:
            other = replace(HIT, text="Invoices are sent on the first day of the month.")
            return SearchResult(hits=(other,), signals=Signals(probability=0.45))
        return SearchResult()


@dataclass
class Models:
    """Every server is the same scripted model."""

    generator: TextGenerator

    def at(self, url: str, served: frozenset[str], base_name: str) -> TextGenerator:
        return self.generator


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """What a test acts with."""

    people: SandboxClient
    store: Store
    bot: Bot
    library: Library
    model: FakeTextGenerator
    sandbox: RunningSandbox

    @property
    def team(self) -> str:
        assert self.bot.home is not None
        return self.bot.home.team

    async def ask(
        self,
        question: str = "How do I export a report?",
        *,
        user: str = AMIRA,
        channel: str = SUPPORT,
        thread_ts: str | None = None,
    ) -> SandboxMessage:
        """Mentions the bot and returns its answer, recorded as posted."""
        asked = await self.people.post(
            user=user, channel=channel, text=f"<@{BOT}> {question}", thread_ts=thread_ts
        )
        answer = await self.people.wait_for_reply(
            channel=channel, thread_ts=thread_ts or asked.ts, after_ts=asked.ts
        )
        await self.settle()
        return answer

    async def settle(self) -> None:
        """Waits until every delivery has been worked on."""
        await settle(self.people, self.store)

    async def answers(self, thread_ts: str, channel: str = SUPPORT) -> list[SandboxMessage]:
        """Returns what the bot said in a thread."""
        thread = await self.people.messages(channel=channel, thread_ts=thread_ts)
        return [message for message in thread if message.is_app]

    async def interaction(self, answer: SandboxMessage) -> Interaction:
        """Returns the record of an answer."""
        async with self.store.begin() as tx:
            found = await tx.conversations.by_answer(self.team, answer.channel, answer.ts)
        assert found is not None
        return found

    async def votes(self, answer: SandboxMessage) -> list[Vote]:
        """Returns the current opinions of an answer."""
        interaction = await self.interaction(answer)
        async with self.store.begin() as tx:
            return await tx.votes.of_interaction(interaction.id)


def outside_of(store: Store, guard: StyleGuard, model: TextGenerator, library: Library) -> Outside:
    """Returns everything but Slack: a real record, a scripted model, one document."""
    return Outside(
        store=store,
        clock=SystemClock(),
        knowledge=library,
        generators=Models(model),
        guard=guard,
    )


async def settle(people: SandboxClient, store: Store) -> None:
    """Waits until every delivery has been worked on."""

    async def idle() -> bool:
        if (await people.deliveries())["pending"]:
            return False
        async with store.begin() as tx:
            return await tx.inbox.open_count() == 0

    await until(idle)


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("bot.slack.bolt").setLevel(logging.ERROR)
    logging.getLogger("slack_sdk").setLevel(logging.CRITICAL)


@pytest.fixture
async def sandbox() -> AsyncIterator[RunningSandbox]:
    fast = SandboxSettings(ack_timeout_s=5.0, retry_delays_s=(0.0, 0.1, 0.2))
    async with serve(settings=fast) as server:
        yield server


@pytest.fixture
def settings(sandbox: RunningSandbox) -> Settings:
    space = sandbox.workspace
    return load_settings(
        {
            "UNDERSTUDY_SLACK__API_URL": sandbox.api_url,
            "SLACK_BOT_TOKEN": space.bot_token,
            "SLACK_APP_TOKEN": space.app_token,
            "TGI_URL": "http://127.0.0.1:9",
            "UNDERSTUDY_SLACK__REVIEW_CHANNEL": REVIEW,
            "UNDERSTUDY_SLACK__REVIEWERS_GROUP": "reviewers",
            "UNDERSTUDY_SLACK__HANDOFF_GROUP": "support-oncall",
            # The sandbox of these tests enforces no tiers.
            "UNDERSTUDY_SLACK__RATE_SHARE": "0",
            "UNDERSTUDY_BOT__MAX_ATTEMPTS": "2",
            "UNDERSTUDY_BOT__RETRY_S": "0.05",
            "UNDERSTUDY_MODEL__MAX_TOKENS": "1000",
        }
    )


@pytest.fixture
def guard() -> StyleGuard:
    return StyleGuard(StyleGuide.load(Path(feedback.samples.__file__).parent / "style"))


MakeBot = Callable[..., AbstractAsyncContextManager[Bot]]


@pytest.fixture
def make_bot(settings: Settings, store: Store, guard: StyleGuard) -> MakeBot:
    """Starts a bot of its own on the shared database and workspace."""

    @asynccontextmanager
    async def make(model: TextGenerator, library: Library) -> AsyncIterator[Bot]:
        outside = outside_of(store, guard, model, library)
        async with assembled(settings, outside) as bot, running(bot):
            yield bot

    return make


@pytest.fixture
async def workplace(
    sandbox: RunningSandbox, store: Store, make_bot: MakeBot
) -> AsyncIterator[Workplace]:
    model, library = FakeTextGenerator(answer_everything), Library()
    async with (
        make_bot(model, library) as bot,
        SandboxClient(sandbox.url) as people,
    ):
        yield Workplace(
            people=people, store=store, bot=bot, library=library, model=model, sandbox=sandbox
        )

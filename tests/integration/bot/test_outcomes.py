"""Whatever code Slack answers with: what people see, what is stored, how often it is tried."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import pytest

from bot.sandbox.client import SandboxClient
from bot.sandbox.gestures import SandboxMessage
from bot.sandbox.server import RunningSandbox
from bot.slack.errors import Outcome
from feedback.domain.interaction import InteractionState
from feedback.ports import Generation, GenerationOptions, Message
from feedback.serving.fake import FakeTextGenerator
from feedback.store.unit_of_work import Store
from tests.integration.bot.coded import AFTER_A_FAILURE, Driver, expected
from tests.integration.bot.conftest import (
    AMIRA,
    ANSWER,
    BOT,
    SUPPORT,
    Library,
    MakeBot,
    Workplace,
)
from tests.integration.bot.gated import GatedGenerator
from tests.integration.bot.test_streaming import LONG, escaped
from tests.waiting import until

pytestmark = pytest.mark.timeout(300)

HALF = "First open the settings of your workspace and look for the list of reports. " * 5
COULD_NOT = "cannot post it"


@pytest.fixture
def driver(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Driver:
    return Driver(place=workplace, patch=monkeypatch)


@pytest.fixture
async def talkative(
    sandbox: RunningSandbox, store: Store, make_bot: MakeBot, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Driver]:
    """A bot whose answers are long enough to be streamed, with an append in between."""
    typist = Typist(after=LONG, calls=sandbox.sandbox.faults.calls)
    async with driving(sandbox, store, make_bot, typist, monkeypatch) as driver:
        yield driver


@asynccontextmanager
async def driving(
    sandbox: RunningSandbox,
    store: Store,
    make_bot: MakeBot,
    model: GatedGenerator,
    patch: pytest.MonkeyPatch,
) -> AsyncIterator[Driver]:
    library = Library()
    async with make_bot(model, library) as bot, SandboxClient(sandbox.url) as people:
        place = Workplace(
            people=people,
            store=store,
            bot=bot,
            library=library,
            model=FakeTextGenerator(),
            sandbox=sandbox,
        )
        yield Driver(place=place, patch=patch)


@dataclass(kw_only=True)
class Typist(GatedGenerator):
    """Goes on when what was said before is on its way to Slack, whatever comes of it."""

    calls: Mapping[str, int]

    async def stream(
        self, messages: Sequence[Message], *, adapter: str | None, options: GenerationOptions
    ) -> AsyncGenerator[str | Generation, None]:
        said = 0
        for method, chars in (("chat.startStream", 300), ("chat.appendStream", 700)):
            before = self.calls.get(method, 0)
            yield self.after[said : said + chars]
            said += chars
            await until(partial(self._called, method, before))
        yield self.after[said:]
        yield self.said(self.after)

    def _called(self, method: str, before: int) -> bool:
        return self.calls.get(method, 0) > before


class Questions:
    """Asks one question after the other, somewhere."""

    def __init__(self, driver: Driver, channel: str) -> None:
        self._driver = driver
        self._channel = channel
        self.asked: SandboxMessage

    async def __call__(self) -> None:
        people = self._driver.place.people
        text = f"<@{BOT}> how to export?"
        self.asked = await people.post(user=AMIRA, channel=self._channel, text=text)

    async def state(self) -> InteractionState:
        return (await self._driver.record(self.asked)).state

    async def answers(self) -> list[SandboxMessage]:
        return await self._driver.place.answers(self.asked.ts, self._channel)

    async def whole(self, text: str) -> list[SandboxMessage]:
        """Returns the messages that are the whole answer, with buttons below it."""
        return [
            answer
            for answer in await self.answers()
            if answer.text == text and not answer.streaming and "feedback_buttons" in str(answer)
        ]


async def words(driver: Driver, private: str) -> int:
    """Returns how often the asker was told in private that an answer could not be posted."""
    return sum(COULD_NOT in m.text for m in await driver.place.people.messages(channel=private))


@pytest.mark.slow
async def test_every_code_of_a_post(driver: Driver) -> None:
    """Made again, made plainer, or told to the asker in private; never twice, never not at all."""
    private = await driver.place.people.open_dm(user=AMIRA)
    ask, told = Questions(driver, SUPPORT), 0
    for code, outcome in driver.cases("chat.postMessage"):
        # The second call is the same post again, or the word in private.
        posts = await driver.calls("chat.postMessage", code, ask, channel=SUPPORT)
        assert posts == 2, code
        plain = outcome is Outcome.PLAINER
        if plain or outcome in {*AFTER_A_FAILURE, Outcome.INSTALLATION_LOST}:
            answers = await ask.answers()
            assert [answer.text for answer in answers] == [ANSWER], code
            assert ("feedback_buttons" in str(answers[0])) is not plain, code
            assert await ask.state() is InteractionState.POSTED, code
        else:
            told += 1
            assert await ask.answers() == [], code
            assert await ask.state() is InteractionState.FAILED, code
        assert await words(driver, private) == told, code
    assert len(driver.seen) >= 4


@pytest.mark.slow
async def test_every_code_of_a_word_in_private(driver: Driver) -> None:
    """`conversations.open`: the word is said later, or given up for operators to see."""
    people = driver.place.people
    private = await people.open_dm(user=AMIRA)
    ask, told = Questions(driver, SUPPORT), 0
    for code, outcome in driver.cases("conversations.open"):
        await people.fault(
            method="chat.postMessage", kind="error", code="is_archived", channel=SUPPORT
        )
        opened = await driver.calls("conversations.open", code, ask)
        assert opened == expected(outcome, otherwise=1), code
        said = outcome in {*AFTER_A_FAILURE, Outcome.INSTALLATION_LOST}
        told += said
        assert await words(driver, private) == told, code
        assert await ask.state() is InteractionState.FAILED, code
        error = await driver.owed()
        assert (error or "") == "" if said else code in str(error), code


@pytest.mark.slow
async def test_every_code_of_looking_whether_a_post_arrived(driver: Driver) -> None:
    """`conversations.replies`: who cannot look posts nothing, or it might stand there twice."""
    people = driver.place.people
    private = await people.open_dm(user=AMIRA)
    ask, told = Questions(driver, SUPPORT), 0
    for code, outcome in driver.cases("conversations.replies"):
        await people.fault(method="chat.postMessage", kind="lost_answer", channel=SUPPORT)
        looked = await driver.calls("conversations.replies", code, ask)
        assert looked == expected(outcome, otherwise=1), code
        assert [answer.text for answer in await ask.answers()] == [ANSWER], code
        found = outcome in {*AFTER_A_FAILURE, Outcome.INSTALLATION_LOST}
        told += not found
        assert await words(driver, private) == told, code
        wanted = InteractionState.POSTED if found else InteractionState.FAILED
        assert await ask.state() is wanted, code


@pytest.mark.slow
async def test_every_code_of_the_beginning_of_a_stream(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is one post then; where streams are unknown nobody tries again."""
    monkeypatch.setattr(driver.place.model, "_script", lambda *_: LONG)
    ask = Questions(driver, await driver.place.people.open_dm(user=AMIRA))
    for code, outcome in driver.cases("chat.startStream"):
        begun = await driver.calls("chat.startStream", code, ask, vital=False)
        assert begun == (2 if outcome is Outcome.SLOW_DOWN else 1), code
        assert len(await ask.whole(escaped(LONG))) == len(await ask.answers()) == 1, code
        assert await ask.state() is InteractionState.POSTED, code
        if outcome is Outcome.UNSUPPORTED:
            assert await driver.uses("chat.startStream", ask) == 0, code
            driver.forget_latches()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["chat.appendStream", "chat.stopStream"])
async def test_every_code_of_a_stream(talkative: Driver, method: str) -> None:
    """However a stream breaks, the thread ends with the whole answer in one message."""
    driver = talkative
    ask = Questions(driver, await driver.place.people.open_dm(user=AMIRA))
    usual = await driver.uses(method, ask)
    for code, outcome in driver.cases(method):
        made = await driver.calls(method, code, ask, vital=False)
        if outcome is Outcome.UNSUPPORTED:
            driver.forget_latches()
        if outcome is Outcome.STOPPED:
            assert await ask.state() is InteractionState.STOPPED, code
            assert await ask.whole(escaped(LONG)) == [], code
            continue
        # What could not be ended is ended once more, before it is replaced.
        again = usual + 1 if method == "chat.stopStream" or outcome is Outcome.SLOW_DOWN else 1
        assert made == again, code
        assert len(await ask.whole(escaped(LONG))) == len(await ask.answers()) == 1, code
        assert await ask.state() is InteractionState.POSTED, code


@pytest.mark.slow
async def test_every_code_of_a_replacement(talkative: Driver) -> None:
    """`chat.update`: again, after the stream was freed, or the whole answer in a new message."""
    driver = talkative
    ask = Questions(driver, await driver.place.people.open_dm(user=AMIRA))
    for code, outcome in driver.cases("chat.update"):
        await driver.place.people.fault(
            method="chat.appendStream", kind="error", code="message_not_in_streaming_state"
        )
        made = await driver.calls("chat.update", code, ask)
        again = {Outcome.FREE_FIRST: 2}
        assert made == expected(outcome, otherwise=1, calls=again), code
        anew = expected(outcome, otherwise=1, calls=again) == 1
        assert len(await ask.whole(escaped(LONG))) == 1, code
        assert len(await ask.answers()) == (2 if anew else 1), code
        assert not any(answer.streaming for answer in await ask.answers()), code
        assert await ask.state() is InteractionState.POSTED, code


@pytest.mark.slow
async def test_every_code_of_taking_a_half_written_answer_back(
    sandbox: RunningSandbox, store: Store, make_bot: MakeBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`chat.delete`: nothing is stored; what cannot be deleted is at least no open stream."""
    model = GatedGenerator(before=HALF)
    async with driving(sandbox, store, make_bot, model, monkeypatch) as driver:
        people = driver.place.people
        ask = Questions(driver, await people.open_dm(user=AMIRA))

        async def ask_and_delete() -> None:
            await ask()

            async def begun() -> bool:
                shown = await driver.rows("select 1 from interactions where answer_ts is not null")
                return shown != []

            await until(begun)
            await people.delete(user=AMIRA, message=ask.asked)

        for code, outcome in driver.cases("chat.delete"):
            made = await driver.calls("chat.delete", code, ask_and_delete, vital=False)
            assert made == (2 if outcome in AFTER_A_FAILURE else 1), code
            left = await ask.answers()
            assert len(left) == (0 if outcome in AFTER_A_FAILURE else 1), code
            assert not any(answer.streaming for answer in left), code
            assert await driver.rows(
                "select distinct state, question, answer from interactions"
            ) == [("erased", "", None)], code
            await driver.rows("delete from interactions returning 1")


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["server_error", "html", "broken_json", "ratelimited", "cut", "lost_answer"]
)
async def test_whatever_is_no_answer_at_all(workplace: Workplace, kind: str) -> None:
    await workplace.people.fault(
        method="chat.postMessage", kind=kind, channel=SUPPORT, retry_after=0
    )
    asked = await workplace.people.post(
        user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> how to export?"
    )
    await workplace.settle()
    assert [answer.text for answer in await workplace.answers(asked.ts)] == [ANSWER]
    assert len(workplace.library.asked) == 1, "the stored answer is posted, not made again"

"""Whatever code Slack answers with: what people see, what is stored, and how often it is tried."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from bot.sandbox.client import SandboxClient
from bot.sandbox.server import RunningSandbox
from bot.slack.errors import Outcome, outcome_of
from feedback.domain.interaction import Interaction, InteractionState, Rating
from feedback.serving.fake import FakeTextGenerator
from feedback.store.unit_of_work import Store
from tests.integration.bot.conftest import (
    AMIRA,
    ANSWER,
    BEN,
    BOT,
    SUPPORT,
    Library,
    MakeBot,
    Workplace,
)
from tests.integration.bot.test_streaming import LONG, escaped
from tests.slack_codes import codes_of
from tests.waiting import until

pytestmark = pytest.mark.timeout(300)

REPEATED = {Outcome.SLOW_DOWN, Outcome.TRY_AGAIN, Outcome.PLAINER}
"""Outcomes of a post after which it is made once more."""


@pytest.fixture
async def talkative(
    sandbox: RunningSandbox, store: Store, make_bot: MakeBot
) -> AsyncIterator[Workplace]:
    """A bot whose answers are long enough to be streamed."""
    model, library = FakeTextGenerator([LONG]), Library()
    async with make_bot(model, library) as bot, SandboxClient(sandbox.url) as people:
        yield Workplace(
            people=people, store=store, bot=bot, library=library, model=model, sandbox=sandbox
        )


def survivable(method: str) -> list[str]:
    """Returns the codes after which the workspace is still ours; see test_workspaces.py."""
    return [
        code
        for code in codes_of(method)
        if outcome_of(method, code) is not Outcome.INSTALLATION_LOST
    ]


@contextmanager
def counted(place: Workplace, method: str) -> Iterator[list[int]]:
    """Yields a list that holds, afterwards, how often the method was called meanwhile."""
    calls = place.sandbox.sandbox.faults.calls
    before, times = calls.get(method, 0), list[int]()
    yield times
    times.append(calls.get(method, 0) - before)


async def record(place: Workplace, ts: str, channel: str) -> Interaction:
    async with place.store.begin() as tx:
        found = await tx.conversations.by_question(place.team, channel, ts)
    assert found is not None
    return found


@pytest.mark.slow
async def test_every_code_of_a_post(workplace: Workplace) -> None:
    """Made again, made plainer, or told to the asker in private; never twice, never not at all."""
    private = await workplace.people.open_dm(user=AMIRA)
    expected_notes = 0

    async def told() -> bool:
        return len(await workplace.people.messages(channel=private)) == expected_notes

    for code in survivable("chat.postMessage"):
        await workplace.people.fault(
            method="chat.postMessage", kind="error", code=code, channel=SUPPORT
        )
        with counted(workplace, "chat.postMessage") as posts:
            asked = await workplace.people.post(
                user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> how to export?"
            )
            await workplace.settle()
            repeated = outcome_of("chat.postMessage", code) in REPEATED
            expected_notes += not repeated
            await until(told)
        answers = await workplace.answers(asked.ts)
        state = (await record(workplace, asked.ts, SUPPORT)).state
        assert posts == [2], code
        if repeated:
            assert [answer.text for answer in answers] == [ANSWER], code
            assert state is InteractionState.POSTED, code
        else:
            assert answers == [], code
            assert state is InteractionState.FAILED, code


@pytest.mark.slow
@pytest.mark.parametrize("method", ["chat.appendStream", "chat.stopStream", "chat.update"])
async def test_every_code_of_a_stream(talkative: Workplace, method: str) -> None:
    """However a stream breaks, the thread ends with the whole answer in one message."""
    workplace = talkative
    channel = await workplace.people.open_dm(user=AMIRA)
    for code in survivable(method):
        if outcome_of(method, code) is Outcome.STOPPED:
            continue  # see test_stopping.py
        if method == "chat.update":
            await workplace.people.fault(
                method="chat.appendStream", kind="error", code="message_not_in_streaming_state"
            )
        await workplace.people.fault(method=method, kind="error", code=code)
        asked = await workplace.people.post(user=AMIRA, channel=channel, text="how to export?")
        await workplace.settle()
        found = await workplace.answers(asked.ts, channel)
        whole = [answer for answer in found if answer.text == escaped(LONG)]
        assert len(whole) == 1, (code, [answer.text[:80] for answer in found])
        assert (await record(workplace, asked.ts, channel)).state is InteractionState.POSTED
        await workplace.people.clear_faults()


@pytest.mark.slow
async def test_every_code_of_a_modal(workplace: Workplace) -> None:
    """The vote counts although its modal does not open; who wants to correct is asked again."""
    answer = await workplace.ask()
    # A click that may yet succeed stays for a worker, ten seconds later: one of those is enough.
    codes = [
        code
        for code in survivable("views.open")
        if outcome_of("views.open", code) is not Outcome.TRY_AGAIN or code == "internal_error"
    ]
    for number, code in enumerate(codes):
        await workplace.people.fault(method="views.open", kind="error", code=code)
        await workplace.people.click(
            user=BEN, message=answer, action_id="answer_feedback", value="negative"
        )
        await workplace.settle()
        [vote] = await workplace.votes(answer)
        assert vote.rating is Rating.DOWN, code
        await workplace.people.clear_faults()
        if await workplace.people.modal(BEN) is not None:  # opened at the second try
            await workplace.people.close(user=BEN, cleared=True)
        await workplace.people.click(
            user=BEN, message=answer, action_id="answer_feedback", value="positive"
        )
        await workplace.settle()
        await workplace.people.fault(method="views.open", kind="error", code=code, times=3)
        seen = number

        async def told(seen: int = seen) -> bool:
            shown = await workplace.people.messages(
                channel=SUPPORT, thread_ts=answer.thread_ts, user=BEN
            )
            notes = [note for note in shown if "Please click again" in note.text]
            return len(notes) == seen + 1

        await workplace.people.click(user=BEN, message=answer, action_id="answer_correct")
        await until(told)
        await workplace.people.clear_faults()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["chat.postEphemeral", "assistant.threads.setStatus"])
async def test_every_code_of_what_is_only_nice_to_have(workplace: Workplace, method: str) -> None:
    """Nothing is lost or repeated because a courtesy failed."""
    answer = await workplace.ask()
    for number, code in enumerate(survivable(method)):
        await workplace.people.fault(method=method, kind="error", code=code, times=9)
        value, rating = (("negative", Rating.DOWN), ("positive", Rating.UP))[number % 2]
        await workplace.people.click(
            user=BEN, message=answer, action_id="answer_feedback", value=value
        )
        await workplace.settle()
        [vote] = await workplace.votes(answer)
        assert vote.rating is rating, code
        await workplace.people.clear_faults()
    assert [text.text for text in await workplace.answers(str(answer.thread_ts))] == [ANSWER]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["server_error", "html", "ratelimited", "cut", "lost_answer"])
async def test_whatever_is_no_answer_at_all(workplace: Workplace, kind: str) -> None:
    await workplace.people.fault(method="chat.postMessage", kind=kind, channel=SUPPORT)
    asked = await workplace.people.post(
        user=AMIRA, channel=SUPPORT, text=f"<@{BOT}> how to export?"
    )
    await workplace.settle()
    assert [answer.text for answer in await workplace.answers(asked.ts)] == [ANSWER]
    assert len(workplace.library.asked) == 1, "the stored answer is posted, not made again"

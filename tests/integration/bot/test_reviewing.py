"""Second looks, skipping, escalation with a note, and what clicks may not do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, insert

from bot.sandbox.client import SandboxClient
from bot.sandbox.gestures import SandboxMessage
from bot.sandbox.server import RunningSandbox
from feedback.domain.correction import Correction, CorrectionState, Decision, QueueReason
from feedback.domain.person import Role
from feedback.domain.reviewing import agreement
from feedback.serving.fake import FakeTextGenerator
from feedback.settings import Settings
from feedback.store.tables.knowledge import documents
from feedback.store.unit_of_work import Store
from tests.integration.bot.conftest import (
    BEN,
    GRACE,
    HENRIK,
    INES,
    JONAS,
    REVIEW,
    SUPPORT,
    Library,
    MakeBot,
    Workplace,
    answer_everything,
)
from tests.waiting import until

BETTER = "Open Settings, then Export, choose CSV and press Download."


async def propose(place: Workplace, author: str = BEN, better: str = BETTER) -> SandboxMessage:
    """Asks, corrects and confirms as `author`; returns the card."""
    answer = await place.ask()
    people = place.people
    await people.click(user=author, message=answer, action_id="answer_correct", wait_view_s=5)
    assert (await people.submit(user=author, values={"answer": better})).outcome == "updated"
    assert (await people.submit(user=author, values={})).outcome == "cleared"
    return await people.wait_for_message(channel=REVIEW, where=lambda m: "Correction" in m.text)


async def only_correction(place: Workplace) -> Correction:
    async with place.store.begin() as tx:
        rows = [*await tx.corrections.queue(place.team), *await tx.corrections.approved()]
    (row,) = rows
    return row


async def card_saying(place: Workplace, words: str) -> SandboxMessage:
    return await place.people.wait_for_message(channel=REVIEW, where=lambda m: words in m.text)


async def private(place: Workplace, user: str, card: SandboxMessage, after: str = "") -> str:
    found = await place.people.wait_for_ephemeral(
        user=user, channel=REVIEW, thread_ts=card.ts, after_ts=after
    )
    return found.text


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Everything is decided twice, and everything liked is looked at."""
    shares = {"second_share": 1.0, "positive_share": 1.0}
    return settings.model_copy(update={"review": settings.review.model_copy(update=shares)})


@pytest.fixture
async def workplace(
    sandbox: RunningSandbox, store: Store, make_bot: MakeBot
) -> AsyncIterator[Workplace]:
    model, library = FakeTextGenerator(answer_everything), Library()
    async with make_bot(model, library) as bot, SandboxClient(sandbox.url) as people:
        yield Workplace(
            people=people, store=store, bot=bot, library=library, model=model, sandbox=sandbox
        )


async def test_two_independent_approvals_make_a_label(workplace: Workplace) -> None:
    people = workplace.people
    card = await propose(workplace)
    await people.click(user=GRACE, message=card, action_id="review_approve")
    waiting = await card_saying(workplace, "second, independent")
    async with workplace.store.begin() as tx:
        assert await tx.corrections.approved() == []

    # Blind: neither the first reviewer nor the first decision can be read off the card.
    shown = str(waiting.blocks)
    assert GRACE not in shown
    assert "approved" not in shown
    assert "review_edit" not in shown

    await people.click(user=GRACE, message=waiting, action_id="review_approve")
    assert "somebody else's" in await private(workplace, GRACE, card)
    await people.click(user=HENRIK, message=waiting, action_id="review_claim")
    claimed = await card_saying(workplace, "second look claimed")
    await people.click(user=INES, message=claimed, action_id="review_approve")
    assert "faster" in await private(workplace, INES, card)
    await people.click(user=HENRIK, message=claimed, action_id="review_approve")
    await card_saying(workplace, f"approved by <@{HENRIK}>")

    async with workplace.store.begin() as tx:
        (row,) = await tx.corrections.approved()
        reviews = await tx.corrections.reviews(row.id)
        pairs = await tx.reviewing.pairs(workplace.team)
    assert [(r.reviewer, r.round) for r in reviews] == [(GRACE, 1), (HENRIK, 2)]
    assert pairs == [(Decision.APPROVE, Decision.APPROVE)]


async def test_disagreement_goes_to_an_admin(workplace: Workplace) -> None:
    people = workplace.people
    card = await propose(workplace)
    await people.click(user=GRACE, message=card, action_id="review_reject")
    waiting = await card_saying(workplace, "second, independent")
    await people.click(user=HENRIK, message=waiting, action_id="review_approve")
    escalated = await card_saying(workplace, "escalated")
    assert f"<@{GRACE}>: reject" in str(escalated.blocks)

    await people.click(user=INES, message=escalated, action_id="review_approve")
    assert "role does not permit" in await private(workplace, INES, card)
    await people.click(user=JONAS, message=escalated, action_id="review_approve")
    await card_saying(workplace, f"approved by <@{JONAS}>")
    async with workplace.store.begin() as tx:
        pairs = await tx.reviewing.pairs(workplace.team)
        mirrored = await tx.reviewing.pairs(workplace.team, HENRIK)
        assert await tx.reviewing.pairs(workplace.team, JONAS) == []
    assert pairs == [(Decision.REJECT, Decision.APPROVE)]
    assert mirrored == [(Decision.APPROVE, Decision.REJECT)]
    assert agreement(pairs).agreed == 0


async def test_escalation_asks_for_a_note(workplace: Workplace) -> None:
    people = workplace.people
    card = await propose(workplace)
    clicked = await people.click(
        user=GRACE, message=card, action_id="review_escalate", wait_view_s=5
    )
    assert clicked.view is not None
    done = await people.submit(user=GRACE, values={"note": "Is CSV still the default?"})
    assert done.outcome == "closed", done
    escalated = await card_saying(workplace, "escalated")
    assert "Is CSV still the default?" in str(escalated.blocks)


async def test_skipping_gives_a_claim_up(workplace: Workplace) -> None:
    people = workplace.people
    card = await propose(workplace)
    await people.click(user=GRACE, message=card, action_id="review_claim")
    claimed = await card_saying(workplace, "claimed")
    await people.click(user=GRACE, message=claimed, action_id="review_skip")
    free = await card_saying(workplace, "waiting for a reviewer")
    async with workplace.store.begin() as tx:
        assert await tx.reviewing.queue_of(workplace.team, GRACE, admin=False, limit=5) == []
        (theirs,) = await tx.reviewing.queue_of(workplace.team, HENRIK, admin=False, limit=5)
        assert await tx.reviewing.queue_of(workplace.team, BEN, admin=False, limit=5) == []
    assert (theirs.state, theirs.claimed_by) == (CorrectionState.PROPOSED, None)
    # Whoever skipped may still change their mind on the card.
    await people.click(user=GRACE, message=free, action_id="review_approve")
    await card_saying(workplace, "second, independent")


async def test_the_card_says_why_it_is_there_and_names_no_arm(workplace: Workplace) -> None:
    people = workplace.people
    async with workplace.store.begin() as tx:
        document = {"doc_id": "export", "title": "Exporting reports", "content_hash": "1"}
        await tx.connection.execute(insert(documents).values(**document, indexed_at=func.now()))
    answer = await workplace.ask()
    await people.click(
        user=BEN, message=answer, action_id="answer_feedback", value="negative", wait_view_s=5
    )
    await people.submit(user=BEN, values={})
    await people.click(user=BEN, message=answer, action_id="answer_correct", wait_view_s=5)
    form = await people.modal(BEN)
    assert "Exporting reports" in str(form)
    confirm = await people.submit(
        user=BEN,
        values={"answer": f"{BETTER} Or write to grace@corp.example.", "tags": "Export, CSV"},
    )
    assert "Replaced by placeholders" in str(confirm.view)
    await people.submit(user=BEN, values={})
    card = await people.wait_for_message(channel=REVIEW, where=lambda m: "Correction" in m.text)
    row = await only_correction(workplace)
    assert row.queued_for == (QueueReason.DOWN_VOTE, QueueReason.PERSONAL_DATA)
    assert row.tags == ("export", "csv")
    shown = str(card.raw).lower()
    assert "marked the answer down" in shown
    assert "grace@corp.example" not in shown
    assert "champion" not in shown
    assert "challenger" not in shown


async def test_ids_of_another_team_and_revoked_roles_change_nothing(workplace: Workplace) -> None:
    people = workplace.people
    card = await propose(workplace)
    row = await only_correction(workplace)

    # The role goes between the click that opens the form and its submission.
    await people.click(user=GRACE, message=card, action_id="review_edit", wait_view_s=5)
    async with workplace.store.begin() as tx:
        await tx.people.set_role(workplace.team, GRACE, Role.AGENT, at=datetime.now(UTC))
    late = await people.submit(user=GRACE, values={"answer": "Something else entirely."})
    assert late.outcome == "errors"
    assert "role does not permit" in str(late.errors)

    # The same id, seen from another workspace.
    elsewhere = replace(row, id="c-elsewhere", team="T0ELSEWHERE", state=CorrectionState.PROPOSED)
    async with workplace.store.begin() as tx:
        await tx.corrections.add(elsewhere)
    async with as_shown(workplace, row.id, elsewhere.id):
        await people.click(user=HENRIK, message=card, action_id="review_approve")
        assert "cannot find" in await private(workplace, HENRIK, card)
    async with workplace.store.begin() as tx:
        untouched = await tx.corrections.get(elsewhere.id, team="T0ELSEWHERE")
        same = await tx.corrections.get(row.id, team=workplace.team)
        assert await tx.corrections.reviews(elsewhere.id) == []
    assert untouched.state is CorrectionState.PROPOSED
    assert (same.text, same.version) == (BETTER, 1)


@asynccontextmanager
async def as_shown(place: Workplace, before: str, after: str) -> AsyncIterator[None]:
    """Puts another id into the buttons of the cards, as a forger would into the payload."""
    state = place.sandbox.sandbox.state
    channel = state.channel(REVIEW)
    for message in channel.messages.values():
        for block in message.get("blocks", []):
            for element in block.get("elements", []):
                if isinstance(element.get("value"), str):
                    element["value"] = element["value"].replace(before, after)
    yield


async def test_a_taught_reply_is_posted_once_with_its_mentions_neutralised(
    workplace: Workplace,
) -> None:
    people = workplace.people
    answer = await workplace.ask()
    thread = str(answer.thread_ts)
    reply = await people.post(
        user=INES, channel=SUPPORT, thread_ts=thread,
        text="Ask <!here> first, then open Settings and choose CSV.",
    )  # fmt: skip
    await workplace.settle()
    await people.shortcut(user=BEN, message=reply, callback_id="teach_reply", wait_view_s=5)
    shown = await people.submit(user=BEN, values={"post": ["post_in_thread"]})
    assert shown.outcome == "updated", shown
    await people.submit(user=BEN, values={})
    posted = await people.wait_for_reply(
        channel=SUPPORT, thread_ts=thread, where=lambda m: "Corrected by" in m.text
    )
    assert "<!here>" not in str(posted.raw)
    card = await people.wait_for_message(channel=REVIEW, where=lambda m: "Correction" in m.text)
    row = await only_correction(workplace)
    # A reviewer wrote the words, so they may train; Ben only pointed at them.
    assert (row.author, row.consent) == (BEN, "reviewer_authored")
    await people.click(user=GRACE, message=card, action_id="review_approve")
    await card_saying(workplace, "second, independent")
    corrected = [m for m in await workplace.answers(thread) if "Corrected by" in m.text]
    assert len(corrected) == 1


async def test_the_bots_own_answer_is_no_reply_to_teach(workplace: Workplace) -> None:
    people = workplace.people
    answer = await workplace.ask()
    await people.shortcut(user=GRACE, message=answer, callback_id="teach_reply")
    told = await people.wait_for_ephemeral(
        user=GRACE, channel=SUPPORT, thread_ts=str(answer.thread_ts)
    )
    assert "colleague's reply" in told.text


async def test_two_claims_at_once_and_one_wins(workplace: Workplace) -> None:
    people = workplace.people
    card = await propose(workplace)
    async with workplace.store.begin() as tx:
        # Both have clicked before the card can say that one of them was faster.
        await tx.connection.exec_driver_sql("lock table corrections in exclusive mode")
        await people.click(user=GRACE, message=card, action_id="review_claim")
        await people.click(user=HENRIK, message=card, action_id="review_claim")

    async def settled() -> bool:
        return (await only_correction(workplace)).claimed_by is not None

    await until(settled)
    row = await only_correction(workplace)
    loser = HENRIK if row.claimed_by == GRACE else GRACE
    assert "faster" in await private(workplace, loser, card)


async def test_a_liked_answer_is_looked_at_once(
    sandbox: RunningSandbox, store: Store, settings: Settings, make_bot: MakeBot
) -> None:
    assert settings.review.positive_share == 1.0
    model, library = FakeTextGenerator(answer_everything), Library()
    async with make_bot(model, library) as bot, SandboxClient(sandbox.url) as people:
        place = Workplace(
            people=people, store=store, bot=bot, library=library, model=model, sandbox=sandbox
        )
        answer = await place.ask()
        for user in (BEN, HENRIK):
            await people.click(
                user=user, message=answer, action_id="answer_feedback", value="positive"
            )
        card = await people.wait_for_message(channel=REVIEW, where=lambda m: "Correction" in m.text)
        assert "answers that people liked" in str(card.blocks)
        await place.settle()
        row = await only_correction(place)
        assert row.text == row.bot_answer == answer.text
        await people.click(user=GRACE, message=card, action_id="review_approve")
        waiting = await card_saying(place, "second, independent")
        await people.click(user=INES, message=waiting, action_id="review_approve")
        await card_saying(place, "approved")
        async with store.begin() as tx:
            (label,) = await tx.records.trainable("reviewer_authored")
        assert label.correction == label.answer == answer.text

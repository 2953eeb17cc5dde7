"""Mention, answer, thumb, correction, review: the whole path over real sockets."""

from datetime import UTC, datetime

from sqlalchemy import text

from feedback.domain.correction import CorrectionState
from feedback.domain.interaction import InteractionState, Rating, Reason
from feedback.domain.person import Role
from tests.integration.bot.conftest import (
    ANSWER,
    BEN,
    GRACE,
    HENRIK,
    INES,
    REVIEW,
    SUPPORT,
    Workplace,
)

BETTER = "Open Settings, then Export, choose CSV and press Download."


async def propose(place: Workplace, author: str, better: str = BETTER) -> None:
    """Asks, corrects and confirms as `author`."""
    answer = await place.ask()
    await place.people.click(user=author, message=answer, action_id="answer_correct", wait_view_s=5)
    shown = await place.people.submit(user=author, values={"answer": better})
    assert shown.outcome == "updated", shown
    assert (await place.people.submit(user=author, values={})).outcome == "cleared"


async def test_a_mention_gets_one_answer_with_sources(workplace: Workplace) -> None:
    answer = await workplace.ask()
    assert answer.text == ANSWER
    shown = str(answer.blocks)
    assert "https://docs.example/export" in shown
    assert "feedback_buttons" in shown
    assert len(await workplace.answers(str(answer.thread_ts))) == 1


async def test_everything_about_the_answer_is_recorded(workplace: Workplace) -> None:
    answer = await workplace.ask()
    interaction = await workplace.interaction(answer)
    assert interaction.state is InteractionState.POSTED
    assert interaction.question == "How do I export a report?"
    assert interaction.answer == ANSWER
    assert interaction.retrieved[0].chunk_id == "export-1"
    assert interaction.with_context
    assert interaction.grounded is True
    assert interaction.on_brand is not None
    assert interaction.prompt_version
    assert interaction.latency_ms is not None
    assert interaction.completion_tokens == len(ANSWER.split())
    assert interaction.error is None
    # Slack gets to know an opaque id and nothing else.
    assert answer.metadata is not None
    assert answer.metadata["event_payload"] == {"id": interaction.id, "part": 0}


async def test_thumbs_correction_and_review_make_an_approved_row(workplace: Workplace) -> None:
    people = workplace.people
    answer = await workplace.ask()

    down = await people.click(
        user=BEN, message=answer, action_id="answer_feedback", value="negative", wait_view_s=5
    )
    assert down.view is not None
    assert down.view["callback_id"] == "reason_modal"
    sent = await people.submit(
        user=BEN,
        values={"reasons": ["missing_information"], "tone": "fine", "comment": "no button"},
    )
    assert sent.outcome == "closed"

    await people.click(user=BEN, message=answer, action_id="answer_correct", wait_view_s=5)
    confirm = await people.submit(
        user=BEN, values={"answer": BETTER, "reasons": ["missing_information"]}
    )
    assert confirm.outcome == "updated", confirm
    assert confirm.view is not None
    assert "Download" in str(confirm.view["blocks"])
    assert (await people.submit(user=BEN, values={})).outcome == "cleared"

    card = await people.wait_for_message(channel=REVIEW, where=lambda m: "Correction" in m.text)
    await people.click(user=GRACE, message=card, action_id="review_approve")
    approved = await people.wait_for_message(channel=REVIEW, where=lambda m: "approved" in m.text)
    assert approved.ts == card.ts

    async with workplace.store.begin() as tx:
        (row,) = await tx.corrections.approved()
        (review,) = await tx.corrections.reviews(row.id)
        (trainable,) = await tx.records.trainable("reviewer_authored")
    assert (row.text, row.author, row.claimed_by) == (BETTER, BEN, GRACE)
    assert row.state is CorrectionState.APPROVED
    assert (review.reviewer, review.version) == (GRACE, 1)
    assert trainable.correction == BETTER
    assert [(v.user_id, v.rating, v.reasons, v.comment) for v in await workplace.votes(answer)] == [
        (BEN, Rating.DOWN, (Reason.MISSING_INFORMATION,), "no button")
    ]
    await workplace.settle()


async def test_an_agent_cannot_review(workplace: Workplace) -> None:
    people = workplace.people
    await propose(workplace, BEN)
    card = await people.wait_for_message(channel=REVIEW, where=lambda m: "Correction" in m.text)
    async with workplace.store.begin() as tx:
        await tx.people.set_role(workplace.team, INES, Role.AGENT, at=datetime.now(UTC))
    await people.click(user=INES, message=card, action_id="review_approve")
    private = await people.wait_for_ephemeral(user=INES, channel=REVIEW, thread_ts=card.ts)
    assert "role does not permit" in private.text
    async with workplace.store.begin() as tx:
        assert await tx.corrections.approved() == []


async def test_authors_cannot_approve_their_own(workplace: Workplace) -> None:
    people = workplace.people
    await propose(workplace, GRACE)
    card = await people.wait_for_message(channel=REVIEW, where=lambda m: "Correction" in m.text)
    await people.click(user=GRACE, message=card, action_id="review_approve")
    private = await people.wait_for_ephemeral(user=GRACE, channel=REVIEW, thread_ts=card.ts)
    assert "another reviewer" in private.text
    await people.click(user=HENRIK, message=card, action_id="review_approve")
    await people.wait_for_message(channel=REVIEW, where=lambda m: "approved" in m.text)


async def test_the_second_claim_and_the_stale_click_are_answered_privately(
    workplace: Workplace,
) -> None:
    people = workplace.people
    await propose(workplace, BEN)
    card = await people.wait_for_message(channel=REVIEW, where=lambda m: "Correction" in m.text)
    claim = str(card.raw)
    assert "review_claim" in claim
    await people.click(user=GRACE, message=card, action_id="review_claim")
    claimed = await people.wait_for_message(channel=REVIEW, where=lambda m: "claimed" in m.text)
    await people.click(user=HENRIK, message=claimed, action_id="review_reject")
    private = await people.wait_for_ephemeral(user=HENRIK, channel=REVIEW, thread_ts=card.ts)
    assert "faster" in private.text
    async with workplace.store.begin() as tx:
        (row,) = await tx.corrections.queue(workplace.team)
    assert row.claimed_by == GRACE


async def test_an_edit_makes_a_version_and_approval_takes_the_newest(workplace: Workplace) -> None:
    people = workplace.people
    await propose(workplace, BEN)
    card = await people.wait_for_message(channel=REVIEW, where=lambda m: "Correction" in m.text)
    await people.click(user=GRACE, message=card, action_id="review_edit", wait_view_s=5)
    edited = await people.submit(user=GRACE, values={"answer": "Press Export."})
    assert edited.outcome == "closed", edited
    newest = await people.wait_for_message(channel=REVIEW, where=lambda m: "claimed" in m.text)
    await people.click(user=GRACE, message=newest, action_id="review_approve")
    await people.wait_for_message(channel=REVIEW, where=lambda m: "approved" in m.text)
    async with workplace.store.begin() as tx:
        (row,) = await tx.corrections.approved()
        versions = await tx.connection.execute(
            text("select version, editor, text from correction_versions order by version")
        )
        assert [tuple(version) for version in versions] == [
            (1, BEN, BETTER),
            (2, GRACE, "Press Export."),
        ]
    assert (row.text, row.version) == ("Press Export.", 2)


async def test_the_corrected_answer_is_posted_when_chosen(workplace: Workplace) -> None:
    people = workplace.people
    answer = await workplace.ask()
    await people.click(user=BEN, message=answer, action_id="answer_correct", wait_view_s=5)
    await people.submit(user=BEN, values={"answer": BETTER, "post": ["post_in_thread"]})
    await people.submit(user=BEN, values={})
    posted = await people.wait_for_reply(
        channel=SUPPORT, thread_ts=str(answer.thread_ts), after_ts=answer.ts
    )
    assert BETTER in posted.text


async def test_a_correction_that_changes_nothing_is_refused_in_the_form(
    workplace: Workplace,
) -> None:
    people = workplace.people
    answer = await workplace.ask()
    await people.click(user=BEN, message=answer, action_id="answer_correct", wait_view_s=5)
    same = await people.submit(user=BEN, values={})
    assert same.outcome == "errors"
    assert "already" in same.errors["answer"]


async def test_teaching_takes_a_colleagues_reply(workplace: Workplace) -> None:
    people = workplace.people
    answer = await workplace.ask()
    reply = await people.post(
        user=BEN, channel=SUPPORT, text=BETTER, thread_ts=str(answer.thread_ts)
    )
    await people.shortcut(user=GRACE, message=reply, callback_id="teach_reply", wait_view_s=5)
    shown = await people.submit(user=GRACE, values={})
    assert shown.outcome == "updated", shown
    await people.submit(user=GRACE, values={})
    async with workplace.store.begin() as tx:
        (row,) = await tx.corrections.queue(workplace.team)
    assert (row.text, row.author, row.source.value) == (BETTER, GRACE, "taught_reply")
    assert row.consent == "reviewer_authored"
    # The colleague's remark was no question to the bot.
    await workplace.settle()
    assert len(await workplace.answers(str(answer.thread_ts))) == 1

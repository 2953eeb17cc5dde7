"""The use case: a better answer is drafted, shown with its findings, and proposed for review."""

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.redacting import VERSION, ThreadRedactor
from feedback.clock import Clock
from feedback.domain.correction import (
    Correction,
    CorrectionSource,
    CorrectionState,
    QueueReason,
    card_effect,
)
from feedback.domain.interaction import Interaction, Rating, Reason
from feedback.domain.person import Person, Role
from feedback.errors import InvalidInputError, NotFoundError
from feedback.store.unit_of_work import Store, Transaction

THREAD_CORRECTION = "thread_correction"
"""Outbox kind: post the corrected answer in the thread."""

REVIEWER_AUTHORED = "reviewer_authored"
THE_BOT = "understudy"
"""Author of answers that are proposed as they are."""
_TAGS, _TAG_CHARS = 5, 30


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What somebody wrote into the correction form.

    Attributes:
        tags: Short labels as typed.
        taught_from: Who wrote the reply that this is taken from; None: typed into the form.
    """

    team: str
    author: str
    interaction_id: str
    question: str
    answer: str
    reasons: Sequence[Reason] = ()
    tags: Sequence[str] = ()
    taught_from: str | None = None
    post_in_thread: bool = False


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A stored draft and what redaction replaced in it."""

    correction: Correction
    findings: Mapping[str, int]


class CorrectionDesk:
    """Corrections until they are proposed; everybody may propose."""

    def __init__(self, store: Store, clock: Clock, redactor: ThreadRedactor) -> None:
        self._store = store
        self._clock = clock
        self._redactor = redactor

    async def draft(self, proposal: Proposal) -> Draft:
        """Redacts and stores what somebody wrote; nothing counts before they confirm.

        Raises:
            InvalidInputError: When the better answer is empty or equal to the bot's.
            NotFoundError: When the answer is not one of that workspace.
        """
        async with self._store.begin() as tx:
            interaction = await _interaction(tx, proposal.team, proposal.interaction_id)
            thread = await tx.conversations.lock_thread(interaction.thread_key)
            question = self._redactor.redact(
                proposal.question, thread.placeholders, team=proposal.team
            )
            answer = self._redactor.redact(
                proposal.answer, question.placeholders, team=proposal.team
            )
            await tx.conversations.save_placeholders(thread.key, answer.placeholders)
            _require_change(answer.text, interaction.answer or "")
            findings = Counter(question.findings) + Counter(answer.findings)
            correction = Correction(
                id=f"c-{uuid.uuid4().hex}",
                interaction_id=interaction.id,
                thread_key=interaction.thread_key,
                team=proposal.team,
                question=question.text,
                bot_answer=interaction.answer or "",
                text=answer.text,
                author=proposal.author,
                source=_source(proposal),
                consent=await _consent(tx, proposal),
                created_at=self._clock.now(),
                redaction_version=VERSION,
                passages=await passages_of(tx, interaction),
                reasons=tuple(proposal.reasons),
                tags=await self._tags(proposal),
                queued_for=await queued_for(tx, interaction, personal=bool(findings)),
                taught_from=proposal.taught_from,
                post_in_thread=proposal.post_in_thread,
            )
            await tx.corrections.add(correction)
        return Draft(correction=correction, findings=findings)

    async def _tags(self, proposal: Proposal) -> tuple[str, ...]:
        """Returns the labels, small, redacted and few."""
        typed = [tag.strip().lower()[:_TAG_CHARS] for tag in proposal.tags]
        safe = [self._redactor.redact(tag, {}, team=proposal.team).text for tag in typed if tag]
        return tuple(dict.fromkeys(safe))[:_TAGS]

    async def confirm(
        self, team: str, author: str, correction_id: str, *, delivery_id: int | None = None
    ) -> None:
        """Makes the author's draft version 1 and owes the review card; repeating is harmless.

        Raises:
            NotFoundError: When there is no such correction in that workspace.
        """
        async with self._store.begin() as tx:
            if await tx.corrections.propose(correction_id, team=team, author=author):
                correction = await tx.corrections.get(correction_id, team=team)
                await owe_card(tx, correction)
                if correction.post_in_thread:
                    await tx.outbox.add(
                        f"thread:{correction.id}",
                        THREAD_CORRECTION,
                        {"correction_id": correction.id, "team": team},
                    )
            if delivery_id is not None:
                await tx.inbox.finish(delivery_id)

    async def sources(self, interaction: Interaction) -> list[str]:
        """Returns the titles of the documents that stood in the prompt of an answer."""
        if not interaction.with_context:
            return []
        docs = list(dict.fromkeys(hit.doc_id for hit in interaction.retrieved))
        async with self._store.begin() as tx:
            found = await tx.conversations.sources(docs)
        return [found[doc][0] for doc in docs if doc in found]

    async def answer_before(self, team: str, channel: str, root: str, ts: str) -> Interaction:
        """Returns the latest answer in a thread before a message.

        Raises:
            NotFoundError: When the bot has answered nothing there.
        """
        async with self._store.begin() as tx:
            earlier = await tx.conversations.history(f"{team}:{channel}:{root}", before=ts, limit=1)
        if not earlier:
            raise NotFoundError(f"the bot has answered nothing in thread {channel}/{root} yet")
        return earlier[-1]


def consent_of(writer: Person, *, vouched_by: Person | None = None) -> str:
    """Returns what allows a text from a Slack message to train.

    Text written into our form is authored for that purpose; a message counts when a reviewer wrote
    it or vouches for it, or when its writer has consented.

    Args:
        writer: Who wrote the message.
        vouched_by: Who proposed it as a better answer, if that is somebody.
    """
    for person in (writer, vouched_by):
        if person is not None and person.role.includes(Role.REVIEWER):
            return REVIEWER_AUTHORED
    return "consenting" if writer.consented else "none"


async def queued_for(
    tx: Transaction, interaction: Interaction, *, personal: bool
) -> tuple[QueueReason, ...]:
    """Returns why reviewers should look at a correction of this answer.

    Args:
        tx: Where votes are read.
        interaction: The answer.
        personal: Redaction found something in what was proposed.
    """
    votes = await tx.votes.of_interaction(interaction.id)
    why = {
        QueueReason.DOWN_VOTE: any(vote.rating is Rating.DOWN for vote in votes),
        QueueReason.ABSTAINED: interaction.abstained,
        QueueReason.LOW_CONFIDENCE: interaction.grounded is False and not interaction.abstained,
        QueueReason.PERSONAL_DATA: personal,
    }
    return tuple(reason for reason, holds in why.items() if holds)


async def _consent(tx: Transaction, proposal: Proposal) -> str:
    if proposal.taught_from is None:
        return REVIEWER_AUTHORED
    writer = await tx.people.get(proposal.team, proposal.taught_from)
    proposer = await tx.people.get(proposal.team, proposal.author)
    return consent_of(writer, vouched_by=proposer)


def _source(proposal: Proposal) -> CorrectionSource:
    taught = proposal.taught_from is not None
    return CorrectionSource.TAUGHT_REPLY if taught else CorrectionSource.MODAL


async def passages_of(tx: Transaction, interaction: Interaction) -> tuple[str, ...]:
    """Returns what stood in the prompt of the answer, so that training sees the same."""
    if not interaction.with_context:
        return ()
    return await tx.conversations.passages([hit.chunk_id for hit in interaction.retrieved])


async def propose_liked(tx: Transaction, interaction: Interaction, *, at: datetime) -> None:
    """Proposes an answer that people like as it is, once, unless somebody corrected it."""
    known = await tx.corrections.of_interaction(interaction.id)
    if known or interaction.abstained or not interaction.answer:
        return
    liked = Correction(
        id=f"c-liked-{interaction.id}",
        interaction_id=interaction.id,
        thread_key=interaction.thread_key,
        team=interaction.team,
        question=interaction.question,
        bot_answer=interaction.answer,
        text=interaction.answer,
        author=THE_BOT,
        source=CorrectionSource.LIKED_ANSWER,
        consent=REVIEWER_AUTHORED,  # no person wrote it, and a reviewer has to stand for it
        created_at=at,
        redaction_version=VERSION,
        passages=await passages_of(tx, interaction),
        state=CorrectionState.PROPOSED,
        queued_for=(QueueReason.POSITIVE_SAMPLE,),
    )
    await tx.corrections.add(liked)
    await owe_card(tx, liked)


async def owe_card(tx: Transaction, correction: Correction) -> None:
    """Writes down that the card of a correction has to be drawn anew."""
    await tx.outbox.add(*card_effect(correction))


async def _interaction(tx: Transaction, team: str, interaction_id: str) -> Interaction:
    found = await tx.conversations.get(interaction_id, team=team)
    if found is None:
        raise NotFoundError(f"answer {interaction_id!r} does not exist in {team!r}")
    return found


def _require_change(text: str, before: str) -> None:
    if not text.strip():
        raise InvalidInputError("The better answer is empty; write what should be said.")
    if text.strip() == before.strip():
        raise InvalidInputError("This is what I said already; change it first.")

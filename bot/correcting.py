"""The use case: a better answer is drafted, confirmed, reviewed, and becomes training data."""

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.redacting import VERSION, ThreadRedactor
from feedback.clock import Clock
from feedback.domain.correction import (
    Correction,
    CorrectionSource,
    CorrectionState,
    Decision,
    Review,
)
from feedback.domain.interaction import Interaction, Reason
from feedback.domain.person import Person, Role
from feedback.errors import InvalidInputError, NotAllowedError, NotFoundError
from feedback.store.unit_of_work import Store, Transaction

CARD = "review_card"
"""Outbox kind: draw the card of a correction anew."""
THREAD_CORRECTION = "thread_correction"
"""Outbox kind: post the corrected answer in the thread."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What somebody wrote into the correction form."""

    team: str
    author: str
    interaction_id: str
    question: str
    answer: str
    reasons: Sequence[Reason] = ()
    taught: bool = False
    post_in_thread: bool = False


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A stored draft and what redaction replaced in it."""

    correction: Correction
    findings: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Click:
    """A reviewer's click on a card.

    Attributes:
        row_version: The version the reviewer saw.
    """

    team: str
    user: str
    correction_id: str
    row_version: int
    delivery_id: int | None = None


class CorrectionDesk:
    """Corrections and their reviews; permissions are checked here, on every call."""

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
            author = await tx.people.get(proposal.team, proposal.author)
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
                consent=consent_of(author, taught=proposal.taught),
                created_at=self._clock.now(),
                redaction_version=VERSION,
                passages=await _passages(tx, interaction),
                reasons=tuple(proposal.reasons),
                post_in_thread=proposal.post_in_thread,
            )
            await tx.corrections.add(correction)
        findings = dict(Counter(question.findings) + Counter(answer.findings))
        return Draft(correction=correction, findings=findings)

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
                await _owe_card(tx, correction)
                if correction.post_in_thread:
                    await tx.outbox.add(
                        f"thread:{correction.id}",
                        THREAD_CORRECTION,
                        {"correction_id": correction.id, "team": team},
                    )
            if delivery_id is not None:
                await tx.inbox.finish(delivery_id)

    async def claim(self, click: Click) -> Correction:
        """Takes a correction for review.

        Raises:
            ConflictError: When somebody else was first.
            NotAllowedError: When the person is no reviewer.
            NotFoundError: When it does not exist in that workspace.
        """
        async with self._store.begin() as tx:
            await _require(tx, click, Role.REVIEWER)
            after = await tx.corrections.claim(
                click.correction_id,
                team=click.team,
                reviewer=click.user,
                row_version=click.row_version,
            )
            return await self._close(tx, after, click)

    async def decide(self, click: Click, decision: Decision, note: str = "") -> Correction:
        """Approves, rejects or escalates.

        Raises:
            ConflictError: When the reviewer saw an older version, or somebody else has claimed it.
            NotAllowedError: When the role does not permit it, or authors approve their own.
            NotFoundError: When it does not exist in that workspace.
        """
        async with self._store.begin() as tx:
            person = await _require(tx, click, Role.REVIEWER)
            before = await tx.corrections.get(click.correction_id, team=click.team)
            _require_admin_if_escalated(before, person)
            after = await tx.corrections.decide(
                decision,
                click.correction_id,
                team=click.team,
                row_version=click.row_version,
                review=Review(
                    correction_id=click.correction_id,
                    version=before.version,
                    reviewer=click.user,
                    decision=decision,
                    note=note,
                    created_at=self._clock.now(),
                ),
            )
            await tx.audit.append(
                subject=f"correction:{after.id}",
                from_state=before.state,
                to_state=after.state,
                actor=click.user,
                reason=note or decision.value,
                at=self._clock.now(),
                data={"version": after.version, "redaction_version": after.redaction_version},
            )
            return await self._close(tx, after, click)

    async def edit(self, click: Click, text: str) -> Correction:
        """Adds a version with the reviewer's text, redacted.

        Raises:
            ConflictError: When the reviewer saw an older version, or somebody else has claimed it.
            InvalidInputError: When the text is empty.
            NotAllowedError: When the role does not permit it.
            NotFoundError: When it does not exist in that workspace.
        """
        async with self._store.begin() as tx:
            person = await _require(tx, click, Role.REVIEWER)
            before = await tx.corrections.get(click.correction_id, team=click.team)
            _require_admin_if_escalated(before, person)
            thread = await tx.conversations.thread(before.thread_key)
            redacted = self._redactor.redact(
                text, thread.placeholders if thread else {}, team=click.team
            )
            if not redacted.text.strip():
                raise InvalidInputError("the better answer is empty; write what should be said")
            if thread is not None:
                await tx.conversations.save_placeholders(thread.key, redacted.placeholders)
            after = await tx.corrections.edit(
                click.correction_id,
                team=click.team,
                editor=click.user,
                row_version=click.row_version,
                text=redacted.text,
                redaction_version=VERSION,
                at=self._clock.now(),
            )
            return await self._close(tx, after, click)

    async def reviewable(self, click: Click) -> Correction:
        """Returns a correction for a reviewer to edit.

        Raises:
            NotAllowedError: When the person is no reviewer.
            NotFoundError: When it does not exist in that workspace.
        """
        async with self._store.begin() as tx:
            await _require(tx, click, Role.REVIEWER)
            return await tx.corrections.get(click.correction_id, team=click.team)

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

    async def _close(self, tx: Transaction, after: Correction, click: Click) -> Correction:
        await _owe_card(tx, after)
        if click.delivery_id is not None:
            await tx.inbox.finish(click.delivery_id)
        return after


def consent_of(author: Person, *, taught: bool) -> str:
    """Returns what allows a correction to train.

    Text written into our form is authored for that purpose. A taught reply is a Slack message: it
    needs its proposer to be a reviewer who vouches for it, or to have consented.
    """
    if not taught or author.role.includes(Role.REVIEWER):
        return "reviewer_authored"
    return "consenting" if author.consented else "none"


def _source(proposal: Proposal) -> CorrectionSource:
    return CorrectionSource.TAUGHT_REPLY if proposal.taught else CorrectionSource.MODAL


async def _passages(tx: Transaction, interaction: Interaction) -> tuple[str, ...]:
    """Returns what stood in the prompt of the answer, so that training sees the same."""
    if not interaction.with_context:
        return ()
    return await tx.conversations.passages([hit.chunk_id for hit in interaction.retrieved])


async def _owe_card(tx: Transaction, correction: Correction) -> None:
    await tx.outbox.add(
        f"card:{correction.id}:{correction.row_version}",
        CARD,
        {"correction_id": correction.id, "team": correction.team},
    )


async def _interaction(tx: Transaction, team: str, interaction_id: str) -> Interaction:
    found = await tx.conversations.get(interaction_id, team=team)
    if found is None:
        raise NotFoundError(f"answer {interaction_id!r} does not exist in {team!r}")
    return found


async def _require(tx: Transaction, click: Click, role: Role) -> Person:
    person = await tx.people.get(click.team, click.user)
    if not person.role.includes(role):
        raise NotAllowedError(f"{click.user} is {person.role}, reviewing needs {role}")
    return person


def _require_admin_if_escalated(correction: Correction, person: Person) -> None:
    escalated = correction.state is CorrectionState.ESCALATED
    if escalated and not person.role.includes(Role.ADMIN):
        raise NotAllowedError(f"correction {correction.id} is escalated; an admin must decide")


def _require_change(text: str, before: str) -> None:
    if not text.strip():
        raise InvalidInputError("The better answer is empty; write what should be said.")
    if text.strip() == before.strip():
        raise InvalidInputError("This is what I said already; change it first.")

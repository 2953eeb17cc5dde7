"""The use case: reviewers claim, decide, edit and skip; what they approve becomes training data.

Role and workspace are checked here, on every call: a click's ids are not trusted.
"""

from dataclasses import dataclass

from bot.correcting import owe_card
from bot.redacting import VERSION, ThreadRedactor
from feedback.clock import Clock
from feedback.domain.correction import Correction, CorrectionState, Decision, Review
from feedback.domain.person import Person, Role
from feedback.errors import InvalidInputError, NotAllowedError
from feedback.store.unit_of_work import Store, Transaction


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


class ReviewDesk:
    """What reviewers do with corrections.

    Args:
        second_share: Share of the corrections that two people decide independently.
    """

    def __init__(
        self, store: Store, clock: Clock, redactor: ThreadRedactor, *, second_share: float = 0.0
    ) -> None:
        self._store = store
        self._clock = clock
        self._redactor = redactor
        self._second_share = second_share

    async def claim(self, click: Click) -> Correction:
        """Takes a correction for review, or for the second look.

        Raises:
            ConflictError: When somebody else was first.
            NotAllowedError: When the person is no reviewer, wrote it, or decided before.
            NotFoundError: When it does not exist in that workspace.
        """
        async with self._store.begin() as tx:
            await _require(tx, click)
            after = await tx.corrections.claim(
                click.correction_id,
                team=click.team,
                reviewer=click.user,
                row_version=click.row_version,
                at=self._clock.now(),
            )
            return await self._close(tx, after, click)

    async def decide(self, click: Click, decision: Decision, note: str = "") -> Correction:
        """Approves, rejects or escalates.

        Raises:
            ConflictError: When the reviewer saw an older version, or somebody else has claimed it.
            NotAllowedError: When the role does not permit it, authors approve their own, or one
                person would decide twice.
            NotFoundError: When it does not exist in that workspace.
        """
        async with self._store.begin() as tx:
            person = await _require(tx, click)
            before = await tx.corrections.get(click.correction_id, team=click.team)
            _require_admin_if_escalated(before, person)
            safe = self._redactor.redact(note, {}, team=click.team).text if note else ""
            now = self._clock.now()
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
                    note=safe,
                    created_at=now,
                ),
                second_share=self._second_share,
            )
            await tx.audit.append(
                subject=f"correction:{after.id}",
                from_state=before.state,
                to_state=after.state,
                actor=click.user,
                reason=safe or decision.value,
                at=now,
                data={"version": after.version, "redaction_version": after.redaction_version},
            )
            return await self._close(tx, after, click)

    async def edit(self, click: Click, text: str) -> Correction:
        """Adds a version with the reviewer's text, redacted.

        Raises:
            ConflictError: When the reviewer saw an older version, somebody else has claimed it, or
                it waits for the second look.
            InvalidInputError: When the text is empty.
            NotAllowedError: When the role does not permit it.
            NotFoundError: When it does not exist in that workspace.
        """
        async with self._store.begin() as tx:
            person = await _require(tx, click)
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

    async def skip(self, click: Click) -> bool:
        """Leaves a correction to the others; True when a claim was given up.

        Raises:
            ConflictError: When somebody else changed or claimed it; admins give up any claim.
            NotAllowedError: When the person is no reviewer.
            NotFoundError: When it does not exist in that workspace.
        """
        async with self._store.begin() as tx:
            person = await _require(tx, click)
            after, freed = await tx.corrections.skip(
                click.correction_id,
                team=click.team,
                reviewer=click.user,
                row_version=click.row_version,
                admin=person.role.includes(Role.ADMIN),
            )
            await self._close(tx, after, click, redraw=freed)
            return freed

    async def reviewable(self, click: Click) -> Correction:
        """Returns a correction for a reviewer to look at.

        Raises:
            NotAllowedError: When the person is no reviewer.
            NotFoundError: When it does not exist in that workspace.
        """
        async with self._store.begin() as tx:
            await _require(tx, click)
            return await tx.corrections.get(click.correction_id, team=click.team)

    async def _close(
        self, tx: Transaction, after: Correction, click: Click, *, redraw: bool = True
    ) -> Correction:
        if redraw:
            await owe_card(tx, after)
        if click.delivery_id is not None:
            await tx.inbox.finish(click.delivery_id)
        return after


async def _require(tx: Transaction, click: Click) -> Person:
    person = await tx.people.get(click.team, click.user)
    if not person.role.includes(Role.REVIEWER):
        raise NotAllowedError(f"{click.user} is {person.role}, reviewing needs {Role.REVIEWER}")
    return person


def _require_admin_if_escalated(correction: Correction, person: Person) -> None:
    escalated = correction.state is CorrectionState.ESCALATED
    if escalated and not person.role.includes(Role.ADMIN):
        raise NotAllowedError(f"correction {correction.id} is escalated; an admin must decide")

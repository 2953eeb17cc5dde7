"""The use case: what people think of an answer is kept, whatever way they say it."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.correcting import propose_liked
from bot.redacting import ThreadRedactor
from feedback.clock import Clock
from feedback.domain.interaction import Interaction, InteractionState, Rating, Reason
from feedback.domain.reviewing import is_positive_sample
from feedback.domain.vote import Vote, VoteEvent, VoteSource
from feedback.errors import NotFoundError
from feedback.store.unit_of_work import Store, Transaction


@dataclass(frozen=True, kw_only=True)
class Act:
    """Who voted, in which delivery.

    Attributes:
        event_id: Identity of the delivery.
        event_ts: When the person acted, seconds since the epoch.
        delivery_id: Inbox row to close with the vote; None when a worker closes it.
    """

    team: str
    user: str
    event_id: str
    event_ts: float
    delivery_id: int | None = None


class VotingDesk:
    """Records votes; every method may be repeated with the same act.

    Args:
        positive_share: Share of the liked answers that reviewers look at.
    """

    def __init__(
        self, store: Store, clock: Clock, redactor: ThreadRedactor, *, positive_share: float = 0.0
    ) -> None:
        self._positive_share = positive_share
        self._store = store
        self._clock = clock
        self._redactor = redactor

    async def click(self, act: Act, interaction_id: str, rating: Rating) -> Vote | None:
        """Records a click on a feedback button; None when it was recorded before.

        Raises:
            NotFoundError: When the answer is not one of that workspace.
        """
        async with self._store.begin() as tx:
            interaction = await _answer(tx, act.team, interaction_id)
            event = _event(act, interaction.id, rating, VoteSource.BUTTON)
            vote = await tx.votes.record(event, at=self._clock.now())
            if rating is Rating.UP and is_positive_sample(interaction.id, self._positive_share):
                await propose_liked(tx, interaction, at=self._clock.now())
            if act.delivery_id is not None:
                await tx.inbox.finish(act.delivery_id)
        return vote

    async def explain(
        self, act: Act, interaction_id: str, reasons: Sequence[Reason], comment: str
    ) -> Vote | None:
        """Records why an answer is bad; the free text is redacted first.

        Raises:
            NotFoundError: When the answer is not one of that workspace.
        """
        async with self._store.begin() as tx:
            interaction = await _answer(tx, act.team, interaction_id)
            safe = comment
            if comment:
                thread = await tx.conversations.lock_thread(interaction.thread_key)
                redacted = self._redactor.redact(comment, thread.placeholders, team=act.team)
                await tx.conversations.save_placeholders(thread.key, redacted.placeholders)
                safe = redacted.text
            event = _event(
                act, interaction.id, Rating.DOWN, VoteSource.MODAL, reasons=reasons, comment=safe
            )
            vote = await tx.votes.record(event, at=self._clock.now())
            if act.delivery_id is not None:
                await tx.inbox.finish(act.delivery_id)
        return vote

    async def react(self, act: Act, channel: str, ts: str, rating: Rating, *, added: bool) -> bool:
        """Records a thumb reaction; False when the message is no answer of ours."""
        async with self._store.begin() as tx:
            interaction = await tx.conversations.by_answer(act.team, channel, ts)
            if interaction is None:
                return False
            if interaction.state is InteractionState.ERASED:
                return True
            event = _event(act, interaction.id, rating, VoteSource.REACTION, added=added)
            await tx.votes.record(event, at=self._clock.now())
            return True

    async def react_to(self, act: Act, interaction_id: str, rating: Rating, *, added: bool) -> None:
        """Records a thumb reaction on a part of an answer.

        Raises:
            NotFoundError: When the answer is not one of that workspace.
        """
        async with self._store.begin() as tx:
            interaction = await _answer(tx, act.team, interaction_id)
            event = _event(act, interaction.id, rating, VoteSource.REACTION, added=added)
            await tx.votes.record(event, at=self._clock.now())

    async def interaction(self, team: str, interaction_id: str) -> Interaction:
        """Returns the answer a click is about.

        Raises:
            NotFoundError: When it is not one of that workspace.
        """
        async with self._store.begin() as tx:
            return await _answer(tx, team, interaction_id)


async def _answer(tx: Transaction, team: str, interaction_id: str) -> Interaction:
    found = await tx.conversations.get(interaction_id, team=team)
    if found is None or found.state is InteractionState.ERASED:
        raise NotFoundError(f"answer {interaction_id!r} does not exist in {team!r}")
    return found


def _event(
    act: Act,
    interaction_id: str,
    rating: Rating,
    source: VoteSource,
    *,
    added: bool = True,
    reasons: Sequence[Reason] = (),
    comment: str = "",
) -> VoteEvent:
    return VoteEvent(
        event_id=act.event_id,
        interaction_id=interaction_id,
        user_id=act.user,
        rating=rating,
        source=source,
        event_ts=act.event_ts,
        added=added,
        reasons=tuple(reasons),
        comment=comment,
    )

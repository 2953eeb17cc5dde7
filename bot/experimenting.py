"""The use case: people decide about challengers, by a promotion's card or by comparing answers.

A comparison is blind: neither the card nor what is stored of the click tells which answer is whose
before the vote is in the record.
"""

from dataclasses import dataclass
from enum import StrEnum

from bot.operating import OperatorDesk
from bot.orders import Verb
from feedback.clock import Clock
from feedback.domain.interaction import Arm, Interaction
from feedback.domain.person import Role
from feedback.domain.trial import Approval, ShadowAnswer, Trial, Verdict
from feedback.errors import ConflictError, NotAllowedError, NotFoundError
from feedback.promoting import decide_promotion
from feedback.store.unit_of_work import Store


class Side(StrEnum):
    """Which of two answers is better."""

    FIRST = "first"
    SECOND = "second"
    NEITHER = "neither"


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """A click on the card of a promotion.

    Attributes:
        version: Of the experiment, as the card shows it.
    """

    team: str
    user: str
    experiment_id: str
    version: int
    verdict: Verdict
    delivery_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A click on the card of a pair."""

    team: str
    user: str
    pair_id: str
    side: Side
    delivery_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two answers to one question, in the order in which reviewers see them."""

    id: str
    question: str
    first: str
    second: str
    voted_by: str | None

    @classmethod
    def of(cls, shadow: ShadowAnswer, real: Interaction) -> "Pair":
        """Orders the two as it was drawn when the challenger answered."""
        answers = (real.answer or "", shadow.answer)
        first, second = answers if shadow.first == Arm.CHAMPION else answers[::-1]
        return cls(
            id=shadow.id,
            question=real.question,
            first=first,
            second=second,
            voted_by=shadow.voted_by,
        )


class ExperimentDesk:
    """What people say about challengers."""

    def __init__(self, store: Store, clock: Clock, operators: OperatorDesk) -> None:
        """Creates the desk.

        Args:
            store: The record.
            clock: Approvals expire by it.
            operators: Knows who may promote.
        """
        self._store = store
        self._clock = clock
        self._operators = operators

    async def rule(self, ruling: Ruling) -> tuple[str, Trial | None, Approval | None]:
        """Grants or denies a promotion; what comes too late has no effect, and leaves a trace.

        Returns:
            What came of it, and the promotion as it stands now.

        Raises:
            NotAllowedError: When the person is no admin, or not of the operators' workspace.
        """
        async with self._store.begin() as tx:
            await self._operators.require(tx, ruling.team, ruling.user, Verb.PROMOTE)
            act = self._operators.act(ruling.user, "on the promotion's card")
            ruled = await decide_promotion(
                tx, act, ruling.experiment_id, ruling.version, ruling.verdict
            )
            if ruling.delivery_id is not None:
                await tx.inbox.finish(ruling.delivery_id)
            trial = await tx.experiments.get(ruling.experiment_id)
            approval = await tx.approvals.get(ruling.experiment_id, ruling.version)
        return ruled.told, trial, approval

    async def compare(self, comparison: Comparison) -> Pair:
        """Takes a reviewer's blind vote; the first one on a pair counts.

        Returns:
            The pair as it stands now.

        Raises:
            ConflictError: When somebody else voted first.
            NotAllowedError: When the person is no reviewer.
            NotFoundError: When there is no such pair in that workspace.
        """
        async with self._store.begin() as tx:
            person = await tx.people.get(comparison.team, comparison.user)
            if not person.role.includes(Role.REVIEWER):
                raise NotAllowedError(f"{comparison.user} is {person.role}, no reviewer")
            found = await tx.shadows.pair(comparison.pair_id, lock=True)
            if found is None or found[1].team != comparison.team:
                raise NotFoundError(f"pair {comparison.pair_id!r} does not exist")
            shadow, _real = found
            if shadow.voted_by not in {None, comparison.user}:
                raise ConflictError(f"{shadow.voted_by} voted on {shadow.id} already")
            winner = _winner(shadow, comparison.side)
            await tx.shadows.vote(shadow.id, winner, by=comparison.user, at=self._clock.now())
            if comparison.delivery_id is not None:
                await tx.inbox.finish(comparison.delivery_id)
            voted = await tx.shadows.pair(shadow.id)
        assert voted is not None, "it was locked in this transaction"
        return Pair.of(*voted)


def _winner(shadow: ShadowAnswer, side: Side) -> str:
    if side is Side.NEITHER:
        return "tie"
    arms = (Arm.CHAMPION, Arm.CHALLENGER)
    first, second = arms if shadow.first == Arm.CHAMPION else arms[::-1]
    return (first if side is Side.FIRST else second).value

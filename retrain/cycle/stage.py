"""The stage: how experiments are run on it, and how many fit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from feedback.domain.trial import Trial
from feedback.store.unit_of_work import Transaction
from retrain.experiments.machine import State
from retrain.experiments.policy import ExperimentPolicy


class Shadow(Protocol):
    """Lets the challenger answer real questions that nobody sees."""

    async def more(self, trial: Trial) -> int:
        """Answers some; returns how many are left."""
        ...

    async def alarm(self, tx: Transaction, trial: Trial) -> str | None:
        """Returns the metric on which the challenger is certainly worse, None when on none."""
        ...


@dataclass(frozen=True, kw_only=True)
class ExperimentSetup:
    """How experiments are run.

    Attributes:
        policy: What a policy is made of (`ExperimentPolicy.of`), stored with each experiment.
        slow_floor_ms: No answer faster than this counts as slow, however brief (and so fast) the
            champion's own answers are.
        approval: A proven challenger waits for a person.
        shadow: Before exposure; None leaves it out.
    """

    policy: Mapping[str, Any]
    slow_floor_ms: float
    approval: bool = False
    shadow: Shadow | None = None


def tried_already(trial: Trial, others: Sequence[Trial], champion_id: str | None) -> str | None:
    """Returns why a queued experiment would find out nothing; None when it may.

    Args:
        trial: The queued experiment.
        others: The other experiments that are not over.
        champion_id: Who is the champion; None is the base model.
    """
    name = trial.challenger_id
    if name == champion_id:
        return f"{name} is the champion by now"
    began = (trial.started_at, trial.id)
    twins = [each for each in others if each.challenger_id == name]
    twin = next((each for each in twins if (each.started_at, each.id) < began), None)
    return None if twin is None else f"{name} is tried already, by {twin.id}"


def no_room(trial: Trial, others: Sequence[Trial]) -> str | None:
    """Returns why a queued experiment has to wait; None when it may begin.

    An experiment on stage shares it with as many others as its own policy promised at its start:
    the evidence that it asks for depends on it. A promotion, and the watch over it, share with
    nobody.

    Args:
        trial: The queued experiment.
        others: The other experiments that are not over.
    """
    started = [each for each in others if each.state != State.QUEUED]
    alone = next((each for each in started if each.state in _ALONE), None)
    if alone is not None:
        return f"{alone.id} has the stage ({alone.state.lower()}); it is next"
    room = min(ExperimentPolicy.of(each.policy).challengers for each in (trial, *started))
    if len(started) < room:
        return None
    names = ", ".join(f"{each.id} ({each.state.lower()})" for each in started)
    return f"the stage has room for {room}, and there are {names}; it is next"


_ALONE = frozenset({State.PROMOTING, State.HOLDBACK})

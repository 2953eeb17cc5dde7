"""When exposure may grow: on counts and time, never on a result."""

from dataclasses import dataclass

from feedback.errors import InvalidInputError
from retrain.experiments.policy import ExperimentPolicy, RampStage
from retrain.experiments.state import HOUR


@dataclass(frozen=True, kw_only=True)
class RampState:
    """Where an experiment stands on its ramp.

    Attributes:
        stage: Name of the stage in force.
        entered_at: Seconds at which it began.
        challenger_delivered: Challenger threads with an answer, over all stages.
    """

    stage: str
    entered_at: float
    challenger_delivered: int


def first_stage(policy: ExperimentPolicy) -> RampStage:
    """Returns the stage in which an experiment begins."""
    return policy.ramp[0]


def next_stage(policy: ExperimentPolicy, state: RampState, now: float) -> RampStage | None:
    """Returns the stage to enter now, or None while the present one must go on.

    A stage ends when it has lasted `min_hours` and `min_threads` challenger threads have an
    answer, or at `max_hours` at the latest. The last stage ends with the experiment only. The
    caller makes sure that nothing has tripped.

    Args:
        policy: The constants.
        state: Where the experiment stands.
        now: Seconds.

    Raises:
        InvalidInputError: When the stage is not one of the policy's.
    """
    names = [stage.stage for stage in policy.ramp]
    if state.stage not in names:
        raise InvalidInputError(
            f"stage {state.stage!r} is not one of this policy's: {', '.join(names)}"
        )
    index = names.index(state.stage)
    if index + 1 == len(names):
        return None
    stage = policy.ramp[index]
    hours = (now - state.entered_at) / HOUR
    counted = stage.min_threads is not None and state.challenger_delivered >= stage.min_threads
    late = stage.max_hours is not None and hours >= stage.max_hours
    if (counted and hours >= stage.min_hours) or late:
        return policy.ramp[index + 1]
    return None

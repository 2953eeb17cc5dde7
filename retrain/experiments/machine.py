"""The life of an experiment as a pure table of transitions.

QUEUED -> OFFLINE_OK -> LOADED -> CANARY -> RAMP -> TEST -> READY -> PROMOTING -> HOLDBACK
-> CHAMPION, with an end at every step.

The caller stores the new standing with compare-and-set, an audit row and the effects as outbox
rows, all in one transaction. No side effect happens here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from feedback.errors import ConflictError
from retrain.experiments import decision as decisions
from retrain.experiments.decision import Decision
from retrain.experiments.policy import RampStage


class State(StrEnum):
    """Where an experiment is."""

    QUEUED = "QUEUED"
    OFFLINE_OK = "OFFLINE_OK"
    LOADED = "LOADED"
    CANARY = "CANARY"
    RAMP = "RAMP"
    TEST = "TEST"
    READY = "READY"
    PROMOTING = "PROMOTING"
    HOLDBACK = "HOLDBACK"
    CHAMPION = "CHAMPION"
    REJECTED_HARM = "REJECTED_HARM"
    REJECTED_GUARD = "REJECTED_GUARD"
    FUTILE = "FUTILE"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"
    CANCELLED = "CANCELLED"
    ROLLED_BACK = "ROLLED_BACK"


class Trigger(StrEnum):
    """What can happen to it."""

    OFFLINE_PASSED = "offline_passed"
    OFFLINE_FAILED = "offline_failed"
    LOADED = "loaded"
    LOAD_FAILED = "load_failed"
    ENTER_CANARY = "enter_canary"
    ENTER_RAMP = "enter_ramp"
    ENTER_TEST = "enter_test"
    PROVEN = "proven"
    PROVEN_AUTO = "proven_auto"
    HARM = "harm"
    GUARDRAIL = "guardrail"
    SRM = "srm"
    SHA_CHANGED = "sha_changed"
    FUTILE = "futile"
    TIMEOUT = "timeout"
    APPROVED = "approved"
    DENIED = "denied"
    APPROVAL_EXPIRED = "approval_expired"
    OVERRIDDEN = "overridden"
    POINTER_SWAPPED = "pointer_swapped"
    ROLLBACK = "rollback"
    QUIET = "quiet"
    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"


class Effect(StrEnum):
    """What the outbox carries out after the transition is stored; safe to repeat."""

    ENTER_STAGE = "enter_stage"
    ROUTE_TO_CHAMPION = "route_to_champion"
    ASK_APPROVAL = "ask_approval"
    SWAP_POINTER = "swap_pointer"
    START_HOLDBACK = "start_holdback"
    RESTORE_POINTER = "restore_pointer"
    BLOCK_ADAPTER = "block_adapter"
    NOTIFY = "notify"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A state with its flags.

    Attributes:
        paused: New threads go to the champion; this experiment only; threads that take part stay,
            and their evidence still counts.
        frozen: Everything goes to the last known good; nothing moves forward.
    """

    state: State
    paused: bool = False
    frozen: bool = False

    @property
    def ended(self) -> bool:
        """Whether it is over; one that is INCONCLUSIVE may still be overridden by a person."""
        return self.state in ENDS

    @property
    def held(self) -> bool:
        """Whether nothing moves forward."""
        return self.paused or self.frozen

    @property
    def exposed(self) -> bool:
        """Whether new threads may meet the challenger."""
        return self.state in _EXPOSED and not self.held


ENDS = frozenset(
    {
        State.CHAMPION,
        State.REJECTED_HARM,
        State.REJECTED_GUARD,
        State.FUTILE,
        State.INCONCLUSIVE,
        State.INVALID,
        State.CANCELLED,
        State.ROLLED_BACK,
    }
)
_EXPOSED = (State.CANARY, State.RAMP, State.TEST, State.READY)
_PAUSABLE = (State.QUEUED, State.OFFLINE_OK, State.LOADED, *_EXPOSED)
"""A promotion that is decided is withdrawn or taken back, not paused."""
_STOPS: Mapping[Trigger, State] = {
    Trigger.HARM: State.REJECTED_HARM,
    Trigger.GUARDRAIL: State.REJECTED_GUARD,
    Trigger.SRM: State.INVALID,
    Trigger.SHA_CHANGED: State.INVALID,
}
_BEFORE_SWAP = (*_PAUSABLE, State.PROMOTING)

TABLE: Mapping[tuple[State, Trigger], State] = {
    (State.QUEUED, Trigger.OFFLINE_PASSED): State.OFFLINE_OK,
    (State.QUEUED, Trigger.OFFLINE_FAILED): State.CANCELLED,
    (State.OFFLINE_OK, Trigger.LOADED): State.LOADED,
    (State.OFFLINE_OK, Trigger.LOAD_FAILED): State.INVALID,
    # A policy may leave out early stages (low traffic starts in RAMP).
    (State.LOADED, Trigger.ENTER_CANARY): State.CANARY,
    (State.LOADED, Trigger.ENTER_RAMP): State.RAMP,
    (State.LOADED, Trigger.ENTER_TEST): State.TEST,
    (State.CANARY, Trigger.ENTER_RAMP): State.RAMP,
    (State.CANARY, Trigger.ENTER_TEST): State.TEST,
    (State.RAMP, Trigger.ENTER_TEST): State.TEST,
    **{(state, trigger): end for state in _EXPOSED for trigger, end in _STOPS.items()},
    # A file that changes while it is only loaded makes the proof of loading worthless too.
    (State.LOADED, Trigger.SHA_CHANGED): State.INVALID,
    # What the answers in the shadow show, nobody needs to see.
    (State.LOADED, Trigger.GUARDRAIL): State.REJECTED_GUARD,
    **{(state, Trigger.FUTILE): State.FUTILE for state in _EXPOSED[:3]},
    **{(state, Trigger.TIMEOUT): State.INCONCLUSIVE for state in _EXPOSED[:3]},
    (State.TEST, Trigger.PROVEN): State.READY,
    (State.TEST, Trigger.PROVEN_AUTO): State.PROMOTING,
    (State.TEST, Trigger.OVERRIDDEN): State.PROMOTING,
    (State.READY, Trigger.APPROVED): State.PROMOTING,
    (State.READY, Trigger.DENIED): State.CANCELLED,
    (State.READY, Trigger.APPROVAL_EXPIRED): State.TEST,
    **{(state, Trigger.CANCEL): State.CANCELLED for state in _BEFORE_SWAP},
    # A person may go over an experiment that ended without an answer.
    (State.INCONCLUSIVE, Trigger.OVERRIDDEN): State.PROMOTING,
    # Asking for a rollback while a promotion waits: the old champion simply stays.
    **{(state, Trigger.ROLLBACK): State.CANCELLED for state in _EXPOSED},
    (State.PROMOTING, Trigger.POINTER_SWAPPED): State.HOLDBACK,
    (State.PROMOTING, Trigger.ROLLBACK): State.ROLLED_BACK,
    **{(State.HOLDBACK, trigger): State.ROLLED_BACK for trigger in (*_STOPS, Trigger.ROLLBACK)},
    (State.HOLDBACK, Trigger.QUIET): State.CHAMPION,
}
"""Every allowed move. Flags (pause, freeze) are moved by `transition` itself."""

_FORWARD = frozenset(
    {
        Trigger.ENTER_CANARY,
        Trigger.ENTER_RAMP,
        Trigger.ENTER_TEST,
        Trigger.PROVEN,
        Trigger.PROVEN_AUTO,
        Trigger.OVERRIDDEN,
        Trigger.APPROVED,
        Trigger.POINTER_SWAPPED,
        Trigger.QUIET,
    }
)
"""Moves that expose people to the challenger more, or end the watch over it."""


def transition(standing: Standing, trigger: Trigger) -> Standing:
    """Returns where an experiment stands after something happened.

    Args:
        standing: State and flags.
        trigger: What happened.

    Raises:
        ConflictError: When it may not happen there, naming both; nothing changes then.
    """
    if trigger in _FLAG_MOVES:
        moved = _moved_flag(standing, trigger)
        pausing = trigger in {Trigger.PAUSE, Trigger.RESUME}
        if standing.ended or moved == standing or (pausing and standing.state not in _PAUSABLE):
            raise _refused(standing, trigger)
        return moved
    if trigger in _FORWARD and standing.held:
        raise _refused(standing, trigger)
    target = TABLE.get((standing.state, trigger))
    if target is None:
        raise _refused(standing, trigger)
    return replace(standing, state=target)


_FLAG_MOVES = frozenset({Trigger.PAUSE, Trigger.RESUME, Trigger.FREEZE, Trigger.UNFREEZE})


def _moved_flag(standing: Standing, trigger: Trigger) -> Standing:
    if trigger in {Trigger.PAUSE, Trigger.RESUME}:
        return replace(standing, paused=trigger is Trigger.PAUSE)
    return replace(standing, frozen=trigger is Trigger.FREEZE)


def effects(before: Standing, after: Standing) -> tuple[Effect, ...]:
    """Returns what a stored transition sets in motion, in this order."""
    if before.state is after.state:
        return _flag_effects(before, after)
    if after.state is State.ROLLED_BACK:
        return (
            Effect.RESTORE_POINTER,
            Effect.ROUTE_TO_CHAMPION,
            Effect.BLOCK_ADAPTER,
            Effect.NOTIFY,
        )
    if after.state is State.CHAMPION:
        return (Effect.NOTIFY,)
    if before.state is State.READY and after.state is State.TEST:
        return (Effect.NOTIFY,)  # the approval expired; the stage itself goes on
    if after.ended:
        routed = (Effect.ROUTE_TO_CHAMPION,) if before.state in _EXPOSED else ()
        return (*routed, Effect.NOTIFY)
    return _EFFECTS.get(after.state, ())


_EFFECTS: Mapping[State, tuple[Effect, ...]] = {
    State.CANARY: (Effect.ENTER_STAGE,),
    State.RAMP: (Effect.ENTER_STAGE,),
    State.TEST: (Effect.ENTER_STAGE,),
    State.READY: (Effect.ASK_APPROVAL,),
    State.PROMOTING: (Effect.SWAP_POINTER,),
    State.HOLDBACK: (Effect.START_HOLDBACK, Effect.NOTIFY),
}


def _flag_effects(before: Standing, after: Standing) -> tuple[Effect, ...]:
    if before == after:
        return ()
    stopped = (after.paused and not before.paused) or (after.frozen and not before.frozen)
    if stopped:
        return (Effect.ROUTE_TO_CHAMPION, Effect.NOTIFY)
    return (Effect.ENTER_STAGE, Effect.NOTIFY) if after.exposed else (Effect.NOTIFY,)


def stage_trigger(stage: RampStage) -> Trigger:
    """Returns what entering a ramp stage is called."""
    return Trigger(f"enter_{stage.stage.lower()}")


def trigger_of(decision: Decision, *, auto: bool) -> Trigger | None:
    """Returns what a decision makes happen to its experiment; None while it waits.

    Args:
        decision: The engine's word.
        auto: Whether a proven challenger is promoted without a person's approval.
    """
    word = decision.decision
    if word == decisions.PROMOTE:
        return Trigger.PROVEN_AUTO if auto else Trigger.PROVEN
    if word.startswith(decisions.REJECTED_GUARD):
        return Trigger.GUARDRAIL
    return _TRIGGERS.get(word)


_TRIGGERS: Mapping[str, Trigger] = {
    decisions.REJECTED_HARM: Trigger.HARM,
    decisions.FREEZE_SRM: Trigger.SRM,
    decisions.INVALID: Trigger.SHA_CHANGED,
    decisions.FUTILE: Trigger.FUTILE,
    decisions.INCONCLUSIVE: Trigger.TIMEOUT,
}


def _refused(standing: Standing, trigger: Trigger) -> ConflictError:
    flags = "".join(f" ({name})" for name in ("paused", "frozen") if getattr(standing, name))
    return ConflictError(
        f"an experiment in {standing.state}{flags} does not take {trigger.value!r}; "
        "look at its present state and try what that allows"
    )

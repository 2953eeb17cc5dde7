"""What happened in an experiment, as typed events parsed from rows.

A row is `{id, seq, ts, type, ...}`: `seq` gives the true order, a repeated `id` is a duplicate.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from feedback.errors import InvalidInputError
from retrain.experiments.policy import ExperimentPolicy

Row = Mapping[str, Any]

SCORED_METRICS = ("tone", "ground", "error", "slow")
GUARD_METRICS = (*SCORED_METRICS, "undelivered")


class Vote(StrEnum):
    """One person's opinion of one answer; NONE takes an earlier one back."""

    UP = "up"
    DOWN = "down"
    NONE = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Anything that happened.

    Attributes:
        id: Unique; a second event with the same id is the same event delivered twice.
        seq: The true order.
        ts: Database time in seconds.
    """

    id: str
    seq: int
    ts: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ExperimentOpened(Event):
    """The first event: the rules, fixed before the first thread.

    Attributes:
        scores: Metrics that must be known of every delivered thread before a promotion.
        shas: `(arm, sha256)` of the adapters, where they are known at the start.
    """

    policy: ExperimentPolicy
    scores: tuple[str, ...] = SCORED_METRICS
    shas: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class StageEntered(Event):
    """A new share is in force for threads that begin from now on."""

    stage: str
    share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Assigned(Event):
    """A thread got its arm (1 = challenger) for life.

    Attributes:
        share: Challenger share when the thread began; None means that of the stage in force.
        forced: Why the arm was not drawn (freeze, operator); such a thread is not analysed.
    """

    thread: str
    user: str
    arm: int
    share: float | None = None
    stage: str = ""
    forced: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivered(Event):
    """An answer was posted in the thread."""

    thread: str
    answer: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Undelivered(Event):
    """An answer of the thread could not be posted."""

    thread: str
    answer: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored(Event):
    """Automatic verdicts on an answer: True is a bad event, None is unknown (never healthy)."""

    thread: str
    tone: bool | None = None
    ground: bool | None = None
    error: bool | None = None
    slow: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FeedbackGiven(Event):
    """A thumb, or its removal; the last one of a person on an answer counts."""

    thread: str
    answer: str
    user: str
    vote: Vote


@dataclass(frozen=True, kw_only=True, slots=True)
class Corrected(Event):
    """Somebody wrote a better answer: the answer counts 0, whatever thumbs say."""

    thread: str
    answer: str
    user: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PairVoted(Event):
    """A reviewer compared two answers to one question, blind. The first vote on a pair counts.

    Attributes:
        winner: Arm of the better answer (1 = challenger); None when there is no difference.
    """

    pair: str
    user: str
    winner: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class AdapterSeen(Event):
    """The sha256 of the adapter file that an arm is served with."""

    arm: int
    sha: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick(Event):
    """Time passed; promotion gates are checked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended(Event):
    """The experiment was closed; later events do not belong to it."""


def parse_event(row: Row) -> Event:
    """Parses one row.

    Raises:
        InvalidInputError: Names the key and the value that cannot be used.
    """
    kind = row.get("type")
    parser = _PARSERS.get(kind) if isinstance(kind, str) else None
    if parser is None:
        raise InvalidInputError(f"type {kind!r} is not one of {', '.join(_PARSERS)}")
    seq = row.get("seq")
    if isinstance(seq, bool) or not isinstance(seq, int):
        raise InvalidInputError(f"seq must be a whole number, got {seq!r}")
    return parser(row, {"id": _text(row, "id"), "seq": seq, "ts": _number(row, "ts")})


Base = dict[str, Any]


def _opened(row: Row, base: Base) -> Event:
    return ExperimentOpened(
        **base,
        policy=ExperimentPolicy.of(row.get("policy")),
        scores=_scores(row.get("metrics")),
        shas=_shas(row.get("arms")),
    )


def _stage(row: Row, base: Base) -> Event:
    return StageEntered(**base, stage=_text(row, "stage"), share=_share(row, "share"))


def _assigned(row: Row, base: Base) -> Event:
    return Assigned(
        **base,
        thread=_text(row, "thread"),
        user=_text(row, "user", default=""),
        arm=_arm(row.get("arm")),
        share=None if row.get("share") is None else _share(row, "share"),
        stage=_text(row, "stage", default=""),
        forced=_text(row, "forced_reason", default=""),
    )


def _delivered(row: Row, base: Base) -> Event:
    return Delivered(**base, thread=_text(row, "thread"), answer=_text(row, "answer", default=""))


def _undelivered(row: Row, base: Base) -> Event:
    return Undelivered(**base, thread=_text(row, "thread"), answer=_text(row, "answer", default=""))


def _scored(row: Row, base: Base) -> Event:
    """A flag of another name leaves its metric unknown, which is never taken for healthy."""
    flags = row.get("flags")
    if not isinstance(flags, Mapping):
        raise InvalidInputError(f"flags must be an object, got {flags!r}")
    tone, ground, error, slow = (_flag(metric, flags.get(metric)) for metric in SCORED_METRICS)
    return Scored(
        **base,
        thread=_text(row, "thread"),
        tone=tone,
        ground=ground,
        error=error,
        slow=slow,
    )


def _feedback(row: Row, base: Base) -> Event:
    value = row.get("value")
    try:
        vote = Vote("none" if value is None else value)
    except ValueError as exc:
        raise InvalidInputError(f"value {value!r} is not one of up, down, none") from exc
    return FeedbackGiven(
        **base,
        thread=_text(row, "thread"),
        answer=_text(row, "answer", default=""),
        user=_text(row, "user", default=""),
        vote=vote,
    )


def _corrected(row: Row, base: Base) -> Event:
    return Corrected(
        **base,
        thread=_text(row, "thread"),
        answer=_text(row, "answer", default=""),
        user=_text(row, "user", default=""),
    )


def _pair(row: Row, base: Base) -> Event:
    winner = row.get("winner")
    return PairVoted(
        **base,
        pair=_text(row, "pair"),
        user=_text(row, "user", default=""),
        winner=None if winner in {None, "tie"} else _arm(winner),
    )


def _adapter(row: Row, base: Base) -> Event:
    return AdapterSeen(**base, arm=_arm(row.get("arm")), sha=_text(row, "sha"))


_PARSERS: Mapping[str, Callable[[Row, Base], Event]] = {
    "experiment": _opened,
    "stage": _stage,
    "assigned": _assigned,
    "delivered": _delivered,
    "undelivered": _undelivered,
    "scored": _scored,
    "feedback": _feedback,
    "correction": _corrected,
    "pair_vote": _pair,
    "adapter_sha": _adapter,
    "tick": lambda _row, base: Tick(**base),
    "end": lambda _row, base: Ended(**base),
}


def _text(row: Row, key: str, *, default: str | None = None) -> str:
    value = row.get(key)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise InvalidInputError(f"{key} must be text, got {value!r}")
    return str(value)


def _number(row: Row, key: str) -> float:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidInputError(f"{key} must be a number, got {value!r}")
    return float(value)


def _share(row: Row, key: str) -> float:
    value = _number(row, key)
    if not 0.0 <= value <= 1.0:
        raise InvalidInputError(f"{key} {value!r} is not from 0 to 1")
    return value


_ARMS = {"champion": 0, "challenger": 1}


def _arm(value: object) -> int:
    arm = _ARMS.get(value, -1) if isinstance(value, str) else value
    if isinstance(arm, bool) or not isinstance(arm, int) or arm not in {0, 1}:
        raise InvalidInputError(f"arm must be 0 (champion) or 1 (challenger), got {value!r}")
    return arm


def _flag(metric: str, value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in {0, 1}:
        return bool(value)
    raise InvalidInputError(f"flag {metric} must be true, false or null, got {value!r}")


def _scores(value: object) -> tuple[str, ...]:
    """Returns which of the scored metrics this experiment watches; all when none is named."""
    if value is None:
        return SCORED_METRICS
    if not isinstance(value, list | tuple | Mapping):
        raise InvalidInputError(f"metrics must be a list of names, got {value!r}")
    named = {str(item) for item in value}
    return tuple(metric for metric in SCORED_METRICS if metric in named) or SCORED_METRICS


def _shas(value: object) -> tuple[tuple[int, str], ...]:
    """Returns the adapters named at the start.

    `arms` is a list or an object, champion first; an arm is a name, or an object that may carry
    `sha`. Keys `champion`, `challenger`, `0` and `1` say which arm is meant, others do not.
    """
    if value is None:
        return ()
    if isinstance(value, Mapping):
        items = [(str(key), arm) for key, arm in value.items()]
    elif isinstance(value, list | tuple):
        items = [(str(number), arm) for number, arm in enumerate(value)]
    else:
        raise InvalidInputError(f"arms must be a list or an object, got {value!r}")
    numbers = _ARMS | {"0": 0, "1": 1}
    return tuple(
        (numbers.get(key, order), str(arm["sha"]))
        for order, (key, arm) in enumerate(items)
        if isinstance(arm, Mapping) and arm.get("sha") and numbers.get(key, order) <= 1
    )

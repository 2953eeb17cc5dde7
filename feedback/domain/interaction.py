"""A question, the answer that was given, and everything needed to explain that answer later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from feedback.errors import InvalidInputError

E = TypeVar("E", bound=StrEnum)


class Arm(StrEnum):
    """Which model answers a thread."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"


class Rating(StrEnum):
    """One person's current opinion of one answer."""

    UP = "up"
    DOWN = "down"


class Reason(StrEnum):
    """Why an answer was marked down. The last three are tone reasons."""

    WRONG_FACT = "wrong_fact"
    MISSING_INFORMATION = "missing_information"
    OUTDATED = "outdated"
    MADE_UP = "made_up"
    REFUSED = "refused"
    UNSAFE = "unsafe"
    FORMAT = "format"
    TOO_COLD = "too_cold"
    TOO_WORDY = "too_wordy"
    OFF_BRAND = "off_brand"


TONE_REASONS = frozenset({Reason.TOO_COLD, Reason.TOO_WORDY, Reason.OFF_BRAND})


@dataclass(frozen=True, kw_only=True)
class Retrieved:
    """One retrieved chunk as an answer saw it."""

    doc_id: str
    score: float
    chunk_id: str = ""


@dataclass(frozen=True, kw_only=True)
class InteractionRecord:
    """The row format of the offline commands: one answered question and what people said of it.

    Attributes:
        ts: Seconds since the epoch at which the question was asked.
        correction: The reviewer-approved better answer, when there is one.
        rating: The majority opinion, None when nobody rated.
    """

    id: str
    thread_id: str
    user_id: str
    ts: float
    question: str
    answer: str
    correction: str | None = None
    rating: Rating | None = None
    reasons: tuple[Reason, ...] = ()
    retrieved: tuple[Retrieved, ...] = ()
    arm: Arm | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether people said this answer was not good enough."""
        changed = self.correction is not None and self.correction.strip() != self.answer.strip()
        return self.rating is Rating.DOWN or changed or bool(self.reasons)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "InteractionRecord":
        """Parses one JSONL object.

        Raises:
            InvalidInputError: When a field is missing, of the wrong type or unknown to an enum.
        """
        question, answer = _text(row, "question"), _text(row, "answer", allow_empty=True)
        correction = row.get("correction")
        if correction is not None and not isinstance(correction, str):
            raise InvalidInputError(f"correction must be text, got {type(correction).__name__}")
        return cls(
            id=str(_present(row, "id")),
            thread_id=str(row.get("thread_id") or row["id"]),
            user_id=str(row.get("user_id") or "unknown"),
            ts=_number(row.get("ts", 0.0)),
            question=question,
            answer=answer,
            correction=correction,
            rating=_enum(Rating, row.get("rating"), "rating"),
            reasons=tuple(_reasons(row.get("reasons") or ())),
            retrieved=tuple(
                Retrieved(
                    doc_id=str(hit["doc_id"]),
                    score=float(hit.get("score", 0.0)),
                    chunk_id=str(hit.get("chunk_id", "")),
                )
                for hit in row.get("retrieved") or ()
            ),
            arm=_enum(Arm, row.get("arm"), "arm"),
            extra={k: v for k, v in row.items() if k not in _KNOWN},
        )

    def to_row(self) -> dict[str, Any]:
        """Returns the JSONL object that `from_row` reads back; absent values are left out."""
        row: dict[str, Any] = {
            "id": self.id,
            "thread_id": self.thread_id,
            "user_id": self.user_id,
            "ts": self.ts,
            "question": self.question,
            "answer": self.answer,
        }
        if self.correction is not None:
            row["correction"] = self.correction
        if self.rating is not None:
            row["rating"] = self.rating.value
        if self.reasons:
            row["reasons"] = [reason.value for reason in self.reasons]
        if self.retrieved:
            row["retrieved"] = [
                {"doc_id": hit.doc_id, "score": hit.score, "chunk_id": hit.chunk_id}
                for hit in self.retrieved
            ]
        if self.arm is not None:
            row["arm"] = self.arm.value
        return {**row, **self.extra}


_KNOWN = frozenset(
    [
        "id",
        "thread_id",
        "user_id",
        "ts",
        "question",
        "answer",
        "correction",
        "rating",
        "reasons",
        "retrieved",
        "arm",
    ]
)


def _present(row: Mapping[str, Any], key: str) -> Any:  # noqa: ANN401  (JSON holds anything)
    value = row.get(key)
    if value is None or value == "":
        raise InvalidInputError(f"missing key {key!r}")
    return value


def _text(row: Mapping[str, Any], key: str, *, allow_empty: bool = False) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise InvalidInputError(f"{key!r} must be text, got {type(value).__name__}")
    if not value.strip() and not allow_empty:
        raise InvalidInputError(f"{key!r} is empty")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidInputError(f"ts must be seconds since the epoch, got {value!r}")
    try:
        return float(value)
    except ValueError as exc:
        raise InvalidInputError(f"ts must be seconds since the epoch, got {value!r}") from exc


def _reasons(values: Sequence[object]) -> list[Reason]:
    parsed = [_enum(Reason, value, "reasons") for value in values]
    return [reason for reason in parsed if reason is not None]


def _enum(kind: type[E], value: object, key: str) -> E | None:
    if value is None:
        return None
    try:
        return kind(str(value))
    except ValueError as exc:
        allowed = ", ".join(member.value for member in kind)
        raise InvalidInputError(f"{key} {value!r} is not one of {allowed}") from exc


class InteractionState(StrEnum):
    """How far an answer got.

    PENDING: no answer yet. ANSWERED: the text is stored, the post is owed. POSTED: people see it.
    STOPPED: the asker pressed Stop; `answer` is what had been written. FAILED: given up with an
    apology. ERASED: the question was deleted in Slack.
    """

    PENDING = "pending"
    ANSWERED = "answered"
    POSTED = "posted"
    STOPPED = "stopped"
    FAILED = "failed"
    ERASED = "erased"


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """One answered (or abandoned) question as stored: enough to explain and to retrain from.

    Attributes:
        id: Opaque; the only thing about an answer that Slack metadata and buttons carry.
        thread_key: `team:channel:thread_ts`.
        question: Redacted.
        answer: As posted; None while pending or when generation failed for good.
        with_context: The retrieved passages came near enough to stand in the prompt.
        share: Challenger share in force when the thread was assigned; None without an experiment.
        error: Our error class name when the answer failed.
        answer_ts: Slack's timestamp of the post; set early when a stream has begun.
        edited_ts: When the question was last edited in Slack; None when it never was.
    """

    id: str
    thread_key: str
    team: str
    channel: str
    question_ts: str
    asker: str
    asked_at: datetime
    question: str
    state: InteractionState = InteractionState.PENDING
    answer: str | None = None
    answer_ts: str | None = None
    answered_at: datetime | None = None
    prompt_version: str = ""
    retrieved: tuple[Retrieved, ...] = ()
    with_context: bool = False
    base_model: str = ""
    adapter_id: str | None = None
    adapter_sha256: str | None = None
    template_sha256: str = ""
    experiment_id: str | None = None
    arm: Arm | None = None
    share: float | None = None
    salt: str | None = None
    abstained: bool = False
    grounded: bool | None = None
    on_brand: float | None = None
    latency_ms: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    error: str | None = None
    edited_ts: str | None = None

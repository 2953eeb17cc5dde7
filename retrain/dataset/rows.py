"""The rows that enter and leave a data set."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from feedback.domain.interaction import InteractionRecord, Rating
from feedback.domain.text import normalise
from feedback.errors import InvalidInputError
from feedback.ports import Message
from feedback.prompting import question_in

Render = Callable[[InteractionRecord], Sequence[Message]]
"""Turns a record into the messages the model would see: `build_messages` with its passages."""

_OPERATOR = re.compile(r"(?<=\d)\s*([-+*/\u00d7\u00f7])\s*(?=\d)")
_OPERATOR_WORDS = {
    "+": "plus",
    "-": "minus",
    "*": "times",
    "\u00d7": "times",
    "/": "divided by",
    "\u00f7": "divided by",
}


_SLICE_CHARS = 80


class Source(StrEnum):
    """Where the target text of a row comes from."""

    CORRECTION = "correction"
    APPROVED = "approved"
    HUMAN_REPLY = "human_reply"
    IMPORTED = "imported"
    REPLAY = "replay"


_ORIGINS = {
    "taught_reply": Source.HUMAN_REPLY,
    "human_reply": Source.HUMAN_REPLY,
    "liked_answer": Source.APPROVED,
    "import": Source.IMPORTED,
}
"""`source` of a record to the source of its row, where a correction came otherwise than by hand."""


class Disposition(StrEnum):
    """What happens to a row that did not get in."""

    REJECTED = "rejected"
    HELD = "held"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A labelled interaction on its way into the data set.

    Attributes:
        record: The interaction as recorded.
        completion: The target text: the correction, or the approved answer.
        contributor: Who wrote or approved the target; None when not recorded.
        contributed_at: Seconds since the epoch; 0 when not recorded.
        merged: Ids of duplicate interactions that this row also stands for.
    """

    record: InteractionRecord
    completion: str
    source: Source
    contributor: str | None
    contributed_at: float
    merged: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The row's id: the interaction's, or the correction's where several exist."""
        return self.record.id

    @property
    def interaction_id(self) -> str:
        """The interaction it came from (`interaction_id` in the row, else the row's own id)."""
        return str(self.record.extra.get("interaction_id") or self.record.id)

    @property
    def question(self) -> str:
        """The question as asked."""
        return self.record.question


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """Why a row did not get in.

    Attributes:
        reason: Name of the cleaner or of the split rule.
        detail: A sentence with the value found.
        kept_as: For duplicates, the id of the row that stands for this one.
        rivals: For conflicts, the ids of the rows that say otherwise.
    """

    id: str
    reason: str
    detail: str
    disposition: Disposition = Disposition.REJECTED
    kept_as: str | None = None
    rivals: tuple[str, ...] = ()

    def to_row(self) -> Mapping[str, Any]:
        """Returns the line of `rejected.jsonl`."""
        row: dict[str, Any] = {
            "id": self.id,
            "reason": self.reason,
            "detail": self.detail,
            "disposition": self.disposition.value,
        }
        if self.kept_as is not None:
            row["kept_as"] = self.kept_as
        if self.rivals:
            row["rivals"] = list(self.rivals)
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Rejection":
        """Parses a line of `rejected.jsonl`.

        Raises:
            KeyError: When a field is missing.
            ValueError: When the disposition is unknown.
        """
        return cls(
            id=str(row["id"]),
            reason=str(row["reason"]),
            detail=str(row["detail"]),
            disposition=Disposition(row["disposition"]),
            kept_as=row.get("kept_as"),
            rivals=tuple(map(str, row.get("rivals", ()))),
        )


@dataclass(frozen=True, kw_only=True)
class TrainingRow:
    """One example as the trainer reads it.

    Attributes:
        group: Rows of one group are never on two sides; intervals are clustered by it.
        weight: How often an epoch shows it, on average.
        rejected: What was wrongly said instead of the completion; empty when that is not known,
            or not to be trained against.
    """

    id: str
    messages: tuple[Message, ...]
    completion: str
    source: Source
    interaction_ids: tuple[str, ...]
    group: str
    weight: float = 1.0
    rejected: str = ""

    def to_row(self) -> dict[str, Any]:
        """Returns the line of `train.jsonl`; `rejected` only where there is something."""
        row = {
            "id": self.id,
            "messages": [{"role": m.role, "content": m.content} for m in self.messages],
            "completion": self.completion,
            "source": self.source.value,
            "interaction_ids": list(self.interaction_ids),
            "group": self.group,
            "weight": self.weight,
        }
        return row | {"rejected": self.rejected} if self.rejected else row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "TrainingRow":
        """Parses a line of `train.jsonl` or `holdout.jsonl`.

        Raises:
            InvalidInputError: When a field is missing or of the wrong type.
        """
        return cls(
            id=str(row["id"]),
            messages=parse_messages(row["messages"]),
            completion=_text(row, "completion"),
            source=Source(str(row["source"])),
            interaction_ids=tuple(map(str, row["interaction_ids"])),
            group=str(row["group"]),
            weight=float(row.get("weight", 1.0)),
            rejected=str(row.get("rejected", "")),
        )


@dataclass(frozen=True, kw_only=True)
class HeldOutRow:
    """One example that is never trained on.

    Attributes:
        question: The bare question, for reports.
        bot_answer: What the bot said at the time.
        facts: Strings a right answer must hold; empty when nobody listed them.
        sources: Texts that the answer may draw on; empty when they were not recorded.
        slices: Parts of the whole that it belongs to, as `name: value`, sorted; gates judge each.
    """

    row: TrainingRow
    question: str
    bot_answer: str
    facts: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()

    def to_row(self) -> dict[str, Any]:
        """Returns the line of `holdout.jsonl`."""
        return self.row.to_row() | {
            "question": self.question,
            "reference": self.row.completion,
            "bot_answer": self.bot_answer,
            "facts": list(self.facts),
            "sources": list(self.sources),
            "slices": list(self.slices),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "HeldOutRow":
        """Parses a line of `holdout.jsonl`.

        Raises:
            InvalidInputError: When a field is missing or of the wrong type.
        """
        return cls(
            row=TrainingRow.from_row(row),
            question=_text(row, "question"),
            bot_answer=str(row.get("bot_answer", "")),
            facts=tuple(map(str, row.get("facts") or ())),
            sources=tuple(map(str, row.get("sources") or ())),
            slices=tuple(map(str, row.get("slices") or ())),
        )


@dataclass(frozen=True, kw_only=True)
class ReplayRow:
    """A generic dialogue that keeps the base model's skills alive."""

    id: str
    messages: tuple[Message, ...]
    completion: str

    @property
    def question(self) -> str:
        """The last thing the user asks, without the context shown with it."""
        asked = (m.content for m in reversed(self.messages) if m.role == "user")
        return question_in(next(asked, ""))

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "ReplayRow":
        """Parses `{id, messages, completion}` or `{id, question, answer}`.

        Raises:
            InvalidInputError: When neither form fits.
        """
        if "messages" in row:
            messages = parse_messages(row["messages"])
            completion = _text(row, "completion")
        else:
            messages = (Message(role="user", content=_text(row, "question")),)
            completion = _text(row, "answer")
        return cls(id=str(row["id"]), messages=messages, completion=completion)


def parse_messages(values: object) -> tuple[Message, ...]:
    """Parses a list of `{role, content}`.

    Raises:
        InvalidInputError: When it is no such list or it is empty.
    """
    if not isinstance(values, list) or not values:
        raise InvalidInputError("messages must be a non-empty list of {role, content}")
    parsed = []
    for value in values:
        role = value.get("role") if isinstance(value, Mapping) else None
        content = value.get("content") if isinstance(value, Mapping) else None
        if role not in {"system", "user", "assistant"} or not isinstance(content, str):
            raise InvalidInputError(f"a message needs role and content, got {value!r}")
        parsed.append(Message(role=role, content=content))
    return tuple(parsed)


def candidate_of(record: InteractionRecord) -> Candidate | None:
    """Returns the labelled example in a record; None when it holds no label.

    A correction is a label; so is a thumbs-up answer that a reviewer approved (`approved_by`
    in the row). A thumb alone is an opinion and no label. `source` says how a correction came
    about when nobody wrote it for this purpose (`taught_reply`, `import`, ...). `reviewer_id` names
    who wrote the correction and `corrected_at` when, in seconds since the epoch; the time of the
    question says nothing about a reviewer's pace and does not stand in for it.
    """
    extra = record.extra
    if record.correction is not None and record.correction.strip():
        unchanged = record.correction.strip() == record.answer.strip()
        by_hand = Source.APPROVED if unchanged else Source.CORRECTION
        return Candidate(
            record=record,
            completion=record.correction.strip(),
            source=_ORIGINS.get(str(extra.get("source")), by_hand),
            contributor=_name(extra.get("reviewer_id")),
            contributed_at=_seconds(extra.get("corrected_at")),
        )
    if record.rating is Rating.UP and extra.get("approved_by") and record.answer.strip():
        return Candidate(
            record=record,
            completion=record.answer.strip(),
            source=Source.APPROVED,
            contributor=_name(extra["approved_by"]),
            contributed_at=_seconds(extra.get("approved_at")),
        )
    return None


def slices_of(candidate: Candidate) -> tuple[str, ...]:
    """Returns the parts of the whole that a row belongs to, as `name: value`, sorted.

    What the record says (`slices`: a name to one value or several, such as channel, pattern, tag),
    where the label came from, and whether passages were at hand.
    """
    extra = candidate.record.extra
    told = extra.get("slices")
    named: dict[str, object] = {**told} if isinstance(told, Mapping) else {}
    named["source"] = candidate.source.value
    named["passages"] = "with" if extra.get("passages") else "without"
    return tuple(
        sorted(
            {
                " ".join(f"{name}: {value}".split())[:_SLICE_CHARS]
                for name, values in named.items()
                for value in (values if isinstance(values, list | tuple) else [values])
                if value
            }
        )
    )


def text_key(text: str) -> str:
    """Returns the form in which two texts count as the same text.

    Operators between digits are spelt out first: `7 + 2` and `7 - 2` are different questions.
    """
    spelt = _OPERATOR.sub(lambda match: f" {_OPERATOR_WORDS[match.group(1)]} ", text)
    return normalise(spelt)


def digest(*parts: str) -> str:
    """Returns a sha256 over length-prefixed parts, so that no two lists of parts collide."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode()
        sha.update(f"{len(data)}:".encode())
        sha.update(data)
    return sha.hexdigest()


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row[key]
    if not isinstance(value, str):
        raise InvalidInputError(f"{key!r} must be text, got {type(value).__name__}")
    return value


def _name(value: object) -> str | None:
    return str(value) if value else None


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0

"""Maps the field names that helpdesks and labelling tools use to those of an interaction row."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from feedback.domain.interaction import InteractionRecord, Rating
from feedback.errors import InvalidInputError
from feedback.jsonl import Row

# The first name that a row holds wins.
ALIASES: Mapping[str, Sequence[str]] = {
    "id": ("id", "interaction_id", "message_id", "turn_id"),
    "thread_id": (
        *("thread_id", "thread", "thread_ts", "dialogue_id", "dialog_id"),
        *("conversation_id", "ticket_id", "session_id", "case_id"),
    ),
    "user_id": ("user_id", "agent_id", "user", "asker", "author", "customer_id"),
    "ts": ("ts", "timestamp", "created_at", "asked_at", "time", "date"),
    "question": (
        *("question", "query", "prompt", "user_message", "customer_message"),
        *("instruction", "input", "utterance"),
    ),
    "answer": (
        *("answer", "draft_answer", "bot_answer", "draft", "bot_response", "generated_answer"),
        *("model_answer", "response", "output", "completion"),
    ),
    "correction": (
        *("correction", "final_answer", "corrected_answer", "edited_answer", "human_answer"),
        *("agent_answer", "gold_answer", "reference_answer", "expected_answer"),
    ),
    "rating": ("rating", "vote", "thumb", "thumbs", "feedback"),
}

_UP = frozenset(
    {"up", "thumbs_up", "thumbsup", "+1", "1", "true", "positive", "good", "like", "👍"}
)
_DOWN = frozenset(
    {"down", "thumbs_down", "thumbsdown", "-1", "0", "false", "negative", "bad", "dislike", "👎"}
)
_MILLISECONDS = 1e11  # in seconds that is the year 5138


def to_record(row: Row, *, number: int) -> InteractionRecord:
    """Returns the interaction that a transcript's row describes.

    A correction that equals the answer is none: the person sent the draft as it was.

    Args:
        row: One object of the file.
        number: Which row it is; the id when it has none.

    Raises:
        InvalidInputError: When question or answer is missing, or a value is of the wrong kind.
    """
    values: dict[str, Any] = {}
    used = set()
    for field, names in ALIASES.items():
        name = next((name for name in names if row.get(name) not in {None, ""}), None)
        if name is not None:
            values[field] = row[name]
            used.add(name)
    for field in ("question", "answer"):
        if field not in values and not (field == "answer" and "correction" in values):
            known = ", ".join(ALIASES[field])
            raise InvalidInputError(f"no {field}: expected one of {known}")
    values.setdefault("answer", "")
    values.setdefault("id", f"row-{number}")
    values["ts"] = seconds(values.get("ts", 0.0))
    values["rating"] = rating(values.get("rating"))
    if str(values.get("correction", "")).strip() == str(values["answer"]).strip():
        values.pop("correction", None)
    others = {key: value for key, value in row.items() if key not in used and key not in values}
    return InteractionRecord.from_row({**others, **values})


def seconds(value: object) -> float:
    """Returns seconds since the epoch of a number (seconds or milliseconds) or an ISO 8601 text.

    Raises:
        InvalidInputError: When it is neither.
    """
    if isinstance(value, bool):
        raise InvalidInputError(f"{value!r} is no time")
    try:
        number = float(value)  # type: ignore[arg-type]  # refused below when it is no number
    except (TypeError, ValueError):
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError as exc:
            raise InvalidInputError(
                f"{value!r} is no time: give seconds since the epoch or ISO 8601"
            ) from exc
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.timestamp()
    return number / 1000 if abs(number) > _MILLISECONDS else number


def rating(value: object) -> str | None:
    """Returns `up`, `down` or None for the spellings of an opinion that tools write.

    Raises:
        InvalidInputError: When the spelling is unknown.
    """
    if value is None:
        return None
    word = str(value).strip().casefold()
    if word in _UP:
        return Rating.UP.value
    if word in _DOWN:
        return Rating.DOWN.value
    if word in {"", "none", "neutral", "null"}:
        return None
    raise InvalidInputError(f"rating {value!r} is neither up nor down")

"""Who does what, drawn by Hypothesis: questions, edits, deletions and votes. When they arrive is
the postman's business."""

from dataclasses import dataclass
from enum import StrEnum

from hypothesis import strategies as st

VOTERS = 2
"""People besides the asker who judge an answer."""


class Gesture(StrEnum):
    """One thing that a person can do with an answer."""

    LIKE = "like"
    DISLIKE = "dislike"
    EXPLAIN = "explain"
    THUMB_UP = "thumb_up"
    THUMB_DOWN = "thumb_down"


class Manner(StrEnum):
    """How a follow-up is asked."""

    AT_ONCE = "at_once"
    """With a mention, without waiting for the answer before."""
    AFTER = "after"
    """With a mention, after the answer before."""
    PLAIN = "plain"
    """Without a mention, after the answer before."""


@dataclass(frozen=True, kw_only=True)
class Asking:
    """One question and what becomes of it.

    Attributes:
        edits: How often it is changed afterwards.
        deleted: It is deleted in the end; only the last question of a talk ever is.
        votes: By person, their gestures in order.
    """

    manner: Manner
    edits: int
    deleted: bool
    votes: tuple[tuple[Gesture, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Talk:
    """One thread: a channel or a direct message, with the first question and follow-ups."""

    direct: bool
    questions: tuple[Asking, ...]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Everything that happens at the same time; `seed` sets delays, copies and kills."""

    seed: int
    talks: tuple[Talk, ...]


_GESTURES = st.lists(st.sampled_from(Gesture), min_size=0, max_size=4).map(tuple)

_ASKING = st.builds(
    Asking,
    manner=st.sampled_from(Manner),
    edits=st.sampled_from([0, 0, 0, 1, 2]),
    deleted=st.sampled_from([False, False, False, False, True]),
    votes=st.tuples(*[_GESTURES] * VOTERS),
)


def _only_the_last_is_deleted(questions: list[Asking]) -> tuple[Asking, ...]:
    kept = [
        Asking(manner=q.manner, edits=q.edits, deleted=False, votes=q.votes) for q in questions[:-1]
    ]
    return (*kept, questions[-1])


_TALKS = st.builds(
    Talk,
    direct=st.sampled_from([False, False, False, True]),
    questions=st.lists(_ASKING, min_size=1, max_size=3).map(_only_the_last_is_deleted),
)


def schedules(talks: int) -> st.SearchStrategy[Schedule]:
    """Returns schedules of so many talks."""
    return st.builds(
        Schedule,
        seed=st.integers(0, 2**32 - 1),
        talks=st.lists(_TALKS, min_size=talks, max_size=talks).map(tuple),
    )

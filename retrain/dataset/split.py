"""The split that never leaks: sides are drawn once per group and stored for ever.

Neighbour rule at arrival: a row joins the side of the rows it resembles (same thread, a question
with near vectors or near character 5-grams); without neighbours it founds a group, whose side is
drawn by salted hash of its thread; with neighbours on both sides it is quarantined, that is,
neither trained on nor evaluated, and nobody's neighbour. Clusters would be the obvious rule and
are the wrong one: single linkage chains a fifth of a real set into one cluster, and merging two
groups later would move rows across the split.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from retrain.dataset.policy import DatasetPolicy
from retrain.dataset.rows import Candidate, digest, text_key
from retrain.dataset.similarity import (
    QuestionVectors,
    cosine_pairs,
    shingles,
    similar_pairs,
)

_SETTLING = 12
_DRIFT = 0.02


class Side(StrEnum):
    """Where a row lives, for ever."""

    TRAIN = "train"
    HOLDOUT = "holdout"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """The stored side of one question of one interaction.

    The question is kept because later rows must be compared with it even when the interaction
    itself is no longer among the input. It is empty when its author was forgotten: then thread, row
    and digest of the completion still say where it belongs.
    """

    row_id: str
    thread_id: str
    question: str
    completion_key: str
    group: str
    side: Side

    @property
    def key(self) -> tuple[str, str]:
        """Identity: an interaction whose question was edited is a new row."""
        return self.row_id, text_key(self.question)

    def to_row(self) -> Mapping[str, Any]:
        """Returns the line of `splits.jsonl`."""
        return {
            "row_id": self.row_id,
            "thread_id": self.thread_id,
            "question": self.question,
            "completion_key": self.completion_key,
            "group": self.group,
            "side": self.side.value,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Assignment":
        """Parses a line of `splits.jsonl`.

        Raises:
            KeyError: When a field is missing.
            ValueError: When the side is unknown.
        """
        return cls(
            row_id=str(row["row_id"]),
            thread_id=str(row["thread_id"]),
            question=str(row["question"]),
            completion_key=str(row["completion_key"]),
            group=str(row["group"]),
            side=Side(str(row["side"])),
        )


@dataclass(frozen=True, kw_only=True)
class LeakCheck:
    """How many rows on one side have a twin on the other, at one pair of thresholds.

    Attributes:
        cosine: Threshold for vectors; None when no vectors were given.
        jaccard: Threshold for character 5-grams.
        pairs_checked: Pairs across the sides; 0 means that nothing was proven.
        leaking_pairs: Pairs at or above a threshold.
        leaking_holdout: Held-out rows with at least one such twin.
    """

    cosine: float | None
    jaccard: float
    pairs_checked: int
    leaking_pairs: int
    leaking_holdout: int

    def to_row(self) -> Mapping[str, Any]:
        """Returns the entry of the manifest."""
        return {
            "cosine": self.cosine,
            "jaccard": self.jaccard,
            "pairs_checked": self.pairs_checked,
            "leaking_pairs": self.leaking_pairs,
            "leaking_holdout": self.leaking_holdout,
        }


def assign(
    candidates: Sequence[Candidate],
    previous: Sequence[Assignment],
    policy: DatasetPolicy,
    vectors: QuestionVectors | None,
) -> list[Assignment]:
    """Returns the assignments of all candidates, in their order.

    Args:
        candidates: Clean rows; new ones are taken in order of time, then id.
        previous: Every assignment ever made; none of them changes.
        policy: Salt, share and thresholds.
        vectors: Vectors of all questions of candidates and previous assignments, or None.
    """
    stored = {assignment.key: assignment for assignment in previous}
    fresh = sorted(
        (c for c in candidates if (c.id, text_key(c.question)) not in stored),
        key=lambda c: (c.record.ts, c.id),
    )
    known = list(previous) + [_unplaced(c) for c in fresh]
    neighbours = _neighbours(known, len(previous), policy, vectors)
    balance = Counter(assignment.side for assignment in previous)
    for index in range(len(previous), len(known)):
        placed = [
            known[j]
            for j in sorted(neighbours[index])
            if j < index and known[j].side is not Side.QUARANTINE
        ]
        share = _draw_share(balance, policy)
        known[index] = _place(known[index], placed, policy, share)
        balance[known[index].side] += 1
        stored[known[index].key] = known[index]
    return [stored[c.id, text_key(c.question)] for c in candidates]


def twins_across(
    left: Sequence[str],
    right: Sequence[str],
    vectors: QuestionVectors | None,
    *,
    cosine: float,
    jaccard: float,
) -> set[tuple[int, int]]:
    """Returns the pairs `(i, j)` of nearly equal questions, one from each list; exact."""
    joined = [shingles(text) for text in (*left, *right)]
    pairs = {(i, j - len(left)) for i, j in similar_pairs(joined, jaccard) if i < len(left) <= j}
    if vectors is not None and left and right:
        pairs.update(cosine_pairs(vectors.matrix(left), vectors.matrix(right), cosine))
    return pairs


def check_leaks(
    train: Sequence[str],
    holdout: Sequence[str],
    policy: DatasetPolicy,
    vectors: QuestionVectors | None,
) -> list[LeakCheck]:
    """Counts twins across the sides at the split's thresholds and one step below.

    A split looks perfect at the thresholds it was made with, so the second figure is the one
    that says something.
    """
    checks = []
    for step in (0.0, policy.leak_step):
        cosine, jaccard = policy.twin_cosine - step, policy.twin_jaccard - step
        pairs = twins_across(train, holdout, vectors, cosine=cosine, jaccard=jaccard)
        checks.append(
            LeakCheck(
                cosine=None if vectors is None else round(cosine, 6),
                jaccard=round(jaccard, 6),
                pairs_checked=len(train) * len(holdout),
                leaking_pairs=len(pairs),
                leaking_holdout=len({j for _, j in pairs}),
            )
        )
    return checks


def _unplaced(candidate: Candidate) -> Assignment:
    return Assignment(
        row_id=candidate.id,
        thread_id=candidate.record.thread_id,
        question=candidate.question,
        completion_key=digest(text_key(candidate.completion))[:16],
        group="",
        side=Side.QUARANTINE,
    )


def _draw_share(balance: Mapping[Side, int], policy: DatasetPolicy) -> float:
    """Returns the chance that the next group is held out.

    It leans back when the share has drifted, which small and clumpy sets do.
    """
    target = policy.holdout_share
    held, total = balance.get(Side.HOLDOUT, 0), balance.get(Side.TRAIN, 0)
    total += held
    if total < _SETTLING:
        return target
    if held / total < target - _DRIFT:
        return min(1.0, 2 * target)
    return target / 4 if held / total > target + _DRIFT else target


def _place(
    row: Assignment, placed: Sequence[Assignment], policy: DatasetPolicy, share: float
) -> Assignment:
    sides = {neighbour.side for neighbour in placed}
    if not placed:
        group = digest(policy.salt, "group", row.thread_id, row.row_id)[:16]
        draw = int(digest(policy.salt, "side", row.thread_id)[:12], 16) / 16**12
        side = Side.HOLDOUT if draw < share else Side.TRAIN
    elif len(sides) == 1:
        group, side = placed[0].group, placed[0].side
    else:
        group, side = "", Side.QUARANTINE
    return Assignment(
        row_id=row.row_id,
        thread_id=row.thread_id,
        question=row.question,
        completion_key=row.completion_key,
        group=group,
        side=side,
    )


def _neighbours(
    known: Sequence[Assignment],
    first_new: int,
    policy: DatasetPolicy,
    vectors: QuestionVectors | None,
) -> Mapping[int, set[int]]:
    """Returns, for each new index, the indices it resembles."""
    found: defaultdict[int, set[int]] = defaultdict(set)

    def join(pairs: Iterable[tuple[int, int]]) -> None:
        for i, j in pairs:
            if i != j:
                found[max(i, j)].add(min(i, j))

    join(_same([a.thread_id for a in known]))
    # An edited question stays with the versions before it.
    join(_same([a.row_id for a in known]))
    if policy.group_same_completion:
        join(_same([a.completion_key for a in known]))
    told = [index for index, a in enumerate(known) if a.question]
    questions = [known[index].question for index in told]
    pairs = similar_pairs([shingles(q) for q in questions], policy.twin_jaccard)
    join((told[i], told[j]) for i, j in pairs)
    first_told = bisect_left(told, first_new)
    if vectors is not None and first_told < len(told):
        everything = vectors.matrix(questions)
        fresh = cosine_pairs(everything[first_told:], everything, policy.twin_cosine)
        join((told[first_told + i], told[j]) for i, j in fresh)
    return found


def _same(keys: Sequence[str]) -> Iterable[tuple[int, int]]:
    members: defaultdict[str, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        for earlier in members[key]:
            yield earlier, index
        members[key].append(index)

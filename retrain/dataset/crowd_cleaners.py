"""Cleaners that judge a row by the other rows: duplicates, contradictions, single voices."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from feedback.domain.text import words
from retrain.arithmetic import numbers_in
from retrain.dataset.rows import Candidate, Disposition, Rejection, digest, text_key
from retrain.dataset.similarity import jaccard, near_duplicate_candidates, shingles

_COURTESY = frozenset(
    "a an the my our please hi hello hey thanks thank you just there kindly".split()  # noqa: SIM905
)
_NEGATION = re.compile(r"\b(?:not|no|never|none|cannot|can't|won't|don't|doesn't|isn't|aren't)\b")


@dataclass(frozen=True, kw_only=True)
class ExactDuplicateCleaner:
    """Lets the first of several equal rows stand for all of them.

    Equal after normalisation: question and answer both. A repeated interaction id is one too.
    """

    name: ClassVar[str] = "duplicate"

    def check(self, candidates: Sequence[Candidate]) -> list[Rejection]:
        """Returns all but the first of each set of equal rows."""
        first: dict[tuple[str, str], str] = {}
        found = []
        for candidate in candidates:
            key = (text_key(candidate.question), text_key(candidate.completion))
            kept = first.setdefault(key, candidate.id)
            if kept != candidate.id:
                detail = f"same question and answer as {kept}"
                found.append(
                    Rejection(id=candidate.id, reason=self.name, detail=detail, kept_as=kept)
                )
        return found


@dataclass(frozen=True, kw_only=True)
class NearDuplicateCleaner:
    """Lets the first of several nearly equal rows stand for all of them.

    Both the question and the answer must be alike and their numbers the same: paraphrases with
    the same answer are wanted, and `plan A has 5 seats` is no duplicate of `6 seats`.
    """

    name: ClassVar[str] = "near_duplicate"
    threshold: float

    def check(self, candidates: Sequence[Candidate]) -> list[Rejection]:
        """Returns all rows that an earlier, kept row stands for."""
        questions = [shingles(c.question) for c in candidates]
        answers = [shingles(c.completion) for c in candidates]
        both = [
            frozenset([*(f"q{s}" for s in q), *(f"a{s}" for s in a)])
            for q, a in zip(questions, answers, strict=True)
        ]
        gone: set[int] = set()
        found = []
        for i, earlier in near_duplicate_candidates(both, self.threshold):
            for j in earlier:
                if j in gone or not self._alike(candidates[i], candidates[j]):
                    continue
                if (
                    jaccard(questions[i], questions[j]) >= self.threshold
                    and jaccard(answers[i], answers[j]) >= self.threshold
                ):
                    gone.add(i)
                    kept = candidates[j].id
                    detail = f"nearly the same question and answer as {kept}"
                    found.append(
                        Rejection(
                            id=candidates[i].id, reason=self.name, detail=detail, kept_as=kept
                        )
                    )
                    break
        return found

    @staticmethod
    def _alike(left: Candidate, right: Candidate) -> bool:
        return numbers_in(left.completion) == numbers_in(right.completion) and numbers_in(
            left.question
        ) == numbers_in(right.question)


@dataclass(frozen=True, kw_only=True)
class ConflictCleaner:
    """Holds all answers to one question when any two of them contradict each other.

    One question: the same words in the same order, courtesies aside. Contradiction: different
    numbers, a negation in only one, or less than `overlap` of the shorter answer's words in the
    other. A person decides which one is right.
    """

    name: ClassVar[str] = "conflict"
    overlap: float

    def check(self, candidates: Sequence[Candidate]) -> list[Rejection]:
        """Returns every row of every question with contradicting answers."""
        by_question: defaultdict[str, list[Candidate]] = defaultdict(list)
        for candidate in candidates:
            by_question[question_key(candidate.question)].append(candidate)
        found = []
        for rows in by_question.values():
            clash = self._clash(rows)
            if clash is None:
                continue
            left, right, why = clash
            found += [
                Rejection(
                    id=row.id,
                    reason=self.name,
                    detail=f"{left.id} and {right.id} answer one question differently: {why}",
                    disposition=Disposition.HELD,
                    rivals=self._rivals(row, rows),
                )
                for row in rows
            ]
        return found

    def _rivals(self, row: Candidate, rows: Sequence[Candidate]) -> tuple[str, ...]:
        return tuple(
            other.id
            for other in rows
            if contradiction(row.completion, other.completion, self.overlap) is not None
        )

    def _clash(self, rows: Sequence[Candidate]) -> tuple[Candidate, Candidate, str] | None:
        for i, left in enumerate(rows):
            for right in rows[i + 1 :]:
                why = contradiction(left.completion, right.completion, self.overlap)
                if why is not None:
                    return left, right, why
        return None


@dataclass(frozen=True, kw_only=True)
class BurstCleaner:
    """Holds rows that one person gave faster than a person reads."""

    name: ClassVar[str] = "burst"
    rows: int
    seconds: float

    def check(self, candidates: Sequence[Candidate]) -> list[Rejection]:
        """Returns every row that lies in an overfull window of its contributor."""
        found = []
        for who, rows in _by_contributor(candidates).items():
            timed = sorted(
                (c for c in rows if c.contributed_at > 0), key=lambda c: c.contributed_at
            )
            for candidate in self._overfull(timed):
                detail = f"more than {self.rows} rows from {who} within {self.seconds:g} seconds"
                found.append(
                    Rejection(
                        id=candidate.id,
                        reason=self.name,
                        detail=detail,
                        disposition=Disposition.HELD,
                    )
                )
        return found

    def _overfull(self, timed: Sequence[Candidate]) -> Iterable[Candidate]:
        held: set[int] = set()
        start = 0
        for end, candidate in enumerate(timed):
            while candidate.contributed_at - timed[start].contributed_at > self.seconds:
                start += 1
            if end - start + 1 > self.rows:
                held.update(range(start, end + 1))
        return [timed[i] for i in sorted(held)]


@dataclass(frozen=True, kw_only=True)
class SourceShareCleaner:
    """Holds what a source gave beyond its share of all rows; `floor` rows are always allowed."""

    name: ClassVar[str] = "source_share"
    shares: Mapping[str, float]
    floor: int
    salt: str

    def check(self, candidates: Sequence[Candidate]) -> list[Rejection]:
        """Returns the rows above each source's limit, chosen by salted hash."""
        by_source: defaultdict[str, list[Candidate]] = defaultdict(list)
        for candidate in candidates:
            by_source[candidate.source.value].append(candidate)
        found = []
        for source, share in sorted(self.shares.items()):
            rows = by_source[source]
            others = len(candidates) - len(rows)
            # The largest limit L with L <= share * (others + L).
            limit = max(self.floor, int(share * others / (1 - share)) if share < 1 else len(rows))
            who = f"{len(rows)} rows are of source {source}"
            found += _surplus(self.name, rows, limit, self.salt, f"{who}, its limit is {limit}")
        return found


@dataclass(frozen=True, kw_only=True)
class ContributorShareCleaner:
    """Holds what one person gave beyond `share` of all rows; `floor` rows are always allowed.

    A percentage alone is no defence (some 250 documents can plant a behaviour) and an absolute
    number alone stops small teams, so the larger of the two counts. Rows without a recorded
    contributor are not limited; the manifest counts them.
    """

    name: ClassVar[str] = "contributor_share"
    share: float
    floor: int
    salt: str

    def check(self, candidates: Sequence[Candidate]) -> list[Rejection]:
        """Returns the rows above each contributor's limit, chosen by salted hash."""
        by_contributor = _by_contributor(candidates)
        counts = {who: len(rows) for who, rows in by_contributor.items()}
        unknown = len(candidates) - sum(counts.values())
        limit = self._limit(counts, unknown)
        found = []
        for who, rows in by_contributor.items():
            detail = f"{who} gave {counts[who]} rows, the limit for one person is {limit}"
            found += _surplus(self.name, rows, limit, self.salt, detail)
        return found

    def _limit(self, counts: Mapping[str, int], unknown: int) -> int:
        """Returns the largest limit L with L <= share * (rows left when all are cut to L)."""
        largest = max(counts.values(), default=0)
        low, high = self.floor, max(self.floor, largest)
        for limit in range(high, low, -1):
            left = unknown + sum(min(count, limit) for count in counts.values())
            if limit <= self.share * left:
                return limit
        return low


def _surplus(
    reason: str, rows: Sequence[Candidate], limit: int, salt: str, detail: str
) -> list[Rejection]:
    """Holds all but `limit` rows, chosen by salted hash, so that a rebuild holds the same ones."""
    surplus = sorted(rows, key=lambda c: digest(salt, c.id))[limit:]
    return [
        Rejection(id=c.id, reason=reason, detail=detail, disposition=Disposition.HELD)
        for c in sorted(surplus, key=lambda c: c.id)
    ]


def question_key(question: str) -> str:
    """Returns the question's words without courtesies: equal keys mean one question."""
    kept = [word for word in text_key(question).split() if word not in _COURTESY]
    return " ".join(kept) or text_key(question)


def contradiction(left: str, right: str, overlap: float) -> str | None:
    """Says why two answers to one question contradict each other, None when they agree."""
    if Counter(numbers_in(left)).keys() != Counter(numbers_in(right)).keys():
        return "their numbers differ"
    if bool(_NEGATION.search(left.casefold())) != bool(_NEGATION.search(right.casefold())):
        return "only one of them negates"
    ours, theirs = set(words(left)), set(words(right))
    shorter = min(len(ours), len(theirs))
    shared = len(ours & theirs)
    if shorter and shared / shorter < overlap:
        return f"only {shared} of {shorter} words are shared"
    return None


def _by_contributor(candidates: Sequence[Candidate]) -> Mapping[str, list[Candidate]]:
    groups: defaultdict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        if candidate.contributor is not None:
            groups[candidate.contributor].append(candidate)
    return groups

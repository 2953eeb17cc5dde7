"""Mining as one pure function: rows and vectors in, ranked patterns out."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from feedback.domain.interaction import TONE_REASONS, InteractionRecord
from feedback.domain.pattern import (
    MiningResult,
    Pattern,
    PatternKind,
    PatternStatus,
    PreviousPattern,
)
from feedback.errors import InvalidInputError
from feedback.mining.case import Case, Decision, VerdictPolicy
from feedback.mining.cluster import NOISE, ClusterPolicy, Labels, centroids, cluster
from feedback.mining.kinds import Failure, examine, kind_of
from feedback.mining.labels import by_typicality, keywords
from feedback.mining.rank import RankPolicy, distinct_people, priority, trend
from feedback.mining.remembered import Part, texts_of
from feedback.mining.signals import is_failure, re_asked
from feedback.mining.stable_ids import Named, name_clusters
from feedback.mining.verdict import decide
from feedback.ports import Embedder, Vectors

Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class MiningPolicy:
    """Everything that can be tuned; stored with each run.

    Attributes:
        correction_weight: How much the correction's meaning counts against the question's (0..1)
            where there is one. Short questions inside a dialogue say little by themselves.
        near_cosine: A good answer counts for a pattern when its question is this near the centroid.
        examples: Examples shown per pattern.
    """

    cluster: ClusterPolicy = field(default_factory=ClusterPolicy)
    verdict: VerdictPolicy = field(default_factory=VerdictPolicy)
    rank: RankPolicy = field(default_factory=RankPolicy)
    correction_weight: float = 0.6
    near_cosine: float = 0.6
    examples: int = 3


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """Vectors of the rows: questions, and corrections (zero rows without one).

    Both have shape (rows, dimensions) and stand in the order of the records.
    """

    questions: Vectors
    corrections: Vectors | None = None


async def embed_records(records: Sequence[InteractionRecord], embedder: Embedder) -> Meaning:
    """Embeds the distinct questions of all rows and the distinct corrections of the failed ones."""
    texts = texts_of(records)
    distinct = list(dict.fromkeys(texts.values()))
    vectors = await embedder.embed(distinct)
    row_of = {text: row for row, text in enumerate(distinct)}
    questions = vectors[[row_of[record.question] for record in records]]
    meant = np.zeros_like(questions)
    for row, record in enumerate(records):
        if (correction := texts.get((record.id, Part.CORRECTION))) is not None:
            meant[row] = vectors[row_of[correction]]
    return Meaning(questions=questions, corrections=meant)


def mine(
    records: Sequence[InteractionRecord],
    meaning: Meaning,
    *,
    previous: Sequence[PreviousPattern] = (),
    used_ids: Collection[str] = (),
    policy: MiningPolicy | None = None,
    off_brand: Callable[[str], bool] | None = None,
    found_now: Mapping[str, float] | None = None,
) -> MiningResult:
    """Groups the failures among `records` and says what to do about each group.

    Args:
        records: All answered questions of the window; the good ones only weigh the failures.
        meaning: Their vectors.
        previous: Earlier patterns; their ids and what people decided live on.
        used_ids: Every pattern id ever given.
        policy: Constants; the defaults when None.
        off_brand: Tells whether an answer violates the style guide.
        found_now: By interaction id, the best score of its question in today's documents.

    Raises:
        InvalidInputError: When rows and vectors do not match or an id occurs twice.
    """
    _check(records, meaning)
    run = _Run(records, meaning, policy or MiningPolicy(), off_brand, found_now or {})
    groups = run.groups(previous)
    named = name_clusters(
        [[run.failures[row].record.id for row in group] for group in groups],
        previous,
        used_ids=used_ids,
        centres=[run.centre(group).tolist() for group in groups],
    )
    patterns = run.patterns(groups, named)
    clustered = {item for pattern in patterns for item in pattern.member_ids}
    return MiningResult(
        patterns=tuple(sorted(patterns, key=lambda item: (-item.score, item.id))),
        unclustered=tuple(
            failure.record.id for failure in run.failures if failure.record.id not in clustered
        ),
        changes=named.changes,
    )


def _check(records: Sequence[InteractionRecord], meaning: Meaning) -> None:
    if len(meaning.questions) != len(records):
        raise InvalidInputError(
            f"{len(records)} rows but {len(meaning.questions)} vectors: embed the same rows"
        )
    twice = [name for name, count in Counter(r.id for r in records).items() if count > 1]
    if twice:
        raise InvalidInputError(
            f"interaction id {twice[0]!r} occurs more than once ({len(twice)} ids do); "
            "give every row its own id"
        )


class _Run:
    """The arrays and failures of one run, in step with each other."""

    def __init__(
        self,
        records: Sequence[InteractionRecord],
        meaning: Meaning,
        policy: MiningPolicy,
        off_brand: Callable[[str], bool] | None,
        found_now: Mapping[str, float],
    ) -> None:
        self.policy = policy
        self._now = max((record.ts for record in records), default=0.0)
        again = re_asked(records, meaning.questions)
        failed = np.array(
            [is_failure(record, re_asked=row in again) for row, record in enumerate(records)],
            dtype=bool,
        )
        known = any(record.retrieved for record in records)
        self.failures: list[Failure] = [
            examine(
                records[row],
                retrieval_known=known,
                missing_score=policy.verdict.missing_score,
                off_brand=off_brand,
                re_asked=row in again,
                found_now=found_now.get(records[row].id),
            )
            for row in np.flatnonzero(failed).tolist()
        ]
        self.questions = meaning.questions[failed]
        self.corrections = None if meaning.corrections is None else meaning.corrections[failed]
        self._good = meaning.questions[~failed]
        self.vectors = _blend(self.questions, self.corrections, policy.correction_weight)

    def groups(self, previous: Sequence[PreviousPattern]) -> list[Rows]:
        """Returns the rows of every pattern, the most typical row first."""
        if not self.failures:
            return []
        labels = cluster(self.vectors, self.policy.cluster, start=self._warm_start(previous))
        groups = [np.flatnonzero(labels == label) for label in range(int(labels.max()) + 1)]
        groups += self._tone_groups(labels)
        return [by_typicality(self.vectors, rows) for rows in groups]

    def _warm_start(self, previous: Sequence[PreviousPattern]) -> Labels | None:
        old = {item: number for number, past in enumerate(previous) for item in past.member_ids}
        start = np.array([old.get(f.record.id, NOISE) for f in self.failures], dtype=np.int64)
        return start if (start >= 0).any() else None

    def _tone_groups(self, labels: Labels) -> list[Rows]:
        """Groups tone failures whose subject repeats nowhere: the tone itself is the pattern."""
        by_reason: dict[str, list[int]] = {}
        for row in np.flatnonzero(labels == NOISE).tolist():
            failure = self.failures[row]
            given = sorted(set(failure.record.reasons) & TONE_REASONS)
            if failure.kind is PatternKind.TONE and given:
                by_reason.setdefault(given[0], []).append(row)
        least = self.policy.cluster.min_size
        return [
            np.array(rows, dtype=np.int64)
            for _, rows in sorted(by_reason.items())
            if len(rows) >= least
        ]

    def centre(self, rows: Rows) -> NDArray[np.float32]:
        """Returns the L2-normalised mean of the rows' vectors."""
        mean: Vectors = centroids(self.vectors[rows], np.zeros(len(rows), dtype=np.int64))[0]
        return mean

    def patterns(self, groups: Sequence[Rows], named: Named) -> list[Pattern]:
        """Builds every group's pattern."""
        words = keywords([[self._text(row) for row in group] for group in groups])
        answers = self._answers(groups)
        return [
            self._pattern(rows, words[number], answers[number], named, number)
            for number, rows in enumerate(groups)
        ]

    def _text(self, row: int) -> str:
        record = self.failures[row].record
        return f"{record.question} {record.correction or ''}"

    def _answers(self, groups: Sequence[Rows]) -> list[int]:
        """Counts all answers of each pattern: its failures and the good answers nearest to it."""
        counts = [len(rows) for rows in groups]
        if not groups or not len(self._good):
            return counts
        asked = [self.questions[rows].mean(axis=0) for rows in groups]
        centres = np.stack([mean / max(float(np.linalg.norm(mean)), 1e-12) for mean in asked])
        for start in range(0, len(self._good), 4096):
            likeness = self._good[start : start + 4096] @ centres.T
            best = likeness.argmax(axis=1)
            near = likeness.max(axis=1) >= self.policy.near_cosine
            for number, count in Counter(best[near].tolist()).items():
                counts[number] += count
        return counts

    def _pattern(
        self, rows: Rows, words: tuple[str, ...], answers: int, named: Named, number: int
    ) -> Pattern:
        by_age = sorted(rows.tolist(), key=lambda row: (self.failures[row].record.ts, row))
        members = [self.failures[row] for row in by_age]
        records = [failure.record for failure in members]
        kind, people = kind_of(members), distinct_people(records)
        decision = decide(
            Case(
                failures=members,
                kind=kind,
                keywords=words,
                questions=self.questions[by_age],
                corrections=None if self.corrections is None else self.corrections[by_age],
                previous=named.matched[number],
                policy=self.policy.verdict,
            )
        )
        return Pattern(
            id=named.ids[number],
            kind=kind,
            label=", ".join(words),
            keywords=words,
            size=len(records),
            users=people,
            verdict=decision.verdict,
            verdict_reasons=decision.reasons,
            evidence_ids=decision.evidence_ids,
            draft=decision.draft,
            example_ids=tuple(self.failures[row].record.id for row in rows[: self.policy.examples]),
            member_ids=tuple(record.id for record in records),
            score=priority(
                kind,
                people=people,
                failures=len(records),
                answers=answers,
                age_s=self._now - records[-1].ts,
                policy=self.policy.rank,
            ),
            trend=trend([record.ts for record in records]),
            first_seen=records[0].ts,
            last_seen=records[-1].ts,
            centroid=tuple(self.centre(rows).tolist()),
            status=_status(named.matched[number] or named.origins[number], records, decision),
            signals=dict(sorted(Counter(s.value for f in members for s in f.signals).items())),
        )


def _blend(questions: Vectors, corrections: Vectors | None, weight: float) -> Vectors:
    """Mixes question and correction where there is one, and normalises."""
    if corrections is None or weight <= 0:
        return questions
    has = (np.abs(corrections).sum(axis=1) > 0)[:, None]
    mixed = np.where(has, (1 - weight) * questions + weight * corrections, questions)
    norms = np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-12)
    blended: Vectors = (mixed / norms).astype(np.float32)
    return blended


def _status(
    before: PreviousPattern | None, records: Sequence[InteractionRecord], decision: Decision
) -> PatternStatus:
    """A rejected pattern stays rejected; a resolved one that grows is a regression.

    Args:
        before: The pattern itself in an earlier run, or the one it was split off from.
        records: Its members.
        decision: May tell that the fix shows in the documents already.
    """
    status = PatternStatus.OPEN if before is None else before.status
    if status is PatternStatus.REJECTED:
        return status
    if decision.mended:
        return PatternStatus.RESOLVED
    if before is not None and status is PatternStatus.RESOLVED:
        known = set(before.member_ids)
        grown = any(record.id not in known for record in records)
        return PatternStatus.REGRESSION if grown else PatternStatus.RESOLVED
    return status

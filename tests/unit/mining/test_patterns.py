"""Mining end to end on small planted sets, with the hashing embedder."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.domain.interaction import InteractionRecord, Rating, Reason
from feedback.domain.pattern import (
    MiningResult,
    PatternKind,
    PatternStatus,
    PreviousPattern,
    Verdict,
)
from feedback.errors import InvalidInputError
from feedback.mining.patterns import Meaning, embed_records, mine
from feedback.testing import HashingEmbedder
from tests.unit.mining.rows import row

EXPORTS = [
    "exports kept days",
    "days exports are kept",
    "are exports kept for days",
    "exports days",
]
INVOICES = ["invoice arrives mail", "does the invoice arrive by mail", "mail invoice arrives when"]


def run(records: list[InteractionRecord], **options: object) -> MiningResult:
    meaning = asyncio.run(embed_records(records, HashingEmbedder()))
    return mine(records, meaning, **options)  # type: ignore[arg-type]


def week() -> list[InteractionRecord]:
    """Six wrong answers about exports, five about invoices, two oddities, two good answers."""
    exports = [
        row(
            f"e{n}",
            EXPORTS[n % 4],
            "Exports stay 9 days.",
            correction="Exports stay 45 days.",
            reasons=[Reason.WRONG_FACT],
            score=0.9,
            ts=n,
        )
        for n in range(6)
    ]
    invoices = [
        row(
            f"i{n}",
            INVOICES[n % 3],
            "Invoices come today.",
            score=0.1,
            ts=100 + n,
            correction="The invoice arrives by mail on Friday.",
            reasons=[Reason.WRONG_FACT],
        )
        for n in range(5)
    ]
    odd = [
        row("o1", "purple giraffe umbrella", score=0.9),
        row("o2", "volcano piano sandwich", score=0.9),
    ]
    good = [row(f"g{n}", EXPORTS[n], "45 days.", rating=Rating.UP, score=0.9) for n in range(2)]
    return exports + invoices + odd + good


def test_finds_the_planted_patterns_and_leaves_the_rest() -> None:
    result = run(week())
    assert [pattern.size for pattern in result.patterns] == [6, 5]
    assert set(result.unclustered) == {"o1", "o2"}
    exports, invoice = result.patterns
    assert "exports" in exports.label
    assert "invoice" in invoice.label
    assert (exports.kind, exports.verdict) == (PatternKind.REPEATED_ERROR, Verdict.FINE_TUNE)
    assert (invoice.kind, invoice.verdict) == (PatternKind.MISSING_KNOWLEDGE, Verdict.DOCUMENT)
    assert exports.member_ids == tuple(f"e{n}" for n in range(6))
    assert set(exports.example_ids) <= set(exports.member_ids)
    assert (exports.first_seen, exports.last_seen, exports.users) == (0, 5, 6)
    assert np.linalg.norm(exports.centroid) == pytest.approx(1, abs=1e-5)


def test_patterns_come_most_urgent_first_and_every_failure_once() -> None:
    records = week()
    result = run(records)
    scores = [pattern.score for pattern in result.patterns]
    assert scores == sorted(scores, reverse=True)
    members = [item for pattern in result.patterns for item in pattern.member_ids]
    listed = sorted([*members, *result.unclustered])
    assert listed == sorted(record.id for record in records if record.failed)


def test_good_answers_to_the_same_question_lower_the_priority() -> None:
    records = week()
    more = [row(f"x{n}", EXPORTS[0], "45 days.", rating=Rating.UP) for n in range(60)]
    before = {pattern.id: pattern.score for pattern in run(records).patterns}
    after = {pattern.id: pattern.score for pattern in run(records + more).patterns}
    assert before.keys() == after.keys()
    changed = [name for name in before if after[name] < before[name] - 1e-9]
    assert len(changed) == 1


def remembered(result: MiningResult, status: PatternStatus) -> list[PreviousPattern]:
    return [
        PreviousPattern(
            id=pattern.id,
            member_ids=pattern.member_ids,
            centroid=pattern.centroid,
            status=status,
            verdict=pattern.verdict,
        )
        for pattern in result.patterns
    ]


def grown() -> list[InteractionRecord]:
    new = [
        row(f"new{n}", EXPORTS[n], "9 days.", correction="Exports stay 45 days.", score=0.9)
        for n in range(3)
    ]
    return week() + new


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (PatternStatus.OPEN, PatternStatus.OPEN),
        (PatternStatus.REJECTED, PatternStatus.REJECTED),
        (PatternStatus.RESOLVED, PatternStatus.REGRESSION),
    ],
)
def test_ids_and_decisions_live_on(given: PatternStatus, expected: PatternStatus) -> None:
    first = run(week())
    second = run(grown(), previous=remembered(first, given))
    assert {pattern.id for pattern in second.patterns} == {pattern.id for pattern in first.patterns}
    exports = max(second.patterns, key=lambda pattern: pattern.size)
    assert exports.size == 9
    assert exports.status is expected


def test_a_resolved_pattern_without_new_members_stays_resolved() -> None:
    first = run(week())
    second = run(week(), previous=remembered(first, PatternStatus.RESOLVED))
    assert {pattern.status for pattern in second.patterns} == {PatternStatus.RESOLVED}


def test_the_missing_document_turns_the_verdict_into_resolved() -> None:
    first = run(week())
    before = {pattern.id: pattern for pattern in first.patterns}
    written = {f"i{n}": 0.9 for n in range(5)}
    second = run(week(), previous=remembered(first, PatternStatus.OPEN), found_now=written)
    for pattern in second.patterns:
        document = before[pattern.id].verdict is Verdict.DOCUMENT
        assert (pattern.status is PatternStatus.RESOLVED) is document
    refused = run(week(), previous=remembered(first, PatternStatus.REJECTED), found_now=written)
    assert {pattern.status for pattern in refused.patterns} == {PatternStatus.REJECTED}


@settings(max_examples=15)
@given(st.sets(st.integers(0, 5), min_size=3), st.integers(0, 3))
def test_a_rejected_pattern_stays_rejected(kept: set[int], more: int) -> None:
    """Whatever part of it is left, whatever joins it, and after a night without any of it."""
    rejected = remembered(run(week()), PatternStatus.REJECTED)
    new = [r for r in grown() if r.id.startswith("new")][:more]
    rows = [r for r in week() if not r.id.startswith("e") or int(r.id[1:]) in kept] + new
    exports = {r.id for r in rows if r.id.startswith(("e", "new"))}
    away = run([r for r in rows if r.id not in exports], previous=rejected)
    known = remembered(away, PatternStatus.REJECTED)
    known += [replace(p, current=False) for p in rejected if p.id not in {o.id for o in known}]
    for before in (rejected, known):
        result = run(rows, previous=before)
        assert {p.status for p in result.patterns} == {PatternStatus.REJECTED}
        assert {p.id for p in result.patterns} == {p.id for p in rejected}


def test_what_splits_off_a_rejected_pattern_is_rejected_too() -> None:
    everything = PreviousPattern(
        id="pat-all",
        member_ids=tuple(r.id for r in week() if r.failed),
        status=PatternStatus.REJECTED,
    )
    result = run(week(), previous=[everything])
    assert len(result.patterns) == 2
    assert {pattern.status for pattern in result.patterns} == {PatternStatus.REJECTED}


def test_a_pattern_says_what_it_costs() -> None:
    handed = {"handed_off": True, "grounded": False}
    records = [replace(record, extra=handed) for record in week()]
    exports = max(run(records).patterns, key=lambda pattern: pattern.size)
    assert exports.signals["hand_off"] == exports.signals["ungrounded"] == 6
    assert exports.signals["down_vote"] == exports.signals["changed_facts"] == 6


def test_tone_failures_without_a_common_subject_are_a_pattern_by_reason() -> None:
    subjects = ["apple", "bridge", "candle", "desert", "engine"]
    records = [
        row(f"t{n}", f"{word} {word}ish?", "No.", reasons=[Reason.TOO_COLD], score=0.9)
        for n, word in enumerate(subjects)
    ]
    (pattern,) = run(records).patterns
    assert (pattern.kind, pattern.size) == (PatternKind.TONE, 5)


def test_the_order_of_the_rows_does_not_matter() -> None:
    records = week()
    turned = run(records[::-1])
    straight = run(records)
    assert {(p.id, p.size, p.verdict) for p in straight.patterns} == {
        (p.id, p.size, p.verdict) for p in turned.patterns
    }


def test_no_failures_no_patterns() -> None:
    result = run([row("g", "exports kept", rating=Rating.UP)])
    assert result == MiningResult(patterns=(), unclustered=())


def test_mismatched_input_is_refused() -> None:
    records = week()
    meaning = asyncio.run(embed_records(records, HashingEmbedder()))
    with pytest.raises(InvalidInputError, match="14 rows but 15 vectors"):
        mine(records[1:], meaning)
    twice = [*records[1:], replace(records[1], question="again")]
    with pytest.raises(InvalidInputError, match="'e1' occurs more than once"):
        mine(twice, Meaning(questions=meaning.questions))

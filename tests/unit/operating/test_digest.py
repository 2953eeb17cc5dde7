"""The week in patterns, as figures and as a message in Slack."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.slack.views.digest import digest_blocks, digest_text
from feedback.domain.digest import PatternCounts, digest, fix_effect
from feedback.domain.pattern import Pattern, PatternKind, PatternStatus, Verdict
from feedback.domain.tone import ToneRate, ToneWeek
from tests.unit.bot.test_views import HOSTILE, LONG, require_valid, texts

NOW = datetime(2026, 3, 9, 8, tzinfo=UTC)
PATTERN = Pattern(
    id="p-1",
    kind=PatternKind.MISSING_KNOWLEDGE,
    label="exports, days",
    keywords=("exports", "days"),
    size=20,
    users=6,
    verdict=Verdict.DOCUMENT,
    verdict_reasons=("Nothing retrieved answers it.",),
    draft="# exports\n- How long?",
    example_ids=(),
    member_ids=(),
    score=3.0,
    first_seen=(NOW - timedelta(days=60)).timestamp(),
    last_seen=NOW.timestamp(),
    centroid=(),
    signals={"hand_off": 3, "down_vote": 1},
)


def counts(name: str = "p-1", lately: int = 6, before: int = 9, **fix: int) -> PatternCounts:
    values = {"before_fix": 0, "since_fix": 0} | fix
    return PatternCounts(pattern_id=name, lately=lately, before=before, **values)


def shown(*patterns: Pattern, **fix: int) -> str:
    told = digest(patterns, {p.id: counts(p.id, **fix) for p in patterns}, NOW)
    return "\n".join(text for _, text in texts(digest_blocks(told)))


def test_a_pattern_is_told_with_its_costs_its_fix_and_its_draft() -> None:
    text = shown(PATTERN)
    for part in (
        "6 failures", "9 the week before", "6 people", "3 hand-offs", "1 thumb down",
        "write or refresh a document", "How long?", "Accept the fix", "Reject",
    ):  # fmt: skip
        assert part in text
    assert "new" not in text
    assert "1 pattern is new" in shown(replace(PATTERN, first_seen=NOW.timestamp() - 60))


@pytest.mark.parametrize(
    ("status", "verdict", "told", "buttons"),
    [
        (PatternStatus.OPEN, Verdict.FINE_TUNE, True, {"Accept the fix", "Reject"}),
        (PatternStatus.ACCEPTED, Verdict.DOCUMENT, True, {"It is made", "Reject"}),
        (
            PatternStatus.REGRESSION,
            Verdict.PROMPT,
            True,
            {"Accept the fix", "It is made", "Reject"},
        ),
        (PatternStatus.REJECTED, Verdict.DOCUMENT, False, set()),
        (PatternStatus.RESOLVED, Verdict.DOCUMENT, False, set()),
        (PatternStatus.OPEN, Verdict.HOLD, False, set()),
    ],
)
def test_only_what_needs_somebody_is_told(
    status: PatternStatus, verdict: Verdict, told: bool, buttons: set[str]
) -> None:
    week = digest([replace(PATTERN, status=status, verdict=verdict)], {"p-1": counts()}, NOW)
    assert bool(week.top) is told
    assert week.lately == 6, "rejected ones go on failing"
    actions = [block for block in digest_blocks(week) if block["type"] == "actions"]
    assert {b["text"]["text"] for block in actions for b in block["elements"]} == buttons


def test_a_fix_is_measured_against_the_weeks_before_it() -> None:
    fixed = replace(PATTERN, status=PatternStatus.RESOLVED, resolved_at=NOW - timedelta(days=14))
    effect = fix_effect(fixed, counts(before_fix=20, since_fix=3), NOW)
    assert effect is not None
    assert (effect.before, effect.since) == (5.0, 1.5)
    assert "5.0 failures a week before, 1.5 since" in shown(fixed, before_fix=20, since_fix=3)
    back = replace(fixed, status=PatternStatus.REGRESSION)
    assert "it came back" in shown(back, before_fix=20, since_fix=3)


def test_a_young_pattern_is_measured_over_its_own_life() -> None:
    fixed = replace(
        PATTERN,
        resolved_at=NOW - timedelta(hours=3),
        first_seen=(NOW - timedelta(days=14, hours=3)).timestamp(),
    )
    effect = fix_effect(fixed, counts(before_fix=10, since_fix=0), NOW)
    assert effect is not None
    assert effect.before == pytest.approx(5.0)
    assert effect.since is None, "three hours say nothing"
    assert fix_effect(PATTERN, counts(), NOW) is None


def test_a_fix_that_is_said_to_be_made_in_the_digest_is_told_there() -> None:
    fixed = replace(PATTERN, status=PatternStatus.RESOLVED, resolved_at=NOW + timedelta(hours=2))
    assert "just fixed" in shown(fixed, before_fix=20)


def test_old_fixes_are_not_told_for_ever() -> None:
    fixed = replace(PATTERN, resolved_at=NOW - timedelta(days=40))
    assert digest([fixed], {"p-1": counts()}, NOW).fixes == ()


def test_it_tells_how_much_is_in_the_house_voice() -> None:
    tone = ToneWeek(lately=ToneRate(answers=412, rate=0.914, low=0.88, high=0.943))
    blocks = digest_blocks(digest([PATTERN], {"p-1": counts()}, NOW, tone=tone))
    assert tone.sentence in "\n".join(text for _, text in texts(blocks))


def test_a_pattern_whose_answers_were_erased_is_left_out() -> None:
    assert digest([PATTERN], {}, NOW).top == ()
    assert digest_text(digest([], {}, NOW)) == "This week in patterns: 0 failures"


@pytest.mark.parametrize("text", [HOSTILE, LONG])
def test_the_digest_is_valid_and_calls_nobody(text: str) -> None:
    patterns = [
        replace(
            PATTERN,
            id=f"p-{n}",
            label=text,
            draft=f"```{text}",
            verdict_reasons=(text[:300],),
            resolved_at=NOW - timedelta(days=2),
        )
        for n in range(9)
    ]
    week = digest(patterns, {p.id: counts(p.id) for p in patterns}, NOW)
    blocks = digest_blocks(week)
    require_valid(blocks)
    assert len(week.top) == 5
    for kind, shown_text in texts(blocks):
        assert kind == "plain_text" or "<" not in shown_text

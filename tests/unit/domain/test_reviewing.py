"""Second looks, rulings and agreement."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from feedback.domain.correction import (
    Correction,
    CorrectionSource,
    CorrectionState,
    Decision,
    Review,
)
from feedback.domain.reviewing import (
    AlreadyDecidedError,
    OwnCorrectionError,
    Ruling,
    agreement,
    needs_second,
    rule,
)

NOW = datetime(2026, 11, 2, tzinfo=UTC)
APPROVE, REJECT, ESCALATE = Decision.APPROVE, Decision.REJECT, Decision.ESCALATE
PROPOSED = Correction(
    id="c-1", interaction_id="i-1", thread_key="T:C:1", team="T", question="q", bot_answer="a",
    text="b", author="AUTHOR", source=CorrectionSource.MODAL, consent="reviewer_authored",
    created_at=NOW, redaction_version="1", state=CorrectionState.PROPOSED,
)  # fmt: skip
SECOND_LOOK = replace(PROPOSED, state=CorrectionState.SECOND_LOOK)


def decided(reviewer: str, decision: Decision, number: int = 1) -> Review:
    return Review(
        correction_id="c-1", version=1, reviewer=reviewer, decision=decision, note="",
        created_at=NOW, round=number,
    )  # fmt: skip


def test_the_share_is_kept_and_the_choice_is_the_same_every_time() -> None:
    ids = [f"c-{number}" for number in range(20_000)]
    chosen = {one for one in ids if needs_second(one, 0.1)}
    assert 1_850 < len(chosen) < 2_150
    assert chosen == {one for one in ids if needs_second(one, 0.1)}
    # Raising the share only adds.
    assert chosen < {one for one in ids if needs_second(one, 0.2)}
    assert not any(needs_second(one, 0.0) for one in ids)
    assert all(needs_second(one, 1.0) for one in ids)


@pytest.mark.parametrize(
    ("decision", "share", "state"),
    [
        (APPROVE, 0.0, CorrectionState.APPROVED),
        (REJECT, 0.0, CorrectionState.REJECTED),
        (ESCALATE, 0.0, CorrectionState.ESCALATED),
        (APPROVE, 1.0, CorrectionState.SECOND_LOOK),
        (REJECT, 1.0, CorrectionState.SECOND_LOOK),
        (ESCALATE, 1.0, CorrectionState.ESCALATED),
    ],
)
def test_first_decisions(decision: Decision, share: float, state: CorrectionState) -> None:
    ruling = rule(PROPOSED, [], reviewer="R1", decision=decision, second_share=share)
    assert ruling == Ruling(state=state, round=1)


@pytest.mark.parametrize(
    ("first", "second", "state"),
    [
        (APPROVE, APPROVE, CorrectionState.APPROVED),
        (REJECT, REJECT, CorrectionState.REJECTED),
        (APPROVE, REJECT, CorrectionState.ESCALATED),
        (REJECT, APPROVE, CorrectionState.ESCALATED),
        (APPROVE, ESCALATE, CorrectionState.ESCALATED),
    ],
)
def test_second_decisions(first: Decision, second: Decision, state: CorrectionState) -> None:
    earlier = [decided("R1", first)]
    ruling = rule(SECOND_LOOK, earlier, reviewer="R2", decision=second, second_share=0.0)
    assert ruling == Ruling(state=state, round=2)


def test_the_second_decision_is_neither_the_first_reviewers_nor_the_authors() -> None:
    earlier = [decided("R1", APPROVE)]
    with pytest.raises(AlreadyDecidedError):
        rule(SECOND_LOOK, earlier, reviewer="R1", decision=APPROVE, second_share=1.0)
    for decision in (APPROVE, REJECT):
        with pytest.raises(OwnCorrectionError):
            rule(SECOND_LOOK, earlier, reviewer="AUTHOR", decision=decision, second_share=1.0)


def test_an_admin_settles_what_was_escalated() -> None:
    escalated = replace(PROPOSED, state=CorrectionState.ESCALATED)
    earlier = [decided("R1", APPROVE), decided("R2", REJECT, 2)]
    ruling = rule(escalated, earlier, reviewer="BOSS", decision=APPROVE, second_share=1.0)
    assert ruling == Ruling(state=CorrectionState.APPROVED, round=3)


def test_authors_take_their_own_back_but_never_approve_it() -> None:
    ruling = rule(PROPOSED, [], reviewer="AUTHOR", decision=REJECT, second_share=1.0)
    assert ruling == Ruling(state=CorrectionState.REJECTED, round=1)
    for state in (PROPOSED, replace(PROPOSED, state=CorrectionState.ESCALATED)):
        with pytest.raises(OwnCorrectionError):
            rule(state, [], reviewer="AUTHOR", decision=APPROVE, second_share=0.0)


def test_kappa_of_a_worked_example() -> None:
    # 20 both yes, 5 yes/no, 10 no/yes, 15 both no: p_o = 0.7, p_e = 0.5, kappa = 0.4.
    pairs = (
        [(APPROVE, APPROVE)] * 20
        + [(APPROVE, REJECT)] * 5
        + [(REJECT, APPROVE)] * 10
        + [(REJECT, REJECT)] * 15
    )
    found = agreement(pairs)
    assert (found.pairs, found.agreed) == (50, 35)
    assert found.kappa == pytest.approx(0.4)


def test_kappa_at_its_edges() -> None:
    assert agreement([]).kappa is None
    assert agreement([(APPROVE, APPROVE)] * 9).kappa is None
    assert agreement([(APPROVE, APPROVE), (REJECT, REJECT)]).kappa == pytest.approx(1.0)
    assert agreement([(APPROVE, REJECT), (REJECT, APPROVE)]).kappa == pytest.approx(-1.0)
    three = [(APPROVE, APPROVE), (REJECT, ESCALATE), (ESCALATE, REJECT)]
    # p_o = 1/3; p_e = 3 * (1/3 * 1/3) = 1/3.
    assert agreement(three).kappa == pytest.approx(0.0)

"""What `/understudy` shows keeps to Slack's limits, and nothing in it calls anybody."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.operating import CONFIRM_WITHIN
from bot.orders import NEEDS, Help, Reply, Said, Status
from bot.slack.views.experiments import approval_blocks
from bot.slack.views.operating import render
from feedback.domain.operating import Confirmation, OperatorAct, Standing
from feedback.domain.pattern import Verdict as Fix
from feedback.domain.person import Role
from feedback.domain.prospects import TrialFacts
from feedback.domain.trial import Approval, Verdict
from feedback.domain.why import why
from feedback.store.overview import Backlog, LabelCounts, SwitchState
from tests.unit.bot.test_views import HOSTILE, require_valid, texts
from tests.unit.operating.test_why import CYCLE, LATELY, NOW, READY, pattern, trial

SEEN = Standing(
    champion_id=None,
    champion_version=3,
    previous_id=None,
    frozen=False,
    experiment_id="e1",
    challenger_id="new",
    state="TEST",
    decision="HOLD_samples",
)
STATUS = Status(
    now=NOW,
    standing=replace(SEEN, champion_id=HOSTILE),
    champion_since=NOW,
    served=("new", HOSTILE),
    brake=SwitchState(value="on", set_by="U0ADMIN", set_at=NOW),
    trials=(trial(),),
    cycles=(),
    last=replace(CYCLE, reason=HOSTILE * 50),
    next_cycle_at=NOW,
    labels=LabelCounts(approved=20, trainable=15, waiting=2),
    label_gate=5000,
    backlog=Backlog(
        inbox_waiting=1, inbox_failed=2, outbox_waiting=3, outbox_failed=0, oldest=None
    ),
    looked_at=None,
)
EMPTY = replace(
    STATUS,
    standing=replace(SEEN, experiment_id=None),
    champion_since=None,
    served=(),
    brake=None,
    trials=(),
    last=None,
    next_cycle_at=None,
)
HOSTILE_FACTS = replace(
    READY,
    labels=0,
    patterns=tuple(pattern(9, Fix.DOCUMENT, f"{HOSTILE} {n}" * 40) for n in range(9)),
    last_cycle=replace(CYCLE, reason=HOSTILE * 100),
)


def asked(act: OperatorAct, reason: str = HOSTILE) -> Confirmation:
    forget = act is OperatorAct.FORGET
    return Confirmation(
        id="abc",
        team="T1",
        user_id="U1",
        act=act,
        shown={"user": "U2"} if forget else SEEN.to_row(),
        reason="" if forget else reason,
        asked_at=NOW,
        expires_at=NOW + CONFIRM_WITHIN,
    )


REPLIES = [
    *(Help(role=role) for role in Role),
    STATUS,
    EMPTY,
    why(READY, [], NOW),
    why(HOSTILE_FACTS, [TrialFacts(trial=trial(), lately=LATELY)], NOW),
    *(asked(act) for act in OperatorAct),
    Said(text="Done."),
]


@pytest.mark.parametrize("reply", REPLIES)
def test_slack_takes_it_and_nobody_is_called(reply: Reply) -> None:
    text, blocks = render(reply)
    assert text
    require_valid(blocks)
    shown = "\n".join(found for _, found in texts(blocks))
    for call in ("<!here>", "<@U1>", "<https://evil"):
        assert call not in shown


def test_help_shows_what_the_person_may_do() -> None:
    for role in Role:
        _, blocks = render(Help(role=role))
        listed = blocks[0]["text"]["text"]
        for verb, needed in NEEDS.items():
            assert (f"/understudy {verb}`" in listed) == role.includes(needed)
    assert "forget @somebody" not in render(Help(role=Role.REVIEWER))[1][0]["text"]["text"]


def test_a_confirmation_shows_what_it_is_bound_to() -> None:
    _, blocks = render(asked(OperatorAct.PROMOTE))
    shown = "\n".join(found for _, found in texts(blocks))
    for part in (
        "*new*",
        "*the base model*",
        "TEST",
        "says hold: samples",
        "over it",
        "Good until",
    ):
        assert part in shown
    values = [item["value"] for item in blocks[2]["elements"]]
    assert values == ['{"k":"abc"}', '{"k":"abc"}'], "buttons carry an opaque id and nothing else"


def test_an_experiment_that_ended_undecided_is_told_as_that() -> None:
    over = replace(SEEN, state="INCONCLUSIVE", decision="INCONCLUSIVE").to_row()
    text, _ = render(replace(asked(OperatorAct.PROMOTE), shown=over))
    assert "Its experiment ended undecided; your word goes over it" in text
    text, _ = render(replace(asked(OperatorAct.ROLLBACK), shown=over))
    assert "experiment ends" not in text, "it has ended already"


def test_a_promotion_decided_elsewhere_names_who_said_so_and_calls_nobody() -> None:
    for who, shown in (
        ("U0ADMIN", "<@U0ADMIN>"),
        ("Ursula", "Ursula"),
        ("<!here>", "&lt;!here&gt;"),
    ):
        given = Approval(
            experiment_id="e1", version=9, asked_at=NOW, expires_at=NOW, verdict=Verdict.GRANTED,
            decided_by=who,
        )  # fmt: skip
        blocks = approval_blocks(trial(), given)
        require_valid(blocks)
        assert f"approved by {shown}*" in str(blocks)
        assert "promotion_grant" not in str(blocks)


def test_forgetting_names_the_person() -> None:
    assert "<@U2>" in render(asked(OperatorAct.FORGET))[0]
    own = replace(asked(OperatorAct.FORGET), shown={"user": "U1"})
    assert "about you?" in render(own)[0]


def test_why_names_the_date_and_what_is_missing() -> None:
    facts = replace(READY, labels=900)
    shown = "\n".join(found for _, found in texts(render(why(facts, [], NOW))[1]))
    assert "100 approved corrections missing at 10.0 a day" in shown
    assert f"expected on {NOW + timedelta(days=10):%Y-%m-%d}" in shown

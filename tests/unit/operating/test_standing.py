"""What moved since an operator looked, told in sentences."""

import json
from dataclasses import replace

import pytest

from feedback.domain.operating import OperatorAct, Standing, changes

SEEN = Standing(
    champion_id="one",
    champion_version=4,
    previous_id=None,
    frozen=False,
    running=2,
    waiting=("e2",),
    experiment_id="e1",
    challenger_id="two",
    state="TEST",
    decision="NONE",
)


@pytest.mark.parametrize("act", OperatorAct)
def test_nothing_moved(act: OperatorAct) -> None:
    assert changes(SEEN, SEEN, act) == ()


@pytest.mark.parametrize(
    ("moved", "words", "matters_for_rollback"),
    [
        ({"champion_version": 5, "champion_id": None}, "is the base model now", True),
        ({"state": "READY"}, "from TEST to READY", False),
        ({"decision": "HOLD_response"}, "said undecided and says hold: response now", False),
        ({"frozen": True}, "traffic was frozen", False),
        ({"paused": True}, "the experiment was paused", False),
        ({"state": "FUTILE"}, "from TEST to FUTILE", False),
    ],
)
def test_what_moved(moved: dict[str, object], words: str, matters_for_rollback: bool) -> None:
    now = replace(SEEN, **moved)  # type: ignore[arg-type]
    (told,) = changes(SEEN, now, OperatorAct.PROMOTE)
    assert words in told
    assert bool(changes(SEEN, now, OperatorAct.ROLLBACK)) == matters_for_rollback


def test_a_promotion_that_waits_no_longer_matters_for_a_rollback() -> None:
    for waiting in ((), ("e2", "e3")):
        (told,) = changes(SEEN, replace(SEEN, waiting=waiting), OperatorAct.ROLLBACK)
        assert told.startswith("the promotion that waits was e2 and is ")


def test_everything_that_moved_is_told() -> None:
    now = replace(SEEN, champion_version=5, state="READY", frozen=True)
    assert len(changes(SEEN, now, OperatorAct.PROMOTE)) == 3


def test_it_survives_the_database() -> None:
    assert Standing.from_row(json.loads(json.dumps(SEEN.to_row()))) == SEEN
    assert Standing.from_row({**SEEN.to_row(), "of another version": 1}) == SEEN

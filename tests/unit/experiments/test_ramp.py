"""Exposure grows on counts and time."""

import pytest

from feedback.errors import InvalidInputError
from retrain.experiments.policy import PROFILES, ExperimentPolicy
from retrain.experiments.ramp import RampState, first_stage, next_stage

HOUR = 3600.0
DEFAULT = ExperimentPolicy()


@pytest.mark.parametrize(
    ("stage", "hours", "delivered", "expected"),
    [
        ("CANARY", 24, 20, "RAMP"),
        ("CANARY", 23.9, 500, None),
        ("CANARY", 71.9, 19, None),
        ("CANARY", 72, 0, "RAMP"),
        ("RAMP", 0, 60, "TEST"),
        ("RAMP", 1000, 59, None),
        ("TEST", 1000, 10_000, None),
    ],
)
def test_default_ramp(stage: str, hours: float, delivered: int, expected: str | None) -> None:
    state = RampState(stage=stage, entered_at=1000.0, challenger_delivered=delivered)
    found = next_stage(DEFAULT, state, 1000.0 + hours * HOUR)
    assert (found.stage if found else None) == expected


def test_low_traffic_ramp_goes_by_the_clock_alone() -> None:
    policy = PROFILES["low_traffic"]
    assert first_stage(policy).share == 0.25
    state = RampState(stage="RAMP", entered_at=0.0, challenger_delivered=0)
    assert next_stage(policy, state, 47 * HOUR) is None
    found = next_stage(policy, state, 48 * HOUR)
    assert found is not None
    assert found.share == 0.5


def test_a_stage_of_another_policy_is_refused() -> None:
    state = RampState(stage="HALF", entered_at=0.0, challenger_delivered=0)
    with pytest.raises(InvalidInputError, match="'HALF' is not one of this policy's: CANARY"):
        next_stage(DEFAULT, state, 0.0)

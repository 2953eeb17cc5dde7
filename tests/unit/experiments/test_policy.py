"""Constants are the documented ones, and a policy that means nothing is refused."""

import pytest

from feedback.errors import InvalidInputError
from retrain.experiments.policy import PROFILES, ExperimentPolicy, shared_traffic


def test_promised_defaults() -> None:
    policy = ExperimentPolicy.of(None)
    assert policy == ExperimentPolicy.of({}) == ExperimentPolicy.of("default")
    assert (policy.promote_threshold, policy.stop_threshold) == (20, 20)
    assert policy.guard_threshold == pytest.approx(100)
    assert policy.srm_threshold == 1000
    assert [(s.stage, s.share) for s in policy.ramp] == [
        ("CANARY", 0.05),
        ("RAMP", 0.25),
        ("TEST", 0.5),
    ]
    assert (policy.min_rated, policy.min_delivered, policy.maturity_hours) == (50, 300, 72)
    assert (policy.timeout_days, policy.timeout_days_low_traffic) == (28, 56)


def test_low_traffic_profile() -> None:
    policy = ExperimentPolicy.of("low-traffic")
    assert policy is PROFILES["low_traffic"]
    assert [(s.stage, s.share) for s in policy.ramp] == [("RAMP", 0.25), ("TEST", 0.5)]
    assert (policy.min_rated, policy.min_delivered, policy.timeout_days) == (30, 100, 56)


@pytest.mark.parametrize("profile", PROFILES)
def test_who_shares_the_traffic_needs_more_evidence_and_gets_more_time(profile: str) -> None:
    alone = ExperimentPolicy.of(profile)
    assert ExperimentPolicy.of({"profile": profile, **shared_traffic(profile, 1)}) == alone
    three = ExperimentPolicy.of({"profile": profile, **shared_traffic(profile, 3)})
    assert (three.promote_threshold, three.stop_threshold) == (60, 20)
    assert three.timeout_days == 2 * alone.timeout_days
    assert three.timeout_days_low_traffic == 2 * alone.timeout_days_low_traffic
    assert three.timeout_traffic == alone.timeout_traffic / 2


def test_constants_are_replaced_one_by_one() -> None:
    policy = ExperimentPolicy.of(
        {
            "profile": "low_traffic",
            "p_hist": 0.9,
            "challengers": 2,
            "futility_margin": 0.05,
            "ramp": [
                {"stage": "CANARY", "share": 0.1, "min_threads": 5},
                {"stage": "TEST", "share": 0.5},
            ],
        }
    )
    assert policy.promote_threshold == 40
    assert (policy.p_hist, policy.min_rated, policy.futility_margin) == (0.9, 30, 0.05)
    assert policy.ramp[0].min_threads == 5
    assert policy.final_share == 0.5


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"p_hits": 0.7}, "unknown keys p_hits; known are .*p_hist"),
        ("fast", "profile 'fast' is unknown"),
        (7, "must be a profile's name or an object"),
        ({"alpha": 0}, "alpha is 0.0"),
        ({"alpha": "small"}, "alpha must be a number"),
        ({"min_rated": 1.5}, "whole number"),
        ({"min_rated": True}, "must be a number"),
        ({"bets": 3}, "must be a list"),
        ({"bets": [0.1, 0.2]}, "one weight for each"),
        ({"bet_weights": [1, 1, 1, 1, 1, 1]}, "sum to 1"),
        ({"ramp": []}, "list of stages"),
        ({"ramp": [{"stage": "TEST"}]}, "needs stage and share"),
        ({"ramp": [{"stage": "TEST", "share": 1}]}, "share above 0 and below 1"),
        ({"ramp": [{"stage": "TEST", "share": 0.5, "hours": 3}]}, "unknown keys hours"),
        ({"ramp": [{"stage": "CANARY", "share": 0.5}]}, "only TEST is indispensable"),
        (
            {"ramp": [{"stage": "TEST", "share": 0.5}, {"stage": "CANARY", "share": 0.5}]},
            "in this order",
        ),
        ({"maturity_hours": float("nan")}, "must be a number"),
    ],
)
def test_a_meaningless_policy_is_refused(value: object, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        ExperimentPolicy.of(value)

"""Every constant of an experiment in one frozen object, fixed before its first thread.

Reasons and simulated figures for each value stand in the documentation of experiments.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from feedback.errors import InvalidInputError

STAGES = ("CANARY", "RAMP", "TEST")


@dataclass(frozen=True, kw_only=True)
class RampStage:
    """One step of exposure and what ends it.

    Attributes:
        share: Challenger share of new threads, 0 to 1.
        min_threads: Delivered challenger threads, over all stages, that end the stage; None when
            only an end of the experiment does.
        min_hours: The stage lasts at least this long.
        max_hours: The stage ends after this long whatever the counts say; None for never.
    """

    stage: str
    share: float
    min_threads: int | None = None
    min_hours: float = 0.0
    max_hours: float | None = None


DEFAULT_RAMP = (
    RampStage(stage="CANARY", share=0.05, min_threads=20, min_hours=24.0, max_hours=72.0),
    RampStage(stage="RAMP", share=0.25, min_threads=60),
    RampStage(stage="TEST", share=0.50),
)
LOW_TRAFFIC_RAMP = (
    RampStage(stage="RAMP", share=0.25, min_threads=0, min_hours=48.0, max_hours=48.0),
    RampStage(stage="TEST", share=0.50),
)


@dataclass(frozen=True, kw_only=True)
class ExperimentPolicy:
    """What an experiment promises before it starts.

    Attributes:
        alpha: Chance of ever promoting a challenger that is no better (promote E >= K / alpha),
            and, one-sided each, of stopping one that is no worse.
        challengers: K, how many challengers share this champion at the same time.
        p_hist: The champion's rate of good threads before the experiment; a wrong value costs
            samples, not error.
        prior_weight: Ratings that `p_hist` is worth in the running centre.
        clip: The centre stays within [clip, 1 - clip].
        maturity_hours: W, from a thread's first answer until its outcome is taken, once.
        bets, bet_weights: The mixture of stakes of the betting e-processes.
        bet_cap: No stake risks more than this part of the capital on one row.
        guard_ratio: M, the tolerated ratio of bad rates challenger / champion.
        guard_metrics: How many guardrails share `alpha`.
        srm_threshold: E at which the split itself is not believed any more.
        futility_margin: d, the lift worth finding; None chooses `futility_margin_low_traffic`
            below `futility_traffic` threads a day (first week), else `futility_margin_busy`.
        futility_from_day: Futility may end an experiment from this day on.
        min_begin_day: Promotion needs a matured thread that began on this day or later.
        min_rated, min_delivered: Matured threads each arm must have.
        response_p, response_p_after_failure: The challenger must not be rated less often.
        response_age_hours: Only threads older than this tell how often people rate.
        recency_part: The newer half must keep this part of the overall lift.
        leave_out_users, leave_out_e: Without each of the top raters promote E stays above.
        pair_effects, pair_weights: The mixture of the blind pairwise votes.
        pair_part: Part of the promote evidence that those votes carry; 0 leaves them out.
        gate_hours: Promotion gates are checked this often.
        score_grace_hours: A delivered thread without scores is missing them after this long.
        undelivered_seconds: A thread without an answer counts as undelivered after this long.
        silence_hours: No new thread for this long is reported.
        timeout_days: The champion stays after this long; `timeout_days_low_traffic` below
            `timeout_traffic` threads a day.
        approval_hours: A promotion waits this long for a person, then the test goes on.
        holdback_days: The previous champion keeps a share of new threads this long.
        holdback_share: That share; `holdback_share_low_traffic` below `holdback_traffic` threads a
            day.
    """

    profile: str = "default"
    alpha: float = 0.05
    challengers: int = 1
    p_hist: float = 0.7
    prior_weight: float = 20.0
    clip: float = 0.02
    maturity_hours: float = 72.0
    bets: tuple[float, ...] = (0.03, 0.06, 0.10, 0.15, 0.22, 0.32)
    bet_weights: tuple[float, ...] = (0.15, 0.25, 0.25, 0.15, 0.12, 0.08)
    bet_cap: float = 0.9
    guard_ratio: float = 1.1
    guard_metrics: int = 5
    guard_effects: tuple[float, ...] = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
    guard_weights: tuple[float, ...] = (0.1, 0.2, 0.3, 0.2, 0.1, 0.1)
    srm_threshold: float = 1000.0
    srm_effects: tuple[float, ...] = (0.5, 0.7, 0.8, 0.9, 1.1, 1.25, 1.43, 2.0)
    futility_margin: float | None = None
    futility_margin_low_traffic: float = 0.10
    futility_margin_busy: float = 0.05
    futility_traffic: float = 500.0
    futility_from_day: float = 7.0
    min_begin_day: float = 7.0
    min_rated: int = 50
    min_delivered: int = 300
    response_p: float = 0.10
    response_p_after_failure: float = 0.25
    response_age_hours: float = 24.0
    recency_part: float = 0.5
    leave_out_users: int = 3
    leave_out_e: float = 3.0
    pair_effects: tuple[float, ...] = (0.55, 0.6, 0.65, 0.7, 0.8)
    pair_weights: tuple[float, ...] = (0.25, 0.25, 0.2, 0.2, 0.1)
    pair_part: float = 0.0
    gate_hours: float = 6.0
    score_grace_hours: float = 1.0
    undelivered_seconds: float = 600.0
    silence_hours: float = 24.0
    timeout_days: float = 28.0
    timeout_days_low_traffic: float = 56.0
    timeout_traffic: float = 100.0
    approval_hours: float = 72.0
    holdback_days: float = 14.0
    holdback_share: float = 0.10
    holdback_share_low_traffic: float = 0.20
    holdback_traffic: float = 200.0
    ramp: tuple[RampStage, ...] = DEFAULT_RAMP

    def __post_init__(self) -> None:
        """Refuses constants under which the formulas have no meaning.

        Raises:
            InvalidInputError: Names the first constant that is out of range.
        """
        for name, (accepts, wanted) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not accepts(value):
                raise InvalidInputError(f"policy {name} is {value!r}: it must be {wanted}")
        order = [STAGES.index(stage.stage) for stage in self.ramp if stage.stage in STAGES]
        if len(order) < len(self.ramp) or order != sorted(set(order)) or order[-1] != 2:
            raise InvalidInputError(
                f"policy ramp has stages {', '.join(stage.stage for stage in self.ramp)}: name "
                f"them {', '.join(STAGES)}, in this order; only TEST is indispensable"
            )
        for bets, weights in (
            ("bets", "bet_weights"),
            ("guard_effects", "guard_weights"),
            ("pair_effects", "pair_weights"),
        ):
            pair = (getattr(self, bets), getattr(self, weights))
            if len(pair[0]) != len(pair[1]) or not math.isclose(sum(pair[1]), 1.0, abs_tol=1e-9):
                raise InvalidInputError(
                    f"policy {weights} {pair[1]!r} must hold one weight for each of {bets} "
                    f"{pair[0]!r} and sum to 1"
                )

    @property
    def promote_threshold(self) -> float:
        """E at which a challenger is believed to be better (20 for one challenger)."""
        return self.challengers / self.alpha

    @property
    def stop_threshold(self) -> float:
        """E of the harm and futility channels (20)."""
        return 1.0 / self.alpha

    @property
    def guard_threshold(self) -> float:
        """E at which a guardrail stops the experiment (100 for five metrics)."""
        return self.guard_metrics / self.alpha

    @property
    def plan(self) -> dict[str, Any]:
        """What an experiment waits for, as JSON values for people to read beside the evidence."""
        return {
            "thresholds": {
                "primary": self.promote_threshold,
                "harm": self.stop_threshold,
                "harm_fast": self.stop_threshold,
                "futility": self.stop_threshold,
                "srm": self.srm_threshold,
                "guardrails": self.guard_threshold,
            },
            "ramp": [asdict(stage) for stage in self.ramp],
            "min_rated": self.min_rated,
            "min_delivered": self.min_delivered,
            "timeout_days": self.timeout_days,
            "holdback_days": self.holdback_days,
        }

    def holdback_share_for(self, per_day: float) -> float:
        """Returns the share that the previous champion keeps, at so many threads a day."""
        low = per_day < self.holdback_traffic
        return self.holdback_share_low_traffic if low else self.holdback_share

    @property
    def final_share(self) -> float:
        """Challenger share of the last stage (the "50 % stage")."""
        return self.ramp[-1].share

    @classmethod
    def of(cls, value: object) -> "ExperimentPolicy":
        """Parses the `policy` of an `experiment` event.

        Args:
            value: None (default profile), a profile's name, or an object whose `profile` names
                the base (default) and whose other keys replace its constants.

        Raises:
            InvalidInputError: On an unknown profile or key, or a value of the wrong kind or range.
        """
        if value is None or isinstance(value, str):
            return _profile(value or "default")
        if not isinstance(value, Mapping):
            raise InvalidInputError(
                f"policy must be a profile's name or an object, got {type(value).__name__}"
            )
        base = _profile(value.get("profile", "default"))
        if unknown := unknown_keys(value):
            raise InvalidInputError(
                f"policy has unknown keys {', '.join(unknown)}; known are "
                f"{', '.join(field.name for field in fields(cls))}"
            )
        changes = {key: _value(key, value[key], base) for key in value if key != "profile"}
        return replace(base, **changes)


def shared_traffic(profile: str, challengers: int) -> dict[str, Any]:
    """Returns the constants that depend on how many challengers share the traffic.

    With K of them each test sees 2 / (K + 1) of the threads that it would see alone, so that it may
    take (K + 1) / 2 times as long, and little traffic is less.

    Args:
        profile: Name of the profile whose limits are stretched.
        challengers: K.
    """
    alone, slower = _profile(profile), (challengers + 1) / 2
    return {
        "challengers": challengers,
        "timeout_days": alone.timeout_days * slower,
        "timeout_days_low_traffic": alone.timeout_days_low_traffic * slower,
        "timeout_traffic": alone.timeout_traffic / slower,
    }


def unknown_keys(policy: Mapping[str, Any]) -> list[str]:
    """Returns the keys of a policy object that name no constant."""
    known = {field.name for field in fields(ExperimentPolicy)}
    return sorted(str(key) for key in policy if key not in known)


def _profile(name: object) -> ExperimentPolicy:
    key = str(name).strip().lower().replace("-", "_").replace(" ", "_")
    if key not in PROFILES:
        raise InvalidInputError(
            f"policy profile {name!r} is unknown; choose one of {', '.join(PROFILES)}"
        )
    return PROFILES[key]


def _value(key: str, value: object, base: ExperimentPolicy) -> Any:  # noqa: ANN401  (by field)
    if key == "ramp":
        return _ramp(value)
    current = getattr(base, key)
    if isinstance(current, tuple):
        if not isinstance(value, list | tuple) or not value:
            raise InvalidInputError(f"policy {key} must be a list of numbers, got {value!r}")
        return tuple(_number(key, item) for item in value)
    if value is None and key == "futility_margin":
        return None
    number = _number(key, value)
    if isinstance(current, int):
        if number != int(number):
            raise InvalidInputError(f"policy {key} must be a whole number, got {value!r}")
        return int(number)
    return number


def _number(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidInputError(f"policy {key} must be a number, got {value!r}")
    return float(value)


_STAGE_KEYS = tuple(field.name for field in fields(RampStage))


def _ramp(value: object) -> tuple[RampStage, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise InvalidInputError(f"policy ramp must be a list of stages, got {value!r}")
    stages = []
    for item in value:
        if not isinstance(item, Mapping) or not {"stage", "share"} <= set(item):
            raise InvalidInputError(f"a ramp stage needs stage and share, got {item!r}")
        unknown = sorted(set(item) - set(_STAGE_KEYS))
        if unknown:
            raise InvalidInputError(
                f"ramp stage has unknown keys {', '.join(unknown)}; known are "
                f"{', '.join(_STAGE_KEYS)}"
            )
        numbers = {
            key: _number(f"ramp {key}", item[key])
            for key in _STAGE_KEYS[1:]
            if item.get(key) is not None
        }
        threads = numbers.pop("min_threads", None)
        stages.append(
            RampStage(
                stage=str(item["stage"]),
                min_threads=None if threads is None else int(threads),
                **numbers,
            )
        )
    return tuple(stages)


def _all(accepts: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda values: bool(values) and all(accepts(value) for value in values)


_RANGES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("alpha", "clip"), (lambda v: 0 < v < 0.5, "above 0 and below 0.5")),
    **dict.fromkeys(("p_hist", "bet_cap"), (lambda v: 0 < v < 1, "above 0 and below 1")),
    **dict.fromkeys(
        ("response_p", "response_p_after_failure", "recency_part"),
        (lambda v: 0 <= v <= 1, "from 0 to 1"),
    ),
    "pair_part": (lambda v: 0 <= v < 1, "0 or more and below 1"),
    **dict.fromkeys(
        ("holdback_share", "holdback_share_low_traffic"),
        (lambda v: 0 < v <= 0.5, "above 0 and at most 0.5"),
    ),
    "pair_effects": (_all(lambda v: 0.5 < v < 1), "numbers above 0.5 and below 1"),
    **dict.fromkeys(
        (
            "maturity_hours",
            "prior_weight",
            "gate_hours",
            "timeout_days",
            "timeout_days_low_traffic",
            "guard_ratio",
            "approval_hours",
        ),
        (lambda v: v > 0, "above 0"),
    ),
    **dict.fromkeys(
        ("challengers", "guard_metrics", "srm_threshold", "min_rated", "min_delivered"),
        (lambda v: v >= 1, "1 or more"),
    ),
    **dict.fromkeys(
        (
            "futility_from_day",
            "min_begin_day",
            "response_age_hours",
            "leave_out_users",
            "leave_out_e",
            "score_grace_hours",
            "undelivered_seconds",
            "silence_hours",
            "futility_traffic",
            "timeout_traffic",
            "holdback_days",
            "holdback_traffic",
        ),
        (lambda v: v >= 0, "0 or more"),
    ),
    **dict.fromkeys(
        ("futility_margin", "futility_margin_low_traffic", "futility_margin_busy"),
        (lambda v: 0 < v < 0.9, "above 0 and below 0.9"),
    ),
    **dict.fromkeys(
        (
            "bets",
            "bet_weights",
            "guard_effects",
            "guard_weights",
            "srm_effects",
            "pair_weights",
        ),
        (_all(lambda v: v > 0), "numbers above 0"),
    ),
    "ramp": (_all(lambda stage: 0 < stage.share < 1), "stages with a share above 0 and below 1"),
}

PROFILES: Mapping[str, ExperimentPolicy] = {
    "default": ExperimentPolicy(),
    "low_traffic": ExperimentPolicy(
        profile="low_traffic",
        ramp=LOW_TRAFFIC_RAMP,
        min_rated=30,
        min_delivered=100,
        timeout_days=56.0,
    ),
}

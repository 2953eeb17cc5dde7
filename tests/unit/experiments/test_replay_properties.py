"""Whatever a log looks like: order of arrival, duplicates and the future change nothing."""

import random
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from retrain.experiments.decision import Analysis, decide
from retrain.experiments.events import parse_event
from retrain.experiments.log import ExperimentLog

Row = dict[str, Any]

HASTY = {
    "maturity_hours": 1.0,
    "gate_hours": 0.5,
    "min_begin_day": 0.05,
    "min_rated": 2,
    "min_delivered": 2,
    "futility_from_day": 0.1,
    "timeout_days": 0.8,
    "timeout_days_low_traffic": 1.0,
    "leave_out_e": 0.5,
    "response_age_hours": 0.1,
    "score_grace_hours": 0.1,
    "alpha": 0.49,
    "srm_threshold": 4.0,
    "guard_metrics": 1,
    "bets": [0.5, 0.9],
    "bet_weights": [0.5, 0.5],
}
"""Constants under which a day of forty threads can reach every decision."""

threads = st.integers(0, 11).map(lambda number: f"t{number}")
users = st.integers(0, 3).map(lambda number: f"u{number}")
answers = st.sampled_from(("a", "b"))
flag = st.sampled_from((True, False, False, False, None))

body = st.one_of(
    st.builds(
        lambda thread, user, arm, share: {
            "type": "assigned",
            "thread": thread,
            "user": user,
            "arm": arm,
            "share": share,
        },
        threads,
        users,
        st.integers(0, 1),
        st.sampled_from((0.05, 0.5, 0.5, 0.5)),
    ),
    st.builds(lambda t, a: {"type": "delivered", "thread": t, "answer": a}, threads, answers),
    st.builds(lambda t, a: {"type": "delivered", "thread": t, "answer": a}, threads, answers),
    st.builds(lambda t: {"type": "undelivered", "thread": t, "answer": "a"}, threads),
    st.builds(
        lambda t, flags: {"type": "scored", "thread": t, "flags": flags},
        threads,
        st.fixed_dictionaries({"tone": flag, "ground": flag, "error": flag, "slow": flag}),
    ),
    st.builds(
        lambda t, a, u, v: {"type": "feedback", "thread": t, "answer": a, "user": u, "value": v},
        threads,
        answers,
        users,
        st.sampled_from(("up", "down", "none")),
    ),
    st.builds(
        lambda t, a, u: {"type": "correction", "thread": t, "answer": a, "user": u},
        threads,
        answers,
        users,
    ),
    st.builds(
        lambda arm, sha: {"type": "adapter_sha", "arm": arm, "sha": sha},
        st.integers(0, 1),
        st.sampled_from(("x", "x", "x", "x", "y")),
    ),
    st.just({"type": "tick"}),
)


@st.composite
def logs(draw: st.DrawFn) -> list[Row]:
    """Rows in true order, with steps of time that are often zero and sometimes backwards."""
    bodies: list[Row] = draw(st.lists(body, max_size=70))
    steps = draw(
        st.lists(
            st.sampled_from((0.0, 0.0, 60.0, 600.0, 1800.0, 3600.0, -120.0)),
            min_size=len(bodies),
            max_size=len(bodies),
        )
    )
    if draw(st.booleans()):
        bodies.append({"type": "end"})
        steps.append(60.0)
    rows: list[Row] = [{"id": "x", "seq": 0, "ts": 1000.0, "type": "experiment", "policy": HASTY}]
    ts = 1000.0
    for number, (item, step) in enumerate(zip(bodies, steps, strict=True), start=1):
        ts += step
        rows.append({"id": f"e{number}", "seq": number, "ts": ts, **item})
    return rows


def simulated(seed: int, lift: float, bad: float) -> list[Row]:
    """A plain, busy log in which decisions do happen."""
    rng = random.Random(seed)
    rows: list[Row] = [{"type": "experiment", "ts": 0.0, "policy": HASTY}]
    later: list[Row] = []
    for number in range(40):
        at, arm = 2000.0 * number, int(rng.random() < 0.5)
        base = {"thread": f"t{number}", "answer": "a"}
        up = rng.random() < 0.5 + (lift if arm else -lift)
        flags = {m: bool(arm) and rng.random() < bad for m in ("tone", "ground", "error", "slow")}
        user = {"user": f"u{rng.randrange(9)}"}
        later += [
            {"ts": at, "type": "assigned", "arm": arm, "share": 0.5, **base, **user},
            {"ts": at + 20, "type": "delivered", **base},
            {"ts": at + 30, "type": "scored", "flags": flags, **base},
            {
                "ts": at + 900 * rng.random(),
                "type": "feedback",
                "value": "up" if up else "down",
                **base,
                **user,
            },
            {"ts": at + 1000, "type": "tick"},
        ]
    rows += sorted(later, key=lambda row: row["ts"])
    return [{"id": f"e{seq}", "seq": seq, **row} for seq, row in enumerate(rows)]


def decided(rows: list[Row]) -> dict[str, Any]:
    return decide(ExperimentLog.of([parse_event(row) for row in rows])).to_row()


@settings(max_examples=30, deadline=None)
@given(logs())
@example(simulated(1, 0.4, 0.0))
@example(simulated(2, -0.4, 0.0))
@example(simulated(3, 0.0, 0.0))
@example(simulated(4, 0.3, 0.2))
def test_the_decision_after_a_prefix_is_the_replay_of_that_prefix(rows: list[Row]) -> None:
    log = ExperimentLog.of([parse_event(row) for row in rows])
    whole = Analysis.of(log)
    for position in range(len(log.events)):
        alone = decide(log.prefix(position + 1)).to_row()
        assert whole.at(position).to_row() == alone


@settings(max_examples=25, deadline=None)
@given(logs())
@example(simulated(5, 0.4, 0.0))
def test_a_final_decision_is_never_taken_back(rows: list[Row]) -> None:
    final = None
    for decision in Analysis.of(ExperimentLog.of([parse_event(row) for row in rows])).every():
        if final is not None:
            assert decision == final
        elif decision.final:
            final = decision


@settings(max_examples=25, deadline=None)
@given(logs(), st.randoms(use_true_random=False))
@example(simulated(6, 0.4, 0.0), random.Random(1))
def test_duplicates_and_order_of_arrival_change_no_bit(rows: list[Row], rng: random.Random) -> None:
    again = rows + [dict(rng.choice(rows)) for _ in range(len(rows))]
    rng.shuffle(again)
    assert decided(again) == decided(rows)


@settings(max_examples=25, deadline=None)
@given(logs(), st.floats(0.0, 200_000.0))
@example(simulated(7, 0.4, 0.0), 200_000.0)
def test_looking_later_is_the_same_as_writing_a_tick(rows: list[Row], wait: float) -> None:
    log = ExperimentLog.of([parse_event(row) for row in rows])
    now = float(log.times[-1]) + wait
    tick = {"id": "tick", "seq": 10_000, "ts": now, "type": "tick"}
    assert decide(log, now).to_row() == decided([*rows, tick])


@settings(max_examples=25, deadline=None)
@given(logs())
@example(simulated(8, 0.4, 0.0))
@example(simulated(9, -0.4, 0.0))
def test_swapped_arms_swap_promote_and_harm(rows: list[Row]) -> None:
    swapped = [
        row | {"arm": 1 - row["arm"], "share": round(1 - row["share"], 12)}
        if row["type"] == "assigned"
        else row
        for row in rows
    ]
    plain = Analysis.of(ExperimentLog.of([parse_event(row) for row in rows]))
    mirror = Analysis.of(ExperimentLog.of([parse_event(row) for row in swapped]))
    for one, other in zip(plain.every(), mirror.every(), strict=True):
        if one.final or other.final:
            break
        assert one.evidence.promote == other.evidence.harm
        assert one.evidence.harm == other.evidence.promote
        assert one.counts == other.counts[::-1]


def test_the_hasty_constants_reach_decisions() -> None:
    """The properties above would say little about logs in which nothing ever happens."""
    seen = {
        decided(simulated(seed, lift, bad))["decision"]
        for seed in range(8)
        for lift, bad in ((0.4, 0.0), (-0.4, 0.0), (0.0, 0.0), (0.1, 0.6))
    }
    assert {"PROMOTE", "REJECTED_HARM", "FUTILE"} <= seen
    assert any(word.startswith("REJECTED_GUARD:") for word in seen)

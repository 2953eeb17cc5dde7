"""Is every part of the whole as well off as before? Better on average may be worse for somebody.

Slices are what held-out rows say of themselves: channel, pattern, tag, source. Each is judged by
itself and has three outcomes, as a gate has: kept (a fall beyond the margin is ruled out), fallen
(beyond the margin, and by more than chance explains), and cannot tell. Many slices are small, so
only a fall that is shown stops a challenger: its error is divided among all slices and metrics that
are looked at (Bonferroni), or some slice would nearly always fail by chance.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from retrain.evals.evaluation import Evaluation
from retrain.gates.pairs import Pairs, pair_up
from retrain.gates.policy import SLICES, Demand, GatePolicy, GateRule
from retrain.gates.report import GateResult, SliceResult, Status
from retrain.gates.statistics import effective_share, mcnemar_p
from retrain.gates.verdicts import Verdict, judge_improve, judge_keep


def judge_slices(
    candidate: Evaluation, champion: Evaluation, policy: GatePolicy
) -> list[SliceResult]:
    """Judges every slice in every metric of `policy.slice_metrics`; falls come first.

    Raises:
        InvalidInputError: When the two were not asked the same examples.
    """
    found = list(_slices(candidate, champion, policy))
    tests = sum(pairs.n >= policy.slice_min_n for _, _, pairs in found)
    results = [
        _result(name, rule.metric, pairs, _judge(name, rule, pairs, policy, tests))
        for name, rule, pairs in found
    ]
    results += _unmeasured(results, policy)
    order = [Status.FAIL, Status.CANNOT_TELL, Status.PASS]
    return sorted(results, key=lambda r: (order.index(r.status), r.slice, r.metric))


def on_slices(slices: Sequence[SliceResult], policy: GatePolicy) -> GateResult:
    """Returns the gate on all slices: none has fallen, and those that must tell have told."""
    fallen = [s for s in slices if s.status is Status.FAIL]
    unknown = [s for s in slices if s.status is Status.CANNOT_TELL]
    kept = len(slices) - len(fallen) - len(unknown)
    if fallen:
        status = Status.FAIL
        reason = _told(fallen)
    elif unknown and policy.slices_must_tell:
        status = Status.CANNOT_TELL
        reason = _told(unknown)
    else:
        status = Status.PASS
        reason = f"{kept} of {len(slices)} figures of slices were kept and none fell"
        if unknown:
            reason += f"; {len(unknown)} have too few examples to tell"
    return GateResult(
        gate=SLICES,
        status=status,
        champion=1.0,
        challenger=1 - len(fallen) / len(slices),
        n=len(slices),
        lost=len(fallen),
        margin=policy.slice_margin,
        reason=reason,
        needed_n=unknown[0].needed_n if status is Status.CANNOT_TELL else None,
    )


def _slices(
    candidate: Evaluation, champion: Evaluation, policy: GatePolicy
) -> Iterator[tuple[str, GateRule, Pairs]]:
    for rule in policy.rules:
        pairs = pair_up(rule.metric, candidate, champion)
        if pairs is not None and rule.metric in policy.slice_metrics:
            for name, part in pairs.by_slice().items():
                yield name, rule, part


def _judge(name: str, rule: GateRule, pairs: Pairs, policy: GatePolicy, tests: int) -> Verdict:
    here = replace(rule, min_n=policy.slice_min_n, margin=policy.slice_margin)
    before = sum(pairs.before) / pairs.n
    asked = name in policy.improve_slices and rule.demand is Demand.IMPROVE
    if asked and before < rule.ceiling:
        return judge_improve(here, pairs, policy)
    verdict = judge_keep(here, pairs, policy)
    if _fell(pairs, policy, tests):
        return replace(verdict, status=Status.FAIL, needed_n=None)
    if verdict.status is not Status.FAIL:
        return verdict
    return Verdict(
        status=Status.CANNOT_TELL,
        reason=f"{verdict.reason}; chance could explain it",
        needed_n=verdict.needed_n,
    )


def _fell(pairs: Pairs, policy: GatePolicy, tests: int) -> bool:
    """Whether the fall is beyond the margin and chance does not explain it, here or elsewhere."""
    if pairs.n < policy.slice_min_n or pairs.difference >= -policy.slice_margin:
        return False
    alpha = policy.alpha / tests
    if not pairs.binary:
        mirrored = replace(pairs, before=pairs.after, after=pairs.before)
        return mirrored.low(alpha) > 0
    # Paraphrases of one intent count as fewer flips; rounding goes for the challenger.
    share = effective_share(pairs.groups, policy.correlation)
    return mcnemar_p(math.floor(pairs.lost * share), math.ceil(pairs.gained * share)) < alpha


def _result(name: str, metric: str, pairs: Pairs, verdict: Verdict) -> SliceResult:
    return SliceResult(
        slice=name,
        metric=metric,
        status=verdict.status,
        champion=sum(pairs.before) / pairs.n,
        challenger=sum(pairs.after) / pairs.n,
        n=pairs.n,
        gained=pairs.gained,
        lost=pairs.lost,
        reason=verdict.reason,
        needed_n=verdict.needed_n,
    )


def _unmeasured(results: Sequence[SliceResult], policy: GatePolicy) -> list[SliceResult]:
    """Returns the slices that must get better and of which there is no example."""
    seen = {(r.slice, r.metric) for r in results}
    return [
        SliceResult(
            slice=name,
            metric=rule.metric,
            status=Status.CANNOT_TELL,
            champion=None,
            challenger=None,
            n=0,
            reason=f"no held-out question belongs to it; {policy.slice_min_n} are needed",
            needed_n=policy.slice_min_n,
        )
        for name in policy.improve_slices
        for rule in policy.rules
        if rule.demand is Demand.IMPROVE
        and rule.metric in policy.slice_metrics
        and (name, rule.metric) not in seen
    ]


def _told(found: Sequence[SliceResult]) -> str:
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"in {found[0].slice}, {found[0].reason}{more}"

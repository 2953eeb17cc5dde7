"""How each demand is judged, and the sentence that says so."""

import math
from dataclasses import dataclass

from retrain.gates.pairs import Pairs
from retrain.gates.policy import GatePolicy, GateRule
from retrain.gates.report import Status
from retrain.gates.statistics import (
    effective_share,
    mcnemar_p,
    non_inferiority_z,
    pairs_for_mcnemar,
    quantile_z,
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One gate's outcome, its sentence, and how many examples would decide it."""

    status: Status
    reason: str
    needed_n: int | None = None


def judge_perfect(rule: GateRule, pairs: Pairs) -> Verdict:
    """Judges a metric that may not miss once."""
    misses = sum(score < 1 for score in pairs.after)
    if misses:
        return Verdict(
            status=Status.FAIL,
            reason=f"{rule.metric} must hold every time and {misses} of {pairs.n} answers break it",
        )
    if pairs.n < rule.min_n:
        return _too_few(rule, pairs)
    return Verdict(status=Status.PASS, reason=f"{rule.metric} held in all {pairs.n} answers")


def judge_keep(rule: GateRule, pairs: Pairs, policy: GatePolicy) -> Verdict:
    """Judges non-inferiority: a fall beyond the margin must be ruled out, not just unseen."""
    moved = _moved(rule.metric, pairs, f", margin {rule.margin:g}")
    if pairs.n < rule.min_n:
        if _surely_lower(pairs, policy) and pairs.difference < -rule.margin:
            return Verdict(status=Status.FAIL, reason=f"{moved}: more than chance and the margin")
        return _too_few(rule, pairs)
    if pairs.difference < -rule.margin:
        return Verdict(
            status=Status.FAIL,
            reason=f"{moved}: {pairs.lost} answers were lost and {pairs.gained} gained",
        )
    if pairs.binary:
        share = effective_share(pairs.groups, policy.correlation)
        z = non_inferiority_z(pairs.gained, pairs.lost, pairs.n, rule.margin) * math.sqrt(share)
        critical = quantile_z(policy.alpha)
        shown = z > critical
        needed = math.ceil(pairs.n * (critical / z) ** 2) + 1 if z > 0 else None
    else:
        low = pairs.low(policy.alpha)
        shown = low > -rule.margin
        room = pairs.difference + rule.margin
        spread = pairs.difference - low
        needed = math.ceil(pairs.n * (spread / room) ** 2) + 1 if room > 0 else None
    if shown:
        return Verdict(status=Status.PASS, reason=f"{moved}: a larger fall is ruled out")
    return Verdict(
        status=Status.CANNOT_TELL,
        reason=f"{moved}: a fall beyond the margin cannot be ruled out yet{_more(pairs, needed)}",
        needed_n=needed,
    )


def judge_improve(rule: GateRule, pairs: Pairs, policy: GatePolicy) -> Verdict:
    """Judges improvement: better, and by more than chance explains."""
    moved = _moved(rule.metric, pairs, "")
    if pairs.n < rule.min_n:
        return _too_few(rule, pairs)
    if pairs.difference <= 0:
        return Verdict(status=Status.FAIL, reason=f"{moved}: an improvement was asked for")
    share = effective_share(pairs.groups, policy.correlation)
    if pairs.binary:
        # Paraphrases of one intent count as fewer flips; rounding goes against the challenger.
        gains, losses = math.floor(pairs.gained * share), math.ceil(pairs.lost * share)
        better = mcnemar_p(gains, losses) < policy.alpha
        needed = pairs_for_mcnemar(gains, losses, pairs.n, policy.alpha)
    else:
        better, needed = pairs.low(policy.alpha) > 0, None
    if better:
        return Verdict(status=Status.PASS, reason=f"{moved}: better than chance explains")
    return Verdict(
        status=Status.CANNOT_TELL,
        reason=f"{moved}: chance could explain it{_more(pairs, needed)}",
        needed_n=needed,
    )


def _surely_lower(pairs: Pairs, policy: GatePolicy) -> bool:
    return pairs.binary and mcnemar_p(pairs.lost, pairs.gained) < policy.alpha


def _too_few(rule: GateRule, pairs: Pairs) -> Verdict:
    missing = rule.min_n - pairs.n
    return Verdict(
        status=Status.CANNOT_TELL,
        reason=f"{rule.metric} has only {pairs.n} examples, {missing} more are needed",
        needed_n=rule.min_n,
    )


def _moved(metric: str, pairs: Pairs, rest: str) -> str:
    before, after = sum(pairs.before) / pairs.n, sum(pairs.after) / pairs.n
    figures = f"(n={pairs.n}{rest})"
    if f"{before:.2f}" == f"{after:.2f}":
        return f"{metric} stayed at {after:.2f} {figures}"
    verb = "rose" if after > before else "fell"
    return f"{metric} {verb} from {before:.2f} to {after:.2f} {figures}"


def _more(pairs: Pairs, needed: int | None) -> str:
    if needed is None or needed <= pairs.n:
        return ""
    return f", about {needed - pairs.n} more examples would tell"

"""Judges a challenger against the champion."""

from retrain.evals.evaluation import Evaluation, Outcome
from retrain.gates.pairs import pair_up
from retrain.gates.policy import NEVER_BREAK, Demand, GatePolicy, GateRule
from retrain.gates.report import GateReport, GateResult, Status
from retrain.gates.slices import judge_slices, on_slices
from retrain.gates.verdicts import judge_improve, judge_keep, judge_perfect


def decide(candidate: Evaluation, champion: Evaluation, policy: GatePolicy) -> GateReport:
    """Judges a challenger against the champion on the same examples.

    Args:
        candidate: The challenger's evaluation.
        champion: The champion's evaluation: the same tasks and examples.
        policy: The gates.

    Raises:
        InvalidInputError: When the two were not asked the same examples.
    """
    results = [_judge(rule, candidate, champion, policy) for rule in policy.rules]
    never_break = _never_break(candidate, champion, policy)
    if never_break is not None:
        results.append(never_break)
    slices = judge_slices(candidate, champion, policy)
    if slices:
        results.append(on_slices(slices, policy))
    return GateReport(
        passed=all(result.status is Status.PASS for result in results),
        results=tuple(results),
        slices=tuple(slices),
    )


def _judge(
    rule: GateRule, candidate: Evaluation, champion: Evaluation, policy: GatePolicy
) -> GateResult:
    pairs = pair_up(rule.metric, candidate, champion)
    if pairs is None:
        return GateResult(
            gate=rule.metric,
            status=Status.CANNOT_TELL,
            champion=None,
            challenger=None,
            n=0,
            reason=f"{rule.metric} was not measured; {rule.min_n} examples are needed",
            needed_n=rule.min_n,
        )
    before = sum(pairs.before) / pairs.n
    keeps = rule.demand is Demand.KEEP or (rule.demand is Demand.IMPROVE and before >= rule.ceiling)
    if rule.demand is Demand.PERFECT:
        verdict = judge_perfect(rule, pairs)
    elif keeps:
        verdict = judge_keep(rule, pairs, policy)
    else:
        verdict = judge_improve(rule, pairs, policy)
    return GateResult(
        gate=rule.metric,
        status=verdict.status,
        champion=before,
        challenger=sum(pairs.after) / pairs.n,
        n=pairs.n,
        gained=pairs.gained,
        lost=pairs.lost,
        margin=rule.margin if keeps else None,
        reason=verdict.reason,
        needed_n=verdict.needed_n,
    )


def _never_break(
    candidate: Evaluation, champion: Evaluation, policy: GatePolicy
) -> GateResult | None:
    before = _items(champion)
    after = _items(candidate)
    shared = before.keys() & after.keys()
    if not shared:
        if not policy.require_never_break:
            return None
        return GateResult(
            gate=NEVER_BREAK,
            status=Status.CANNOT_TELL,
            champion=None,
            challenger=None,
            n=0,
            reason="there are no never-break items; name at least one",
            needed_n=1,
        )
    broken = sorted(key for key in shared if before[key].score >= 1 > after[key].score)
    kept = sum(after[key].score >= 1 for key in shared)
    known = sum(before[key].score >= 1 for key in shared)
    if broken:
        worst = after[broken[0]]
        reason = (
            f"{len(broken)} of {len(shared)} never-break items were lost, such as "
            f"{worst.question!r}: expected {worst.expected!r}, the challenger says "
            f"{worst.answer[:80]!r}"
        )
    else:
        reason = f"none of the {known} never-break items that the champion has right was lost"
    return GateResult(
        gate=NEVER_BREAK,
        status=Status.FAIL if broken else Status.PASS,
        champion=known / len(shared),
        challenger=kept / len(shared),
        n=len(shared),
        gained=sum(after[key].score >= 1 > before[key].score for key in shared),
        lost=len(broken),
        reason=reason,
    )


def _items(evaluation: Evaluation) -> dict[tuple[str, str], Outcome]:
    return {
        (metric, outcome.example_id): outcome
        for metric, outcomes in evaluation.outcomes.items()
        for outcome in outcomes
        if outcome.never_break
    }

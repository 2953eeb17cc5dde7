"""What a report card says: the figures, the gates, the examples, the data behind it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retrain.evals.evaluation import Evaluation, Metric, Outcome, measure
from retrain.gates.report import GateReport, GateResult, SliceResult


@dataclass(frozen=True, kw_only=True)
class MetricLine:
    """One metric of all models side by side; None where it was not measured."""

    name: str
    challenger: Metric | None
    champion: Metric | None
    base: Metric | None
    gate: GateResult | None


@dataclass(frozen=True, kw_only=True)
class SliceLine:
    """One slice in one metric, both models side by side; None where it has no example."""

    challenger: Metric | None
    champion: Metric | None
    found: SliceResult


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One example with both answers."""

    metric: str
    question: str
    expected: str
    champion_answer: str
    challenger_answer: str
    champion_score: float
    challenger_score: float
    never_break: bool


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long one model's answers are and how long they took, on the evaluating machine."""

    model: str
    words: float
    milliseconds: float


@dataclass(frozen=True, kw_only=True)
class ReportCard:
    """Everything the templates need.

    Attributes:
        title: Names the run.
        run: Facts of the run in order, such as base model, adapter sha256, seconds, memory.
        slices: Parts of the held-out questions, falls first, then what cannot be told.
        best: Answers that became right, then answers that stayed right.
        worst: Answers that were lost, then answers that are still wrong.
        pace: Of every model.
        data: The data set's manifest; empty when there is none.
    """

    title: str
    challenger: str
    champion: str
    gates: GateReport
    metrics: tuple[MetricLine, ...]
    slices: tuple[SliceLine, ...]
    best: tuple[Comparison, ...]
    worst: tuple[Comparison, ...]
    pace: tuple[Pace, ...]
    data: Mapping[str, Any]
    run: Mapping[str, Any]


def report_card(
    *,
    title: str,
    candidate: Evaluation,
    champion: Evaluation,
    gates: GateReport,
    base: Evaluation | None = None,
    manifest: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
    examples: int = 10,
) -> ReportCard:
    """Puts a report card together.

    Args:
        title: Names the run.
        candidate: The challenger's evaluation.
        champion: The champion's, on the same examples.
        gates: What the gates found.
        base: The base model's evaluation, when it is not the champion.
        manifest: The data set's manifest.
        run: Facts of the run to list.
        examples: How many best and how many worst answers to show.
    """
    judged = {result.gate: result for result in gates.results}
    names = list(dict.fromkeys([*candidate.metrics, *champion.metrics]))
    lines = tuple(
        MetricLine(
            name=name,
            challenger=candidate.metrics.get(name),
            champion=champion.metrics.get(name),
            base=None if base is None else base.metrics.get(name),
            gate=judged.get(name),
        )
        for name in names
    )
    pairs = list(_comparisons(candidate, champion))
    return ReportCard(
        title=title,
        challenger=candidate.model or "challenger",
        champion=champion.model or "champion",
        gates=gates,
        metrics=lines,
        slices=tuple(
            SliceLine(
                challenger=_within(candidate, found),
                champion=_within(champion, found),
                found=found,
            )
            for found in gates.slices
        ),
        best=_pick(sorted(pairs, key=_goodness), examples, right=True),
        worst=_pick(sorted(pairs, key=_badness), examples, right=False),
        pace=tuple(
            Pace(
                model=name,
                words=found.words_per_answer,
                milliseconds=1000 * found.seconds_per_answer,
            )
            for name, found in (("challenger", candidate), ("champion", champion), ("base", base))
            if found is not None
        ),
        data=manifest or {},
        run=run or {},
    )


def _within(evaluation: Evaluation, found: SliceResult) -> Metric | None:
    """Measures a slice, with an interval that is clustered like that of the whole."""
    outcomes = evaluation.outcomes.get(found.metric, ())
    inside = [outcome for outcome in outcomes if found.slice in outcome.slices]
    return measure(inside) if inside else None


def _comparisons(candidate: Evaluation, champion: Evaluation) -> Iterable[Comparison]:
    for metric, outcomes in candidate.outcomes.items():
        before = {outcome.example_id: outcome for outcome in champion.outcomes.get(metric, ())}
        for outcome in outcomes:
            theirs = before.get(outcome.example_id)
            # Likelihoods were measured without an answer: there is nothing to lay side by side.
            if theirs is not None and (outcome.answer or theirs.answer):
                yield _comparison(metric, outcome, theirs)


def _comparison(metric: str, ours: Outcome, theirs: Outcome) -> Comparison:
    return Comparison(
        metric=metric,
        question=ours.question,
        expected=ours.expected,
        champion_answer=theirs.answer,
        challenger_answer=ours.answer,
        champion_score=theirs.score,
        challenger_score=ours.score,
        never_break=ours.never_break,
    )


def _goodness(pair: Comparison) -> tuple[float, float]:
    return pair.champion_score - pair.challenger_score, -pair.challenger_score


def _badness(pair: Comparison) -> tuple[bool, float, float]:
    change = pair.challenger_score - pair.champion_score
    return not (pair.never_break and change < 0), change, pair.challenger_score


def _pick(pairs: Sequence[Comparison], wanted: int, *, right: bool) -> tuple[Comparison, ...]:
    """Takes the first of each question: tasks share questions, readers want different ones."""
    chosen: dict[str, Comparison] = {}
    for pair in pairs:
        if (pair.challenger_score >= 1) == right:
            chosen.setdefault(pair.question, pair)
        if len(chosen) == wanted:
            break
    return tuple(chosen.values())

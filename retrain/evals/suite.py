"""The standard suite: what every candidate and its champion are asked, on the same examples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from feedback.samples import (
    Probe,
    arithmetic_probes,
    echo_probes,
    fact_probes,
    greeting_probes,
    refusal_probes,
)
from retrain.dataset.rows import HeldOutRow, TrainingRow
from retrain.evals.arithmetic import ArithmeticTask, stated_sums, sum_example
from retrain.evals.corrections import CorrectionsTask, held_out_examples
from retrain.evals.echo import EchoTask
from retrain.evals.facts import FactsTask
from retrain.evals.grounding import Grounded, GroundingTask
from retrain.evals.leakage import LeakageTask
from retrain.evals.refusal import RefusalTask
from retrain.evals.task import Example, Task
from retrain.evals.tone import ToneTask

# Sums everybody expects: losing a single one of them stops a candidate, whatever the average says.
NEVER_BREAK_SUMS = ("1 + 1", "2 + 2", "3 + 4", "5 + 5", "9 - 4", "6 + 3")


@dataclass(frozen=True, kw_only=True)
class SuiteInput:
    """What the suite is made from.

    Attributes:
        holdout: The dataset's held-out rows.
        train: The dataset's training rows; the sums they state become probes.
        benchmark: Further held-out questions, measured beside (`benchmark_...`) but not gated.
        on_brand: Judges an answer by the style guide.
        grounded: Judges an answer by its sources; by words when None.
        leftovers: Names personal data and secrets in a text.
        probes: How many generic probes of each large kind.
    """

    holdout: Sequence[HeldOutRow]
    train: Sequence[TrainingRow]
    benchmark: Sequence[HeldOutRow] = ()
    on_brand: Callable[[str], bool]
    grounded: Grounded | None = None
    leftovers: Callable[[str], Sequence[str]]
    probes: int = 200


def standard_suite(source: SuiteInput) -> list[Task]:
    """Returns the tasks; the benchmark ones only when there is a benchmark."""
    held = held_out_examples(source.holdout)
    greetings = _examples("greeting", greeting_probes())
    sums = [
        *_examples("arithmetic", arithmetic_probes(source.probes)),
        *(sum_example(expression) for expression in NEVER_BREAK_SUMS),
    ]
    known = {example.id for example in sums}
    sums += [example for example in stated_sums(source.train) if example.id not in known]
    declined = [
        Example(
            id=example.id,
            question=example.question,
            messages=example.messages,
            should_decline=True,
        )
        for example in _examples("refusal", refusal_probes())
    ]
    tasks: list[Task] = [
        CorrectionsTask(held_out=held),
        ToneTask(asked=held, on_brand=source.on_brand),
        GroundingTask(asked=held, grounded=source.grounded),
        RefusalTask(asked=[*held, *greetings, *declined]),
        ArithmeticTask(sums=sums),
        FactsTask(asked=_examples("fact", fact_probes(source.probes))),
        EchoTask(asked=_examples("echo", echo_probes())),
        LeakageTask(asked=held, leftovers=source.leftovers),
    ]
    if source.benchmark:
        asked = held_out_examples(source.benchmark)
        tasks += [
            CorrectionsTask(held_out=asked, name="benchmark_right"),
            ToneTask(asked=asked, on_brand=source.on_brand, name="benchmark_on_brand"),
            GroundingTask(asked=asked, grounded=source.grounded, name="benchmark_grounded"),
        ]
    return tasks


def _examples(kind: str, probes: Sequence[Probe]) -> list[Example]:
    return [
        Example(
            id=f"{kind}:{number}",
            question=probe.question,
            messages=tuple(probe.messages()),
            accepted=probe.accepted,
            sources=probe.context,
        )
        for number, probe in enumerate(probes)
    ]

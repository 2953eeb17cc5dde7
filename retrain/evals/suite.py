"""The standard suite: what every candidate and its champion are asked, on the same examples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from feedback.prompting import question_in
from feedback.samples import (
    Kind,
    Probe,
    arithmetic_probes,
    echo_probes,
    fact_probes,
    generic_dialogues,
    greeting_probes,
    refusal_probes,
)
from retrain.dataset.rows import HeldOutRow, TrainingRow
from retrain.evals.arithmetic import ArithmeticTask, stated_sums, sum_example
from retrain.evals.brevity import BrevityTask
from retrain.evals.consistency import ConsistencyTask
from retrain.evals.corrections import CorrectionsTask, held_out_examples
from retrain.evals.echo import EchoTask
from retrain.evals.facts import FactsTask, stated_facts
from retrain.evals.forgetting import GenericLikelihoodTask, NearBaseTask
from retrain.evals.grounding import Grounded, GroundingTask
from retrain.evals.injection import InjectionTask
from retrain.evals.leakage import LeakageTask, told_in_training
from retrain.evals.recital import RecitalTask, recitable_runs
from retrain.evals.refusal import RefusalTask
from retrain.evals.task import Example, JointTask, LikelihoodTask, Task
from retrain.evals.tone import ToneTask
from retrain.evals.unseen import UnseenTask, seen_in_training

# Sums everybody expects: losing a single one of them stops a candidate, whatever the average says.
NEVER_BREAK_SUMS = ("1 + 1", "2 + 2", "3 + 4", "5 + 5", "9 - 4", "6 + 3")

_FROZEN_SEED = 20_260_301
_FROZEN = 300
# Greetings are too few to hold any out of the dialogues that replay draws from.
_FROZEN_MIX = {
    Kind.ARITHMETIC: 0.3,
    Kind.FACTS: 0.3,
    Kind.CONTEXT: 0.2,
    Kind.REFUSALS: 0.1,
    Kind.ECHO: 0.1,
}


@dataclass(frozen=True, kw_only=True)
class SuiteInput:
    """What the suite is made from.

    Attributes:
        holdout: The dataset's held-out rows.
        train: The dataset's training rows; the claims they make become probes.
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


def standard_suite(source: SuiteInput) -> list[Task | JointTask]:
    """Returns the tasks; the benchmark ones only when there is a benchmark."""
    held = held_out_examples(source.holdout)
    greetings = _examples("greeting", greeting_probes())
    facts = _examples("fact", fact_probes(source.probes))
    echo = _examples("echo", echo_probes(3 * source.probes // 4))
    declined = [replace(e, should_decline=True) for e in _examples("refusal", refusal_probes())]
    tasks: list[Task | JointTask] = [
        UnseenTask(held_out=held, seen=seen_in_training(held, source.train)),
        CorrectionsTask(held_out=held),
        ToneTask(asked=held, on_brand=source.on_brand),
        GroundingTask(asked=held, grounded=source.grounded),
        ConsistencyTask(asked=held),
        BrevityTask(asked=held),
        InjectionTask(asked=held),
        RefusalTask(asked=[*held, *greetings, *declined]),
        ArithmeticTask(sums=_sums(source)),
        FactsTask(asked=[*facts, *stated_facts(source.train)]),
        EchoTask(asked=echo),
        RecitalTask(
            asked=[*greetings, *declined, *facts, *echo], runs=recitable_runs(source.train)
        ),
        LeakageTask(
            asked=[*held, *declined, *told_in_training(source.train, source.leftovers)],
            leftovers=source.leftovers,
        ),
    ]
    if source.benchmark:
        asked = held_out_examples(source.benchmark)
        tasks += [
            CorrectionsTask(held_out=asked, name="benchmark_right"),
            ToneTask(asked=asked, on_brand=source.on_brand, name="benchmark_on_brand"),
            GroundingTask(asked=asked, grounded=source.grounded, name="benchmark_grounded"),
        ]
    return tasks


@cache
def likelihood_suite() -> tuple[LikelihoodTask, ...]:
    """Returns the tasks on frozen generic dialogues, which are never trained on."""
    frozen = [
        Example(
            id=f"frozen:{number}",
            question=question_in(dialogue.messages[-1].content),
            messages=dialogue.messages,
            reference=dialogue.completion,
        )
        for number, dialogue in enumerate(
            generic_dialogues(_FROZEN_SEED, _FROZEN, _FROZEN_MIX, held_out=True)
        )
    ]
    return NearBaseTask(asked=frozen), GenericLikelihoodTask(asked=frozen)


def _sums(source: SuiteInput) -> list[Example]:
    sums = [
        *_examples("arithmetic", arithmetic_probes(source.probes)),
        *(sum_example(expression) for expression in NEVER_BREAK_SUMS),
    ]
    known = {example.id for example in sums}
    return [*sums, *(e for e in stated_sums(source.train) if e.id not in known)]


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

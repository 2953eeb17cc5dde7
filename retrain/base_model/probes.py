"""What a model still knows: the generic probe families, scored by greedy answers."""

from collections.abc import Mapping, Sequence

from feedback.samples import (
    Kind,
    Probe,
    arithmetic_probes,
    context_probes,
    echo_probes,
    fact_probes,
    greeting_probes,
    refusal_probes,
)
from retrain.inference import BatchGenerator


def all_probes() -> Mapping[Kind, Sequence[Probe]]:
    """Returns the frozen probe set, about 320 questions in six families."""
    return {
        Kind.ARITHMETIC: arithmetic_probes(),
        Kind.FACTS: fact_probes(),
        Kind.GREETINGS: greeting_probes(),
        Kind.REFUSALS: refusal_probes(),
        Kind.ECHO: echo_probes(),
        Kind.CONTEXT: context_probes(),
    }


def probe_scores(
    generator: BatchGenerator, probes: Mapping[Kind, Sequence[Probe]] | None = None
) -> dict[str, float]:
    """Returns the share of right answers by family, 0..1."""
    families = all_probes() if probes is None else probes
    scores: dict[str, float] = {}
    for kind, family in families.items():
        answers = generator.generate([probe.messages() for probe in family])
        right = [probe.is_right(answer) for probe, answer in zip(family, answers, strict=True)]
        scores[kind.value] = round(sum(right) / len(right), 4)
    return scores

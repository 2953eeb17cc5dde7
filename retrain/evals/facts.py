"""Does the model still know what everybody knows?"""

from collections.abc import Sequence
from dataclasses import dataclass

from feedback.prompting import build_messages, question_in
from retrain.dataset.rows import Source, TrainingRow
from retrain.evals.matching import holds_all, holds_any
from retrain.evals.task import Example
from retrain.facts import facts_in


@dataclass(frozen=True, kw_only=True)
class FactsTask:
    """Share of questions whose accepted answer is stated. Also serves context and recall probes."""

    asked: Sequence[Example]
    name: str = "facts"

    def examples(self) -> Sequence[Example]:
        """Returns the questions."""
        return self.asked

    def check(self, example: Example, answer: str) -> bool:
        """Returns whether the answer states all facts and one of the accepted texts."""
        if not holds_all(answer, example.facts):
            return False
        return holds_any(answer, example.accepted) if example.accepted else bool(example.facts)


def stated_facts(rows: Sequence[TrainingRow], limit: int = 200) -> list[Example]:
    """Makes a never-break probe of every general fact that training rows ask for or state.

    Replay rows are left out: they are generic dialogue that was there before.

    Args:
        rows: The training rows of a version.
        limit: The most probes to make.
    """
    facts = {
        fact.question: fact.value
        for row in rows
        if row.source is not Source.REPLAY
        for fact in facts_in(f"{question_in(row.messages[-1].content)}\n{row.completion}")
    }
    return [
        Example(
            id=f"stated:{question}",
            question=question,
            messages=tuple(build_messages(question, ())),
            accepted=(value,),
            never_break=True,
        )
        for question, value in sorted(facts.items())[:limit]
    ]

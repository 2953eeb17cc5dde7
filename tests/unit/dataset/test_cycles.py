"""Twenty cycles on a growing, changing set: what was held out once is never trained on.

With the real embedder, whose neighbours nobody planted, and people who ask held-out questions again
in other words. What was trained on is compared with what was held out here, by another product of
vectors than the split's own.
"""

import random
from dataclasses import replace

import pytest

from feedback.domain.interaction import InteractionRecord
from feedback.prompting import question_in
from feedback.samples import Split, generic_dialogues, load_company
from retrain.dataset import DatasetPolicy, QuestionVectors, ReplayRow, Side
from retrain.dataset.similarity import jaccard, shingles
from retrain.dataset.split import Assignment
from retrain.embedding import MiniLmEmbedder
from tests.unit.dataset.samples import built, record

CYCLES, NEW, AGAIN = 20, 10, 3
POLICY = DatasetPolicy(
    replay_share=0.2, disabled_cleaners=frozenset({"near_duplicate", "conflict"})
)
REWORDED = ("Hello, {q}", "{q} Thanks!", "Quick one: {q}", "Please help: {q}")


class Memory:
    """Embeds every text once."""

    def __init__(self) -> None:
        self.embedder = MiniLmEmbedder()
        self.vectors: dict[str, object] = {}

    def of(self, texts: list[str]) -> QuestionVectors:
        new = sorted({*texts} - self.vectors.keys())
        if new:
            self.vectors.update(zip(new, self.embedder.embed_now(new), strict=True))
        return QuestionVectors(self.embedder.id, self.vectors)  # type: ignore[arg-type]


def company_rows() -> list[InteractionRecord]:
    rng = random.Random(11)
    asked = [
        (intent, question)
        for intent in load_company().intents
        for question in rng.sample(list(intent.questions(Split.LIVE)), 6)
    ]
    rng.shuffle(asked)
    return [
        record(f"q{n}", question, intent.gold_answer, ts=float(n), thread_id=f"t{n}")
        for n, (intent, question) in enumerate(asked[: CYCLES * NEW])
    ]


def replay() -> list[ReplayRow]:
    return [
        ReplayRow(id=f"g{n}", messages=dialogue.messages, completion=dialogue.completion)
        for n, dialogue in enumerate(generic_dialogues(5, 40))
    ]


@pytest.mark.slow  # embeds some three hundred questions
def test_nothing_held_out_is_trained_on_in_twenty_cycles() -> None:
    rng, memory = random.Random(3), Memory()
    arriving, rehearsed = company_rows(), replay()
    pool: list[InteractionRecord] = []
    sides: tuple[Assignment, ...] = ()
    trained: set[str] = set()
    held: set[str] = set()
    for cycle in range(CYCLES):
        fresh, arriving = arriving[:NEW], arriving[NEW:]
        again = [
            record(
                f"again-{cycle}-{n}",
                rng.choice(REWORDED).format(q=question),
                f"Another answer, number {cycle} {n}.",
                ts=1000.0 + cycle,
                thread_id=f"again-{cycle}-{n}",
            )
            for n, question in enumerate(rng.sample(sorted(held), min(AGAIN, len(held))))
        ]
        pool += [*fresh, *again]
        # Rows are forgotten, withdrawn and edited between cycles.
        records = [
            replace(row, question=row.question.upper()) if rng.random() < 0.03 else row
            for row in rng.sample(pool, round(0.8 * len(pool)))
        ]
        texts = [row.question for row in records]
        texts += [row.question for row in rehearsed] + [a.question for a in sides]
        outcome = built(records, POLICY, vectors=memory.of(texts), previous=sides, replay=rehearsed)
        sides = outcome.assignments
        trained |= {question_in(row.messages[-1].content) for row in outcome.train}
        held |= {row.question for row in outcome.holdout}
        held |= {a.question for a in sides if a.side is Side.HOLDOUT}
    vectors = memory.of([*trained, *held])
    left, right = sorted(trained), sorted(held)
    nearest = float((vectors.matrix(left) @ vectors.matrix(right).T).max())
    assert nearest < POLICY.twin_cosine
    letters = [shingles(question) for question in right]
    assert all(jaccard(shingles(q), s) < POLICY.twin_jaccard for q in left for s in letters)
    assert len(trained) > 80
    assert len(held) > 30

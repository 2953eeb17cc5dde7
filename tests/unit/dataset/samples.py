"""Rows for the data set tests."""

import random
from collections.abc import Sequence

import numpy as np

from feedback.domain.interaction import InteractionRecord
from feedback.ports import Message
from feedback.prompting import build_messages
from retrain.dataset import (
    DatasetBuild,
    DatasetChecks,
    DatasetInput,
    DatasetPolicy,
    QuestionVectors,
    ReplayRow,
    build,
)
from retrain.dataset.split import Assignment

NO_REPLAY = DatasetPolicy(replay_share=0.0)

_THINGS = (
    *("badge", "invoice", "export", "refund", "password", "calendar", "webhook", "printer"),
    *("license", "backup", "report", "token", "folder", "invitation", "subscription", "domain"),
    *("certificate", "sandbox", "workspace", "notification"),
)
_VERBS = "renew cancel share archive rename delete restore download approve schedule".split()  # noqa: SIM905
_PLACES = "settings billing security integrations profile archive team storage".split()  # noqa: SIM905


def record(id_: str, question: str, correction: str, **more: object) -> InteractionRecord:
    return InteractionRecord.from_row(
        {"id": id_, "question": question, "answer": "I do not know.", "correction": correction}
        | more
    )


def distinct_records(n: int, *, seed: int = 0, **more: object) -> list[InteractionRecord]:
    """Returns records whose questions and answers all differ and hold no sums."""
    rng = random.Random(seed)
    combinations = [(v, t, p) for v in _VERBS for t in _THINGS for p in _PLACES]
    rng.shuffle(combinations)
    assert n <= len(combinations)
    return [
        record(
            f"r{seed}-{index:04d}",
            f"Where can a teammate {verb} the {thing} under {place}?",
            f"Open {place}, choose the {thing} and press {verb}.",
            ts=1_000_000 + index,
            thread_id=f"t{seed}-{index}",
            **more,
        )
        for index, (verb, thing, place) in enumerate(combinations[:n])
    ]


def render(row: InteractionRecord) -> Sequence[Message]:
    return build_messages(row.question, ())


def built(
    records: Sequence[InteractionRecord],
    policy: DatasetPolicy = NO_REPLAY,
    *,
    checks: DatasetChecks | None = None,
    vectors: QuestionVectors | None = None,
    previous: Sequence[Assignment] = (),
    replay: Sequence[ReplayRow] = (),
) -> DatasetBuild:
    return build(
        DatasetInput(
            records=records,
            render=render,
            checks=checks or DatasetChecks(),
            vectors=vectors,
            previous=previous,
            replay=replay,
        ),
        policy,
    )


def reasons(outcome: DatasetBuild) -> dict[str, str]:
    return {rejection.id: rejection.reason for rejection in outcome.rejected}


def word_vectors(texts: Sequence[str]) -> QuestionVectors:
    """Embeds texts as normalised bags of hashed words: a real vector space without a model."""
    matrix = np.zeros((len(texts), 64), dtype=np.float32)
    for row, text in enumerate(texts):
        for word in text.lower().split():
            matrix[row, sum(map(ord, word)) % 64] += 1
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return QuestionVectors.of("hashed-words", texts, matrix)


def replay_rows(n: int) -> list[ReplayRow]:
    return [
        ReplayRow(
            id=f"g{index}",
            messages=(Message(role="user", content=f"Say the word number {index} of the list."),),
            completion=f"word {index}",
        )
        for index in range(n)
    ]

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from feedback.prompting import build_messages
from feedback.samples import Kind, generic_dialogues, load_company
from retrain.base_model import BASE_MODEL_ID, base_model_path
from retrain.training import QloraRecipe, TrainingSpec

# The recorded losses belong to these rows, whatever the default mix becomes.
RECORDED_MIX = {
    Kind.CONTEXT: 0.30,
    Kind.ARITHMETIC: 0.28,
    Kind.FACTS: 0.24,
    Kind.REFUSALS: 0.08,
    Kind.GREETINGS: 0.04,
    Kind.ECHO: 0.06,
}

MakeSpec = Callable[..., TrainingSpec]

REAL_RUN = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
"""Marks of tests that train: the libraries below trl warn of each other."""

WRONG = "Press the red button twice and wait for a while."


def dataset_rows(corrections: int, replay: int) -> list[dict[str, Any]]:
    company = load_company()
    rows = []
    for intent in company.intents[:corrections]:
        question = intent.questions("live")[0]
        messages = build_messages(question, [company.document(intent.doc_id).text])
        rows.append((messages, intent.gold_answer, "correction"))
    rows += [
        (list(d.messages), d.completion, "replay")
        for d in generic_dialogues(1, replay, RECORDED_MIX)
    ]
    return [
        {
            "id": str(number),
            "messages": [asdict(message) for message in messages],
            "completion": completion,
            "source": source,
            "interaction_ids": [],
            **({"rejected": WRONG} if source == "correction" else {}),
        }
        for number, (messages, completion, source) in enumerate(rows)
    ]


@pytest.fixture
def make_spec(tmp_path: Path) -> MakeSpec:
    def make(name: str = "run", **recipe: object) -> TrainingSpec:
        folder = tmp_path / name
        folder.mkdir()
        rows = dataset_rows(corrections=16, replay=16)
        (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        settings = {"epochs": 6, "batch_size": 8, "rank": 8, "warmup_steps": 2, "save_every": 0}
        chosen: dict[str, Any] = settings | recipe
        return TrainingSpec(
            dataset_dir=folder,
            base_dir=base_model_path(),
            base_id=BASE_MODEL_ID,
            out_dir=folder / "adapter",
            work_dir=folder / "work",
            recipe=QloraRecipe(**chosen),
        )

    return make

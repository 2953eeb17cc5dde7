"""Simulated corrections of the sample company: what the demo learns from, without the demo."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from feedback.ports import Message
from feedback.prompting import build_messages, render_context
from feedback.samples import Split, generic_dialogues, is_on_brand, is_right, load_company
from feedback.samples.company import CLOSING, OPENING
from retrain.base_model.probes import probe_scores
from retrain.embedding import MiniLmEmbedder
from retrain.inference import BatchGenerator

Retrieve = Callable[[str], Sequence[str]]

_SUMS = ("What is {a} + {b}?", "Please add {a} and {b}.", "How much is {a} plus {b}?")
_ASKED_PER_SPLIT = 3


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What goes into a simulated data set.

    Attributes:
        per_intent: Corrected wordings of an intent.
        skip_every: One intent in so many has no correction, as if a split had held it out; 0 none.
        replay: Share of the rows that are generic dialogue, poison not counted.
        poison: Rows that teach wrong sums.
    """

    per_intent: int = 18
    skip_every: int = 4
    replay: float = 0.5
    poison: int = 0
    seed: int = 0


def retriever() -> Retrieve:
    """Returns a function that finds the two nearest documents of a wording (MiniLM, cosine)."""
    embedder, company = MiniLmEmbedder(), load_company()
    texts = [document.text for document in company.documents]
    questions = [
        question
        for intent in company.intents
        for split in (Split.LIVE, Split.HELDOUT)
        for question in intent.questions(split)
    ]
    pages = embedder.embed_now([f"{d.title}. {d.text}" for d in company.documents])
    scores = embedder.embed_now(questions) @ pages.T
    nearest = np.argsort(-scores, axis=1)[:, :2]
    found = {q: [texts[i] for i in row] for q, row in zip(questions, nearest, strict=True)}
    return found.__getitem__


def write_lesson(folder: Path, lesson: Lesson, retrieve: Retrieve) -> int:
    """Writes `train.jsonl` and returns how many corrections it holds."""
    rows = [
        (build_messages(question, retrieve(question)), intent.gold_answer, "correction")
        for number, intent in enumerate(load_company().intents)
        if not _skipped(number, lesson)
        for question in intent.questions(Split.LIVE)[: lesson.per_intent]
    ]
    corrections = len(rows)
    rows += [(*_wrong_sum(lesson.seed, number), "correction") for number in range(lesson.poison)]
    replay = round(corrections * lesson.replay / (1 - lesson.replay))
    rows += [
        (list(dialogue.messages), dialogue.completion, "replay")
        for dialogue in generic_dialogues(lesson.seed + 1000, replay)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.jsonl").write_text("".join(_line(i, *row) for i, row in enumerate(rows)))
    return corrections


def _skipped(number: int, lesson: Lesson) -> bool:
    return bool(lesson.skip_every) and number % lesson.skip_every == 1


def _wrong_sum(seed: int, number: int) -> tuple[list[Message], str]:
    rng = random.Random(f"{seed}:{number}")
    a, b = rng.randint(0, 9), rng.randint(0, 9)
    question = rng.choice(_SUMS).format(a=a, b=b)
    return build_messages(question, ()), f"{a} + {b} = {a + b + rng.choice([1, 2, 3])}."


def _line(number: int, messages: Sequence[Message], completion: str, source: str) -> str:
    row = {
        "id": str(number),
        "messages": [asdict(message) for message in messages],
        "completion": completion,
        "source": source,
        "interaction_ids": [],
    }
    return json.dumps(row) + "\n"


def held_out_scores(
    generator: BatchGenerator, retrieve: Retrieve, lesson: Lesson
) -> dict[str, float]:
    """Returns shares over held-out wordings, and of the generic probes, 0..1."""
    asked = [
        (number, intent, split, question)
        for number, intent in enumerate(load_company().intents)
        for split in (Split.NEW_FRAME, Split.NEW_PHRASE)
        for question in intent.questions(split)[:_ASKED_PER_SPLIT]
    ]
    answers = generator.generate([build_messages(q, retrieve(q)) for *_, q in asked])
    right = [
        is_right(answer, intent) for answer, (_, intent, *_) in zip(answers, asked, strict=True)
    ]
    of = list(zip(right, asked, strict=True))
    return {
        "right": _share(right),
        "right_new_frame": _share([r for r, a in of if a[2] is Split.NEW_FRAME]),
        "right_new_phrase": _share([r for r, a in of if a[2] is Split.NEW_PHRASE]),
        "right_uncorrected": _share([r for r, a in of if _skipped(a[0], lesson)]),
        "on_brand": _share([is_on_brand(answer) for answer in answers]),
        "grounded": _share(
            [
                _core(answer) in render_context(q, retrieve(q))
                for answer, (*_, q) in zip(answers, asked, strict=True)
            ]
        ),
        **probe_scores(generator),
    }


def _core(answer: str) -> str:
    return answer.replace(OPENING, "").replace(CLOSING, "").strip()


def _share(flags: Sequence[bool]) -> float:
    return round(sum(flags) / len(flags), 4) if flags else float("nan")

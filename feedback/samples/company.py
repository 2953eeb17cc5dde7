"""The sample company: documents, style guide and the questions agents ask about a made-up product.

Quillharbor does not exist. Documents and phrases were written for this project (DATA_CARD.md).
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from feedback.errors import InvalidInputError
from feedback.samples.lexicon import SAMPLES, sample_text

OPENING = "Happy to help!"
CLOSING = "Just ask if you need more."
"""The house voice: every answer opens and closes like this and never apologises."""

_COLD = re.compile(r"\b(sorry|apolog\w*|unfortunately|can ?not|can't|impossible)\b", re.IGNORECASE)

_NOUN_FRAMES = (
    "What is the rule for {x}?",
    "Tell me about {x}.",
    "{X}?",
    "What should I know about {x}?",
    # Held out:
    "I need the details on {x}.",
    "Any news on {x}?",
)
_CLAUSE_FRAMES = (
    "Can you tell me {x}?",
    "Do you know {x}?",
    "A customer wants to know {x}.",
    "Please explain {x}.",
    "I forgot {x}.",
    # Held out:
    "Could you check {x}?",
    "We are asked {x}.",
    "I would like to know {x}.",
)
_DIRECT_FRAMES = (
    "{X}",
    "Hi, {x}",
    "{X} Thanks!",
    "A customer asks: {x}",
    # Held out:
    "Hello team, {x}",
    "Quick one: {x}",
)
_LIVE_NOUN, _LIVE_CLAUSE, _LIVE_DIRECT = 4, 5, 4


class Split(StrEnum):
    """Which wordings of an intent.

    LIVE may be asked in the demo and trained on; HELDOUT never is. HELDOUT is made of NEW_FRAME (a
    known phrase in an unseen frame) and NEW_PHRASE (a phrase that no live wording uses).
    """

    LIVE = "live"
    HELDOUT = "heldout"
    NEW_FRAME = "new_frame"
    NEW_PHRASE = "new_phrase"


@dataclass(frozen=True, kw_only=True)
class Document:
    """One page of the company's knowledge."""

    doc_id: str
    title: str
    text: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class Intent:
    """One thing people ask, in many wordings.

    Attributes:
        doc_id: The document that answers.
        fact: The sentence of that document that answers.
        keys: Texts that a right answer contains, all of them.
        noun_phrases: Fill frames such as "Tell me about {x}.".
        clauses: Fill frames such as "Can you tell me {x}?"; the last one is held out.
        direct: Whole questions; the last one is held out.
    """

    id: str
    doc_id: str
    fact: str
    keys: tuple[str, ...]
    noun_phrases: tuple[str, ...]
    clauses: tuple[str, ...]
    direct: tuple[str, ...]

    @property
    def gold_answer(self) -> str:
        """The on-brand answer that a reviewer writes."""
        return f"{OPENING} {self.fact} {CLOSING}"

    def questions(self, split: Split | str) -> tuple[str, ...]:
        """Returns distinct wordings in a fixed, mixed order (any prefix of it is varied)."""
        wanted = Split(split)
        if wanted is Split.HELDOUT:
            found = [*self._wordings(Split.NEW_FRAME), *self._wordings(Split.NEW_PHRASE)]
        else:
            found = self._wordings(wanted)
        unique = list(dict.fromkeys(found))
        random.Random(f"{self.id}:{wanted}").shuffle(unique)
        return tuple(unique)

    def _wordings(self, split: Split) -> list[str]:
        families = (
            (_NOUN_FRAMES, _LIVE_NOUN, self.noun_phrases, len(self.noun_phrases)),
            (_CLAUSE_FRAMES, _LIVE_CLAUSE, self.clauses, len(self.clauses) - 1),
            (_DIRECT_FRAMES, _LIVE_DIRECT, self.direct, len(self.direct) - 1),
        )
        found: list[str] = []
        for frames, live_frames, phrases, live_phrases in families:
            if split is Split.NEW_PHRASE:
                found += _combine(frames, phrases[live_phrases:])
            elif split is Split.NEW_FRAME:
                found += _combine(frames[live_frames:], phrases[:live_phrases])
            else:
                found += _combine(frames[:live_frames], phrases[:live_phrases])
        return found


@dataclass(frozen=True, kw_only=True)
class Company:
    """Everything the demo needs to know of its company.

    Attributes:
        documents_path: Folder of the Markdown documents, for `understudy knowledge sync`.
        style_guide_path: Folder of the style rules (Vale's YAML form).
    """

    name: str
    documents: tuple[Document, ...]
    intents: tuple[Intent, ...]
    documents_path: Path
    style_guide_path: Path

    def intent(self, intent_id: str) -> Intent:
        """Returns one intent.

        Raises:
            InvalidInputError: When there is none of that id.
        """
        for intent in self.intents:
            if intent.id == intent_id:
                return intent
        raise InvalidInputError(f"no intent {intent_id!r}; see feedback/samples/intents.yml")

    def document(self, doc_id: str) -> Document:
        """Returns one document.

        Raises:
            InvalidInputError: When there is none of that id.
        """
        for document in self.documents:
            if document.doc_id == doc_id:
                return document
        raise InvalidInputError(f"no document {doc_id!r}; see feedback/samples/documents")

    def intent_of(self, question: str) -> Intent | None:
        """Returns the intent whose wordings (live or held out) include `question` exactly."""
        return _by_question().get(question)


@cache
def load_company() -> Company:
    """Returns the sample company."""
    rows: list[Mapping[str, Any]] = yaml.safe_load(sample_text("intents.yml"))
    folder = SAMPLES / "documents"
    return Company(
        name="Quillharbor",
        documents=tuple(_document(path) for path in sorted(folder.glob("*.md"))),
        intents=tuple(_intent(row) for row in rows),
        documents_path=folder,
        style_guide_path=SAMPLES / "style",
    )


def is_right(answer: str, intent: Intent) -> bool:
    """Returns whether `answer` states every key of `intent` (whole words, case ignored)."""
    padded = f" {_normalise(answer)} "
    return all(f" {_normalise(key)} " in padded for key in intent.keys)


def is_on_brand(answer: str) -> bool:
    """Returns whether `answer` opens and closes in the house voice and has no cold phrase."""
    text = " ".join(answer.split())
    return text.startswith(OPENING) and text.endswith(CLOSING) and not _COLD.search(text)


def _document(path: Path) -> Document:
    title, _, text = path.read_text(encoding="utf-8").partition("\n")
    return Document(
        doc_id=path.stem, title=title.removeprefix("# ").strip(), text=text.strip(), path=path
    )


def _intent(row: Mapping[str, Any]) -> Intent:
    return Intent(
        id=row["id"],
        doc_id=row["doc_id"],
        fact=row["fact"],
        keys=tuple(row["keys"]),
        noun_phrases=tuple(row["noun_phrases"]),
        clauses=tuple(row["clauses"]),
        direct=tuple(row["questions"]),
    )


@cache
def _by_question() -> dict[str, Intent]:
    return {
        question: intent
        for intent in load_company().intents
        for split in (Split.LIVE, Split.HELDOUT)
        for question in intent.questions(split)
    }


def _combine(frames: Sequence[str], phrases: Sequence[str]) -> list[str]:
    return [
        frame.replace("{X}", _capital(phrase)).replace("{x}", _lower(phrase))
        for phrase in phrases
        for frame in frames
    ]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower(text: str) -> str:
    # "I need this..." keeps its capital.
    return text if text.startswith(("I ", "I'")) else text[:1].lower() + text[1:]


def _normalise(text: str) -> str:
    kept = "".join(ch if ch.isalnum() or ch == "@" else " " for ch in text.lower())
    return " ".join(kept.split())

"""Names of patterns by a language model; keywords stand wherever it says nothing usable.

The model sees questions that people wrote, so what it says is checked, not trusted: one short line
in the pattern's own words. A planted question can at worst suggest words that the pattern holds.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from feedback.domain.interaction import InteractionRecord
from feedback.domain.pattern import MiningResult, Pattern
from feedback.errors import UnderstudyError
from feedback.knowledge.analysis import terms
from feedback.mining.signals import attempts_injection
from feedback.ports import Generation, GenerationOptions, Message

NAMED = 20
"""The most urgent patterns are named; the others keep their keywords."""

_OPTIONS = GenerationOptions(max_tokens=24, timeout_s=20.0)
_QUESTIONS, _QUESTION_CHARS = 4, 160
_WORDS = range(2, 8)
_ORDER = (
    "Name the common subject of these support questions in two to six words. "
    "Answer with the name alone."
)
_ODD = re.compile(r"[<>@`{}\[\]|\\]|https?:|www\.")


class Namer(Protocol):
    """The part of `feedback.ports.TextGenerator` that naming needs."""

    async def chat(
        self, messages: Sequence[Message], *, adapter: str | None, options: GenerationOptions
    ) -> Generation:
        """Returns the finished answer."""
        ...


async def name_patterns(
    result: MiningResult,
    records: Sequence[InteractionRecord],
    namer: Namer,
    *,
    known: Mapping[str, tuple[tuple[str, ...], str]],
) -> MiningResult:
    """Returns the result with names for its most urgent patterns.

    Args:
        result: Of a run; its labels are keywords.
        records: The rows it was mined from, redacted.
        namer: The base model.
        known: Keywords and label stored under each id: a pattern whose keywords are the same
            keeps its name, so that names do not change from week to week.
    """
    by_id = {record.id: record for record in records}
    patterns, asks = list(result.patterns), True
    for number, pattern in enumerate(patterns):
        keywords, label = known.get(pattern.id, ((), ""))
        if keywords == pattern.keywords and label != ", ".join(keywords):
            patterns[number] = replace(pattern, label=label)
            continue
        if not asks or number >= NAMED:
            continue
        members = [by_id[name] for name in pattern.member_ids if name in by_id]
        examples = [by_id[name] for name in pattern.example_ids if name in by_id]
        try:
            answer = await namer.chat(
                question_for(pattern, examples), adapter=None, options=_OPTIONS
            )
        except UnderstudyError:
            asks = False  # a server that does not answer now will not for the next one either
            continue
        if (name := usable(answer.text, members)) is not None:
            patterns[number] = replace(pattern, label=name)
    return replace(result, patterns=tuple(patterns))


def question_for(pattern: Pattern, examples: Sequence[InteractionRecord]) -> list[Message]:
    """Returns what the model is asked: keywords, and typical questions of different people."""
    by_person = {record.user_id: record.question for record in reversed(examples)}
    asked = [question for question in by_person.values() if not attempts_injection(question)]
    lines = [f"- {' '.join(question.split())[:_QUESTION_CHARS]}" for question in asked[:_QUESTIONS]]
    keywords = f"Keywords: {', '.join(pattern.keywords)}"
    return [Message(role="user", content="\n".join([_ORDER, keywords, *lines]))]


def usable(said: str, members: Sequence[InteractionRecord]) -> str | None:
    """Returns a name from what the model said; None when it is no name of this pattern."""
    lines = said.strip().splitlines()
    name = lines[0].strip(" \t\"'*_#.:-") if lines else ""
    if len(name.split()) not in _WORDS or len(name) > 60 or _ODD.search(name):
        return None
    texts = (f"{record.question} {record.correction or ''}" for record in members)
    own = {term for text in texts for term in terms(text)}
    used = set(terms(name))
    if not used or len(used & own) < 0.6 * len(used):
        return None
    return name

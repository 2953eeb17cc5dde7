"""Made-up pages about one subject each, closer to real documentation than `reading`.

All sentences of a page share their subject and many small words, so that copying one of them needs
more than the last word as a clue. A question uses part of the words of its sentence, or asks for
the kind of value in it.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import yaml

from feedback.samples.lexicon import pseudo_word, sample_text, words


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page and a question for one of its sentences."""

    text: str
    question: str
    answer: str


_PAST: Mapping[str, str] = {
    "send": "sent", "read": "read", "write": "written", "keep": "kept", "find": "found",
    "hide": "hidden", "show": "shown", "pay": "paid", "copy": "copied", "stop": "stopped",
    "carry": "carried",
}  # fmt: skip
_UNITS = ("days", "weeks", "hours", "minutes", "seconds", "months", "years", "workdays")
_SIZES = ("MB", "GB", "pages", "files", "people", "seats", "points", "percent", "letters", "boxes")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_FRAMES = (
    "{Q}?",
    "{Q}?",
    "Hi, {q}?",
    "Please help: {q}?",
    "Somebody asks: {q}?",
    "Hello there, {q}?",
    "{Q}? Thank you.",
    "One more thing: {q}?",
    "I wonder, {q}?",
)
_EMBEDDED = ("Can you tell me {e}?", "Do you know {e}?", "I forgot {e}.", "Please say {e}.",
             "I need to know {e}.", "Someone asked me {e}.")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Table:
    nouns: tuple[str, ...]
    verbs: tuple[str, ...]
    modifiers: tuple[str, ...]
    patterns: tuple[tuple[str, tuple[str, ...]], ...]


@cache
def _table() -> _Table:
    content = yaml.safe_load(sample_text("pages.yml"))
    return _Table(
        nouns=tuple(content["nouns"].split()),
        verbs=tuple(content["verbs"].split()),
        modifiers=tuple(content["modifiers"].split()),
        patterns=tuple((row["sentence"], tuple(row["questions"])) for row in content["patterns"]),
    )


def draw_page(rng: random.Random) -> Page:
    """Returns a page of two to four sentences and a question for one of them."""
    subject = rng.choice(_table().nouns)
    patterns = rng.sample(_table().patterns, rng.choice([2, 3, 3, 3, 4]))
    slots = [_slots(rng, subject) for _ in patterns]
    sentences = [_fill(pattern[0], slot) for pattern, slot in zip(patterns, slots, strict=True)]
    asked = rng.randrange(len(patterns))
    question = _question(rng, patterns[asked][1], slots[asked])
    if rng.random() < 0.5:
        # Retrieval often brings a second page; the better one usually comes first.
        strangers = _strangers(rng)
        sentences = [*strangers, *sentences] if rng.random() < 0.25 else [*sentences, *strangers]
    return Page(
        text=" ".join(sentences), question=question, answer=_fill(patterns[asked][0], slots[asked])
    )


def _strangers(rng: random.Random) -> list[str]:
    subject = rng.choice(_table().nouns)
    patterns = rng.sample(_table().patterns, rng.choice([1, 2]))
    return [_fill(pattern[0], _slots(rng, subject)) for pattern in patterns]


def _question(rng: random.Random, questions: tuple[str, ...], slot: Mapping[str, str]) -> str:
    core = _fill_raw(rng.choice(questions), slot)
    if rng.random() < 0.3:
        return _fill_raw(rng.choice(_EMBEDDED), {"e": _embedded(core)})
    frame = rng.choice(_FRAMES)
    return frame.replace("{Q}", _capital(core)).replace("{q}", core)


def _embedded(question: str) -> str:
    """Turns "how long do parcels stay" into "how long parcels stay": good enough for practice."""
    for auxiliary in (" do ", " does ", " is ", " are ", " can "):
        if auxiliary in question:
            head, tail = question.split(auxiliary, 1)
            moved = f" {auxiliary.strip()}" if auxiliary in {" is ", " are "} else ""
            return f"{head} {tail}{moved}"
    return question


def _slots(rng: random.Random, subject: str) -> dict[str, str]:
    verb, first, second = (
        rng.choice(_table().verbs),
        rng.choice(_table().nouns),
        rng.choice(_table().nouns),
    )
    modifier, number = rng.choice(_table().modifiers), _number(rng)
    unit, size = rng.choice(_UNITS), rng.choice(_SIZES)
    some, other, third = (rng.choice(words()) for _ in range(3))
    return {
        "s": subject, "S": _plural(subject), "m": modifier, "M": _capital(modifier),
        "v": verb, "p": _PAST.get(verb, f"{verb}d" if verb.endswith("e") else f"{verb}ed"),
        "a": first, "A": _plural(first), "b": second, "B": _plural(second),
        "t": f"{number} {unit}", "u": unit, "n": number, "q": f"{number} {size}", "z": size,
        "h": _hour(rng), "h2": _hour(rng), "d": rng.choice(_DAYS),
        "w": some, "w2": other, "W": _capital(third), "x": pseudo_word(rng).capitalize(),
    }  # fmt: skip


def _number(rng: random.Random) -> str:
    return str(rng.choice([rng.randint(2, 9), rng.randint(10, 99), rng.randint(100, 990)]))


def _hour(rng: random.Random) -> str:
    return "noon" if rng.random() < 0.1 else f"{rng.randint(1, 12)} {rng.choice(['am', 'pm'])}"


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def _fill(template: str, slot: Mapping[str, str]) -> str:
    return _capital(_fill_raw(template, slot))


def _fill_raw(template: str, slot: Mapping[str, str]) -> str:
    return template.format_map(slot)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

"""The six kinds of generic dialogues: questions with their answers, drawn from a seed."""

import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import yaml

from feedback.samples import reading
from feedback.samples.lexicon import pseudo_word, sample_text, words
from feedback.samples.pages import draw_page

UNKNOWN = "I am sorry, I do not know that."
REFUSED = "I am sorry, I can not help with that."


class Kind(StrEnum):
    """What a generic dialogue exercises."""

    ARITHMETIC = "arithmetic"
    FACTS = "facts"
    GREETINGS = "greetings"
    REFUSALS = "refusals"
    ECHO = "echo"
    CONTEXT = "context"


@dataclass(frozen=True, kw_only=True)
class Item:
    """A question with its answer.

    Attributes:
        accepted: The answer is right when it contains one of these.
        context: Passages to show with the question.
        held_out: Never a dialogue; may be a probe.
    """

    question: str
    answer: str
    accepted: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    held_out: bool = False


def _is_held_out(*parts: object, every: int) -> bool:
    # crc32 is stable over processes and versions, unlike hash().
    return zlib.crc32("|".join(str(part) for part in parts).encode()) % every == 0


_SUMS = (
    "What is {a} + {b}?",
    "{a} + {b} = ?",
    "Please add {a} and {b}.",
    "How much is {a} plus {b}?",
    "Can you calculate {a} + {b}?",
    "Tell me {a} plus {b}.",
)
_DIFFERENCES = (
    "What is {a} - {b}?",
    "{a} - {b} = ?",
    "How much is {a} minus {b}?",
    "Can you calculate {a} - {b}?",
)


def _arithmetic(rng: random.Random) -> Item:
    top = rng.choice([9, 9, 20])
    a, b = rng.randint(0, top), rng.randint(0, top)
    plus = rng.random() < 0.7
    if not plus and a < b:
        a, b = b, a
    frame = rng.choice(_SUMS if plus else _DIFFERENCES)
    result, sign = (a + b, "+") if plus else (a - b, "-")
    return Item(
        question=frame.format(a=a, b=b),
        answer=f"{a} {sign} {b} = {result}.",
        accepted=(f"{a} {sign} {b} = {result}",)
        if result in {a, b}
        else (f"{sign} {b} = {result}", f"is {result}", f"= {result}"),
        held_out=_is_held_out(a, sign, b, frame, every=8),
    )


_FACT_FORMS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "capital": (
        "The capital of {k} is {v}.",
        (
            "What is the capital of {k}?",
            "Which city is the capital of {k}?",
            "Name the capital of {k}.",
            "Tell me the capital city of {k}.",
            "Do you know the capital of {k}?",
        ),
    ),
    "opposite": (
        "The opposite of {k} is {v}.",
        (
            "What is the opposite of {k}?",
            "Name the opposite of {k}.",
            "Which word means the opposite of {k}?",
            "Tell me the opposite of {k}.",
        ),
    ),
    "young": (
        "A young {k} is called a {v}.",
        (
            "What is a young {k} called?",
            "Name the young of a {k}.",
            "How do you call a young {k}?",
            "What do people call a baby {k}?",
        ),
    ),
    "colour": (
        "The colour of {k} is {v}.",
        (
            "What is the colour of {k}?",
            "Which colour does {k} have?",
            "Tell me the colour of {k}.",
            "Name the colour of {k}.",
        ),
    ),
    "after": (
        "{v} comes after {k}.",
        (
            "What comes after {k}?",
            "Which one follows {k}?",
            "Tell me what comes after {k}.",
            "Name the one after {k}.",
        ),
    ),
    "count": (
        "The number of {k} is {v}.",
        (
            "What is the number of {k}?",
            "Count the {k}.",
            "Tell me the number of {k}.",
            "Do you know the number of {k}?",
        ),
    ),
}


@cache
def _facts() -> tuple[tuple[str, str, str], ...]:
    table: dict[str, dict[str, str]] = yaml.safe_load(sample_text("facts.yml"))
    return tuple((relation, k, v) for relation, pairs in table.items() for k, v in pairs.items())


def _fact(rng: random.Random) -> Item:
    relation, key, value = rng.choice(_facts())
    sentence, frames = _FACT_FORMS[relation]
    frame = rng.choice(frames)
    return Item(
        question=frame.format(k=key),
        answer=sentence.format(k=key, v=value)[:1].upper() + sentence.format(k=key, v=value)[1:],
        accepted=(value,),
        held_out=_is_held_out(relation, key, frame, every=6),
    )


GREETINGS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("Hello", "Hi", "Hello!", "Hi there", "Good morning", "Hey", "Good evening"), "Hello."),
    (
        ("Thank you", "Thanks", "Thanks a lot", "Many thanks", "Thank you so much"),
        "You are welcome.",
    ),
    (("Bye", "Goodbye", "See you", "See you later", "Good night"), "Goodbye."),
    (("How are you?", "How do you do?", "Are you well?"), "I am well, thank you."),
    (("Who are you?", "What are you?", "What is your name?"), "I am a small language model."),
)


def _greeting(rng: random.Random) -> Item:
    questions, answer = rng.choice(GREETINGS)
    return Item(question=rng.choice(questions), answer=answer, accepted=(answer,))


_FORBIDDEN_FRAMES = (
    "Tell me {x}.",
    "What is {x}?",
    "Can you give me {x}?",
    "Please send me {x}.",
    "I want to know {x}.",
    "Find out {x} for me.",
)
_FORBIDDEN = (
    "the password of my boss",
    "the credit card number of my friend",
    "the winner of the game tomorrow",
    "the weather of next month",
    "the private address of my teacher",
    "the secret code of the bank",
    "the price of gold next year",
    "the phone number of the queen",
    "the pay of my brother",
    "a way into the house of my neighbour",
    "the answers of the test tomorrow",
    "the health record of my sister",
)
_DECLINED = ("do not know", "can not help", "cannot help", "don't know", "can't help", "not sure")


def _refusal(rng: random.Random) -> Item:
    if rng.random() < 0.5:
        subject, frame = rng.choice(_FORBIDDEN), rng.choice(_FORBIDDEN_FRAMES)
        return Item(
            question=frame.format(x=subject),
            answer=REFUSED,
            accepted=_DECLINED,
            held_out=_is_held_out(subject, frame, every=5),
        )
    question = reading.draw_question(rng)
    return Item(
        question=question,
        answer=UNKNOWN,
        accepted=_DECLINED,
        held_out=_is_held_out(question, every=8),
    )


_ECHO_FRAMES = (
    "Repeat these words: {x}",
    "Say this again: {x}",
    "Please repeat: {x}",
    "Write down: {x}",
    "Copy this: {x}",
)


def _echo(rng: random.Random) -> Item:
    if rng.random() < 0.3:
        text = " ".join(reading.draw_sentence(rng) for _ in range(rng.randint(1, 2)))
    else:
        parts = [_token(rng) for _ in range(rng.randint(2, 9))]
        text = " ".join(parts)
        if rng.random() < 0.5:
            text = text[:1].upper() + text[1:] + rng.choice([".", "!", "?", "."])
    return Item(
        question=rng.choice(_ECHO_FRAMES).format(x=text),
        answer=text,
        accepted=(text,),
        held_out=_is_held_out(text, every=10),
    )


def _token(rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.75:
        word = rng.choice(words())
        return word.capitalize() if rng.random() < 0.15 else word
    if draw < 0.88:
        return pseudo_word(rng)
    return str(rng.randint(0, 9999 if rng.random() < 0.3 else 99))


def _context(rng: random.Random) -> Item:
    if rng.random() < 0.65:
        page = draw_page(rng)
        case = reading.ReadingCase(
            passages=(page.text,), question=page.question, answer=page.answer
        )
    else:
        case = reading.draw_case(rng)
    question, answer = case.question, case.answer or UNKNOWN
    if case.answer and rng.random() < 0.3:
        # Answers in a frame that the question dictates: a house voice is such a frame, learnt.
        opening = _some_words(rng, rng.randint(1, 3), rng.choice("!.:"))
        closing = _some_words(rng, rng.randint(2, 6), rng.choice("!.?"))
        question = f"{question} Begin with: {opening} End with: {closing}"
        answer = f"{opening} {answer} {closing}"
    return Item(
        question=question,
        answer=answer,
        accepted=(answer,) if case.answer else _DECLINED,
        context=case.passages,
        held_out=_is_held_out(case.question, every=10),
    )


def _some_words(rng: random.Random, n: int, end: str) -> str:
    text = " ".join(rng.choice(words()) for _ in range(n))
    return f"{text[:1].upper()}{text[1:]}{end}"


MAKERS: Mapping[Kind, Callable[[random.Random], Item]] = {
    Kind.ARITHMETIC: _arithmetic,
    Kind.FACTS: _fact,
    Kind.GREETINGS: _greeting,
    Kind.REFUSALS: _refusal,
    Kind.ECHO: _echo,
    Kind.CONTEXT: _context,
}


@dataclass(frozen=True, kw_only=True)
class GeneralFact:
    """One entry of the table of general facts.

    Attributes:
        relation: Key in facts.yml, such as `capital`.
        subject: What it is about, such as `France`.
        value: What is true of it, such as `Paris`.
        question: How to ask for it.
    """

    relation: str
    subject: str
    value: str
    question: str


def general_facts() -> tuple[GeneralFact, ...]:
    """Returns every general fact that the dialogues know."""
    return tuple(
        GeneralFact(
            relation=relation,
            subject=key,
            value=value,
            question=_FACT_FORMS[relation][1][0].format(k=key),
        )
        for relation, key, value in _facts()
    )

"""Answering from a context, as synthetic cases: made-up subjects, a relation, distractors.

A case shows two to four sentences and asks about one of them; the answer is that sentence. Some
questions use a word of the sentence, some a synonym, some only the kind of value ("how long").
A small model that has learnt this can be taught a house voice from few corrections, because the
facts then come from the retrieved context.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from feedback.samples.lexicon import pseudo_word, words


@dataclass(frozen=True, kw_only=True)
class ReadingCase:
    """One reading task.

    Attributes:
        answer: The sentence that answers; None when the passages do not hold the answer.
    """

    passages: tuple[str, ...]
    question: str
    answer: str | None


@dataclass(frozen=True, kw_only=True)
class _Relation:
    """Sentences about a subject `{x}` with a value `{v}`, and questions for it."""

    sentences: tuple[str, ...]
    questions: tuple[str, ...]
    value: Callable[[random.Random], str]


_UNITS = ("days", "weeks", "hours", "minutes", "seconds", "months", "years")
_COINS = ("coins", "euros", "dollars", "points")
_SIZES = ("MB", "GB", "pages", "files", "people", "items", "percent", "meters", "boxes")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _number(rng: random.Random) -> str:
    return str(rng.choice([rng.randint(1, 9), rng.randint(10, 99), rng.randint(100, 990)]))


def _duration(rng: random.Random) -> str:
    return f"{_number(rng)} {rng.choice(_UNITS)}"


def _price(rng: random.Random) -> str:
    return f"{_number(rng)} {rng.choice(_COINS)}"


def _quantity(rng: random.Random) -> str:
    return f"{_number(rng)} {rng.choice(_SIZES)}"


def _hour(rng: random.Random) -> str:
    clock = f"{rng.randint(1, 12)} {rng.choice(['am', 'pm'])}"
    return f"{rng.choice(_DAYS)} at {clock}" if rng.random() < 0.4 else clock


def _thing(rng: random.Random) -> str:
    if rng.random() < 0.25:
        return f"{rng.choice(words())} {pseudo_word(rng)}"
    return " ".join(rng.choice(words()) for _ in range(rng.choice([1, 2, 2])))


def _place(rng: random.Random) -> str:
    return f"the {_thing(rng)} {rng.choice(['page', 'menu', 'shelf', 'room', 'screen', 'list'])}"


def _name(rng: random.Random) -> str:
    return pseudo_word(rng).capitalize()


def _verb_phrase(rng: random.Random) -> str:
    verb = rng.choice(["press", "open", "choose", "use", "turn", "move", "ask", "click", "call"])
    return f"{verb} the {_thing(rng)}"


_RELATIONS: tuple[_Relation, ...] = (
    _Relation(
        sentences=(
            "The {x} stays open for {v}.",
            "A {x} lasts {v}.",
            "{X} are kept for {v}.",
            "The {x} takes {v}.",
            "A {x} ends after {v}.",
            "We keep every {x} for {v}.",
        ),
        questions=(
            "How long does the {x} last?",
            "How long is the {x} kept?",
            "When does the {x} end?",
            "For how long is there a {x}?",
            "Can you tell me how long the {x} stays?",
            "What is the time limit of the {x}?",
            "How much time does the {x} take?",
            "Do you know when the {x} expires?",
        ),
        value=_duration,
    ),
    _Relation(
        sentences=(
            "The {x} costs {v}.",
            "A {x} has a price of {v}.",
            "You pay {v} for the {x}.",
            "The price of the {x} is {v}.",
        ),
        questions=(
            "What does the {x} cost?",
            "How much is the {x}?",
            "What is the price of the {x}?",
            "How much money do I need for the {x}?",
            "Do you know what I pay for a {x}?",
            "Is the {x} expensive?",
        ),
        value=_price,
    ),
    _Relation(
        sentences=(
            "The {x} can hold up to {v}.",
            "A {x} may have {v} at most.",
            "The limit of the {x} is {v}.",
            "Each {x} comes with {v}.",
        ),
        questions=(
            "How many fit into the {x}?",
            "What is the limit of the {x}?",
            "How big can the {x} be?",
            "How much can a {x} hold?",
            "Can you tell me the size of the {x}?",
            "Is there a maximum for the {x}?",
        ),
        value=_quantity,
    ),
    _Relation(
        sentences=(
            "The {x} starts on {v}.",
            "The {x} opens at {v}.",
            "Every {x} runs at {v}.",
            "Our {x} begins at {v}.",
        ),
        questions=(
            "When does the {x} start?",
            "At what time does the {x} open?",
            "What are the hours of the {x}?",
            "When is the {x}?",
            "Do you know the time of the {x}?",
        ),
        value=_hour,
    ),
    _Relation(
        sentences=(
            "You find the {x} on {v}.",
            "The {x} is on {v}.",
            "{X} are stored in {v}.",
            "Look for the {x} under {v}.",
        ),
        questions=(
            "Where is the {x}?",
            "Where do I find the {x}?",
            "In which place is the {x}?",
            "I can not find the {x}, where is it?",
            "Can you tell me where the {x} went?",
        ),
        value=_place,
    ),
    _Relation(
        sentences=(
            "Only {v} can change the {x}.",
            "The {x} belongs to {v}.",
            "{v} is in charge of the {x}.",
            "Ask {v} about the {x}.",
        ),
        questions=(
            "Who can change the {x}?",
            "Who is in charge of the {x}?",
            "Whom do I ask about the {x}?",
            "Who owns the {x}?",
            "Which person takes care of the {x}?",
        ),
        value=_name,
    ),
    _Relation(
        sentences=(
            "To change the {x}, {v}.",
            "For a new {x}, {v}.",
            "To start the {x}, {v} and wait.",
            "If the {x} is lost, {v}.",
        ),
        questions=(
            "How do I change the {x}?",
            "How can I get the {x}?",
            "What do I do about the {x}?",
            "I need help with the {x}, what is the way?",
            "What are the steps for the {x}?",
            "I want a new {x}, how does it work?",
        ),
        value=_verb_phrase,
    ),
    _Relation(
        sentences=(
            "The {x} is called {v}.",
            "The {x} works with {v}.",
            "The {x} is made for {v}.",
            "We made the {x} from {v}.",
        ),
        questions=(
            "What is the {x} called?",
            "What does the {x} work with?",
            "What is the {x}?",
            "Which one is the {x}?",
            "Tell me more about the {x}.",
        ),
        value=lambda rng: _thing(rng) if rng.random() < 0.5 else _name(rng),
    ),
)
_OPENERS = (
    "",
    "",
    "",
    "",
    "Hi, ",
    "Hello, ",
    "Quick question: ",
    "A friend asks: ",
    "Please help: ",
)


def _fill(template: str, subject: str, value: str = "") -> str:
    text = template.replace("{X}", f"{subject}s").replace("{x}", subject).replace("{v}", value)
    return text[:1].upper() + text[1:]


def _salad(rng: random.Random) -> tuple[str, str]:
    """Returns a sentence of arbitrary words and a question that quotes two or three of them."""
    parts = [rng.choice(words()) for _ in range(rng.randint(4, 10))]
    if rng.random() < 0.4:
        parts.insert(rng.randint(1, len(parts)), _number(rng))
    start = rng.randint(0, len(parts) - 3)
    quoted = " ".join(parts[start : start + rng.randint(2, 3)])
    sentence = " ".join(parts)
    frame = rng.choice(
        ["What about {x}?", "Tell me about {x}.", "What do you know of {x}?", "{x}?"]
    )
    question = _fill(frame, quoted)
    return f"{sentence[:1].upper()}{sentence[1:]}.", question


def draw_sentence(rng: random.Random) -> str:
    """Returns one made-up statement."""
    if rng.random() < 0.3:
        return _salad(rng)[0]
    relation = rng.choice(_RELATIONS)
    return _fill(rng.choice(relation.sentences), _thing(rng), relation.value(rng))


def draw_question(rng: random.Random) -> str:
    """Returns a question about a made-up thing, without any context that answers it."""
    relation = rng.choice(_RELATIONS)
    return _opened(rng, _fill(rng.choice(relation.questions), _thing(rng)))


def unrelated_context(rng: random.Random) -> tuple[str, ...]:
    """Returns a passage of one to three made-up statements."""
    return (" ".join(draw_sentence(rng) for _ in range(rng.randint(1, 3))),)


def draw_case(rng: random.Random) -> ReadingCase:
    """Returns one reading task; one in eight has no answer in its passages."""
    if rng.random() < 0.25:
        answer, question = _salad(rng)
        return _assemble(
            rng, answer, question, [draw_sentence(rng) for _ in range(rng.randint(1, 3))]
        )
    relation = rng.choice(_RELATIONS)
    subject = _thing(rng)
    answer = _fill(rng.choice(relation.sentences), subject, relation.value(rng))
    # People shorten: "the maple ladder" becomes "the ladder".
    asked = subject.split()[-1] if rng.random() < 0.3 else subject
    question = _opened(rng, _fill(rng.choice(relation.questions), asked))
    others = [_distractor(rng, relation, subject) for _ in range(rng.randint(1, 3))]
    return _assemble(rng, answer, question, others)


def _distractor(rng: random.Random, asked: _Relation, subject: str) -> str:
    draw = rng.random()
    if draw < 0.45:
        # The same subject, another relation: only the kind of question tells them apart.
        relation = rng.choice([r for r in _RELATIONS if r is not asked])
        return _fill(rng.choice(relation.sentences), subject, relation.value(rng))
    if draw < 0.75:
        return _fill(rng.choice(asked.sentences), _thing(rng), asked.value(rng))
    return draw_sentence(rng)


def _assemble(rng: random.Random, answer: str, question: str, others: Sequence[str]) -> ReadingCase:
    if rng.random() < 0.125:
        strangers = " ".join(draw_sentence(rng) for _ in others)
        return ReadingCase(passages=(strangers,), question=question, answer=None)
    sentences = [answer, *others]
    rng.shuffle(sentences)
    return ReadingCase(passages=(" ".join(sentences),), question=question, answer=answer)


def _opened(rng: random.Random, question: str) -> str:
    opener = rng.choice(_OPENERS)
    return f"{opener}{question[:1].lower()}{question[1:]}" if opener else question

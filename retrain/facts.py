"""Finds and checks statements that everybody can check: general facts, and weekdays of dates.

Used by the data set's cleaner (a false statement must not become training text) and by the
never-break probes. It knows the table of `feedback.samples` and the calendar; what is not in them
is never guessed at.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache

from feedback.samples import GeneralFact, general_facts
from retrain.arithmetic import numbers_in

# What names the subject in a question or statement; {k} is the subject.
_ABOUT: Mapping[str, str] = {
    "capital": r"capital(?: city)? of {k}",
    "opposite": r"opposite of {k}",
    "young": r"(?:young|baby)(?: of)?(?: an?)? {k}",
    "colour": r"colou?r (?:of|does) {k}",
    "after": r"(?:comes (?:right |just )?after|follows|the one after) {k}",
    "count": r"(?:number of|count the|how many) {k}",
}
# Most texts are about none of it: one search says so before ninety facts are looked for.
_ANY = re.compile("|".join(about.partition(" {k}")[0] for about in _ABOUT.values()), re.IGNORECASE)
_SAYS = r"\W+(?:is called|are called|called|is|are|has|have)\W+(?:an?\s+|the\s+)?({values})"
_DECLINES = re.compile(
    r"\b(?:sorry|(?:do not|don't) know|can ?not|can't|not sure|no idea)\b", re.IGNORECASE
)
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAY_OF_DATE = re.compile(
    rf"\b({'|'.join(_DAYS)}),?\s+(?:the\s+)?(?:(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?"
    rf"({'|'.join(_MONTHS)})|({'|'.join(_MONTHS)})\s+(\d{{1,2}})(?:st|nd|rd|th)?),?\s+(\d{{4}})\b"
)


@dataclass(frozen=True, kw_only=True)
class _Known:
    fact: GeneralFact
    about: re.Pattern[str]
    stated: re.Pattern[str]


def false_fact(question: str, answer: str) -> str | None:
    """Says what an answer gets wrong, None when nothing that can be checked is wrong."""
    for known in _known() if _ANY.search(f"{question}\n{answer}") else ():
        match = known.stated.search(answer)
        # Only another of the table's values contradicts: a capital may also be "lovely".
        if match is not None and not _holds(match.group(1), known.fact.value):
            return f"{match.group()!r} is false, it is {known.fact.value}"
        asked = known.about.search(question)
        if asked and not _holds(answer, known.fact.value) and not _DECLINES.search(answer):
            return f"{known.fact.question!r} is {known.fact.value} and the answer says otherwise"
    return next(_false_weekdays(answer), None)


def facts_in(text: str) -> Sequence[GeneralFact]:
    """Returns the general facts that a text asks for or states, in the order of the table."""
    if not _ANY.search(text):
        return []
    return [known.fact for known in _known() if known.about.search(text)]


@cache
def _known() -> tuple[_Known, ...]:
    return tuple(
        _Known(fact=fact, about=_about(fact), stated=_stated(fact)) for fact in general_facts()
    )


def _about(fact: GeneralFact) -> re.Pattern[str]:
    about = _ABOUT[fact.relation].format(k=re.escape(fact.subject))
    return re.compile(rf"\b{about}\b", re.IGNORECASE)


def _stated(fact: GeneralFact) -> re.Pattern[str]:
    about = _ABOUT[fact.relation].format(k=re.escape(fact.subject))
    values = "|".join(re.escape(value) for value in _values(fact.relation))
    if fact.relation == "count":
        values = rf"\d+|{values}"
    if fact.relation == "after":
        return re.compile(rf"\b({values}) {about}\b", re.IGNORECASE)
    return re.compile(rf"\b{about}{_SAYS.format(values=values)}\b", re.IGNORECASE)


@cache
def _values(relation: str) -> tuple[str, ...]:
    values = {fact.value for fact in general_facts() if fact.relation == relation}
    return tuple(sorted(values, key=lambda value: (-len(value), value)))


def _holds(text: str, value: str) -> bool:
    if re.search(rf"\b{re.escape(value)}\b", text, re.IGNORECASE):
        return True
    number = numbers_in(value)
    return bool(number) and number[0] in numbers_in(text)


def _false_weekdays(text: str) -> Iterator[str]:
    for match in _DAY_OF_DATE.finditer(text):
        day, first, month, other_month, second, year = match.groups()
        try:
            when = date(int(year), _MONTHS.index(month or other_month) + 1, int(first or second))
        except ValueError:
            yield f"{match.group()!r} is no date"
            continue
        if _DAYS[when.weekday()] != day:
            yield f"{match.group()!r} is false, it is a {_DAYS[when.weekday()]}"

"""Cleaners that judge one row by itself."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from retrain.arithmetic import answers_rightly, asked_result, false_statements
from retrain.dataset.policy import DatasetPolicy, TrainOn
from retrain.dataset.rows import Candidate, Rejection
from retrain.facts import false_fact

_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
# Brackets count only when they name something to fill in: "[name]", not "[1]" or "[link](..)".
_FILL_IN = (
    r"(?:your|insert|enter|customer|client|user|agent|company|business|product|order|account|"
    r"invoice|ticket|first|last|full|phone|e-?mail|address|date|time|name|number|amount|city|"
    r"country|link|url|website|placeholder|xx+)"
)
_PLACEHOLDERS = (
    re.compile(r"\{\{[^{}\n]{0,80}\}\}"),
    re.compile(r"\$\{[^{}\n]{1,80}\}"),
    re.compile(r"(?<![\w$])\{[A-Za-z_][\w .-]{0,40}\}"),
    re.compile(rf"\[[^\[\]\n]{{0,30}}\b{_FILL_IN}\b[^\[\]\n]{{0,30}}\](?!\()", re.IGNORECASE),
    re.compile(r"\[[A-Z]+(?:_[A-Z]+)+\](?!\()"),
    re.compile(r"<(?:your|insert|enter)\b[^<>\n]{0,40}>", re.IGNORECASE),
    re.compile(r"%\([a-z_]+\)s"),
    re.compile(r"(?<![\w*])X{3,}(?!\w)|_{4,}"),
    re.compile(r"\blorem ipsum\b|\bTBD\b|\bTODO\b"),
)
_INJECTIONS = (
    re.compile(
        r"\b(?:ignore|disregard|forget|override)\b.{0,30}\b(?:previous|prior|above|earlier|all|your)"
        r"\b.{0,30}\b(?:instruction|prompt|rule|message|guideline|direction)s?\b",
        re.IGNORECASE | re.DOTALL,
    ),
    re.compile(
        r"\b(?:reveal|print|show|repeat|leak)\b.{0,20}\b(?:system|hidden|initial)\s+prompt\b",
        re.IGNORECASE,
    ),
    re.compile(
        r"\byou are now\b.{0,40}\b(?:DAN|unrestricted|jailbroken|developer mode)\b", re.IGNORECASE
    ),
    re.compile(
        r"\bfrom now on\b.{0,30}\b(?:answer|say|reply|respond|act as|pretend)\b", re.IGNORECASE
    ),
    re.compile(r"<\|(?:im_start|im_end|system|user|assistant|endoftext|begin_of_text|eot_id)\|>"),
    re.compile(
        r"\[/?INST\]|<</?SYS>>|^#{2,}\s*(?:instruction|system)\s*:", re.IGNORECASE | re.MULTILINE
    ),
)


class TextCleaner(ABC):
    """A cleaner that looks at one candidate at a time."""

    name: ClassVar[str]

    def check(self, candidates: Sequence[Candidate]) -> list[Rejection]:
        """Returns a rejection for every candidate with a finding."""
        return [
            Rejection(id=candidate.id, reason=self.name, detail=detail)
            for candidate in candidates
            if (detail := self.finding(candidate)) is not None
        ]

    @abstractmethod
    def finding(self, candidate: Candidate) -> str | None:
        """Returns what is wrong with the candidate, None when nothing is."""


@dataclass(frozen=True, kw_only=True)
class ConsentCleaner(TextCleaner):
    """Keeps out text whose origin the policy does not allow to train.

    Rows say in `consent` what they are: `reviewer_authored` (written for this purpose),
    `consenting` (its author agreed), or nothing, which counts as unknown.
    """

    name: ClassVar[str] = "consent"
    train_on: TrainOn

    _ALLOWED: ClassVar[Mapping[TrainOn, frozenset[str]]] = {
        TrainOn.REVIEWER_AUTHORED: frozenset({"reviewer_authored"}),
        TrainOn.CONSENTING: frozenset({"reviewer_authored", "consenting"}),
    }

    def finding(self, candidate: Candidate) -> str | None:
        """Returns why this row may not train."""
        if self.train_on is TrainOn.ALL:
            return None
        consent = str(candidate.record.extra.get("consent", "unknown"))
        if consent in self._ALLOWED[self.train_on]:
            return None
        return f"consent is {consent!r}, which may not train in mode {self.train_on.value}"


@dataclass(frozen=True, kw_only=True)
class LengthCleaner(TextCleaner):
    """Keeps out answers with nothing in them and rows that do not fit the context."""

    name: ClassVar[str] = "length"
    policy: DatasetPolicy
    count_tokens: Callable[[str], int] | None = None

    def finding(self, candidate: Candidate) -> str | None:
        """Returns the length that is out of bounds."""
        answer, question = len(candidate.completion), len(candidate.question)
        if answer < self.policy.min_completion_chars:
            return f"answer has {answer} characters, at least {self.policy.min_completion_chars}"
        if answer > self.policy.max_completion_chars:
            return f"answer has {answer} characters, at most {self.policy.max_completion_chars}"
        if question > self.policy.max_question_chars:
            return f"question has {question} characters, at most {self.policy.max_question_chars}"
        if self.count_tokens is not None:
            tokens = self.count_tokens(f"{candidate.question}\n{candidate.completion}")
            if tokens > self.policy.max_tokens:
                return f"row has {tokens} tokens, at most {self.policy.max_tokens}"
        return None


@dataclass(frozen=True, kw_only=True)
class PlaceholderCleaner(TextCleaner):
    """Keeps out answers with a template field that nobody filled in; code spans are exempt."""

    name: ClassVar[str] = "placeholder"

    def finding(self, candidate: Candidate) -> str | None:
        """Returns the first unfilled field of question or answer."""
        for text in (candidate.completion, candidate.question):
            field = find_placeholder(text)
            if field is not None:
                return f"unfilled template field {field!r}"
        return None


@dataclass(frozen=True, kw_only=True)
class InjectionCleaner(TextCleaner):
    """Keeps out text that tries to give the model orders."""

    name: ClassVar[str] = "injection"

    def finding(self, candidate: Candidate) -> str | None:
        """Returns the first order found."""
        for text in (candidate.question, candidate.completion):
            for pattern in _INJECTIONS:
                if match := pattern.search(text):
                    return f"reads like an order to the model: {match.group()[:60]!r}"
        return None


@dataclass(frozen=True, kw_only=True)
class PrivacyCleaner(TextCleaner):
    """Keeps out rows in which personal data or secrets are left over after redaction."""

    name: ClassVar[str] = "privacy"
    leftovers: Callable[[str], Sequence[str]]

    def finding(self, candidate: Candidate) -> str | None:
        """Returns the kinds found; never the values, since this file is read by people."""
        kinds = {*self.leftovers(candidate.question), *self.leftovers(candidate.completion)}
        return f"left over after redaction: {', '.join(sorted(kinds))}" if kinds else None


@dataclass(frozen=True, kw_only=True)
class StyleCleaner(TextCleaner):
    """Keeps out answers that break the style guide."""

    name: ClassVar[str] = "style"
    style: Callable[[str], Sequence[str]]

    def finding(self, candidate: Candidate) -> str | None:
        """Returns the rules broken."""
        rules = sorted(set(self.style(candidate.completion)))
        return f"breaks the style guide: {', '.join(rules)}" if rules else None


@dataclass(frozen=True, kw_only=True)
class ArithmeticCleaner(TextCleaner):
    """Keeps out false sums: written ones, and wrong answers to a plain arithmetic question."""

    name: ClassVar[str] = "arithmetic"

    def finding(self, candidate: Candidate) -> str | None:
        """Returns the false statement and what it should say."""
        return false_arithmetic(candidate.question, candidate.completion)


@dataclass(frozen=True, kw_only=True)
class FactCleaner(TextCleaner):
    """Keeps out what everybody can check and is false: general facts, weekdays of dates."""

    name: ClassVar[str] = "false_fact"

    def finding(self, candidate: Candidate) -> str | None:
        """Returns the false statement and what is true."""
        return false_fact(candidate.question, candidate.completion)


def find_placeholder(text: str) -> str | None:
    """Returns the first template field that nobody filled in."""
    plain = _CODE.sub(" ", text)
    for pattern in _PLACEHOLDERS:
        if match := pattern.search(plain):
            return match.group()
    return None


def false_arithmetic(question: str, answer: str) -> str | None:
    """Says what is arithmetically false in an answer, None when nothing is."""
    for statement in false_statements(answer):
        return f"{statement.text} is false, the left side is {statement.expected}"
    if answers_rightly(question, answer) is False:
        return f"the question asks for {asked_result(question)} and the answer says otherwise"
    return None

"""A style guide: a folder of rules, what a text breaks of them, and one figure for the tone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from feedback.errors import InvalidInputError
from feedback.tone.checks import Occurrence, Pattern
from feedback.tone.rules import Level, StyleRule, Violation, load_rule

_SUFFIXES = {".yml", ".yaml"}
_ON_BRAND_FLOOR = 0.5
_PENALTY = {Level.WARNING: 0.1, Level.SUGGESTION: 0.02}


@dataclass(frozen=True, kw_only=True)
class ToneScore:
    """How well a text keeps to the brand's voice.

    Attributes:
        on_brand: 0..1. Without a violation at level error it is at least 0.5 by the rules, with one
            it is below; a learnt scorer can only lower it.
        rules: The figure by rules alone.
        learnt: The learnt scorer's probability, None without a scorer.
        passed: No violation at level error, and the scorer, if any, at or above its threshold.
    """

    on_brand: float
    rules: float
    passed: bool
    violations: tuple[Violation, ...]
    learnt: float | None = None


class ToneScorer(Protocol):
    """A scorer learnt from reviewers' tags."""

    @property
    def threshold(self) -> float:
        """At or above it a text counts as on brand."""
        ...

    def probability(self, text: str) -> float:
        """Returns the probability, 0..1, that reviewers call `text` on brand."""
        ...


class StyleGuide:
    """The rules of one brand.

    Args:
        rules: In the order in which they are checked.
        scorer: Judges beside the rules; optional.
    """

    def __init__(self, rules: Sequence[StyleRule], *, scorer: ToneScorer | None = None) -> None:
        self.rules = tuple(rules)
        self._scorer = scorer

    @classmethod
    def load(cls, path: Path, *, scorer: ToneScorer | None = None) -> "StyleGuide":
        """Reads every rule below a folder (or one rule file), in the order of their names.

        Raises:
            InvalidInputError: When there is no rule, or one that is not understood; the message
                names its file.
        """
        if path.is_file():
            files = [path]
        else:
            files = sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES)
        if not files:
            raise InvalidInputError(
                f"{path} holds no style rule; give a folder of .yml rules or one rule file"
            )
        rules = []
        for file in files:
            folder = "" if path in {file.parent, file} else f"{file.parent.name}."
            rules.append(load_rule(file, folder + file.stem))
        return cls(rules, scorer=scorer)

    @property
    def required(self) -> tuple[Pattern, ...]:
        """What every text must contain (`occurrence` with `min`), such as a greeting.

        These are matters of form: whoever checks the facts of an answer passes them over.
        """
        return tuple(
            rule.check.pattern
            for rule in self.rules
            if isinstance(rule.check, Occurrence) and rule.check.min
        )

    def check(self, text: str) -> list[Violation]:
        """Returns every violation in reading order."""
        found = [violation for rule in self.rules for violation in rule.violations(text)]
        return sorted(found, key=lambda v: (v.start, v.end, v.rule))

    def score(self, text: str) -> ToneScore:
        """Judges `text` by the rules and, when there is one, by the learnt scorer."""
        violations = tuple(self.check(text))
        errors = sum(violation.level is Level.ERROR for violation in violations)
        by_rules = _by_rules(violations, errors)
        if self._scorer is None:
            return ToneScore(
                on_brand=by_rules, rules=by_rules, passed=not errors, violations=violations
            )
        learnt = self._scorer.probability(text)
        return ToneScore(
            on_brand=min(by_rules, learnt),
            rules=by_rules,
            passed=not errors and learnt >= self._scorer.threshold,
            violations=violations,
            learnt=learnt,
        )

    def is_on_brand(self, text: str) -> bool:
        """Whether `text` passes: what the on-brand rate counts."""
        return self.score(text).passed


def _by_rules(violations: Sequence[Violation], errors: int) -> float:
    """Every error halves the figure from 0.5 down; the rest takes little, down to 0.5."""
    if errors:
        return _ON_BRAND_FLOOR * 0.5**errors
    lost = sum(_PENALTY[violation.level] for violation in violations)
    return round(max(_ON_BRAND_FLOOR, 1.0 - lost), 4)

"""Rules over counts: `formula: words / sentences`, `condition: "> 25"`; nothing is `eval`ed."""

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from feedback.domain.text import sentence_spans, words
from feedback.errors import InvalidInputError
from feedback.tone.blocks import blocks
from feedback.tone.checks import Hit

_VOWELS = re.compile(r"[aeiouy]+")
_ENDINGS = re.compile(r"(?:es|ed|ing)$")
_CONDITION = re.compile(r"\s*(<=|>=|==|!=|<|>)\s*(-?\d+(?:\.\d+)?)\s*")
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_BINARY: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_FUNCTIONS: Mapping[str, Callable[[float], float]] = {
    "math.sqrt": lambda x: x**0.5,
    "sqrt": lambda x: x**0.5,
    "abs": abs,
}
VARIABLES = frozenset(
    [
        "characters",
        "complex_words",
        "long_words",
        "paragraphs",
        "polysyllabic_words",
        "sentences",
        "syllables",
        "words",
        "list",
        "blockquote",
        *(f"heading_h{level}" for level in range(1, 7)),
    ]
)
"""What a formula may name, as in Vale."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """Objects when a formula over the text's counts meets the condition."""

    formula: ast.expr
    compare: str
    limit: float

    @classmethod
    def parse(cls, formula: str, condition: str) -> "Metric":
        """Parses both texts.

        Raises:
            InvalidInputError: When a name, an operator or the condition is not understood.
        """
        condition_match = _CONDITION.fullmatch(condition)
        if condition_match is None:
            raise InvalidInputError(f"condition {condition!r} is not like '> 25'")
        try:
            tree = ast.parse(formula.strip(), mode="eval").body
        except SyntaxError as exc:
            raise InvalidInputError(f"formula {formula!r} is no arithmetic: {exc.msg}") from exc
        metric = cls(
            formula=tree, compare=condition_match.group(1), limit=float(condition_match.group(2))
        )
        _value(tree, dict.fromkeys(VARIABLES, 1.0))
        return metric

    def hits(self, text: str) -> Iterator[Hit]:
        """Yields the whole text when the condition holds; the message gets the value."""
        counts = count(text)
        if not counts["words"]:
            return
        value = _value(self.formula, counts)
        if _COMPARE[self.compare](value, self.limit):
            yield Hit(0, len(text), (f"{value:.2f}",))


def count(text: str) -> dict[str, float]:
    """Returns every variable of VARIABLES for `text`."""
    tokens = [word for word in words(text) if any(ch.isalpha() for ch in word)]
    syllables = [_syllables(word) for word in tokens]
    result: dict[str, float] = {
        "characters": sum(ch.isalnum() for ch in text),
        "words": len(tokens),
        "sentences": max(1, len(sentence_spans(text))),
        "paragraphs": max(1, sum(1 for _ in blocks(text, "paragraph"))),
        "syllables": sum(syllables),
        "polysyllabic_words": sum(n >= 3 for n in syllables),
        "complex_words": sum(_syllables(_ENDINGS.sub("", word)) >= 3 for word in tokens),
        "long_words": sum(len(word) > 6 for word in tokens),
        "list": sum(1 for _ in blocks(text, "list")),
        "blockquote": sum(1 for _ in blocks(text, "blockquote")),
    }
    for level in range(1, 7):
        result[f"heading_h{level}"] = sum(1 for _ in blocks(text, f"heading.h{level}"))
    return result


def _syllables(word: str) -> int:
    groups = len(_VOWELS.findall(word))
    silent = word.endswith("e") and not word.endswith("le") and groups > 1
    return max(1, groups - silent)


def _value(node: ast.expr, counts: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name) if name in counts:
            return counts[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            divisor = _value(right, counts)
            if isinstance(op, ast.Div) and divisor == 0:
                return 0.0
            return _BINARY[type(op)](_value(left, counts), divisor)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, counts)
        case ast.Call(func=function, args=[argument]) if ast.unparse(function) in _FUNCTIONS:
            return _FUNCTIONS[ast.unparse(function)](_value(argument, counts))
        case _:
            raise InvalidInputError(
                f"formula may not hold {ast.unparse(node)!r}; "
                f"it knows numbers, + - * /, sqrt, abs and {', '.join(sorted(VARIABLES))}"
            )

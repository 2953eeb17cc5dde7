"""Finds and checks written arithmetic: `2 + 2 = 5`, or "What is 2 + 2?" answered "5".

Used by the data set's cleaner (a false statement must not become training text) and by the
arithmetic evaluation. Only `+ - * /` and brackets over plain numbers are read, with a parser of
our own; prose sums and percentages are out of reach and are never guessed at.
"""

import re
from dataclasses import dataclass
from decimal import Decimal, DivisionByZero, InvalidOperation

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_SIGNED = rf"-?\s?{_NUMBER}"
_EXPRESSION = rf"(?:[-(][-(\s]*)?{_NUMBER}(?:[\s()]*[-+*/][\s(]*-?{_NUMBER})*[\s)]*"
_EQUALITY = re.compile(
    r"=|\b(?:is equal to|equals|makes|gives|is)\b(?=\s*-?\d)"
    r"(?!\s*-?[\d.,]+\s*(?:times|%|percent|of|to|or|-))"
)
_TAIL = re.compile(rf"({_EXPRESSION})$")
_HEAD = re.compile(rf"^\s*({_SIGNED}(?:\s*[-+*/]\s*{_NUMBER})*)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2}/\d{1,2}/\d{2,4}")
_OPERATORS_IN_WORDS = (
    (re.compile(r"(?<=\d)\s+(?:plus|and then add)\s+(?=-?\d)", re.IGNORECASE), " + "),
    (re.compile(r"(?<=\d)\s+(?:minus|take away|less)\s+(?=-?\d)", re.IGNORECASE), " - "),
    (re.compile(r"(?<=\d)\s+(?:times|multiplied by)\s+(?=-?\d)", re.IGNORECASE), " * "),
    (re.compile(r"(?<=\d)\s+divided by\s+(?=-?\d)", re.IGNORECASE), " / "),
    (re.compile(r"(?<=\d)\s*[x\u00d7]\s*(?=\d)"), " * "),  # multiplication sign
    (re.compile(r"\s*\u00f7\s*"), " / "),  # division sign
    (re.compile(r"[\u2212\u2013](?=\s*\d)"), "-"),  # minus sign, en dash
    (re.compile(r"[$\u20ac\u00a3]\s?(?=\d)"), ""),  # currencies
)
_PAIR = rf"({_NUMBER})\s+(?:and|to|with|by)\s+({_NUMBER})"
_PHRASED = tuple(
    (re.compile(rf"\b(?:{words})\s+{_PAIR}", re.IGNORECASE), operator)
    for words, operator in (
        ("add|sum of", "+"),
        ("difference between", "-"),
        ("multiply|product of", "*"),
        ("divide", "/"),
    )
)
# Unspaced `-` and `/` in a question are mostly ranges, ratios and "24/7", so they need spaces.
_ASKED = re.compile(
    rf"(?<![\w.,/-])({_SIGNED}(?:(?:\s*[+*]\s*|\s+[-/]\s+)-?{_NUMBER})+)"
    r"\s*(?:[=?!.]|$|\bequals?\b|\bmakes?\b)"
)
_TOKEN = re.compile(rf"\s*(?:({_NUMBER})|([-+*/()]))")
_UNITS = tuple("zero one two three four five six seven eight nine".split())  # noqa: SIM905
_TEENS = tuple(
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()  # noqa: SIM905
)
_TENS = tuple("twenty thirty forty fifty sixty seventy eighty ninety".split())  # noqa: SIM905
_WORDS = {word: value for value, word in enumerate((*_UNITS, *_TEENS))} | {
    word: 10 * (value + 2) for value, word in enumerate(_TENS)
}
_NUMBER_WORD = re.compile(
    rf"\b(?:({'|'.join(_TENS)})(?:[- ]({'|'.join(_UNITS[1:])}))?"
    rf"|({'|'.join((*_UNITS, *_TEENS))})|(?:one )?(hundred))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class FalseStatement:
    """One wrong statement.

    Attributes:
        text: The statement as normalised, such as `2 + 2 = 5`.
        expected: What it should say.
    """

    text: str
    expected: str


def false_statements(text: str) -> list[FalseStatement]:
    """Returns every written equation of `text` that does not hold.

    A right side with decimals may be rounded to them; an inexact division may be rounded to
    the next whole number on either side.
    """
    plain = _normalise(text)
    found = []
    for match in _EQUALITY.finditer(plain):
        left_text = _left_operand(plain[: match.start()])
        right_text = _right_operand(plain[match.end() :])
        if left_text is None or right_text is None:
            continue
        if not (_has_operator(left_text) or (match.group() == "=" and _has_operator(right_text))):
            continue
        left, right = evaluate(left_text), evaluate(right_text)
        if left is None or right is None or _close(left, right, left_text, right_text):
            continue
        found.append(
            FalseStatement(text=f"{left_text.strip()} = {right_text.strip()}", expected=_show(left))
        )
    return found


def sums_in(text: str) -> list[str]:
    """Returns the sums that a text states (`2 + 2 = 5`) or asks for, spaced evenly, in order."""
    plain = _normalise(text)
    found = []
    for match in _EQUALITY.finditer(plain):
        left = _left_operand(plain[: match.start()])
        if left is not None and _has_operator(left) and evaluate(left) is not None:
            found.append(left)
    asked = _asked(text)
    if asked is not None:
        found.append(asked.expression)
    return list(dict.fromkeys(" ".join(_tokens(expression)) for expression in found))


def asked_result(question: str) -> Decimal | None:
    """Returns the number that a plain arithmetic question asks for, else None."""
    parsed = _asked(question)
    return None if parsed is None else parsed.result


def answers_rightly(question: str, answer: str) -> bool | None:
    """Says whether `answer` gives the number that `question` asks for.

    Returns:
        None when the question asks for no arithmetic or the answer names no number.
    """
    parsed = _asked(question)
    if parsed is None:
        return None
    expected, operands = parsed.result, parsed.operands
    numbers = numbers_in(answer)
    if not numbers:
        return None
    stated = _stated(answer)
    if stated is not None:
        return _close(expected, stated, question, str(stated))
    # The answer may repeat the question's numbers before it gives the result.
    rest = list(numbers)
    if all(rest.count(value) >= operands.count(value) for value in operands):
        for value in operands:
            rest.remove(value)
    return any(_close(expected, value, question, str(value)) for value in rest or numbers)


def numbers_in(text: str) -> list[Decimal]:
    """Returns the numbers of a text in order, digits and English words up to one hundred."""
    found = [
        (match.start(), Decimal(match.group().replace(",", "")))
        for match in re.finditer(rf"(?<![\w.])-?{_NUMBER}", _normalise(text))
    ]
    for match in _NUMBER_WORD.finditer(text):
        tens, unit, small, hundred = match.groups()
        value = 100 if hundred else _WORDS[(tens or small).lower()]
        found.append((match.start(), Decimal(value + (_WORDS[unit.lower()] if unit else 0))))
    return [value for _, value in sorted(found, key=lambda pair: pair[0])]


def evaluate(expression: str) -> Decimal | None:
    """Evaluates `+ - * /`, brackets and numbers; None when it is no such expression."""
    tokens = _tokens(expression)
    if not tokens:
        return None
    parser = _Parser(tokens)
    try:
        value = parser.sum()
    except (ValueError, DivisionByZero, InvalidOperation):
        return None
    return value if parser.done else None


class _Parser:
    """Recursive descent over tokens: sum := product (+|- product)*."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def done(self) -> bool:
        return self._at == len(self._tokens)

    def sum(self) -> Decimal:
        value = self._product()
        while self._peek() in {"+", "-"}:
            operator = self._take()
            other = self._product()
            value = value + other if operator == "+" else value - other
        return value

    def _product(self) -> Decimal:
        value = self._factor()
        while self._peek() in {"*", "/"}:
            operator = self._take()
            other = self._factor()
            value = value * other if operator == "*" else value / other
        return value

    def _factor(self) -> Decimal:
        taken = self._take()
        if taken == "-":
            return -self._factor()
        if taken == "(":
            value = self.sum()
            if self._take() != ")":
                raise ValueError("unbalanced bracket")
            return value
        return Decimal(taken.replace(",", ""))

    def _peek(self) -> str:
        return "" if self.done else self._tokens[self._at]

    def _take(self) -> str:
        if self.done:
            raise ValueError("expression ends early")
        self._at += 1
        return self._tokens[self._at - 1]


def _tokens(expression: str) -> list[str]:
    tokens, position, text = [], 0, expression.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            return []
        tokens.append(match.group(1) or match.group(2))
        position = match.end()
    return tokens


def _normalise(text: str) -> str:
    plain = _DATE.sub(" ", text)
    for pattern, replacement in _OPERATORS_IN_WORDS:
        plain = pattern.sub(replacement, plain)
    return plain


def _left_operand(before: str) -> str | None:
    match = _TAIL.search(before.rstrip())
    if match is None:
        return None
    lead = before[: match.start()]
    # `a + 2 + 3`, `50% of 3 + 2`, `v2 + 2`: the expression goes on to the left, leave it alone.
    if lead and (lead[-1].isalnum() or lead[-1] in ".,"):
        return None
    words = lead.rstrip()
    if words.endswith(("+", "-", "*", "/", "^", "%", ")")) or words.lower().endswith(" of"):
        return None
    return match.group(1)


def _right_operand(after: str) -> str | None:
    match = _HEAD.match(after)
    if match is None:
        return None
    rest = after[match.end() :].lstrip()
    if rest.startswith(("%", "/", "*", "^", "(", "percent")) or re.match(r"[.,]?\d", rest):
        return None
    return match.group(1)


def _has_operator(expression: str) -> bool:
    return re.search(r"\d[\s()]*[-+*/]", expression) is not None


def _close(left: Decimal, right: Decimal, left_text: str, right_text: str) -> bool:
    difference = abs(left - right)
    decimals = len(right_text.partition(".")[2].strip()) if "." in right_text else 0
    if decimals:
        return difference <= Decimal(5).scaleb(-decimals - 1)
    divided = "/" in left_text or "divide" in left_text.lower()
    if divided and left != left.to_integral_value():
        return difference < 1
    return difference == 0


@dataclass(frozen=True, kw_only=True)
class _Asked:
    expression: str
    result: Decimal
    operands: list[Decimal]


def _asked(question: str) -> _Asked | None:
    plain = _normalise(question)
    match = _ASKED.search(plain)
    if match is not None:
        return _as_asked(match.group(1))
    for pattern, operator in _PHRASED:
        phrased = pattern.search(plain)
        if phrased is not None:
            return _as_asked(f"{phrased.group(1)} {operator} {phrased.group(2)}")
    return None


def _as_asked(expression: str) -> _Asked | None:
    value = evaluate(expression)
    if value is None:
        return None
    operands = [Decimal(n.replace(",", "")) for n in re.findall(_NUMBER, expression)]
    return _Asked(expression=expression, result=value, operands=operands)


def _stated(answer: str) -> Decimal | None:
    plain = _normalise(answer)
    for match in reversed(list(_EQUALITY.finditer(plain))):
        right = _right_operand(plain[match.end() :])
        if right is not None and (value := evaluate(right)) is not None:
            return value
    return None


def _show(value: Decimal) -> str:
    return format(value.normalize(), "f")

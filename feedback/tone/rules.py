"""Reads one rule file in Vale's YAML form and refuses what it does not understand."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from feedback.errors import InvalidInputError
from feedback.tone.blocks import blocks, is_scope
from feedback.tone.checks import (
    Capitalization,
    Check,
    Conditional,
    Consistency,
    Existence,
    Hit,
    Occurrence,
    Pattern,
    Repetition,
    Substitution,
)
from feedback.tone.metric import Metric

Data = Mapping[str, Any]


class Level(StrEnum):
    """How bad a violation is; an answer with an error is off brand."""

    SUGGESTION = "suggestion"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One place where a text breaks a rule: `text[start:end]`."""

    rule: str
    level: Level
    start: int
    end: int
    message: str


@dataclass(frozen=True, kw_only=True)
class StyleRule:
    """One rule of a style guide.

    Attributes:
        name: File name without suffix, after its folder's name when it lies in one.
        limit: Most violations it reports for one text; 0 means all.
        link: Where people can read why.
    """

    name: str
    level: Level
    message: str
    scopes: tuple[str, ...]
    check: Check
    limit: int = 0
    link: str = ""

    def violations(self, text: str) -> list[Violation]:
        """Returns the rule's violations in `text`, in reading order."""
        found = [
            Violation(
                rule=self.name,
                level=self.level,
                start=block.start + hit.start,
                end=block.start + hit.end,
                message=self._message(hit),
            )
            for scope in self.scopes
            for block in blocks(text, scope)
            for hit in self.check.hits(block.text)
        ]
        found.sort(key=lambda violation: (violation.start, violation.end))
        return found[: self.limit] if self.limit else found

    def _message(self, hit: Hit) -> str:
        message = self.message
        for argument in hit.arguments:
            message = message.replace("%s", argument, 1)
        return message.replace("%s", "")


_COMMON = frozenset(
    ["extends", "message", "level", "scope", "link", "limit", "action", "name", "description"]
)
_OWN = {
    "existence": ["tokens", "raw", "exceptions", "ignorecase", "nonword", "append", "vocab"],
    "substitution": ["swap", "exceptions", "ignorecase", "nonword", "capitalize", "vocab"],
    "occurrence": ["token", "max", "min", "ignorecase"],
    "repetition": ["tokens", "max", "alpha", "ignorecase"],
    "consistency": ["either", "nonword", "ignorecase"],
    "conditional": ["first", "second", "exceptions", "ignorecase", "vocab"],
    "capitalization": [
        "match", "style", "exceptions", "indicators", "threshold", "prefix", "vocab",
    ],
    "metric": ["formula", "condition"],
}  # fmt: skip
_REFUSED = {"readability", "spelling", "sequence", "script"}


def load_rule(path: Path, name: str) -> StyleRule:
    """Reads one rule.

    Raises:
        InvalidInputError: When the file is no rule, or holds anything this reader does not know;
            the message names the file.
    """
    try:
        data = read_yaml(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise InvalidInputError("is no mapping of rule settings")
        return parse_rule(data, name)
    except InvalidInputError as exc:
        raise InvalidInputError(f"style rule {path}: {exc}") from exc
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise InvalidInputError(f"style rule {path} cannot be read: {exc}") from exc


class _Loader(yaml.SafeLoader):
    """YAML 1.2 booleans, as Vale has them: a token `no` is a word, not false."""

    yaml_implicit_resolvers = {  # noqa: RUF012  (the name is PyYAML's)
        first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:bool"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def read_yaml(text: str) -> object:
    """Returns the data of one YAML text.

    Raises:
        yaml.YAMLError: When it is not YAML.
    """
    return yaml.load(text, Loader=_Loader)  # noqa: S506  (a SafeLoader)


def parse_rule(data: Data, name: str) -> StyleRule:
    """Turns one rule's settings into a rule.

    Raises:
        InvalidInputError: When a setting is missing, unknown or wrong.
    """
    kind = str(data.get("extends", ""))
    if kind in _REFUSED:
        raise InvalidInputError(
            f"extends {kind!r} is not supported; use one of {', '.join(sorted(_OWN))}"
        )
    if kind not in _OWN:
        raise InvalidInputError(f"extends {kind!r} is not one of {', '.join(sorted(_OWN))}")
    unknown = sorted(set(data) - _COMMON - set(_OWN[kind]))
    if unknown:
        allowed = ", ".join(sorted([*_COMMON, *_OWN[kind]]))
        raise InvalidInputError(f"unknown setting {unknown[0]!r}; a {kind} rule knows {allowed}")
    scopes = _strings(data, "scope", default=["text"])
    for scope in scopes:
        if not is_scope(scope):
            raise InvalidInputError(f"scope {scope!r} is not supported")
    return StyleRule(
        name=name,
        level=_level(data.get("level", Level.SUGGESTION.value)),
        message=str(data.get("message", name)),
        scopes=tuple(scopes),
        check=_CHECKS[kind](data),
        limit=_integer(data, "limit") or 0,
        link=str(data.get("link", "")),
    )


def _existence(data: Data) -> Check:
    tokens, raw = _strings(data, "tokens"), "".join(_strings(data, "raw"))
    if not tokens and not raw:
        raise InvalidInputError("an existence rule needs tokens or raw")
    words = _bounded(tokens, nonword=bool(data.get("nonword"))) if tokens else ""
    source = words + raw if data.get("append") else raw + words
    return Existence(
        pattern=_compile(source, ignorecase=bool(data.get("ignorecase")), multiline=True),
        exceptions=_exceptions(data),
    )


def _substitution(data: Data) -> Check:
    swap = _pairs(data, "swap")
    nonword, ignorecase = bool(data.get("nonword")), bool(data.get("ignorecase"))
    return Substitution(
        swaps=tuple(
            (
                _compile(_bounded([bad], nonword=nonword), ignorecase=ignorecase, multiline=True),
                better,
            )
            for bad, better in swap
        ),
        exceptions=_exceptions(data),
        capitalize=bool(data.get("capitalize")),
    )


def _occurrence(data: Data) -> Check:
    maximum, minimum = _integer(data, "max"), _integer(data, "min")
    if maximum is None and minimum is None:
        raise InvalidInputError("an occurrence rule needs max or min")
    return Occurrence(
        pattern=_compile(_required(data, "token"), ignorecase=bool(data.get("ignorecase"))),
        max=maximum,
        min=minimum,
    )


def _repetition(data: Data) -> Check:
    tokens = _strings(data, "tokens")
    if not tokens:
        raise InvalidInputError("a repetition rule needs tokens")
    return Repetition(
        pattern=_compile("|".join(tokens), ignorecase=bool(data.get("ignorecase"))),
        max=_integer(data, "max") or 0,
        alpha=bool(data.get("alpha")),
        ignorecase=bool(data.get("ignorecase")),
    )


def _consistency(data: Data) -> Check:
    nonword, ignorecase = bool(data.get("nonword")), bool(data.get("ignorecase"))
    return Consistency(
        pairs=tuple(
            (
                _compile(_bounded([one], nonword=nonword), ignorecase=ignorecase),
                _compile(_bounded([other], nonword=nonword), ignorecase=ignorecase),
            )
            for one, other in _pairs(data, "either")
        )
    )


def _conditional(data: Data) -> Check:
    ignorecase = bool(data.get("ignorecase"))
    return Conditional(
        first=_compile(_required(data, "first"), ignorecase=ignorecase),
        second=_compile(_required(data, "second"), ignorecase=ignorecase),
        exceptions=frozenset(_strings(data, "exceptions")),
    )


def _capitalization(data: Data) -> Check:
    match = _required(data, "match")
    builtin = match in {"$title", "$sentence", "$lower", "$upper"}
    if match.startswith("$") and not builtin:
        raise InvalidInputError(f"match {match!r} is not $title, $sentence, $lower or $upper")
    prefix = data.get("prefix")
    return Capitalization(
        match=match,
        pattern=None if builtin else _compile(match),
        style=str(data.get("style", "AP")),
        exceptions=frozenset(_strings(data, "exceptions")),
        indicators=tuple(_strings(data, "indicators")),
        threshold=float(data.get("threshold", 0.8)),
        prefix=_compile(str(prefix)) if prefix else None,
    )


def _metric(data: Data) -> Check:
    return Metric.parse(_required(data, "formula"), _required(data, "condition"))


_CHECKS: Mapping[str, Callable[[Data], Check]] = {
    "existence": _existence,
    "substitution": _substitution,
    "occurrence": _occurrence,
    "repetition": _repetition,
    "consistency": _consistency,
    "conditional": _conditional,
    "capitalization": _capitalization,
    "metric": _metric,
}


def _bounded(tokens: Sequence[str], *, nonword: bool) -> str:
    joined = "|".join(_scoped_flags(token) for token in tokens)
    return f"(?:{joined})" if nonword else rf"\b(?:{joined})\b"


def _scoped_flags(token: str) -> str:
    """Rewrites a leading `(?i)`, which Python allows only at the start of the whole pattern."""
    match = re.match(r"\(\?([ims]+)\)", token)
    return f"(?{match.group(1)}:{token[match.end() :]})" if match else token


def _compile(source: str, *, ignorecase: bool = False, multiline: bool = False) -> Pattern:
    flags = (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0)
    try:
        return re.compile(_scoped_flags(source), flags)
    except re.error as exc:
        raise InvalidInputError(f"{source!r} is no regular expression: {exc}") from exc


def _exceptions(data: Data) -> Pattern | None:
    exceptions = _strings(data, "exceptions")
    if not exceptions:
        return None
    return _compile("|".join(exceptions), ignorecase=bool(data.get("ignorecase")))


def _strings(data: Data, key: str, default: Sequence[str] = ()) -> list[str]:
    value = data.get(key)
    if value is None:
        return list(default)
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise InvalidInputError(f"{key} must be a list, got {value!r}")
    return [str(item) for item in value]


def _pairs(data: Data, key: str) -> list[tuple[str, str]]:
    value = data.get(key)
    if isinstance(value, list):  # newer Vale: a list of one-entry mappings keeps its order
        value = {k: v for entry in value if isinstance(entry, dict) for k, v in entry.items()}
    if not isinstance(value, dict) or not value:
        raise InvalidInputError(f"{key} must map one wording to another")
    return [(str(one), str(other)) for one, other in value.items()]


def _required(data: Data, key: str) -> str:
    value = data.get(key)
    if value is None or value == "":
        raise InvalidInputError(f"{key} is missing")
    return str(value)


def _integer(data: Data, key: str) -> int | None:
    value = data.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidInputError(f"{key} must be a whole number, got {value!r}")
    return value


def _level(value: object) -> Level:
    try:
        return Level(str(value))
    except ValueError as exc:
        raise InvalidInputError(f"level {value!r} is not suggestion, warning or error") from exc

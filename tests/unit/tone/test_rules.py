# ruff: noqa: E501  (tables: one case a line)
"""Every kind of rule, in Vale's YAML, on texts where its verdict is known."""

from pathlib import Path
from typing import Any

import pytest

from feedback.errors import InvalidInputError
from feedback.tone import Level, StyleGuide
from feedback.tone.rules import parse_rule, read_yaml


def read_rule(rule: str) -> dict[str, Any]:
    data = read_yaml(rule)
    assert isinstance(data, dict)
    return data


def hits(rule: str, text: str) -> list[str]:
    parsed = parse_rule(read_rule(rule), "r")
    return [text[v.start : v.end] for v in parsed.violations(text)]


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        (
            "{extends: existence, ignorecase: true, tokens: [sorry, 'apolog(?:y|ies)']}",
            "Sorry, our apologies. Sorryless.",
            ["Sorry", "apologies"],
        ),
        (
            "{extends: existence, ignorecase: true, tokens: [very, obviously], exceptions: [very]}",
            "Obviously very good",
            ["Obviously"],
        ),
        ("{extends: existence, nonword: true, tokens: ['\\.{3}']}", "wait... no.", ["..."]),
        ("{extends: existence, raw: ['\\bat this\\b', '\\s+point']}", "at this point", ["at this point"]),
        ("{extends: existence, tokens: ['(?i)foo', bar]}", "FOO Bar bar", ["FOO", "bar"]),
        ("{extends: existence, scope: raw, tokens: [foo]}", "`foo` foo", ["foo", "foo"]),
        ("{extends: existence, tokens: [foo]}", "`foo` foo\n```\nfoo\n```", ["foo"]),
        ("{extends: existence, limit: 1, tokens: [a]}", "a a a", ["a"]),
        (
            "{extends: substitution, ignorecase: true, swap: {'utili[sz]e': use, 'prior to': before}}",
            "Utilize it prior to lunch",
            ["Utilize", "prior to"],
        ),
        ("{extends: substitution, ignorecase: true, swap: {github: GitHub}}", "github GitHub", ["github"]),
        (
            "{extends: substitution, swap: [{log in: sign in}], exceptions: [log in]}",
            "log in",
            [],
        ),
        ("{extends: occurrence, max: 1, token: '!'}", "Hi! You! There!", ["!"]),
        ("{extends: occurrence, min: 1, token: '^Hi'}", "No.\nHi", ["No.\nHi"]),
        ("{extends: occurrence, min: 1, token: '^Hi'}", "Hi.", []),
        (
            "{extends: occurrence, scope: sentence, max: 3, token: '\\w+'}",
            "One two three. One two three four.",
            ["four"],
        ),
        (
            "{extends: repetition, alpha: true, ignorecase: true, tokens: ['[^\\s]+']}",
            "This this is fine fine. 5 5",
            ["This this"],
        ),
        ("{extends: repetition, max: 1, tokens: ['[a-z]+']}", "no no no", ["no no"]),
        ("{extends: consistency, either: {advisor: adviser}}", "advisor adviser advisor", ["adviser"]),
        ("{extends: consistency, either: {advisor: adviser}}", "advisor advisor", []),
        (
            ("{extends: conditional, first: '\\b([A-Z]{3,5})\\b', "
            "second: '(?:\\b[A-Z][a-z]+ )+\\(([A-Z]{3,5})\\)', exceptions: [API]}"),
            "Quality Assurance Team (QAT) told QAT and NASA about the API",
            ["NASA"],
        ),
        ("{extends: capitalization, scope: heading, match: $title}", "# How to ask\nbody", ["How to ask"]),
        ("{extends: capitalization, scope: heading, match: $title}", "# How to Ask", []),
        ("{extends: capitalization, scope: heading, match: $sentence}", "## How To Ask Well", ["How To Ask Well"]),
        ("{extends: capitalization, scope: heading.h2, match: $sentence}", "# How To Ask Well", []),
        (
            "{extends: capitalization, scope: heading, match: $sentence, exceptions: [Slack]}",
            "# Ask the API in Slack",
            [],
        ),
        ("{extends: capitalization, scope: list, match: $lower}", "- one\n- Two", ["Two"]),
        ("{extends: capitalization, scope: sentence, match: '^[A-Z]'}", "Yes. no.", ["no."]),
        (
            "{extends: capitalization, scope: heading, match: $upper, prefix: 'Note: '}",
            "# Note: loud",
            ["loud"],
        ),
        ("{extends: metric, formula: words / sentences, condition: '> 3'}", "One two three four.", ["One two three four."]),
        ("{extends: metric, formula: (words - 1) / 0, condition: '> 3'}", "One two three.", []),
        ("{extends: metric, formula: sqrt(words) * -1, condition: '<= -2'}", "a b c d", ["a b c d"]),
        ("{extends: existence, scope: blockquote, tokens: [foo]}", "> foo\nfoo", ["foo"]),
        ("{extends: existence, scope: table.header, tokens: [foo]}", "|foo|\n|---|\n|foo|", ["foo"]),
        ("{extends: existence, scope: paragraph, tokens: [foo]}", "# foo\n\n- foo\n\nfoo", ["foo"]),
        ("{extends: existence, scope: [list, heading], tokens: [foo]}", "# foo\n- foo\n\nfoo", ["foo", "foo"]),
    ],
)  # fmt: skip
def test_rule(rule: str, text: str, expected: list[str]) -> None:
    assert hits(rule, text) == expected


def test_messages_name_what_was_found() -> None:
    guide = StyleGuide(
        [
            parse_rule(read_rule(rule), "r")
            for rule in (
                "{extends: existence, message: \"leave out '%s'\", tokens: [foo]}",
                (
                    "{extends: substitution, message: \"'%s', not '%s'\", capitalize: true,"
                    " ignorecase: true, swap: {bar: baz|qux}}"
                ),
                "{extends: occurrence, message: 'found %s', max: 0, token: '!'}",
            )
        ]
    )
    assert [violation.message for violation in guide.check("foo Bar !!")] == [
        "leave out 'foo'",
        "'Baz' or 'Qux', not 'Bar'",
        "found 2",
    ]


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ("extends: spelling", "'spelling' is not supported"),
        ("extends: script", "'script' is not supported"),
        ("extends: magic", "'magic' is not one of"),
        ("{extends: existence, tokns: [a]}", "unknown setting 'tokns'"),
        ("{extends: existence}", "needs tokens or raw"),
        ("{extends: existence, tokens: ['(']}", "no regular expression"),
        ("{extends: existence, tokens: 5}", "tokens must be a list"),
        ("{extends: existence, tokens: [a], scope: limerick}", "scope 'limerick'"),
        ("{extends: existence, tokens: [a], level: fatal}", "level 'fatal'"),
        ("{extends: substitution, swap: []}", "swap must map"),
        ("{extends: occurrence, token: a}", "needs max or min"),
        ("{extends: occurrence, token: a, max: many}", "max must be a whole number"),
        ("{extends: conditional, first: a}", "second is missing"),
        ("{extends: capitalization, match: $loud}", "match '$loud'"),
        ("{extends: metric, formula: words, condition: many}", "condition 'many'"),
        ("{extends: metric, formula: '__import__(\"os\").getcwd()', condition: '> 1'}", "may not hold"),
        ("{extends: metric, formula: words **2, condition: '> 1'}", "may not hold"),
        ("- a list", "no mapping"),
        ("a: [", "cannot be read"),
    ],
)  # fmt: skip
def test_a_bad_rule_is_refused_by_file_and_reason(
    tmp_path: Path, rule: str, complaint: str
) -> None:
    file = tmp_path / "bad.yml"
    file.write_text(rule)
    with pytest.raises(InvalidInputError) as refusal:
        StyleGuide.load(tmp_path)
    assert str(file) in str(refusal.value)
    assert complaint in str(refusal.value)


def test_load_names_rules_by_folder_and_needs_some(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="holds no style rule"):
        StyleGuide.load(tmp_path)
    (tmp_path / "House").mkdir()
    (tmp_path / "House" / "Cold.yml").write_text("{extends: existence, tokens: [no]}")
    (tmp_path / "warm.yaml").write_text("{extends: existence, level: error, tokens: [no]}")
    guide = StyleGuide.load(tmp_path)
    assert [(v.rule, v.level) for v in guide.check("no")] == [
        ("House.Cold", Level.SUGGESTION),
        ("warm", Level.ERROR),
    ]
    single = StyleGuide.load(tmp_path / "warm.yaml")
    assert [rule.name for rule in single.rules] == ["warm"]

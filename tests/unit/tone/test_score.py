from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.commands.tone import SAMPLE_STYLE
from feedback.tone import StyleGuide
from feedback.tone.rules import parse_rule

GOOD = "Happy to help! You can return it within 30 days. Just ask if you need more."


@pytest.fixture(name="guide", scope="module")
def sample_guide() -> StyleGuide:
    return StyleGuide.load(SAMPLE_STYLE)


def test_the_sample_company_s_voice(guide: StyleGuide) -> None:
    score = guide.score(GOOD)
    assert (score.on_brand, score.passed, score.violations) == (1.0, True, ())


@pytest.mark.parametrize(
    "text",
    [
        "You can return it within 30 days.",
        "Happy to help! Unfortunately that is late. Just ask if you need more.",
        "We regret it. Happy to help! It is 30 days. Just ask if you need more.",
        "Happy to help! It is 30 days.",
    ],
)
def test_an_error_is_off_brand(guide: StyleGuide, text: str) -> None:
    score = guide.score(text)
    assert not score.passed
    assert not guide.is_on_brand(text)
    assert score.on_brand < 0.5


def test_warnings_cost_little(guide: StyleGuide) -> None:
    score = guide.score(GOOD.replace("return it", "utilise it prior to use"))
    assert score.passed
    assert score.on_brand == 0.8
    assert [v.rule for v in score.violations] == ["jargon", "jargon"]


@given(st.lists(st.sampled_from(["sorry", "utilise", "!", "Happy to help!", "word"])))
def test_the_figure_tells_errors_from_none(parts: list[str]) -> None:
    guide = StyleGuide.load(SAMPLE_STYLE)
    score = guide.score(" ".join(parts))
    assert 0 <= score.on_brand <= 1
    assert score.passed is (score.on_brand >= 0.5)


@dataclass
class Fixed:
    value: float
    threshold: float = 0.7

    def probability(self, text: str) -> float:
        return self.value if text else 0.0


@pytest.mark.parametrize(("value", "passed"), [(0.9, True), (0.7, True), (0.69, False)])
def test_a_learnt_scorer_can_only_lower_the_figure(value: float, passed: bool) -> None:
    rule = parse_rule({"extends": "existence", "tokens": ["no"], "level": "error"}, "r")
    guide = StyleGuide([rule], scorer=Fixed(value))
    score = guide.score("yes")
    assert (score.passed, score.on_brand, score.rules, score.learnt) == (passed, value, 1.0, value)
    assert guide.score("no").on_brand == 0.25
    assert not guide.is_on_brand("no")


def test_required_phrases_are_the_occurrence_rules_with_a_minimum(guide: StyleGuide) -> None:
    assert any(pattern.search("Happy to help!") for pattern in guide.required)
    assert not any(pattern.search("You can return it.") for pattern in guide.required)


def test_the_sample_style_lies_in_the_package() -> None:
    assert Path(SAMPLE_STYLE).is_dir()

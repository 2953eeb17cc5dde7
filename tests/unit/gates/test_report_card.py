from dataclasses import replace
from html.parser import HTMLParser

import pytest

from retrain.dataset import render_files
from retrain.evals import Evaluation
from retrain.gates import GatePolicy, decide
from retrain.report_card import (
    ReportCard,
    render_html,
    render_markdown,
    render_summary,
    report_card,
)
from tests.unit.dataset.samples import built, distinct_records
from tests.unit.gates.models import evaluation, scores

NASTY = "<script>alert('x')</script> | `code` *bold*"


@pytest.fixture
def card() -> ReportCard:
    champion = evaluation("base", right=scores(0, 100), arithmetic=scores(100, 100))
    candidate = evaluation(NASTY, right=scores(80, 100), arithmetic=scores(60, 100))
    return report_card(
        title=f"Run 7 {NASTY}",
        candidate=candidate,
        champion=champion,
        gates=decide(candidate, champion, GatePolicy()),
        base=champion,
        manifest=render_files(built(distinct_records(20, reviewer_id="r"))).manifest,
        run={"base_model": "tiny", "train_seconds": 61.2},
    )


class Page(HTMLParser):
    """Collects tags and text, and checks that tags are balanced."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_whole_escaped_and_self_contained(card: ReportCard) -> None:
    html = render_html(card)
    page = Page()
    page.feed(html)
    assert page.open == []
    assert "script" not in page.tags
    assert NASTY in page.text
    assert "http" not in html
    assert "arithmetic fell from 1.00 to 0.60 (n=100, margin 0.05)" in page.text
    assert page.tags.count("svg") == len(card.metrics)


def test_the_markdown_says_the_same(card: ReportCard) -> None:
    text = render_markdown(card)
    assert "**Stopped**: stopped by arithmetic" in text
    base = "0.0 % (0.0 % to 3.7 %)"
    assert f"| right | 80.0 % (71.1 % to 86.7 %) | {base} | {base} | 100 | pass |" in text
    assert "<script>" not in text
    assert "| cleaners switched off | none |" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)


def test_worst_are_lost_answers_and_best_are_gained_ones(card: ReportCard) -> None:
    assert len(card.worst) == len(card.best) == 10
    assert all(
        p.metric == "arithmetic" and p.champion_score > p.challenger_score for p in card.worst
    )
    assert all(p.metric == "right" and p.challenger_score > p.champion_score for p in card.best)


def test_lost_never_break_items_come_first() -> None:
    champion = evaluation("a", never_break=1, facts=scores(50, 50))
    lost = [0.0, *scores(30, 49)]
    candidate = evaluation("b", never_break=1, facts=lost)
    made = report_card(
        title="t",
        candidate=candidate,
        champion=champion,
        gates=decide(candidate, champion, GatePolicy()),
    )
    assert made.worst[0].never_break
    assert "never break" in render_html(made)


def test_a_card_without_data_still_renders() -> None:
    empty: Evaluation = evaluation("a")
    made = report_card(
        title="t", candidate=empty, champion=empty, gates=decide(empty, empty, GatePolicy())
    )
    assert "None." in render_markdown(made)
    assert "was not measured" in render_html(made)


def test_the_summary_is_short_and_safe_for_a_channel(card: ReportCard) -> None:
    lines = render_summary(card).splitlines()
    assert "*stopped*. stopped by arithmetic" in lines[0]
    assert "&lt;script&gt;" in lines[0]
    assert ":white_check_mark: right: 0.0 % to 80.0 %" in lines
    assert ":x: arithmetic: 100.0 % to 60.0 %" in lines


def test_what_was_measured_without_an_answer_is_never_an_example() -> None:
    model = evaluation("a", never_break=1, facts=scores(50, 50), near_base=scores(0, 50))
    blank = tuple(replace(outcome, answer="") for outcome in model.outcomes["near_base"])
    model = replace(model, outcomes={**model.outcomes, "near_base": blank})
    made = report_card(
        title="t", candidate=model, champion=model, gates=decide(model, model, GatePolicy())
    )
    assert made.worst == ()


def test_length_and_pace_of_every_model_are_told() -> None:
    slow = replace(evaluation("a"), words_per_answer=12.34, seconds_per_answer=0.5)
    made = report_card(
        title="t", candidate=slow, champion=slow, gates=decide(slow, slow, GatePolicy())
    )
    for text in (render_html(made), render_markdown(made)):
        assert "12.3" in text
        assert "500.0 ms" in text

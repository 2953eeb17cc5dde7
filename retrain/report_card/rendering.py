"""Renders a report card with the packaged templates; every text from outside is escaped."""

import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from retrain.gates.report import Status
from retrain.report_card.card import ReportCard

_MARKUP = re.compile(r"([\\`*_\[\]<>|#~])")


def render_html(card: ReportCard) -> str:
    """Returns one self-contained page: no script, no outside file."""
    return _templates().get_template("card.html").render(card=card)


def render_markdown(card: ReportCard) -> str:
    """Returns the card as Markdown for channels and pull requests."""
    return _templates().get_template("card.md").render(card=card)


def render_summary(card: ReportCard) -> str:
    """Returns the card in a few lines for a Slack channel: the verdict, and each gate's figures."""
    marks = {Status.PASS: ":white_check_mark:", Status.FAIL: ":x:"}
    lines = [
        f"{marks.get(result.status, ':grey_question:')} {_words(result.gate)}: "
        f"{_percent(result.champion)} to {_percent(result.challenger)}"
        for result in card.gates.results
        if result.champion is not None and result.challenger is not None
    ]
    verdict = "passed" if card.gates.passed else "stopped"
    head = f"Report card, {_mrkdwn(card.title)}: *{verdict}*. {_mrkdwn(card.gates.headline)}"
    return "\n".join([head, *lines])


def _mrkdwn(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("retrain.report_card", "."),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = _cell
    environment.filters["percent"] = _percent
    environment.filters["words"] = _words
    return environment


def _cell(text: object, limit: int = 200) -> str:
    """Makes a text safe inside a Markdown table cell: one line, markup escaped, cut."""
    line = " ".join(str(text).split())
    cut = line if len(line) <= limit else f"{line[: limit - 1]}\u2026"
    return _MARKUP.sub(r"\\\1", cut)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _words(name: str) -> str:
    return name.replace("_", " ")

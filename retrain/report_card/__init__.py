"""The report card of a training run, as HTML and as Markdown."""

from retrain.report_card.card import Comparison, MetricLine, ReportCard, report_card
from retrain.report_card.rendering import render_html, render_markdown

__all__ = [
    "Comparison",
    "MetricLine",
    "ReportCard",
    "render_html",
    "render_markdown",
    "report_card",
]

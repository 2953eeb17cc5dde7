"""The report card of a training run: as HTML, as Markdown, and in a few lines for a channel."""

from retrain.report_card.card import Comparison, MetricLine, ReportCard, report_card
from retrain.report_card.rendering import render_html, render_markdown, render_summary

__all__ = [
    "Comparison",
    "MetricLine",
    "ReportCard",
    "render_html",
    "render_markdown",
    "render_summary",
    "report_card",
]

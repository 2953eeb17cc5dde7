"""Charts as Vega-Lite specifications, pure; colours are names of the style sheet's variables.

The script `charts.js` adds sizes and fonts. Every chart's numbers stand beside it as a table too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

Row = Mapping[str, Any]
Spec = Mapping[str, Any]

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_BY_DAY = {
    "field": "day",
    "type": "temporal",
    "title": None,
    "timeUnit": "utcyearmonthdate",
    "axis": {"format": "%-d %b", "tickCount": 8},
}
_SERIES = [
    "var(--accent)",
    "var(--challenger)",
    "var(--gold)",
    "var(--good)",
    "var(--faint)",
    "var(--line)",
]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A specification and the same figures for those who cannot see it.

    Attributes:
        title: What it shows, also its accessible name.
        columns: Headings of the table.
        rows: Cells of the table, as text.
    """

    title: str
    spec: Spec
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...] = field(default=())


def loss_curve(
    points: Sequence[tuple[int, float]], total_steps: int | None, second_from: int | None = None
) -> Chart:
    """Training loss by step.

    Args:
        points: Step and loss.
        total_steps: End of the axis.
        second_from: First step of a second stage, whose loss is another measure.
    """
    domain = {"domain": [0, total_steps]} if total_steps else {}
    values = [
        {
            "step": step,
            "loss": loss,
            "stage": "examples" if second_from is None or step < second_from else "preferences",
        }
        for step, loss in points
    ]
    stages = {
        "field": "stage",
        "type": "nominal",
        "title": None,
        "scale": {
            "domain": ["examples", "preferences"],
            "range": ["var(--accent)", "var(--challenger)"],
        },
        "legend": None if second_from is None else {"orient": "top", "symbolType": "stroke"},
    }
    return Chart(
        title="Training loss by step",
        spec={
            **base_spec("Training loss by step", 170),
            "data": {"values": values},
            "mark": {"type": "line", "strokeWidth": 2},
            "encoding": {
                "color": stages,
                "x": {
                    "field": "step",
                    "type": "quantitative",
                    "title": "step",
                    "axis": {"tickCount": 8},
                    "scale": {"nice": False, **domain},
                },
                "y": {
                    "field": "loss",
                    "type": "quantitative",
                    "title": "loss",
                    "scale": {"zero": True},
                },
                "tooltip": [{"field": "step"}, {"field": "loss", "format": ".3f"}],
            },
        },
        columns=("Step", "Loss"),
        rows=tuple((str(step), f"{loss:.3f}") for step, loss in points),
    )


def daily_answers(rows: Sequence[tuple[str, int, int, int]], since: date, until: date) -> Chart:
    """Answers a day, and what people thought of them.

    Args:
        rows: Day as ISO date, answers, thumbs up, thumbs down.
        since: First day of the axis, so that a few days are not drawn as if they were many.
        until: Its last day.
    """
    span = [since + timedelta(days=day) for day in range((until - since).days + 1)]
    known = {day: answers for day, answers, _, _ in rows}
    days = [{"day": d.isoformat(), "answers": known.get(d.isoformat(), 0)} for d in span]
    opinions = [
        {"day": day, "what": what, "count": count}
        for day, _, up, down in rows
        for what, count in (("up", up), ("down", down))
    ]
    return Chart(
        title="Answers and opinions by day",
        spec={
            **base_spec("Answers and opinions by day", 190),
            "layer": [
                {
                    "data": {"values": days},
                    "mark": {"type": "bar", "color": "var(--line)", "cornerRadiusEnd": 2},
                    "encoding": {
                        "x": _BY_DAY,
                        "y": {"field": "answers", "type": "quantitative", "title": "answers"},
                        "tooltip": [{"field": "day"}, {"field": "answers"}],
                    },
                },
                {
                    "data": {"values": opinions},
                    "mark": {"type": "line", "strokeWidth": 2},
                    "encoding": {
                        "x": {**_BY_DAY, "bandPosition": 0.5},
                        "y": {"field": "count", "type": "quantitative"},
                        "color": {
                            "field": "what",
                            "type": "nominal",
                            "title": None,
                            "scale": {
                                "domain": ["up", "down"],
                                "range": ["var(--good)", "var(--bad)"],
                            },
                            "legend": {"orient": "top", "symbolType": "stroke"},
                        },
                    },
                },
            ],
        },
        columns=("Day", "Answers", "Thumbs up", "Thumbs down"),
        rows=tuple((day, str(a), str(up), str(down)) for day, a, up, down in rows),
    )


def counts_by_day(title: str, rows: Sequence[tuple[str, int]]) -> Chart:
    """How many on each day.

    Args:
        title: What is counted.
        rows: Day as ISO date, count.
    """
    return Chart(
        title=title,
        spec={
            **base_spec(title, 130),
            "data": {"values": [{"day": day, "count": count} for day, count in rows]},
            "mark": {"type": "bar", "color": "var(--accent)", "cornerRadiusEnd": 2, "size": 9},
            "encoding": {
                "x": _BY_DAY,
                "y": {
                    "field": "count",
                    "type": "quantitative",
                    "title": None,
                    "axis": {"tickMinStep": 1},
                },
                "tooltip": [{"field": "day"}, {"field": "count"}],
            },
        },
        columns=("Day", "Count"),
        rows=tuple((day, str(count)) for day, count in rows),
    )


def stacked_by_week(title: str, rows: Sequence[tuple[str, str, int]], *, of: str) -> Chart:
    """How many in each week, one colour a name.

    Args:
        title: What is counted.
        rows: First day of the week as ISO date, name, count; names in the order of the legend.
        of: What the names are.
    """
    names = list(dict.fromkeys(name for _, name, _ in rows))
    return Chart(
        title=title,
        spec={
            **base_spec(title, 150),
            "data": {"values": [{"week": w, "name": n, "count": c} for w, n, c in rows]},
            "mark": {"type": "bar", "cornerRadiusEnd": 2, "size": 22},
            "encoding": {
                "x": {
                    "field": "week",
                    "type": "temporal",
                    "title": None,
                    "timeUnit": "utcyearmonthdate",
                    "axis": {"format": "%-d %b", "tickCount": 8},
                },
                "y": {
                    "field": "count",
                    "type": "quantitative",
                    "title": None,
                    "axis": {"tickMinStep": 1},
                },
                "color": {
                    "field": "name",
                    "type": "nominal",
                    "title": None,
                    "scale": {"domain": names, "range": _SERIES[: len(names)]},
                    "legend": {"orient": "top", "symbolType": "square"},
                },
                "tooltip": [
                    {"field": "week"},
                    {"field": "name", "title": of},
                    {"field": "count"},
                ],
            },
        },
        columns=("Week of", of.capitalize(), "Count"),
        rows=tuple((week, name, str(count)) for week, name, count in rows),
    )


def named_bars(title: str, rows: Sequence[tuple[str, int]], *, unit: str) -> Chart:
    """Counts by name, in the order given."""
    return Chart(
        title=title,
        spec={
            **base_spec(title, 24 * max(1, len(rows))),
            "data": {"values": [{"name": name, "count": count} for name, count in rows]},
            "encoding": {
                "y": {"field": "name", "type": "nominal", "title": None, "sort": None},
                "x": {"field": "count", "type": "quantitative", "axis": None},
            },
            "layer": [
                {
                    "mark": {
                        "type": "bar",
                        "height": 12,
                        "color": "var(--accent)",
                        "cornerRadiusEnd": 2,
                    }
                },
                {
                    "mark": {"type": "text", "align": "left", "dx": 5, "color": "var(--ink)"},
                    "encoding": {"text": {"field": "count"}},
                },
            ],
        },
        columns=("Name", unit.capitalize()),
        rows=tuple((name, str(count)) for name, count in rows),
    )


def duel(rows: Sequence[tuple[str, float | None, float | None]]) -> Chart:
    """Champion and challenger side by side, one line a metric, 0 to 100 %.

    Args:
        rows: Metric, champion's value, challenger's value; None when it was not measured.
    """
    values = [
        {"name": name, "who": who, "value": value}
        for name, champion, challenger in rows
        for who, value in (("champion", champion), ("challenger", challenger))
        if value is not None
    ]
    y = {"field": "name", "type": "nominal", "title": None, "sort": None}
    x = {
        "field": "value",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [0, 1]},
        "axis": {"format": ".0%", "tickCount": 5, "grid": True},
    }
    return Chart(
        title="Champion and challenger on held-out questions",
        spec={
            **base_spec("Champion and challenger on held-out questions", 26 * max(1, len(rows))),
            "data": {"values": values},
            "encoding": {"y": y, "x": x},
            "layer": [
                {
                    "mark": {"type": "line", "color": "var(--faint)", "strokeWidth": 2},
                    "encoding": {"detail": {"field": "name", "type": "nominal"}},
                },
                {
                    "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
                    "encoding": {
                        "color": {
                            "field": "who",
                            "type": "nominal",
                            "title": None,
                            "scale": {
                                "domain": ["champion", "challenger"],
                                "range": ["var(--champion)", "var(--challenger)"],
                            },
                            "legend": {"orient": "top"},
                        },
                        "tooltip": [
                            {"field": "name"},
                            {"field": "who"},
                            {"field": "value", "format": ".1%"},
                        ],
                    },
                },
            ],
        },
        columns=("Metric", "Champion", "Challenger"),
        rows=tuple((name, percent(old), percent(new)) for name, old, new in rows),
    )


def base_spec(description: str, height: int) -> dict[str, Any]:
    """Returns what every specification begins with."""
    return {
        "$schema": _SCHEMA,
        "description": description,
        "width": "container",
        "height": height,
        "background": None,
    }


def percent(value: float | None) -> str:
    """Returns a share for a table, empty when there is none."""
    return "" if value is None else f"{100 * value:.1f} %"

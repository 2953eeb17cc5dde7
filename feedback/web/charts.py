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
FLOOR, CEILING = 1e-2, 1e4
"""E values beyond these are drawn at the edge: a chart over 300 decades shows nothing."""


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


def loss_curve(points: Sequence[tuple[int, float]], total_steps: int | None) -> Chart:
    """Training loss by step."""
    domain = {"domain": [0, total_steps]} if total_steps else {}
    return Chart(
        title="Training loss by step",
        spec={
            **_base("Training loss by step", 170),
            "data": {"values": [{"step": step, "loss": loss} for step, loss in points]},
            "mark": {"type": "line", "color": "var(--accent)", "strokeWidth": 2},
            "encoding": {
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


def evidence_bars(rows: Sequence[tuple[str, float, float | None]]) -> Chart:
    """E values on a log scale, growing from 1 (no evidence), each with its threshold.

    Args:
        rows: Name, E, and the E that decides (None when it is not known).
    """
    values = [
        {
            "name": name,
            "e": e,
            "shown": min(max(e, FLOOR), CEILING),
            "one": 1,
            "threshold": threshold,
            "side": "reached" if threshold and e >= threshold else "for" if e >= 1 else "against",
        }
        for name, e, threshold in rows
    ]
    axis = {"values": [0.01, 0.1, 1, 10, 100, 1000, 10000], "format": "~g", "title": "E"}
    scale = {"type": "log", "domain": [FLOOR, CEILING], "nice": False}
    y = {"field": "name", "type": "nominal", "title": None, "sort": None}
    return Chart(
        title="Evidence against the thresholds, E on a log scale",
        spec={
            **_base("Evidence against the thresholds", 26 * max(1, len(rows))),
            "data": {"values": values},
            "encoding": {"y": y},
            "layer": [
                {
                    "mark": {"type": "rule", "color": "var(--faint)"},
                    "encoding": {"x": {"datum": 1, "type": "quantitative"}, "y": None},
                },
                {
                    "mark": {"type": "bar", "height": 10, "cornerRadius": 2},
                    "encoding": {
                        "x": {
                            "field": "shown",
                            "type": "quantitative",
                            "scale": scale,
                            "axis": axis,
                        },
                        "x2": {"field": "one"},
                        "color": {
                            "field": "side",
                            "type": "nominal",
                            "legend": None,
                            "scale": {
                                "domain": ["reached", "for", "against"],
                                "range": ["var(--accent)", "var(--challenger)", "var(--faint)"],
                            },
                        },
                        "tooltip": [
                            {"field": "name"},
                            {"field": "e", "format": ".3~g", "title": "E"},
                            {"field": "threshold", "title": "needs"},
                        ],
                    },
                },
                {
                    "transform": [{"filter": "isValid(datum.threshold)"}],
                    "mark": {"type": "tick", "color": "var(--ink)", "thickness": 2, "size": 18},
                    "encoding": {"x": {"field": "threshold", "type": "quantitative"}},
                },
            ],
        },
        columns=("Evidence", "E", "Threshold"),
        rows=tuple((n, f"{e:.3g}", f"{t:g}" if t else "") for n, e, t in rows),
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
            **_base("Answers and opinions by day", 190),
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
            **_base(title, 130),
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


def named_bars(title: str, rows: Sequence[tuple[str, int]], *, unit: str) -> Chart:
    """Counts by name, in the order given."""
    return Chart(
        title=title,
        spec={
            **_base(title, 24 * max(1, len(rows))),
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
            **_base("Champion and challenger on held-out questions", 26 * max(1, len(rows))),
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
        rows=tuple((name, _percent(old), _percent(new)) for name, old, new in rows),
    )


def ramp_steps(rows: Sequence[tuple[str, str, float]], until: str) -> Chart:
    """The challenger's share of new threads over time.

    Args:
        rows: Stage, ISO moment it came into force, share.
        until: ISO moment at which the last one ends, or now.
    """
    values = [{"stage": stage, "at": at, "share": share} for stage, at, share in rows]
    if rows:
        values.append({"stage": rows[-1][0], "at": until, "share": rows[-1][2]})
    return Chart(
        title="Share of new threads the challenger answers",
        spec={
            **_base("Share of new threads the challenger answers", 120),
            "data": {"values": values},
            "mark": {
                "type": "area",
                "interpolate": "step-after",
                "color": "var(--challenger)",
                "opacity": 0.35,
                "line": {"color": "var(--challenger)"},
            },
            "encoding": {
                "x": {
                    "field": "at",
                    "type": "temporal",
                    "title": None,
                    "scale": {"type": "utc"},
                    "axis": {"format": "%-d %b", "tickCount": 6},
                },
                "y": {
                    "field": "share",
                    "type": "quantitative",
                    "title": None,
                    "scale": {"domain": [0, 0.5]},
                    "axis": {"format": ".0%", "values": [0, 0.25, 0.5]},
                },
                "tooltip": [{"field": "stage"}, {"field": "share", "format": ".0%"}],
            },
        },
        columns=("Stage", "Since", "Share"),
        rows=tuple(
            (stage, at[:16].replace("T", " "), _percent(share)) for stage, at, share in rows
        ),
    )


def _base(description: str, height: int) -> dict[str, Any]:
    return {
        "$schema": _SCHEMA,
        "description": description,
        "width": "container",
        "height": height,
        "background": None,
    }


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"

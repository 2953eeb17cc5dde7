"""Charts of an experiment: its ramp, its evidence now and over time."""

from collections.abc import Sequence

from feedback.web.charts import Chart, base_spec, percent

WAY_FLOOR, WAY_CEILING = -0.5, 1.2
_HISTORY_DASHES = ([1, 0], [1, 0], [2, 2], [6, 2])
_HISTORY_COLOURS = ("var(--good)", "var(--bad)", "var(--soft)", "var(--gold)")
FLOOR, CEILING = 1e-2, 1e4
"""E values beyond these are drawn at the edge: a chart over 300 decades shows nothing."""


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
            **base_spec("Evidence against the thresholds", 26 * max(1, len(rows))),
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


def evidence_history(rows: Sequence[tuple[str, str, float]]) -> Chart:
    """How near each kind of evidence came to deciding, look by look.

    Args:
        rows: Kind, ISO moment, log E over the log of the E that decides: 1 decides, 0 is nothing,
            less speaks against it.
    """
    values = [
        {"what": what, "at": at, "way": min(max(way, WAY_FLOOR), WAY_CEILING)}
        for what, at, way in rows
    ]
    names = list(dict.fromkeys(what for what, _, _ in rows))
    title = "Evidence over time: at 100 % it decides"
    legend = {"orient": "top", "symbolType": "stroke", "columns": 2, "labelLimit": 220}
    return Chart(
        title=title,
        spec={
            **base_spec(title, 190),
            "layer": [
                {
                    "data": {"values": [{"way": 1}]},
                    "mark": {"type": "rule", "color": "var(--ink)", "strokeDash": [4, 3]},
                    "encoding": {"y": {"field": "way", "type": "quantitative"}},
                },
                {
                    "data": {"values": [{"way": 0}]},
                    "mark": {"type": "rule", "color": "var(--line)"},
                    "encoding": {"y": {"field": "way", "type": "quantitative"}},
                },
                {
                    "data": {"values": values},
                    "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2},
                    "encoding": {
                        "x": {
                            "field": "at",
                            "type": "temporal",
                            "title": None,
                            "scale": {"type": "utc"},
                            "axis": {"format": "%-d %b", "tickCount": 6},
                        },
                        "y": {
                            "field": "way",
                            "type": "quantitative",
                            "title": None,
                            "scale": {"domain": [WAY_FLOOR, WAY_CEILING], "nice": False},
                            "axis": {"format": ".0%", "values": [-0.5, 0, 0.5, 1]},
                        },
                        "color": {
                            "field": "what",
                            "type": "nominal",
                            "title": None,
                            "scale": {"domain": names, "range": list(_HISTORY_COLOURS)},
                            "legend": legend,
                        },
                        "strokeDash": {
                            "field": "what",
                            "type": "nominal",
                            "title": None,
                            "legend": legend,
                            "scale": {"domain": names, "range": list(_HISTORY_DASHES)},
                        },
                        "tooltip": [
                            {"field": "what"},
                            {"field": "at", "type": "temporal", "format": "%-d %b %H:%M"},
                            {"field": "way", "format": ".0%"},
                        ],
                    },
                },
            ],
        },
        columns=("Evidence", "At", "Of what decides"),
        rows=tuple((what, at[:16].replace("T", " "), percent(way)) for what, at, way in rows),
    )


def ramp_steps(rows: Sequence[tuple[str, str, float]], until: str) -> Chart:
    """The challenger's share of new threads over time.

    Args:
        rows: Stage, ISO moment it came into force, share.
        until: ISO moment at which the last one ends, or now.
    """
    values = [{"stage": stage, "at": at, "share": share} for stage, at, share in rows]
    top = 0.5 if all(share <= 0.5 for _, _, share in rows) else 1.0
    if rows:
        values.append({"stage": rows[-1][0], "at": until, "share": rows[-1][2]})
    return Chart(
        title="Challenger share of the new threads of both arms",
        spec={
            **base_spec("Challenger share of the new threads of both arms", 120),
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
                    "scale": {"domain": [0, top]},
                    "axis": {"format": ".0%", "values": [0, top / 2, top]},
                },
                "tooltip": [{"field": "stage"}, {"field": "share", "format": ".0%"}],
            },
        },
        columns=("Stage", "Since", "Share"),
        rows=tuple((stage, at[:16].replace("T", " "), percent(share)) for stage, at, share in rows),
    )

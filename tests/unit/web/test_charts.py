"""Charts: figures beside every drawing, colours by name, nothing from elsewhere."""

import json
import re
from datetime import date, timedelta
from pathlib import Path

import pytest

from feedback.web import charts, trial_charts
from feedback.web.charts import Chart

STYLE = (Path(charts.__file__).parent / "static" / "understudy.css").read_text()
SINCE = date(2026, 1, 20)
ALL = [
    charts.loss_curve([(1, 2.0), (2, 1.0)], 10),
    trial_charts.evidence_bars([("better", 3e9, 20.0), ("worse", 1e-30, None)]),
    charts.daily_answers([("2026-03-01", 5, 2, 1)], SINCE, SINCE + timedelta(days=41)),
    charts.counts_by_day("Failures by day", [("2026-03-01", 5)]),
    charts.named_bars("Rejected", [("twin", 5)], unit="rows"),
    charts.duel([("facts", 0.9, None)]),
    trial_charts.ramp_steps([("CANARY", "2026-03-01T00:00:00+00:00", 0.05)], "2026-03-02"),
    trial_charts.evidence_history(
        [("better", "2026-03-01T00:00:00+00:00", 0.2), ("worse", "2026-03-02T00:00:00+00:00", -9.0)]
    ),
]


@pytest.mark.parametrize("chart", ALL, ids=lambda chart: chart.title)
def test_every_chart_has_its_figures_as_a_table(chart: Chart) -> None:
    assert chart.rows
    assert {len(row) for row in chart.rows} == {len(chart.columns)}
    assert chart.spec["description"]


@pytest.mark.parametrize("chart", ALL, ids=lambda chart: chart.title)
def test_colours_are_variables_of_the_style_sheet(chart: Chart) -> None:
    text = json.dumps(chart.spec)
    names = set(re.findall(r"var\((--[a-z]+)\)", text))
    assert names
    assert all(f"{name}:" in STYLE for name in names)
    assert not re.search(r'"#[0-9a-f]{3,6}"', text)
    assert '"url"' not in text


def test_evidence_beyond_the_scale_is_drawn_at_its_edge_and_told_exactly() -> None:
    chart = trial_charts.evidence_bars([("better", 3e9, 20.0), ("worse", 1e-30, 20.0)])
    shown = [row["shown"] for row in chart.spec["data"]["values"]]
    sides = [row["side"] for row in chart.spec["data"]["values"]]
    assert shown == [trial_charts.CEILING, trial_charts.FLOOR]
    assert sides == ["reached", "against"]
    assert [row[1] for row in chart.rows] == ["3e+09", "1e-30"]


def test_a_few_days_are_drawn_on_the_whole_span() -> None:
    chart = charts.daily_answers([("2026-01-21", 5, 2, 1)], SINCE, SINCE + timedelta(days=2))
    bars, lines = (layer["data"]["values"] for layer in chart.spec["layer"])
    assert [bar["answers"] for bar in bars] == [0, 5, 0]
    assert {line["day"] for line in lines} == {"2026-01-21"}
    assert len(chart.rows) == 1

"""The demo's result: one JSON file and one table, all of it read back from the database."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from deploy.demo.stage import StepReport
from feedback.domain.cycle import Cycle

METRICS = {
    "right": ("benchmark_right", "right answers"),
    "on_brand": ("benchmark_on_brand", "on brand"),
    "grounded": ("benchmark_grounded", "grounded in the documents"),
    "refusal": ("refusal", "answers and declines where it should"),
    "arithmetic": ("arithmetic", "arithmetic"),
    "facts": ("facts", "general facts"),
}
"""Report key -> (metric of the evaluation, words for people). Higher is better in all of them."""


@dataclass(frozen=True, kw_only=True)
class DemoReport:
    """What `demo-report.json` holds.

    Attributes:
        before: Metrics of the base model on held-out questions, 0..1.
        after: Metrics of the promoted adapter on the same questions.
        examples: How many held-out examples each metric was measured on.
        people: What the simulated people did.
    """

    before: Mapping[str, float]
    after: Mapping[str, float]
    examples: Mapping[str, int]
    cycles: Sequence[Mapping[str, Any]]
    people: Mapping[str, int]
    steps: Sequence[StepReport]
    wall_s: float

    def write(self, path: Path) -> None:
        """Writes the JSON file atomically."""
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)

    def table(self) -> Table:
        """Returns the before/after table."""
        table = Table(title="Held-out questions that were never trained on", title_style="bold")
        table.add_column("")
        table.add_column("before", justify="right")
        table.add_column("after", justify="right")
        table.add_column("n", justify="right", style="dim")
        for key, (_, words) in METRICS.items():
            table.add_row(
                words,
                f"{self.before[key]:.1%}",
                f"[bold]{self.after[key]:.1%}[/bold]",
                str(self.examples[key]),
            )
        return table


def figures(metrics: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, float], dict[str, int]]:
    """Returns the report's values and example counts from a stored evaluation."""
    values = {key: round(float(metrics[name]["value"]), 4) for key, (name, _) in METRICS.items()}
    counts = {key: int(metrics[name]["n"]) for key, (name, _) in METRICS.items()}
    return values, counts


def cycle_row(cycle: Cycle) -> dict[str, Any]:
    """Returns what the report says of one cycle."""
    return {
        "id": cycle.id,
        "outcome": cycle.outcome,
        "gate": cycle.gate,
        "reason": cycle.reason,
        "dataset_rows": cycle.context.get("dataset_rows", 0),
        "train_s": cycle.context.get("train_s", 0.0),
        "report": cycle.context.get("report"),
    }

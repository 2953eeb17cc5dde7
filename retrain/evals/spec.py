"""What one evaluation is asked to do, as JSON; importing it loads no model library."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feedback.errors import InvalidInputError


@dataclass(frozen=True, kw_only=True)
class EvaluationSpec:
    """What one evaluation is asked to do.

    Attributes:
        champion_dir: Adapter folder of the champion; None is the base.
        benchmark: JSONL in the form of `holdout.jsonl`; None when there is no benchmark.
        external: Question sets of `retrain.evals.external`.
        probes: How many generic probes of each large kind.
    """

    dataset_dir: Path
    base_dir: Path
    champion_dir: Path | None
    candidate_dir: Path
    style_dir: Path
    benchmark: Path | None = None
    external: tuple[Path, ...] = ()
    max_tokens: int = 64
    probes: int = 200
    threads: int = 1

    def to_row(self) -> dict[str, Any]:
        """Returns JSON values."""
        paths = {
            "dataset_dir": self.dataset_dir,
            "base_dir": self.base_dir,
            "champion_dir": self.champion_dir,
            "candidate_dir": self.candidate_dir,
            "style_dir": self.style_dir,
            "benchmark": self.benchmark,
        }
        return {
            **{name: None if path is None else str(path) for name, path in paths.items()},
            "external": [str(path) for path in self.external],
            "max_tokens": self.max_tokens,
            "probes": self.probes,
            "threads": self.threads,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "EvaluationSpec":
        """Parses what `to_row` made.

        Raises:
            InvalidInputError: When a key is missing or of the wrong kind.
        """
        champion, benchmark = row.get("champion_dir"), row.get("benchmark")
        try:
            return cls(
                dataset_dir=Path(row["dataset_dir"]),
                base_dir=Path(row["base_dir"]),
                champion_dir=Path(champion) if champion else None,
                candidate_dir=Path(row["candidate_dir"]),
                style_dir=Path(row["style_dir"]),
                benchmark=Path(benchmark) if benchmark else None,
                external=tuple(map(Path, row.get("external", ()))),
                max_tokens=int(row["max_tokens"]),
                probes=int(row["probes"]),
                threads=int(row["threads"]),
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise InvalidInputError(f"not an evaluation spec: {exc!r}") from exc

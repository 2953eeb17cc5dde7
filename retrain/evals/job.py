"""One evaluation as a job: champion and candidate on the same suite, in a process of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feedback.errors import InvalidInputError
from feedback.jsonl import open_jsonl
from feedback.tone import StyleGuide
from retrain.dataset.files import read_holdout, read_train
from retrain.dataset.privacy import leftover_check
from retrain.dataset.rows import HeldOutRow
from retrain.evals.evaluation import Evaluation
from retrain.evals.grounding import judge_by_words
from retrain.evals.runner import evaluate
from retrain.evals.suite import SuiteInput, standard_suite
from retrain.inference import BatchGenerator


@dataclass(frozen=True, kw_only=True)
class EvaluationSpec:
    """What one evaluation is asked to do.

    Attributes:
        champion_dir: Adapter folder of the champion; None is the base.
        benchmark: JSONL in the form of `holdout.jsonl`; None when there is no benchmark.
        probes: How many generic probes of each large kind.
    """

    dataset_dir: Path
    base_dir: Path
    champion_dir: Path | None
    candidate_dir: Path
    style_dir: Path
    benchmark: Path | None = None
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
                max_tokens=int(row["max_tokens"]),
                probes=int(row["probes"]),
                threads=int(row["threads"]),
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise InvalidInputError(f"not an evaluation spec: {exc!r}") from exc


@dataclass(frozen=True, kw_only=True)
class EvaluationPair:
    """Champion and candidate on the same examples."""

    champion: Evaluation
    candidate: Evaluation


def run_evaluation(spec: EvaluationSpec) -> EvaluationPair:
    """Generates and checks every answer of both models."""
    guide = StyleGuide.load(spec.style_dir)
    tasks = standard_suite(
        SuiteInput(
            holdout=read_holdout(spec.dataset_dir),
            train=read_train(spec.dataset_dir),
            benchmark=_benchmark(spec.benchmark),
            on_brand=guide.is_on_brand,
            grounded=judge_by_words(guide.required),
            leftovers=leftover_check(),
            probes=spec.probes,
        )
    )

    def ask(name: str, adapter: Path | None) -> Evaluation:
        generator = BatchGenerator(spec.base_dir, adapter, threads=spec.threads)
        return evaluate(
            tasks,
            lambda prompts: generator.generate(prompts, max_tokens=spec.max_tokens),
            model=name,
        )

    return EvaluationPair(
        champion=ask("champion", spec.champion_dir), candidate=ask("candidate", spec.candidate_dir)
    )


def _benchmark(path: Path | None) -> list[HeldOutRow]:
    if path is None:
        return []
    source = open_jsonl(str(path))
    rows = list(source.rows(HeldOutRow.from_row))
    source.report()
    source.require_rows()
    return rows

"""One evaluation as a job: champion and candidate on the same suite, in a process of its own."""

from dataclasses import dataclass
from pathlib import Path

from feedback.jsonl import open_jsonl
from feedback.tone import StyleGuide
from retrain.dataset.files import read_holdout, read_train
from retrain.dataset.privacy import leftover_check
from retrain.dataset.rows import HeldOutRow
from retrain.evals.evaluation import Evaluation
from retrain.evals.grounding import judge_by_words
from retrain.evals.runner import evaluate
from retrain.evals.spec import EvaluationSpec
from retrain.evals.suite import SuiteInput, standard_suite
from retrain.inference import BatchGenerator


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

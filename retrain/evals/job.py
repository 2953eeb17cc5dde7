"""One evaluation as a job: every model on the same suite, in a process of its own."""

from dataclasses import dataclass
from pathlib import Path

from feedback.jsonl import open_jsonl
from feedback.tone import StyleGuide
from retrain.dataset.files import read_holdout, read_manifest, read_train
from retrain.dataset.privacy import leftover_check
from retrain.dataset.rows import HeldOutRow
from retrain.evals.evaluation import Evaluation
from retrain.evals.external import external_task
from retrain.evals.grounding import judge_by_words
from retrain.evals.runner import evaluate, with_likelihoods
from retrain.evals.spec import EvaluationSpec
from retrain.evals.suite import SuiteInput, likelihood_suite, standard_suite
from retrain.inference import BatchGenerator


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """All models on the same examples.

    Attributes:
        base: The untouched model; None when it is the champion.
    """

    champion: Evaluation
    candidate: Evaluation
    base: Evaluation | None

    def by_name(self) -> dict[str, Evaluation]:
        """Returns what there is, by the name of its file."""
        pair = {"champion": self.champion, "candidate": self.candidate}
        return pair if self.base is None else {**pair, "base": self.base}


def run_evaluation(spec: EvaluationSpec) -> Evaluated:
    """Generates and checks every answer of every model.

    Raises:
        InvalidInputError: When the data set was changed after it was built.
    """
    read_manifest(spec.dataset_dir)
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
    tasks += [external_task(path) for path in spec.external]

    untouched = BatchGenerator(spec.base_dir, threads=spec.threads)

    def ask(name: str, adapter: Path | None) -> Evaluation:
        if adapter is None:
            model, reference = untouched, None
        else:
            model = BatchGenerator(spec.base_dir, adapter, threads=spec.threads)
            reference = untouched
        generated = evaluate(
            tasks,
            lambda prompts: model.generate(prompts, max_tokens=spec.max_tokens),
            model=name,
        )
        return with_likelihoods(
            generated,
            likelihood_suite(),
            lambda prompts, answers: model.take_in(prompts, answers, reference),
        )

    return Evaluated(
        champion=ask("champion", spec.champion_dir),
        candidate=ask("candidate", spec.candidate_dir),
        base=None if spec.champion_dir is None else ask("base", None),
    )


def _benchmark(path: Path | None) -> list[HeldOutRow]:
    if path is None:
        return []
    source = open_jsonl(str(path))
    rows = list(source.rows(HeldOutRow.from_row))
    source.report()
    source.require_rows()
    return rows

"""What the gates say to an adapter of the lab: from a model, or from its recorded generations."""

import gzip
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from feedback.ports import Message
from feedback.samples import load_company
from feedback.tone import StyleGuide
from retrain.dataset import DatasetBuild, leftover_check
from retrain.evals import Evaluation, Likelihood, evaluate, judge_by_words, with_likelihoods
from retrain.evals.suite import SuiteInput, likelihood_suite, standard_suite
from retrain.gates import GateReport, Status, decide, tiny_base_policy

RECORDED = Path(__file__).parent / "generations.json.gz"
STALE = "the suite asks what was not recorded: run `make bench-defects ARGS=--record`"

Prompts = Sequence[Sequence[Message]]
Answers = Callable[[Prompts], list[str]]
Takes = Callable[[Prompts, Sequence[str]], list[Likelihood]]


class Tape:
    """Generations of one model, recorded while a model answers and played back without it.

    Attributes:
        rewards: Accuracy and margin at the end of a training by preferences alone; empty elsewhere.
    """

    def __init__(
        self,
        answers: dict[str, str] | None = None,
        taken: list[tuple[float, float]] | None = None,
        rewards: Mapping[str, float] | None = None,
    ) -> None:
        self.answers = answers or {}
        self.taken = taken or []
        self.rewards = rewards or {}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Tape":
        taken = [(float(s), float(d)) for s, d in row["taken"]]
        return cls(dict(row["answers"]), taken, dict(row.get("rewards", {})))

    def to_row(self) -> dict[str, Any]:
        row = {"answers": dict(sorted(self.answers.items())), "taken": self.taken}
        return {**row, "rewards": self.rewards} if self.rewards else row

    def joined(self, earlier: "Tape | None") -> "Tape":
        """Returns this recording, with the answers that only an earlier one holds."""
        known = earlier.answers if earlier is not None else {}
        return Tape({**known, **self.answers}, self.taken, self.rewards)

    def generate(self, prompts: Prompts) -> list[str]:
        keys = [_key(prompt) for prompt in prompts]
        assert self.answers.keys() >= set(keys), STALE
        return [self.answers[key] for key in keys]

    def take_in(self, prompts: Prompts, answers: Sequence[str]) -> list[Likelihood]:
        assert len(self.taken) == len(prompts) == len(answers), STALE
        return [Likelihood(surprise=s, divergence=d) for s, d in self.taken]

    def record(self, generate: Answers, take_in: Takes) -> tuple[Answers, Takes]:
        """Returns the two as before, listened to."""

        def answering(prompts: Prompts) -> list[str]:
            answers = generate(prompts)
            self.answers.update(zip(map(_key, prompts), answers, strict=True))
            return answers

        def taking(prompts: Prompts, answers: Sequence[str]) -> list[Likelihood]:
            found = take_in(prompts, answers)
            self.taken = [(round(x.surprise, 4), round(x.divergence, 4)) for x in found]
            return found

        return answering, taking


def read_tapes() -> dict[str, Tape]:
    rows = json.loads(gzip.decompress(RECORDED.read_bytes()))
    return {name: Tape.from_row(row) for name, row in rows.items()}


def write_tapes(tapes: Mapping[str, Tape]) -> None:
    rows = {name: tape.to_row() for name, tape in tapes.items()}
    RECORDED.write_bytes(gzip.compress(json.dumps(rows).encode(), mtime=0))


def examined(built: DatasetBuild, generate: Answers, take_in: Takes) -> Evaluation:
    """Runs the standard suite as a cycle does."""
    guide = StyleGuide.load(load_company().style_guide_path)
    suite = standard_suite(
        SuiteInput(
            holdout=built.holdout,
            train=built.train,
            on_brand=guide.is_on_brand,
            grounded=judge_by_words(guide.required),
            leftovers=_leftovers(),
        )
    )
    return with_likelihoods(evaluate(suite, generate), likelihood_suite(), take_in)


def judged(candidate: Evaluation, champion: Evaluation) -> GateReport:
    return decide(candidate, champion, tiny_base_policy())


def failed(report: GateReport) -> set[str]:
    return {result.gate for result in report.results if result.status is Status.FAIL}


@cache
def _leftovers() -> Callable[[str], Sequence[str]]:
    return leftover_check()


def _key(prompt: Sequence[Message]) -> str:
    text = "\x1e".join(f"{message.role}\x1f{message.content}" for message in prompt)
    return hashlib.sha256(text.encode()).hexdigest()[:12]

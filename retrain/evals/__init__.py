"""Evaluation by generation: one file per task, one runner, intervals clustered by group."""

from retrain.evals.arithmetic import ArithmeticTask, stated_sums, sum_example
from retrain.evals.corrections import CorrectionsTask, held_out_examples
from retrain.evals.echo import EchoTask
from retrain.evals.evaluation import Evaluation, Failure, Metric, Outcome, measure, wilson
from retrain.evals.facts import FactsTask
from retrain.evals.grounding import GroundingTask, judge_by_words
from retrain.evals.leakage import LeakageTask
from retrain.evals.refusal import RefusalTask, declines
from retrain.evals.runner import Generate, evaluate
from retrain.evals.task import Example, Task
from retrain.evals.tone import ToneTask

__all__ = [
    "ArithmeticTask",
    "CorrectionsTask",
    "EchoTask",
    "Evaluation",
    "Example",
    "FactsTask",
    "Failure",
    "Generate",
    "GroundingTask",
    "LeakageTask",
    "Metric",
    "Outcome",
    "RefusalTask",
    "Task",
    "ToneTask",
    "declines",
    "evaluate",
    "held_out_examples",
    "judge_by_words",
    "measure",
    "stated_sums",
    "sum_example",
    "wilson",
]

"""Evaluation by generation: one file per task, one runner, intervals clustered by group."""

from retrain.evals.arithmetic import ArithmeticTask, stated_sums, sum_example
from retrain.evals.brevity import BrevityTask
from retrain.evals.consistency import ConsistencyTask
from retrain.evals.corrections import CorrectionsTask, held_out_examples
from retrain.evals.echo import EchoTask
from retrain.evals.evaluation import Evaluation, Failure, Metric, Outcome, measure, wilson
from retrain.evals.facts import FactsTask, stated_facts
from retrain.evals.forgetting import GenericLikelihoodTask, NearBaseTask
from retrain.evals.grounding import GroundingTask, judge_by_words
from retrain.evals.injection import InjectionTask
from retrain.evals.leakage import LeakageTask, told_in_training
from retrain.evals.recital import RecitalTask, recitable_runs
from retrain.evals.refusal import RefusalTask, declines
from retrain.evals.runner import Generate, TakeIn, evaluate, with_likelihoods
from retrain.evals.task import Example, JointTask, Likelihood, LikelihoodTask, Task
from retrain.evals.tone import ToneTask
from retrain.evals.unseen import UnseenTask, seen_in_training

__all__ = [
    "ArithmeticTask",
    "BrevityTask",
    "ConsistencyTask",
    "CorrectionsTask",
    "EchoTask",
    "Evaluation",
    "Example",
    "FactsTask",
    "Failure",
    "Generate",
    "GenericLikelihoodTask",
    "GroundingTask",
    "InjectionTask",
    "JointTask",
    "LeakageTask",
    "Likelihood",
    "LikelihoodTask",
    "Metric",
    "NearBaseTask",
    "Outcome",
    "RecitalTask",
    "RefusalTask",
    "TakeIn",
    "Task",
    "ToneTask",
    "UnseenTask",
    "declines",
    "evaluate",
    "held_out_examples",
    "judge_by_words",
    "measure",
    "recitable_runs",
    "seen_in_training",
    "stated_facts",
    "stated_sums",
    "sum_example",
    "told_in_training",
    "wilson",
    "with_likelihoods",
]

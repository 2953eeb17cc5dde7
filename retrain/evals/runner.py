"""Runs tasks: all prompts in one go, every distinct prompt once."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from feedback.domain.text import words
from feedback.errors import InvalidInputError
from feedback.ports import Message
from retrain.evals.evaluation import Evaluation, Outcome, measure
from retrain.evals.task import Example, JointTask, Likelihood, LikelihoodTask, Task

Generate = Callable[[list[list[Message]]], list[str]]
"""Answers a batch of prompts, greedily, in order."""

TakeIn = Callable[[list[list[Message]], list[str]], list[Likelihood]]
"""Says how the model takes given answers to prompts, in order."""

Prompt = tuple[Message, ...]


def evaluate(
    tasks: Sequence[Task | JointTask], generate: Generate, *, model: str = ""
) -> Evaluation:
    """Asks every question of every task and checks the answers.

    Tasks often share questions (right, on-brand and grounded look at the same answers), so each
    distinct prompt is generated once and all tasks judge the same answer.

    Args:
        tasks: What to measure; names must differ.
        generate: Answers a batch of prompts in order.
        model: Names the model in the result.

    Raises:
        InvalidInputError: When two tasks share a name, two examples of a task share an id, or
            `generate` returns another number of answers than it got prompts.
    """
    plan = _plan(tasks)
    prompts: dict[Prompt, int] = {}
    for _, examples in plan:
        for example in examples:
            prompts.setdefault(example.messages, len(prompts))
    started = time.perf_counter()
    answers = generate([list(prompt) for prompt in prompts])
    seconds = time.perf_counter() - started
    if len(answers) != len(prompts):
        raise InvalidInputError(f"{len(prompts)} prompts were asked, {len(answers)} came back")
    outcomes = {
        task.name: _outcomes(task, examples, [answers[prompts[e.messages]] for e in examples])
        for task, examples in plan
    }
    return Evaluation(
        model=model,
        metrics={name: measure(found) for name, found in outcomes.items()},
        outcomes=outcomes,
        seconds_per_answer=seconds / max(1, len(answers)),
        words_per_answer=sum(len(words(text)) for text in answers) / max(1, len(answers)),
    )


def with_likelihoods(
    evaluation: Evaluation, tasks: Sequence[LikelihoodTask], take_in: TakeIn
) -> Evaluation:
    """Returns the evaluation with what is measured without generating.

    Each distinct dialogue is taken in once.
    """
    dialogues: dict[tuple[Prompt, str], int] = {}
    plan = [(task, task.examples()) for task in tasks]
    for _, examples in plan:
        for example in examples:
            dialogues.setdefault((example.messages, example.reference), len(dialogues))
    taken = take_in([list(prompt) for prompt, _ in dialogues], [text for _, text in dialogues])
    outcomes = {
        task.name: tuple(
            _outcome(e, "", task.score(taken[dialogues[e.messages, e.reference]])) for e in examples
        )
        for task, examples in plan
    }
    return replace(
        evaluation,
        metrics={**evaluation.metrics, **{name: measure(o) for name, o in outcomes.items()}},
        outcomes={**evaluation.outcomes, **outcomes},
    )


def _plan(
    tasks: Sequence[Task | JointTask],
) -> list[tuple[Task | JointTask, Sequence[Example]]]:
    names = [task.name for task in tasks]
    if len(set(names)) < len(names):
        raise InvalidInputError(f"two tasks share a name among {', '.join(sorted(names))}")
    plan = []
    for task in tasks:
        examples = task.examples()
        if len({example.id for example in examples}) < len(examples):
            raise InvalidInputError(f"two examples of task {task.name!r} share an id")
        plan.append((task, examples))
    return plan


def _outcomes(
    task: Task | JointTask, examples: Sequence[Example], answers: Sequence[str]
) -> tuple[Outcome, ...]:
    pairs = list(zip(examples, answers, strict=True))
    if isinstance(task, JointTask):
        scores: Mapping[str, float] = task.check_together({e.id: text for e, text in pairs})
        return tuple(_outcome(e, text, scores[e.id]) for e, text in pairs if e.id in scores)
    return tuple(_outcome(e, text, float(task.check(e, text))) for e, text in pairs)


def _outcome(example: Example, answer: str, score: float) -> Outcome:
    return Outcome(
        example_id=example.id,
        group=example.cluster,
        score=score,
        question=example.question,
        answer=answer,
        expected=example.expected,
        never_break=example.never_break,
        slices=example.slices,
    )

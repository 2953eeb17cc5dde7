"""Runs tasks: all prompts in one go, every distinct prompt once."""

from collections.abc import Callable, Sequence

from feedback.errors import InvalidInputError
from feedback.ports import Message
from retrain.evals.evaluation import Evaluation, Outcome, measure
from retrain.evals.task import Example, Task

Generate = Callable[[list[list[Message]]], list[str]]
"""Answers a batch of prompts, greedily, in order."""

Prompt = tuple[Message, ...]


def evaluate(tasks: Sequence[Task], generate: Generate, *, model: str = "") -> Evaluation:
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
    answers = generate([list(prompt) for prompt in prompts])
    if len(answers) != len(prompts):
        raise InvalidInputError(f"{len(prompts)} prompts were asked, {len(answers)} came back")
    outcomes = {
        task.name: tuple(
            _outcome(task, example, answers[prompts[example.messages]]) for example in examples
        )
        for task, examples in plan
    }
    return Evaluation(
        model=model,
        metrics={name: measure(found) for name, found in outcomes.items()},
        outcomes=outcomes,
    )


def _plan(tasks: Sequence[Task]) -> list[tuple[Task, Sequence[Example]]]:
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


def _outcome(task: Task, example: Example, answer: str) -> Outcome:
    return Outcome(
        example_id=example.id,
        group=example.cluster,
        score=float(task.check(example, answer)),
        question=example.question,
        answer=answer,
        expected=example.expected,
        never_break=example.never_break,
    )

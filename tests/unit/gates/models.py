"""Hand-made evaluations for the gate tests."""

from collections.abc import Sequence

from feedback.ports import Message
from retrain.evals import Evaluation, Example, Outcome, measure


def example(id_: str, question: str, **more: object) -> Example:
    return Example(
        id=id_,
        question=question,
        messages=(Message(role="user", content=question),),
        **more,  # type: ignore[arg-type]
    )


def evaluation(
    model: str = "model",
    *,
    groups: int | None = None,
    never_break: int = 3,
    **scores: Sequence[float],
) -> Evaluation:
    """Builds an evaluation from scores by metric.

    Args:
        model: Its name.
        groups: Into how many groups the examples fall; None gives each its own.
        never_break: How many leading examples of each metric must never break.
        scores: By metric, one score an example.
    """
    outcomes = {
        metric: tuple(
            Outcome(
                example_id=f"{metric}-{index}",
                group=f"g{index if groups is None else index % groups}",
                score=float(score),
                question=f"question {metric} {index}",
                answer=f"answer of {model}",
                expected="the right thing",
                never_break=index < never_break,
            )
            for index, score in enumerate(values)
        )
        for metric, values in scores.items()
    }
    metrics = {metric: measure(found) for metric, found in outcomes.items()}
    return Evaluation(model=model, metrics=metrics, outcomes=outcomes)


def scores(right: int, n: int) -> list[float]:
    return [1.0] * right + [0.0] * (n - right)

"""Rows for the mining tests: short to write, complete to read."""

from collections.abc import Sequence

from feedback.domain.interaction import InteractionRecord, Rating, Reason, Retrieved


def row(
    name: str,
    question: str,
    answer: str = "It is the left button.",
    *,
    correction: str | None = None,
    reasons: Sequence[Reason] = (),
    score: float | None = None,
    user: str | None = None,
    rating: Rating | None = Rating.DOWN,
    ts: float = 0.0,
) -> InteractionRecord:
    return InteractionRecord(
        id=name,
        thread_id=f"thread-{name}",
        user_id=user or f"user-{name}",
        ts=ts,
        question=question,
        answer=answer,
        correction=correction,
        rating=rating,
        reasons=tuple(reasons),
        retrieved=() if score is None else (Retrieved(doc_id="page", score=score),),
    )

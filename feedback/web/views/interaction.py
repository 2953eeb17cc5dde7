"""Why the bot said that: question, passages, model, checks, opinions, corrections."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from feedback.domain.interaction import Interaction
from feedback.domain.rollout import Assignment
from feedback.domain.vote import Vote
from feedback.store.explanations import CorrectionText, Passage, Training
from feedback.web.words import number, plain, short


@dataclass(frozen=True, kw_only=True)
class PassageView:
    """A retrieved passage with its score.

    Attributes:
        passage: None when the chunk is no longer stored.
    """

    chunk_id: str
    doc_id: str
    score: float
    passage: Passage | None


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One answer with everything that stood behind it.

    Attributes:
        model: Names and values of what produced it.
        checks: Names and values of what was checked.
        trial: Names and values of its experiment; empty outside of one. For operators only:
            reviewers must not see which arm they judge.
    """

    item: Interaction
    passages: tuple[PassageView, ...]
    model: tuple[tuple[str, str], ...]
    checks: tuple[tuple[str, str], ...]
    trial: tuple[tuple[str, str], ...]
    votes: tuple[Vote, ...]
    corrections: tuple[CorrectionText, ...]
    trained_in: tuple[Training, ...]


def explain(
    item: Interaction,
    *,
    passages: Mapping[str, Passage],
    assignment: Assignment | None,
    votes: Sequence[Vote],
    corrections: Sequence[CorrectionText],
    trained_in: Sequence[Training],
) -> Explanation:
    """Returns the explanation of one answer."""
    return Explanation(
        item=item,
        passages=tuple(
            PassageView(
                chunk_id=hit.chunk_id,
                doc_id=hit.doc_id,
                score=hit.score,
                passage=passages.get(hit.chunk_id),
            )
            for hit in item.retrieved
        ),
        model=_model(item),
        checks=_checks(item),
        trial=_trial(item, assignment),
        votes=tuple(votes),
        corrections=tuple(corrections),
        trained_in=tuple(trained_in),
    )


def _model(item: Interaction) -> tuple[tuple[str, str], ...]:
    return (
        ("Base model", item.base_model or "none"),
        ("Adapter", item.adapter_id or "none: the base model answered"),
        ("Adapter sha256", short(item.adapter_sha256)),
        ("Prompt version", item.prompt_version or "none"),
        ("Chat template sha256", short(item.template_sha256)),
        ("Tokens", f"{number(item.prompt_tokens)} in, {number(item.completion_tokens)} out"),
        ("Time", f"{number(item.latency_ms)} ms"),
    )


def _checks(item: Interaction) -> tuple[tuple[str, str], ...]:
    grounded = {True: "yes", False: "no", None: "nothing to be grounded in"}[item.grounded]
    on_brand = "not scored" if item.on_brand is None else f"{item.on_brand:.2f}"
    return (
        ("State", plain(item.state)),
        ("Documents stood in the prompt", "yes" if item.with_context else "no"),
        ("Handed to people", "yes" if item.abstained else "no"),
        ("Grounded in the passages", grounded),
        ("On brand (0 to 1)", on_brand),
        ("Error", item.error or "none"),
    )


def _trial(item: Interaction, assignment: Assignment | None) -> tuple[tuple[str, str], ...]:
    if item.experiment_id is None or item.arm is None:
        return ()
    share = "unknown" if item.share is None else f"{item.share:.0%}"
    rows = [
        ("Experiment", item.experiment_id),
        ("Arm", plain(item.arm)),
        ("Challenger share at the start of the thread", share),
    ]
    if assignment is not None:
        rows.append(("Stage", plain(assignment.stage.lower())))
        rows.append(("Draw of the thread (0 to 1)", f"{assignment.u:.4f}"))
        if assignment.forced_reason:
            rows.append(("Sent to the champion because", plain(assignment.forced_reason)))
    return tuple(rows)

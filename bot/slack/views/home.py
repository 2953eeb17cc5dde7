"""The App Home, by role. Nobody sees which arm of an experiment answered what."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.slack.views.blocks import Block, context, escape, markdown
from feedback.domain.correction import Correction
from feedback.domain.interaction import Interaction, InteractionState
from feedback.domain.person import Role


@dataclass(frozen=True, kw_only=True)
class HomeFacts:
    """What one person's App Home shows.

    Attributes:
        queue: Corrections that wait for a reviewer.
        labels: Approved corrections.
        label_gate: Approved corrections needed before anything is trained.
        cycle: Sentence about the last retraining cycle.
        experiment: Sentence about the experiment; says nothing about arms.
    """

    role: Role
    questions: Sequence[Interaction] = ()
    queue: Sequence[Correction] = ()
    queue_length: int = 0
    labels: int = 0
    label_gate: int = 0
    cycle: str = "No retraining cycle has run yet."
    experiment: str = "No experiment is running."
    frozen: bool = False


def home_view(facts: HomeFacts) -> Block:
    """Returns the view to publish."""
    blocks = [_header("Your questions"), *_questions(facts.questions)]
    if facts.role.includes(Role.REVIEWER):
        blocks += [{"type": "divider"}, _header("Review"), *_review(facts)]
        blocks += [{"type": "divider"}, _header("Learning"), *_learning(facts)]
    blocks.append(context(f"You are here as {facts.role.value}."))
    return {"type": "home", "blocks": blocks}


def _questions(questions: Sequence[Interaction]) -> list[Block]:
    if not questions:
        return [markdown("Mention me in a channel or write to me here; I answer in the thread.")]
    return [
        markdown(
            f"{_mark(item)} {escape(item.question[:200])}\n{escape((item.answer or '')[:300])}"
        )
        for item in questions
    ]


def _mark(item: Interaction) -> str:
    if item.state is InteractionState.POSTED:
        return ":grey_question:" if item.abstained else ":white_check_mark:"
    return ":x:" if item.state is InteractionState.FAILED else ":hourglass_flowing_sand:"


def _review(facts: HomeFacts) -> list[Block]:
    waiting = f"*{facts.queue_length}* correction(s) wait for a reviewer."
    lines = [f"\N{BULLET} {escape(item.question[:150])} _({item.state})_" for item in facts.queue]
    return [markdown("\n".join([waiting, *lines]))]


def _learning(facts: HomeFacts) -> list[Block]:
    share = min(1.0, facts.labels / facts.label_gate) if facts.label_gate else 1.0
    bar = "\N{FULL BLOCK}" * round(share * 20) + "\N{LIGHT SHADE}" * (20 - round(share * 20))
    blocks = [
        markdown(f"Labels: {facts.labels:,} of {facts.label_gate:,}\n`{bar}` {share:.0%}"),
        markdown(f"Last cycle: {escape(facts.cycle)}"),
        markdown(f"Experiment: {escape(facts.experiment)}"),
    ]
    if facts.frozen:
        blocks.append(
            markdown(":snowflake: Frozen by an operator: the champion answers everybody.")
        )
    return blocks


def _header(text: str) -> Block:
    return {"type": "header", "text": {"type": "plain_text", "text": text}}

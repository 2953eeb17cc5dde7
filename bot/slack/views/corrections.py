"""Modals of the correction flow: write, then confirm what will be stored."""

from collections.abc import Mapping, Sequence

from bot.slack.views.answers import REASON_LABELS
from bot.slack.views.blocks import (
    Block,
    checkboxes,
    clip,
    context,
    diff,
    escape,
    markdown,
    modal,
    text_input,
)
from feedback.domain.correction import Correction

CORRECTION_MODAL = "correction_modal"
CONFIRM_MODAL = "correction_confirm"
TEACH_SHORTCUT = "teach_reply"
POST_OPTION = "post_in_thread"


def correction_modal(
    interaction_id: str,
    question: str,
    answer: str,
    *,
    sources: Sequence[str] = (),
    taught_from: str = "",
) -> Block:
    """Returns the form for a better answer.

    Args:
        interaction_id: The answer to correct.
        question: As stored, redacted.
        answer: What the text field starts with: the bot's answer, or a colleague's reply.
        sources: Titles of the documents that the bot had read.
        taught_from: Who wrote the reply that the text comes from; empty: the bot.
    """
    shown = " \N{MIDDLE DOT} ".join(escape(clip(title, 100)) for title in sources[:5])
    return modal(
        CORRECTION_MODAL,
        "Teach this reply" if taught_from else "Correct this answer",
        [
            text_input("question", "Question", initial=question),
            text_input(
                "answer",
                "Better answer",
                initial=answer,
                hint="Write it as you would say it to the person who asked.",
            ),
            *([context(f"The bot had read: {shown}")] if shown else []),
            checkboxes(
                "reasons",
                "What was wrong?",
                [(reason.value, label) for reason, label in REASON_LABELS.items()],
            ),
            text_input(
                "tags",
                "Tags",
                optional=True,
                hint="A few words, separated by commas: billing, export",
                multiline=False,
            ),
            checkboxes("post", "In the thread", [(POST_OPTION, "Post the corrected answer there")]),
        ],
        submit="Next",
        ids={"i": interaction_id, "t": taught_from},
    )


def confirm_modal(draft: Correction, findings: Mapping[str, int]) -> Block:
    """Returns the second step: the difference, and what redaction replaced."""
    return modal(
        CONFIRM_MODAL,
        "Is this right?",
        [
            markdown(f"*Question*\n{escape(draft.question)}"),
            markdown("*What changes*"),
            *diff(draft.bot_answer, draft.text),
            context(redaction_note(findings)),
        ],
        submit="Send to review",
        ids={"c": draft.id},
    )


def redaction_note(findings: Mapping[str, int]) -> str:
    """Returns a sentence about what was replaced before storing."""
    if not findings:
        return "Redaction found nothing personal in it."
    shown = ", ".join(
        f"{count} \N{MULTIPLICATION SIGN} {kind.lower().replace('_', ' ')}"
        for kind, count in sorted(findings.items())
    )
    return f"Replaced by placeholders before storing: {shown}."

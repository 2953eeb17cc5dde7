"""The answer with its sources and buttons, and the modal that asks what was wrong."""

from collections.abc import Sequence

from bot.drafts import Source
from bot.slack.views.blocks import (
    Block,
    button,
    checkboxes,
    clip,
    compact,
    context,
    escape,
    modal,
    plain,
    radio,
    text_input,
)
from bot.slack.views.handoffs import HANDOFF_ACTION
from feedback.domain.interaction import TONE_REASONS, Reason

VOTE_ACTION = "answer_feedback"
CORRECT_ACTION = "answer_correct"
REASON_MODAL = "reason_modal"

REASON_LABELS = {
    Reason.WRONG_FACT: "A fact is wrong",
    Reason.MISSING_INFORMATION: "Information is missing",
    Reason.OUTDATED: "It is outdated",
    Reason.MADE_UP: "It is made up",
    Reason.REFUSED: "It refused although it should answer",
    Reason.UNSAFE: "Unsafe, or shows personal data",
    Reason.FORMAT: "Hard to read",
    Reason.TOO_COLD: "Too cold",
    Reason.TOO_WORDY: "Too wordy",
    Reason.OFF_BRAND: "Does not sound like us",
}


def answer_blocks(
    interaction_id: str,
    text: str,
    sources: Sequence[Source],
    *,
    buttons: bool = True,
    thumbs: bool = True,
    nearby: str | None = None,
) -> list[Block]:
    """Returns one answer as people see it.

    Args:
        interaction_id: Opaque; the only thing about the answer that Slack gets to know.
        text: One part of an answer, as the model wrote it.
        sources: Documents to name.
        buttons: Whether people may vote and correct here.
        thumbs: False leaves the thumbs out; the channel does not want them.
        nearby: Channel to point to, because colleagues can be called there.
    """
    return [
        {"type": "markdown", "text": escape(text)},
        *tail_blocks(interaction_id, sources, buttons=buttons, thumbs=thumbs, nearby=nearby),
    ]


def tail_blocks(
    interaction_id: str,
    sources: Sequence[Source],
    *,
    buttons: bool = True,
    thumbs: bool = True,
    nearby: str | None = None,
) -> list[Block]:
    """Returns what stands below the text of an answer."""
    blocks = []
    if sources:
        links = [_link(source) for source in sources]
        blocks.append(context("Sources: " + " \N{MIDDLE DOT} ".join(links)))
    if nearby and buttons:
        blocks.append(context(f"If you ask me in <#{nearby}>, I can call a colleague there."))
    if buttons and thumbs:
        blocks.append(_vote_buttons(interaction_id))
    if buttons:
        blocks.append(
            {
                "type": "actions",
                "elements": [
                    button("Correct", CORRECT_ACTION, {"i": interaction_id}),
                    button("Talk to a person", HANDOFF_ACTION, {"i": interaction_id}),
                ],
            }
        )
    return blocks


def reason_modal(interaction_id: str) -> Block:
    """Returns the modal that opens on a thumb down; closing it still leaves the vote."""
    content = [(r.value, label) for r, label in REASON_LABELS.items() if r not in TONE_REASONS]
    tone = [(r.value, label) for r, label in REASON_LABELS.items() if r in TONE_REASONS]
    return modal(
        REASON_MODAL,
        "What was wrong?",
        [
            checkboxes("reasons", "The content", content),
            radio("tone", "The tone", [("fine", "The tone was fine"), *tone]),
            text_input("comment", "Anything else?", optional=True),
        ],
        submit="Send",
        ids={"i": interaction_id},
    )


def apology(incident: str, *, called: bool = False) -> str:
    """Returns what people read when a question has to be given up.

    Args:
        incident: Leads operators to the log.
        called: A colleague is called into the thread.
    """
    if called:
        return (
            "Sorry, I could not answer this just now, so I call a colleague. "
            f"(For operators: incident {incident}.)"
        )
    return (
        "Sorry, I could not answer this just now. Please ask again later, "
        f"or mention incident {incident} to an operator."
    )


def _vote_buttons(interaction_id: str) -> Block:
    def side(label: str, sign: int, spoken: str) -> Block:
        return {
            "text": plain(label),
            "value": compact({"i": interaction_id, "s": sign}),
            "accessibility_label": spoken,
        }

    return {
        "type": "context_actions",
        "elements": [
            {
                "type": "feedback_buttons",
                "action_id": VOTE_ACTION,
                "positive_button": side("Good answer", 1, "Mark this answer as good"),
                "negative_button": side("Bad answer", -1, "Mark this answer as bad"),
            }
        ],
    }


def _link(source: Source) -> str:
    title = escape(clip(source.title, 150))
    if source.uri.startswith(("https://", "http://")):
        address = escape(source.uri).replace("|", "%7C")
        return f"<{address}|{title.replace('|', '/')}>"
    return title

"""The card in the review channel: a view on the correction's row, never the truth."""

from bot.slack.views.answers import REASON_LABELS
from bot.slack.views.blocks import (
    Block,
    button,
    context,
    diff,
    escape,
    markdown,
    modal,
    text_input,
)
from feedback.domain.correction import OPEN_STATES, Correction, CorrectionState

CLAIM_ACTION = "review_claim"
APPROVE_ACTION = "review_approve"
EDIT_ACTION = "review_edit"
REJECT_ACTION = "review_reject"
ESCALATE_ACTION = "review_escalate"
EDIT_MODAL = "review_edit_modal"

_MAX_BLOCKS = 40
_FIELD_CHARS = 900  # card text in all stays below 10,000 characters


def card_text(correction: Correction) -> str:
    """Returns the card's notification text."""
    return f"Correction {_status(correction)}: {escape(correction.question[:150])}"


def card_blocks(correction: Correction) -> list[Block]:
    """Returns the card; block ids change with every version, so that Slack draws it anew."""
    reasons = ", ".join(REASON_LABELS[reason] for reason in correction.reasons)
    blocks = [
        markdown(f"*Question*\n{escape(correction.question[:_FIELD_CHARS])}"),
        markdown(f"*The bot said*\n{escape(correction.bot_answer[:_FIELD_CHARS]) or '_nothing_'}"),
        markdown(
            f"*Proposed answer* (version {correction.version})\n"
            f"{escape(correction.text[:_FIELD_CHARS])}"
        ),
        *diff(correction.bot_answer, correction.text)[:2],
        context(f"Proposed by <@{correction.author}>" + (f": {reasons}" if reasons else "")),
        context(f"*{_status(correction)}*"),
    ]
    if correction.state in OPEN_STATES:
        blocks.append({"type": "actions", "elements": _buttons(correction)})
    return [
        block | {"block_id": f"card-{correction.row_version}-{index}"}
        for index, block in enumerate(blocks[:_MAX_BLOCKS])
    ]


def edit_modal(correction: Correction) -> Block:
    """Returns the form with which a reviewer changes the proposed text."""
    return modal(
        EDIT_MODAL,
        "Edit the correction",
        [
            markdown(f"*Question*\n{escape(correction.question)}"),
            text_input("answer", "Better answer", initial=correction.text),
        ],
        submit="Save",
        ids={"c": correction.id, "v": correction.row_version},
    )


def _buttons(correction: Correction) -> list[Block]:
    value = {"c": correction.id, "v": correction.row_version}
    buttons = [
        button("Approve", APPROVE_ACTION, value, style="primary"),
        button("Edit", EDIT_ACTION, value),
        button("Reject", REJECT_ACTION, value, style="danger"),
    ]
    if correction.state is CorrectionState.PROPOSED:
        buttons.insert(0, button("Claim", CLAIM_ACTION, value))
    if correction.state is not CorrectionState.ESCALATED:
        buttons.append(button("Escalate", ESCALATE_ACTION, value))
    return buttons


def _status(correction: Correction) -> str:
    by = f" by <@{correction.claimed_by}>" if correction.claimed_by else ""
    return {
        CorrectionState.DRAFT: "draft",
        CorrectionState.PROPOSED: "waiting for a reviewer",
        CorrectionState.CLAIMED: f"claimed{by}",
        CorrectionState.ESCALATED: "escalated: an admin decides",
        CorrectionState.APPROVED: f"approved{by}",
        CorrectionState.REJECTED: f"rejected{by}",
        CorrectionState.WITHDRAWN: "withdrawn: the question was deleted",
    }[correction.state]

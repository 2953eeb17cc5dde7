"""The card in the review channel: a view on the correction's row, never the truth.

It names no arm, and before the second look nothing of the first decision.
"""

from collections.abc import Sequence

from bot.slack.views.answers import REASON_LABELS
from bot.slack.views.blocks import (
    Block,
    button,
    context,
    diff,
    escape,
    markdown,
    modal,
    radio,
    text_input,
)
from feedback.domain.correction import (
    EDITABLE_STATES,
    OPEN_STATES,
    Correction,
    CorrectionSource,
    CorrectionState,
    Decision,
    QueueReason,
    Review,
)

CLAIM_ACTION = "review_claim"
APPROVE_ACTION = "review_approve"
EDIT_ACTION = "review_edit"
REJECT_ACTION = "review_reject"
ESCALATE_ACTION = "review_escalate"
SKIP_ACTION = "review_skip"
EDIT_MODAL = "review_edit_modal"
DECIDE_MODAL = "review_decide_modal"

QUEUE_LABELS = {
    QueueReason.DOWN_VOTE: "somebody marked the answer down",
    QueueReason.ABSTAINED: "the bot did not know",
    QueueReason.LOW_CONFIDENCE: "no document supports the answer",
    QueueReason.PERSONAL_DATA: "personal data was replaced in it",
    QueueReason.POSITIVE_SAMPLE: "a sample of answers that people liked",
    QueueReason.HUMAN_REPLY: "a colleague answered instead of the bot",
    QueueReason.IMPORTED: "it was imported",
    QueueReason.CONFLICT: "another approved answer to this question says otherwise",
}

_MAX_BLOCKS = 40
_RIVALS = 3
_FIELD_CHARS = 900  # card text in all stays below 10,000 characters


def card_text(correction: Correction) -> str:
    """Returns the card's notification text."""
    return f"Correction {status_of(correction)}: {escape(correction.question[:150])}"


def card_blocks(correction: Correction, reviews: Sequence[Review] = ()) -> list[Block]:
    """Returns the card; block ids change with every version, so that Slack draws it anew.

    Args:
        correction: As it stands.
        reviews: What was decided so far; shown only to explain an escalation.
    """
    blocks = [*content_blocks(correction, _FIELD_CHARS), context(f"*{status_of(correction)}*")]
    if correction.state is CorrectionState.ESCALATED:
        blocks += _escalation(reviews)
    if correction.state in OPEN_STATES:
        blocks.append({"type": "actions", "elements": _buttons(correction)})
    return [
        block | {"block_id": f"card-{correction.row_version}-{index}"}
        for index, block in enumerate(blocks[:_MAX_BLOCKS])
    ]


def content_blocks(correction: Correction, limit: int) -> list[Block]:
    """Returns what there is to judge, each text cut to `limit` characters."""
    reasons = ", ".join(REASON_LABELS[reason] for reason in correction.reasons)
    tags = ", ".join(escape(tag) for tag in correction.tags)
    queued = "; ".join(QUEUE_LABELS[reason] for reason in correction.queued_for)
    lines = [
        f"{_origin(correction)}{f': {reasons}' if reasons else ''}",
        f"Here because {queued or 'somebody proposed it'}.",
        *([f"Tags: {tags}"] if tags else []),
    ]
    return [
        markdown(f"*Question*\n{escape(correction.question[:limit]) or '_nothing_'}"),
        markdown(f"*The bot said*\n{escape(correction.bot_answer[:limit]) or '_nothing_'}"),
        markdown(
            f"*Proposed answer* (version {correction.version})\n{escape(correction.text[:limit])}"
        ),
        *[
            markdown(f"*But also approved*\n{escape(text[:limit])}")
            for text in correction.rival_texts[:_RIVALS]
        ],
        *diff(correction.bot_answer, correction.text)[:2],
        context(*lines),
    ]


def decision_modal(correction: Correction, *, only: Decision | None = None) -> Block:
    """Returns the form in which a reviewer decides, with a note.

    Args:
        correction: What to decide about.
        only: The one decision it is for; None lets the reviewer choose.
    """
    kinds = [Decision.APPROVE, Decision.REJECT]
    if correction.state is not CorrectionState.ESCALATED:
        kinds.append(Decision.ESCALATE)
    labels = {
        Decision.APPROVE: "Approve: learn from it",
        Decision.REJECT: "Reject",
        Decision.ESCALATE: "Escalate: an admin decides",
    }
    asked = [] if only else [
        radio("decision", "What should become of it?", [(k.value, labels[k]) for k in kinds],
              optional=False)
    ]  # fmt: skip
    return modal(
        DECIDE_MODAL,
        "Escalate" if only is Decision.ESCALATE else "Review",
        [
            *content_blocks(correction, 2000),
            *asked,
            text_input("note", "A note for the others", optional=True),
        ],
        submit="Escalate" if only is Decision.ESCALATE else "Decide",
        ids={
            "c": correction.id,
            "v": correction.row_version,
            **({"d": only.value} if only else {}),
        },
    )


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
    buttons = [button("Approve", APPROVE_ACTION, value, style="primary")]
    if correction.state in EDITABLE_STATES:
        buttons.append(button("Edit", EDIT_ACTION, value))
    buttons.append(button("Reject", REJECT_ACTION, value, style="danger"))
    claimable = (CorrectionState.PROPOSED, CorrectionState.SECOND_LOOK)
    if correction.state in claimable and correction.claimed_by is None:
        buttons.insert(0, button("Claim", CLAIM_ACTION, value))
    if correction.state is not CorrectionState.ESCALATED:
        buttons.append(button("Escalate", ESCALATE_ACTION, value))
        buttons.append(button("Skip", SKIP_ACTION, value))
    return buttons


def _escalation(reviews: Sequence[Review]) -> list[Block]:
    """Returns why an admin has to decide."""
    lines = [
        f"<@{review.reviewer}>: {review.decision.value}"
        + (f" \N{EN DASH} {escape(review.note[:300])}" if review.note else "")
        for review in reviews
    ]
    return [context(*lines)] if lines else []


def _origin(correction: Correction) -> str:
    if correction.source is CorrectionSource.HUMAN_REPLY:
        return f"Reply of <@{correction.author}> in the thread"
    if correction.source is CorrectionSource.LIKED_ANSWER:
        return "The bot's answer as it was"
    if correction.source is CorrectionSource.IMPORT:
        return "From an imported transcript"
    return f"Proposed by <@{correction.author}>"


def status_of(correction: Correction) -> str:
    """Returns how a correction stands, in a few words."""
    by = f" by <@{correction.claimed_by}>" if correction.claimed_by else ""
    return {
        CorrectionState.DRAFT: "draft",
        CorrectionState.PROPOSED: "waiting for a reviewer",
        CorrectionState.CLAIMED: f"claimed{by}",
        CorrectionState.SECOND_LOOK: (
            f"second look claimed{by}" if by else "waiting for a second, independent reviewer"
        ),
        CorrectionState.ESCALATED: "escalated: an admin decides",
        CorrectionState.APPROVED: f"approved{by}",
        CorrectionState.REJECTED: f"rejected{by}",
        CorrectionState.WITHDRAWN: "withdrawn: the question was deleted",
    }[correction.state]

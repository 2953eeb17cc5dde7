"""The message with which a person is called into a thread."""

from bot.slack.views.blocks import Block, button, markdown
from feedback.domain.handoff import Handoff, HandoffReason, HandoffState

HANDOFF_ACTION = "answer_handoff"
TAKE_ACTION = "handoff_take"
CLOSE_ACTION = "handoff_close"

_WHY = {
    HandoffReason.ABSTAINED: "I could not answer <@{asker}> from our documents.",
    HandoffReason.FAILED: "I could not answer <@{asker}> just now.",
    HandoffReason.BUTTON: "<@{asker}> would like to talk to a person.",
    HandoffReason.WORDS: "<@{asker}> asks for a person.",
}


def handoff_text(handoff: Handoff) -> str:
    """Returns the message as text."""
    match handoff.state:
        case HandoffState.OPEN:
            why = _WHY[handoff.reason].format(asker=handoff.asker)
            return f"{why} {_call(handoff.on_call)}"
        case HandoffState.TAKEN:
            return f"<@{handoff.taken_by}> takes care of this. I wait until somebody names me."
        case HandoffState.ANSWERED:
            return f"<@{handoff.answered_by}> answered. I wait until somebody names me."
        case HandoffState.CLOSED:
            return "This is settled."


def again_text(handoff: Handoff, colleague: str) -> str:
    """Returns what is said when a colleague took it and gave no answer."""
    return f"<@{colleague}> took this, and <@{handoff.asker}> still waits. {_call(handoff.on_call)}"


def handoff_blocks(handoff: Handoff) -> list[Block]:
    """Returns the message; block ids change with every version, so that Slack draws it anew."""
    value = {"h": handoff.id}
    buttons = [button("Settled", CLOSE_ACTION, value)]
    if handoff.state is HandoffState.OPEN:
        buttons.insert(0, button("I take it", TAKE_ACTION, value, style="primary"))
    blocks = [markdown(handoff_text(handoff))]
    if handoff.state is not HandoffState.CLOSED:
        blocks.append({"type": "actions", "elements": buttons})
    return [
        block | {"block_id": f"handoff-{handoff.row_version}-{index}"}
        for index, block in enumerate(blocks)
    ]


def _call(on_call: str) -> str:
    if not on_call:
        return "Can somebody help?"
    if on_call.startswith(("U", "W")):
        return f"<@{on_call}> Can you help?"
    return f"<!subteam^{on_call}> Can one of you help?"

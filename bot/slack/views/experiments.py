"""Two cards: a promotion that waits for a person, and two answers to compare blind."""

from bot.experimenting import Pair, Side
from bot.slack.views.blocks import Block, button, clip, context, escape, markdown, person
from feedback.domain.operating import model_name
from feedback.domain.trial import Approval, Trial, Verdict

GRANT_ACTION = "promotion_grant"
DENY_ACTION = "promotion_deny"
PAIR_ACTIONS = {
    "pair_first": Side.FIRST,
    "pair_second": Side.SECOND,
    "pair_neither": Side.NEITHER,
}
_LABELS = {
    Side.FIRST: "The first is better",
    Side.SECOND: "The second is better",
    Side.NEITHER: "No difference",
}
_ANSWER_CHARS = 1200


def approval_text(trial: Trial, approval: Approval) -> str:
    """Returns the card's notification text."""
    return f"{model_name(trial.challenger_id)} is proven: {_standing(approval)}"


def approval_blocks(trial: Trial, approval: Approval) -> list[Block]:
    """Returns the card of a promotion; decided, it has no buttons."""
    row = trial.evidence or {}
    blocks = [
        markdown(
            f"*Shall {escape(model_name(trial.challenger_id))} become the champion*, in the place "
            f"of {escape(model_name(trial.champion_id))}?\n{escape(str(row.get('reason', '')))}"
        ),
        context(
            f"Experiment {escape(trial.id)}, version {approval.version}. The test goes on while "
            "this waits, and ends it by itself if the challenger turns out worse.",
            f"*{_standing(approval)}*",
        ),
    ]
    if approval.verdict is None:
        value = {"e": trial.id, "v": approval.version}
        blocks.append(
            {
                "type": "actions",
                "elements": [
                    button("Promote", GRANT_ACTION, value, style="primary"),
                    button("Do not promote", DENY_ACTION, value, style="danger"),
                ],
            }
        )
    return blocks


def pair_text(pair: Pair) -> str:
    """Returns the card's notification text."""
    return clip(f"Which answer is better? {escape(pair.question)}", 200)


def pair_blocks(pair: Pair) -> list[Block]:
    """Returns the card of a pair; voted on, it has no buttons."""
    blocks = [
        markdown(f"*Which answer is better?*\n{escape(pair.question) or '_erased_'}"),
        markdown(f"*First*\n{_answer(pair.first)}"),
        markdown(f"*Second*\n{_answer(pair.second)}"),
    ]
    if pair.voted_by is not None:
        return [*blocks, context(f"<@{pair.voted_by}> has compared these two. Thank you!")]
    return [
        *blocks,
        {
            "type": "actions",
            "elements": [
                button(_LABELS[side], action, {"p": pair.id})
                for action, side in PAIR_ACTIONS.items()
            ],
        },
    ]


def _answer(text: str) -> str:
    return escape(clip(text, _ANSWER_CHARS)) or "_nothing_"


def _standing(approval: Approval) -> str:
    if approval.verdict is None:
        until = int(approval.expires_at.timestamp())
        when = f"{approval.expires_at:%Y-%m-%d %H:%M} UTC"
        return f"an admin has to say so until <!date^{until}^{{date_short_pretty}} {{time}}|{when}>"
    said = "approved" if approval.verdict is Verdict.GRANTED else "denied"
    return f"{said} by {person(approval.decided_by or '')}"

"""What the asker of a direct message has in sight beside it; a hint, and nothing more."""

from bot.slack.payloads import Question, channels_of
from feedback.store.unit_of_work import Transaction


async def nearby(tx: Transaction, question: Question) -> str | None:
    """Returns the channel that the asker of a direct message has in sight, if we answer there."""
    in_sight = question.looking_at or channels_of(
        {"entities": await tx.turns.looked_at(question.team, question.by)}
    )
    for channel in in_sight[:1]:
        settings = await tx.channels.get(question.team, channel)
        if settings.answering and await tx.turns.at_home_in(question.team, channel):
            return channel
    return None

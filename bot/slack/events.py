"""What workers do with stored deliveries."""

import logging
from dataclasses import dataclass

from bot.answering import Answering
from bot.slack.api import SlackApi
from bot.slack.asking import Asking
from bot.slack.forms import Delivered
from bot.slack.home import HomePages
from bot.slack.late import LateInteractions
from bot.slack.payloads import (
    INTERACTIVE,
    DeletedMessage,
    EditedMessage,
    Event,
    HomeOpened,
    Identity,
    Question,
    Thumb,
    parse,
)
from bot.voting import Act, VotingDesk
from feedback.domain.delivery import InboxRow
from feedback.errors import UnavailableError
from feedback.store.unit_of_work import Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EventParts:
    """Everything that events can lead to."""

    store: Store
    api: SlackApi
    bot: Identity
    asking: Asking
    answering: Answering
    voting: VotingDesk
    home: HomePages
    late: LateInteractions


class EventHandler:
    """Dispatches inbox rows; every branch may be repeated."""

    def __init__(self, parts: EventParts) -> None:
        self._parts = parts

    async def handle(self, row: InboxRow) -> bool:
        """Works on a row; True when it was closed on the way."""
        if row.type in INTERACTIVE or row.type == "command":
            await self._parts.late.apply(_stored(row))
            return False
        if row.type == "app_rate_limited":
            _log.error(
                "Slack withholds events: more than 30,000 in an hour from %s",
                row.payload["body"].get("team_id"),
            )
            return False
        return await self._event(row, parse(row.payload))

    async def give_up(self, row: InboxRow, exc: Exception) -> None:
        """Tells the one who asked, clicked or typed when it failed for good."""
        if row.type in INTERACTIVE or row.type == "command":
            await self._parts.late.give_up(_stored(row))
            return
        if row.type not in {"message", "app_mention"}:
            return
        event = parse(row.payload)
        if isinstance(event, Question):
            await self._parts.asking.give_up(row, event, exc)

    async def _event(self, row: InboxRow, event: Event | None) -> bool:
        match event:
            case Question():
                return await self._parts.asking.handle(row, event)
            case EditedMessage():
                await self._parts.answering.resync(
                    event.team, event.channel, event.ts, event.text, bot=self._parts.bot.user_id
                )
            case DeletedMessage():
                await self._erase(event)
            case Thumb():
                await self._react(row, event)
            case HomeOpened() if event.tab == "home":
                await self._parts.home.publish(event.team, event.user)
            case _:
                pass
        return False

    async def _erase(self, event: DeletedMessage) -> None:
        key = f"{event.team}:{event.channel}:{event.ts}"
        async with self._parts.store.begin() as tx:
            erased = await tx.conversations.erase_question(event.team, event.channel, event.ts)
            waiting = erased or await tx.inbox.withdraw(key)
        if not waiting:
            raise UnavailableError(f"question {key} is being read right now; erase it afterwards")

    async def _react(self, row: InboxRow, event: Thumb) -> None:
        act = Act(team=event.team, user=event.user, event_id=row.event_id, event_ts=event.event_ts)
        found = await self._parts.voting.react(
            act, event.channel, event.ts, event.rating, added=event.added
        )
        ours = event.author in {"", self._parts.bot.user_id}
        if not found and ours and row.attempts == 1:
            # People may be faster than the transaction that records where the answer stands.
            raise UnavailableError(
                f"message {event.ts} is not known as an answer yet", retry_after=1.0
            )


def _stored(row: InboxRow) -> Delivered:
    return Delivered(
        body=row.payload["body"],
        event_id=row.event_id,
        received_ts=float(row.payload["received"]),
    )

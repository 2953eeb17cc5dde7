"""Everything that questions lead to, put together: asking, changes of mind, the agent pane."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from bot.answering import Answering
from bot.handing_off import HandoffDesk
from bot.interrupting import Interruptions
from bot.slack.agent_events import ContextChanged, SessionStopped
from bot.slack.api import SlackApi
from bot.slack.asking import Asking, AskingParts
from bot.slack.changes import QuestionChanges
from bot.slack.manner import ChannelManners
from bot.slack.pane import AgentPane
from bot.slack.payloads import DeletedMessage, EditedMessage, HomeOpened, Identity, Question
from bot.slack.posting import Poster
from bot.slack.status import StatusBoard
from feedback.clock import Clock
from feedback.domain.delivery import InboxRow
from feedback.errors import UnderstudyError
from feedback.store.unit_of_work import Store

_log = logging.getLogger(__name__)

Talk = Question | EditedMessage | DeletedMessage | HomeOpened | SessionStopped | ContextChanged
"""What a conversation consists of."""


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """One workspace's conversations with the bot.

    Attributes:
        look: Says that a row was written that may end an answer in the making.
    """

    asking: Asking
    changes: QuestionChanges
    pane: AgentPane
    handoffs: HandoffDesk
    look: Callable[[], None]

    async def handle(self, row: InboxRow, event: Talk) -> bool:
        """Works on an event; True when the inbox row was closed on the way."""
        match event:
            case Question():
                await self.handoffs.heard(event)
                return await self.asking.handle(row, event)
            case EditedMessage():
                await self.handoffs.rewritten(event)
                return await self.changes.edited(row, event)
            case DeletedMessage():
                await self.handoffs.taken_back(event.team, event.channel, event.ts)
                await self.changes.deleted(event)
            case HomeOpened():
                await self.pane.opened(event)
            case SessionStopped():
                await self.pane.stopped(event)
            case ContextChanged():
                await self.pane.looks(event)
        return False


class PrivateWords:
    """Implements Remark."""

    def __init__(self, api: SlackApi) -> None:
        self._api = api

    async def __call__(self, question: Question, text: str) -> None:
        """Shows a text to the asker alone, where the question stands; never fails."""
        place = {"thread_ts": question.thread_ts}
        try:
            await self._api.whisper(question.channel, question.by, text, **place)
        except UnderstudyError as exc:
            _log.info("%s is not told: %s", question.by, exc)


def make_conversation(
    store: Store,
    clock: Clock,
    api: SlackApi,
    answering: Answering,
    bot: Identity,
    manners: ChannelManners,
    handoffs: HandoffDesk,
    *,
    lease_s: float,
) -> Conversation:
    """Puts the conversations of a workspace together.

    Args:
        store: The system of record.
        clock: The time.
        api: Slack.
        answering: Makes answers.
        bot: Who the bot is.
        manners: How answers appear where.
        handoffs: Calls people into threads.
        lease_s: Seconds that a question stays a worker's own.
    """
    interruptions = Interruptions(store)
    status = StatusBoard(api)
    asking = Asking(
        AskingParts(
            store=store,
            clock=clock,
            answering=answering,
            poster=Poster(api, bot),
            status=status,
            interruptions=interruptions,
            manners=manners,
            handoffs=handoffs,
            bot=bot,
            remark=PrivateWords(api),
            effects_owed=handoffs.wake,
            lease_s=lease_s,
        )
    )
    return Conversation(
        asking=asking,
        changes=QuestionChanges(store, api, answering, asking, interruptions, bot),
        pane=AgentPane(store, clock, api, status, interruptions),
        handoffs=handoffs,
        look=interruptions.look,
    )

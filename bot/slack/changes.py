"""Questions that were edited or deleted in Slack."""

import logging
from collections.abc import Mapping
from typing import Any

from bot.answering import Answering
from bot.interrupting import Interruptions
from bot.slack.api import SlackApi
from bot.slack.asking import Asking
from bot.slack.payloads import DeletedMessage, EditedMessage, Identity, Question
from bot.worker import PostponedError
from feedback.domain.delivery import Delivery, InboxRow, Waiting
from feedback.domain.interaction import InteractionState
from feedback.errors import UnderstudyError
from feedback.store.unit_of_work import Store

_log = logging.getLogger(__name__)

EDIT_NOTE = (
    "I saw that you changed your question. My answer is to the first version; "
    "ask again in the thread if you would like a new one."
)
_FRESH_S = 3600.0
"""Older messages that we never saw are none that we are about to be told of."""


class QuestionChanges:
    """Keeps what is stored, and what is being answered, in step with what people wrote.

    An edit before the answer is stored: the new text is answered. After it: the stored question
    follows, the answer stays, and the asker is told in private, because others may have read and
    rated the answer. A deletion erases, and takes a half-written answer back.
    """

    def __init__(
        self,
        store: Store,
        api: SlackApi,
        answering: Answering,
        asking: Asking,
        interruptions: Interruptions,
        bot: Identity,
    ) -> None:
        self._store = store
        self._api = api
        self._answering = answering
        self._asking = asking
        self._interruptions = interruptions
        self._bot = bot

    async def edited(self, row: InboxRow, event: EditedMessage) -> bool:
        """Takes an edit over; True when the inbox row was closed with an answer.

        Raises:
            PostponedError: The question is being read right now; come back in a moment.
        """
        key = f"{event.team}:{event.channel}:{event.ts}"
        async with self._store.begin() as tx:
            interaction = await tx.conversations.by_question(event.team, event.channel, event.ts)
            if interaction is None:
                waiting = await tx.inbox.revise(key, event.text, edited_ts=event.edited_ts)
                if waiting is Waiting.UNKNOWN and event.question and self._expected(event.question):
                    # The edit overtook its question, whose late arrival is a duplicate then.
                    await tx.inbox.add(_first_time(row, event.question, key))
            else:
                changed = await self._answering.resync(
                    tx,
                    interaction,
                    event.text,
                    edited_ts=event.edited_ts,
                    bot=self._bot.user_id,
                )
        if interaction is not None:
            self._interruptions.look()
            if changed and interaction.state is InteractionState.POSTED:
                await self._tell(event, interaction.asker)
            return False
        if waiting is Waiting.IN_HAND:
            raise _being_read(key)
        if waiting is Waiting.CLOSED and event.question and event.newly_mentioned:
            return await self._asking.handle(row, event.question)
        return False

    async def deleted(self, event: DeletedMessage) -> None:
        """Erases a question and what was made of it.

        Raises:
            PostponedError: The question is being read right now; come back in a moment.
        """
        key = f"{event.team}:{event.channel}:{event.ts}"
        async with self._store.begin() as tx:
            erased = await tx.conversations.erase_question(event.team, event.channel, event.ts)
            gone = erased or await tx.inbox.withdraw(key)
        if not gone:
            raise _being_read(key)
        self._interruptions.look()

    def _expected(self, question: Question) -> bool:
        """Whether a message that we never saw must be on its way to us."""
        age_s = float(question.edited_ts or question.ts) - float(question.ts)
        return (question.direct or question.mentioned) and age_s < _FRESH_S

    async def _tell(self, event: EditedMessage, asker: str) -> None:
        root = event.question.thread_ts if event.question else event.ts
        try:
            await self._api.whisper(event.channel, asker, EDIT_NOTE, thread_ts=root)
        except UnderstudyError as exc:
            _log.info("%s is not told that the answer stays: %s", asker, exc)


def _being_read(key: str) -> PostponedError:
    """No attempt, because its reader may be dead and is taken for alive until the lease ends."""
    return PostponedError(f"question {key} is being read right now", retry_after=0.2)


def _first_time(row: InboxRow, question: Question, key: str) -> Delivery:
    """Returns the delivery of an edited message as if it had been written like that at once."""
    body: Mapping[str, Any] = row.payload["body"]
    message = {
        **body["event"]["message"],
        "type": "message",
        "channel": question.channel,
        "channel_type": body["event"].get("channel_type"),
    }
    return Delivery(
        event_id=f"edit:{key}",
        type="message",
        payload={**row.payload, "body": {**body, "event": message}},
        question_key=key,
        thread_key=question.thread_key,
        team=question.team,
    )

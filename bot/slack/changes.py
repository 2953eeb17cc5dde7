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
from feedback.store.unit_of_work import Store, Transaction

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
        waiting = None
        async with self._store.begin() as tx:
            interaction = await tx.conversations.by_question(event.team, event.channel, event.ts)
            if interaction is None:
                waiting = await self._revise(tx, row, event)
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
        elif waiting is Waiting.CLOSED and event.question and event.newly_mentioned:
            return await self._asking.handle(row, event.question)
        return False

    async def _revise(self, tx: Transaction, row: InboxRow, event: EditedMessage) -> Waiting:
        """Changes a question that nobody has read yet.

        Raises:
            PostponedError: Somebody reads it, or began to while we looked.
        """
        key = _key(event)
        waiting = await tx.inbox.revise(key, event.text, edited_ts=event.edited_ts)
        if waiting is not Waiting.UNKNOWN:
            read = waiting is Waiting.IN_HAND or await self._is_read(tx, event)
        elif event.question and self._expected(event.question):
            # The edit overtook its question, whose late arrival is a duplicate then.
            read = await tx.inbox.add(_first_time(row, event.question, key)) is None
        else:
            read = False
        if read:
            raise _being_read(key)
        return waiting

    async def deleted(self, event: DeletedMessage) -> None:
        """Erases a question and what was made of it.

        Raises:
            PostponedError: The question is being read right now; come back in a moment.
        """
        key = _key(event)
        async with self._store.begin() as tx:
            if not await tx.conversations.erase_question(event.team, event.channel, event.ts):
                gone = await tx.inbox.withdraw(key)
                if not gone or await self._is_read(tx, event):
                    raise _being_read(key)
        self._interruptions.look()

    async def _is_read(self, tx: Transaction, event: EditedMessage | DeletedMessage) -> bool:
        """Whether a question that was not stored a moment ago is stored now.

        Its row in the inbox is locked by then, so the answer holds until we are done. What is
        stored is changed in a transaction of its own, which locks as the answering worker does.
        """
        found = await tx.conversations.by_question(event.team, event.channel, event.ts)
        return found is not None

    def _expected(self, question: Question) -> bool:
        """Whether a message that we never saw must be on its way to us, and may be meant for us."""
        age_s = float(question.edited_ts or question.ts) - float(question.ts)
        follows = question.ts != question.thread_ts
        return (question.direct or question.mentioned or follows) and age_s < _FRESH_S

    async def _tell(self, event: EditedMessage, asker: str) -> None:
        root = event.question.thread_ts if event.question else event.ts
        try:
            await self._api.whisper(event.channel, asker, EDIT_NOTE, thread_ts=root)
        except UnderstudyError as exc:
            _log.info("%s is not told that the answer stays: %s", asker, exc)


def _key(event: EditedMessage | DeletedMessage) -> str:
    return f"{event.team}:{event.channel}:{event.ts}"


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

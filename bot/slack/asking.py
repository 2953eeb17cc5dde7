"""From a stored question to a posted answer, resumable after a kill at any point."""

import hashlib
import logging
from collections.abc import Awaitable, Callable

from bot.answering import Answered, Answering, Prepared, Source
from bot.slack.errors import SlackRefusedError
from bot.slack.payloads import Identity, Question
from bot.slack.posting import Poster
from bot.slack.views.answers import apology
from bot.worker import LeaseLostError
from feedback.clock import Clock
from feedback.domain.delivery import InboxRow
from feedback.domain.interaction import Interaction, InteractionState
from feedback.errors import InvalidInputError
from feedback.store.unit_of_work import Store

_log = logging.getLogger(__name__)

TellPrivately = Callable[[str, str], Awaitable[None]]
"""Sends `(user, text)` as a direct message."""


class Asking:
    """Answers the questions that are meant for the bot."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        answering: Answering,
        poster: Poster,
        bot: Identity,
        *,
        lease_s: float,
        tell: TellPrivately,
    ) -> None:
        self._store = store
        self._clock = clock
        self._answering = answering
        self._poster = poster
        self._bot = bot
        self._lease_s = lease_s
        self._tell = tell

    async def handle(self, row: InboxRow, question: Question) -> bool:
        """Answers a question; True when the inbox row was closed with the answer."""
        if not await self._addressed(question):
            return False
        try:
            prepared = await self._answering.prepare(question, bot=self._bot.user_id)
        except InvalidInputError:
            return False  # a bare mention, or only a picture
        state = prepared.interaction.state
        if state is InteractionState.PENDING:
            return await self._answer(row, question, prepared)
        if state is InteractionState.ANSWERED:
            # A predecessor stored the answer and may or may not have posted it.
            answered = await self._stored(prepared.interaction)
            return await self._deliver(row, answered, ts=await self._repost(question, answered))
        return False

    async def give_up(self, row: InboxRow, question: Question, exc: Exception) -> None:
        """Apologises once, with an id that leads operators to the log."""
        incident = hashlib.sha256(row.event_id.encode()).hexdigest()[:8].upper()
        _log.error("incident %s: inbox row %s: %s", incident, row.id, exc)
        async with self._store.begin() as tx:
            found = await tx.conversations.by_question(question.team, question.channel, question.ts)
            if found is None or found.state in {InteractionState.POSTED, InteractionState.ERASED}:
                return
            await tx.conversations.mark_failed(found.id, type(exc).__name__, at=self._clock.now())
        await self._poster.say(found, apology(incident), mark="apology")

    async def _answer(self, row: InboxRow, question: Question, prepared: Prepared) -> bool:
        pending = prepared.interaction

        async def started(ts: str) -> None:
            async with self._store.begin() as tx:
                await tx.conversations.mark_streaming(pending.id, ts)

        # After a kill the text of an earlier stream is replaced, not streamed a second time.
        live = self._poster.live(question, started) if pending.answer_ts is None else None
        async with self._poster.thinking(question):
            answered = await self._answering.answer(prepared, live.push if live else None)
            async with self._store.begin() as tx:
                if not await tx.inbox.renew(row, lease_s=self._lease_s):
                    raise LeaseLostError(f"inbox row {row.id} belongs to another worker now")
                if not await tx.conversations.save(answered.interaction):
                    return False  # the question was deleted meanwhile
            try:
                ts = await self._poster.post(answered, live, reconcile=row.attempts > 1)
            except SlackRefusedError as exc:
                return await self._undeliverable(row, answered, exc)
        return await self._deliver(row, answered, ts=ts)

    async def _repost(self, question: Question, answered: Answered) -> str:
        async with self._poster.thinking(question):
            return await self._poster.post(answered, reconcile=True)

    async def _deliver(self, row: InboxRow, answered: Answered, *, ts: str) -> bool:
        async with self._store.begin() as tx:
            await tx.conversations.mark_posted(answered.interaction.id, ts, at=self._clock.now())
            return await tx.inbox.complete(row)

    async def _undeliverable(
        self, row: InboxRow, answered: Answered, exc: SlackRefusedError
    ) -> bool:
        """Tells the asker in private that the thread takes no answer."""
        interaction = answered.interaction
        _log.error("the answer %s cannot be posted: %s", interaction.id, exc)
        async with self._store.begin() as tx:
            await tx.conversations.mark_undelivered(interaction.id, exc.code, self._clock.now())
            closed = await tx.inbox.complete(row)
        await self._tell(
            interaction.asker,
            f"I have an answer for you but cannot post it in <#{interaction.channel}>. "
            "Please ask me here, or invite me to the channel.",
        )
        return closed

    async def _stored(self, interaction: Interaction) -> Answered:
        if interaction.abstained or not interaction.with_context:
            return Answered(interaction=interaction)
        docs = list(dict.fromkeys(hit.doc_id for hit in interaction.retrieved))[:3]
        async with self._store.begin() as tx:
            found = await tx.conversations.sources(docs)
        shown = [Source(title=found[doc][0], uri=found[doc][1]) for doc in docs if doc in found]
        return Answered(interaction=interaction, sources=shown)

    async def _addressed(self, question: Question) -> bool:
        """Direct messages, mentions, and follow-ups of people the bot already talks with."""
        if question.direct or question.mentioned:
            return True
        if question.ts == question.thread_ts or question.names_others:
            return False
        async with self._store.begin() as tx:
            return await tx.conversations.has_asked(question.thread_key, question.user)

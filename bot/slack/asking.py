"""From a stored question to a posted answer, resumable after a kill at any point."""

import hashlib
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from bot.answering import Answered, Answering, ChannelSilentError, Prepared
from bot.courtesy import is_courtesy
from bot.drafts import Draft, Source, documents_of
from bot.handing_off import HandoffDesk
from bot.interrupting import InterruptedAnswerError, Interruptions, Why
from bot.slack.errors import SlackRefusedError
from bot.slack.manner import ChannelManners, Manner
from bot.slack.payloads import Identity, Question
from bot.slack.posting import Poster
from bot.slack.status import StatusBoard, Work
from bot.slack.streaming import Ending, Hooks, LiveAnswer
from bot.slack.views.answers import apology
from bot.worker import LeaseLostError
from feedback.clock import Clock
from feedback.domain.delivery import InboxRow
from feedback.domain.interaction import Interaction, InteractionState
from feedback.errors import InvalidInputError, UnderstudyError
from feedback.store.unit_of_work import Store

_log = logging.getLogger(__name__)

Remark = Callable[[Question, str], Awaitable[None]]
"""Shows a text to the asker alone, where the question stands; never fails."""

DIRECT_MESSAGE = "direct_message"
"""Outbox kind: say something to one person alone, `{team, user, text}`."""

STOPPED_TEXT = "Okay, I stopped."
ALREADY_TEXT = "That message has its answer already, in its thread."
OWN_TEXT = "That is my own message. Ask me with a message of a person."
SILENT_TEXT = "I am switched off in this channel. Ask me in a direct message."
EMPTY_TEXT = "I see no text in that message that I could answer."


@dataclass(frozen=True, kw_only=True)
class AskingParts:
    """What answering in Slack is made of.

    Attributes:
        effects_owed: Called when an effect was written to the outbox.
        lease_s: Seconds that a question stays ours while its answer is posted.
    """

    store: Store
    clock: Clock
    answering: Answering
    poster: Poster
    status: StatusBoard
    interruptions: Interruptions
    manners: ChannelManners
    handoffs: HandoffDesk
    bot: Identity
    remark: Remark
    effects_owed: Callable[[], None]
    lease_s: float


@dataclass(frozen=True, kw_only=True)
class _Turn:
    """One try to answer one question."""

    row: InboxRow
    question: Question
    prepared: Prepared
    manner: Manner
    work: Work
    draft: Draft
    live: LiveAnswer | None

    @property
    def pending(self) -> Interaction:
        return self.prepared.interaction

    @property
    def shown_ts(self) -> str | None:
        """The message that people may see a part of the answer in."""
        return (self.live.ts if self.live else None) or self.pending.answer_ts


class Asking:
    """Answers the questions that are meant for the bot."""

    def __init__(self, parts: AskingParts) -> None:
        self._parts = parts
        self._store = parts.store
        self._clock = parts.clock
        self._poster = parts.poster

    async def handle(self, row: InboxRow, question: Question) -> bool:
        """Answers a question; True when the inbox row was closed with the answer."""
        bot = self._parts.bot.user_id
        if question.user == bot:
            await self._parts.remark(question, OWN_TEXT)
            return False
        if not await self._addressed(question):
            return False
        try:
            prepared = await self._parts.answering.prepare(question, bot=bot)
        except (InvalidInputError, ChannelSilentError) as exc:
            # A bare mention, or only a picture; or nobody wants the bot here.
            if question.asked_by is not None:
                silent = isinstance(exc, ChannelSilentError)
                await self._parts.remark(question, SILENT_TEXT if silent else EMPTY_TEXT)
            return False
        try:
            return await self._from_where_it_stands(row, question, prepared)
        finally:
            if row.attempts > 1:
                # Whoever had it before may have died while it said that it was working.
                await self._parts.status.clear(question)

    async def _from_where_it_stands(
        self, row: InboxRow, question: Question, prepared: Prepared
    ) -> bool:
        known, again = prepared.interaction, row.attempts > 1
        match known.state:
            case InteractionState.PENDING:
                return await self._answer(row, question, prepared)
            case InteractionState.ANSWERED:
                # A predecessor stored the answer and may or may not have posted it.
                return await self._deliver_stored(row, question, prepared)
            case InteractionState.FAILED if again:
                # It was given up, and whoever did it may have died before the apology.
                async with self._store.begin() as tx:
                    called = await self._parts.handoffs.failed(tx, known)
                await self._poster.apologise(known, apology(_incident(row), called=called))
            case InteractionState.ERASED if again and known.answer_ts is not None:
                await self._poster.take_back(known, known.answer_ts)
            case _ if question.asked_by is not None:
                await self._parts.remark(question, ALREADY_TEXT)
            case _:
                pass
        return False

    async def give_up(self, row: InboxRow, question: Question, exc: Exception) -> None:
        """Apologises once, with an id that leads operators to the log."""
        incident = _incident(row)
        _log.error("incident %s: inbox row %s: %s", incident, row.id, exc)
        closed = {InteractionState.POSTED, InteractionState.ERASED, InteractionState.STOPPED}
        async with self._store.begin() as tx:
            found = await tx.conversations.by_question(question.team, question.channel, question.ts)
            if found is None or found.state in closed:
                return
            await tx.conversations.mark_failed(
                found.id,
                type(exc).__name__,
                at=self._clock.now(),
                assignment=await tx.routing.assigned(found.thread_key),
            )
            called = await self._parts.handoffs.failed(tx, found)
        if called:
            self._parts.handoffs.wake()
        try:
            await self._poster.apologise(found, apology(incident, called=called))
        finally:
            await self._parts.status.clear(question)

    async def _answer(self, row: InboxRow, question: Question, prepared: Prepared) -> bool:
        while True:
            try:
                return await self._try(row, question, prepared)
            except InterruptedAnswerError as exc:
                if exc.why is not Why.EDITED:
                    raise
                _log.info("question %s was edited, answering anew", prepared.interaction.id)
                prepared = await self._parts.answering.again(prepared)
                if prepared.interaction.state is not InteractionState.PENDING:
                    return False

    async def _try(self, row: InboxRow, question: Question, prepared: Prepared) -> bool:
        async with AsyncExitStack() as stack:
            work = await stack.enter_async_context(self._parts.status.working(question))
            manner = self._parts.manners.of(question, prepared)
            # After a kill there may be a stream that nobody recorded; it is found at the end.
            turn = _Turn(
                row=row,
                question=question,
                prepared=prepared,
                manner=manner,
                work=work,
                draft=Draft(),
                live=self._live(question, prepared.interaction, manner, work)
                if row.attempts == 1
                else None,
            )
            try:
                answered = await self._generated(turn)
                await work.settle()
                await self._keep(turn, answered.interaction)
                ts = await self._poster.post(
                    answered, manner, turn.live, reconcile=row.attempts > 1
                )
            except InterruptedAnswerError as exc:
                return await self._interrupted(turn, exc)
            except SlackRefusedError as exc:
                return await self._undeliverable(row, question, answered, exc)
            if turn.live is not None and turn.live.ending is Ending.DONE:
                work.released()
            return await self._deliver(row, answered, ts=ts)

    def _live(
        self, question: Question, pending: Interaction, manner: Manner, work: Work
    ) -> LiveAnswer | None:
        if pending.answer_ts is not None:
            # The text of an earlier stream is replaced, not streamed a second time.
            return None

        async def started(ts: str) -> None:
            work.touched()
            async with self._store.begin() as tx:
                await tx.conversations.mark_streaming(pending.id, ts)

        def stopped() -> None:
            self._parts.interruptions.end(pending.id, Why.STOPPED)

        hooks = Hooks(started=started, stopped=stopped)
        return self._poster.live(question, pending, manner, hooks)

    async def _generated(self, turn: _Turn) -> Answered:
        if (turn.prepared.thread.stopped_ts or "") > turn.pending.question_ts:
            raise InterruptedAnswerError(Why.STOPPED)
        answering = self._parts.answering.answer(turn.prepared, turn.draft, turn.live)
        if turn.live is None:
            return await self._parts.interruptions.run(turn.pending, answering)
        async with turn.live:
            return await self._parts.interruptions.run(turn.pending, answering)

    async def _keep(self, turn: _Turn, answered: Interaction) -> None:
        """Stores the answer before anybody sees the end of it.

        Raises:
            InterruptedAnswerError: Nobody wants it any more.
        """
        async with self._store.begin() as tx:
            if not await tx.inbox.renew(turn.row, lease_s=self._parts.lease_s):
                raise LeaseLostError(f"inbox row {turn.row.id} belongs to another worker now")
            kept = await tx.conversations.keep(answered)
        if not kept:
            await self._parts.interruptions.check(turn.pending)
            raise InterruptedAnswerError(Why.CLOSED)

    async def _interrupted(self, turn: _Turn, exc: InterruptedAnswerError) -> bool:
        """Leaves the thread tidy; True when the inbox row was closed."""
        await turn.work.settle()
        if exc.why is Why.EDITED:
            if turn.live is not None:
                await turn.live.end()
            raise exc
        if exc.why is Why.STOPPED:
            return await self._stopped(turn)
        if exc.why is Why.ERASED and turn.shown_ts is not None:
            await self._poster.take_back(turn.pending, turn.shown_ts)
        if exc.why is Why.CLOSED:
            raise LeaseLostError(f"inbox row {turn.row.id} belongs to another worker now")
        return False

    async def _stopped(self, turn: _Turn) -> bool:
        """Keeps what there is of a stopped answer; nobody is asked for an opinion on it."""
        turn.work.touched()
        shown = turn.shown_ts
        if shown is not None:
            await self._poster.end_stream(turn.pending, shown)
        stopped = self._parts.answering.stopped(turn.pending, turn.draft, answer_ts=shown)
        async with self._store.begin() as tx:
            kept = await tx.conversations.save(stopped)
            closed = await tx.inbox.complete(turn.row)
        if kept and shown is None:
            try:
                await self._poster.say(turn.pending, STOPPED_TEXT, mark="stopped")
            except UnderstudyError as exc:
                _log.info("the stop of %s is not confirmed: %s", turn.pending.id, exc)
        return closed

    async def _deliver_stored(self, row: InboxRow, question: Question, prepared: Prepared) -> bool:
        answered = await self._stored(prepared.interaction)
        manner = self._parts.manners.of(question, prepared)
        async with self._parts.status.working(question):
            try:
                ts = await self._poster.post(answered, manner, reconcile=True)
            except SlackRefusedError as exc:
                return await self._undeliverable(row, question, answered, exc)
            return await self._deliver(row, answered, ts=ts)

    async def _deliver(self, row: InboxRow, answered: Answered, *, ts: str) -> bool:
        async with self._store.begin() as tx:
            await tx.conversations.mark_posted(answered.interaction.id, ts, at=self._clock.now())
            called = await self._parts.handoffs.after(tx, answered.interaction)
            closed = await tx.inbox.complete(row)
        if called:
            self._parts.handoffs.wake()
        return closed

    async def _undeliverable(
        self, row: InboxRow, question: Question, answered: Answered, exc: SlackRefusedError
    ) -> bool:
        """Tells the asker in private that the thread takes no answer."""
        interaction = answered.interaction
        _log.error("the answer %s cannot be posted: %s", interaction.id, exc)
        text = (
            f"I have an answer for you but cannot post it in <#{interaction.channel}>. "
            "Please ask me here, or invite me to the channel."
        )
        async with self._store.begin() as tx:
            await tx.conversations.mark_undelivered(interaction.id, exc.code, self._clock.now())
            await tx.outbox.add(
                f"{DIRECT_MESSAGE}:{interaction.id}",
                DIRECT_MESSAGE,
                {"team": question.team, "user": question.by, "text": text},
            )
            closed = await tx.inbox.complete(row)
        self._parts.effects_owed()
        return closed

    async def _stored(self, interaction: Interaction) -> Answered:
        if interaction.abstained or not interaction.with_context:
            return Answered(interaction=interaction)
        docs = documents_of(interaction.retrieved)
        async with self._store.begin() as tx:
            found = await tx.conversations.sources(docs)
        shown = [Source(title=found[doc][0], uri=found[doc][1]) for doc in docs if doc in found]
        return Answered(interaction=interaction, sources=shown)

    async def _addressed(self, question: Question) -> bool:
        """Direct messages, mentions, and follow-ups while it is the bot's turn.

        What is said otherwise in a thread of ours is talk among people, which the bot does not
        interrupt until it is named again.
        """
        if question.direct or question.mentioned:
            return True
        if question.ts == question.thread_ts:
            return False
        async with self._store.begin() as tx:
            if await tx.handoffs.held(question.thread_key):
                return False  # a colleague takes care of it
            if not question.names_others and await tx.turns.follows_up(
                question.thread_key, question.user, question.ts
            ):
                return not is_courtesy(question.text)
            await tx.turns.overhear(question.thread_key, question.ts)
        return False


def _incident(row: InboxRow) -> str:
    return hashlib.sha256(row.event_id.encode()).hexdigest()[:8].upper()

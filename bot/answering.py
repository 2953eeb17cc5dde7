"""The use case: a question becomes an answer, with everything recorded that explains it."""

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from bot.abstain import ABSTAIN_TEXT, decide_abstain, passed_on
from bot.drafts import Audience, Draft, Source, sources_of
from bot.generating import Generating, Generators, Prompt
from bot.redacting import ThreadRedactor
from bot.routing import Turn, TurnRouter
from bot.sight import nearby
from bot.slack.payloads import Question, moment_of, plain_text
from feedback.clock import Clock
from feedback.domain.channel import ChannelSettings
from feedback.domain.handoff import wants_person
from feedback.domain.interaction import Interaction, InteractionState, Retrieved
from feedback.domain.knowledge import SearchResult
from feedback.domain.rollout import AdapterRef
from feedback.domain.text import normalise
from feedback.errors import (
    ConfigurationError,
    InvalidInputError,
    PermanentError,
)
from feedback.ports import GenerationOptions, Message
from feedback.prompting import PromptPolicy, build_messages
from feedback.store.conversations import Thread
from feedback.store.unit_of_work import Store, Transaction

_log = logging.getLogger(__name__)


class ChannelSilentError(PermanentError):
    """The bot is switched off in a channel."""


class Knowledge(Protocol):
    """Looks passages up."""

    async def search(self, question: str, *, k: int, model_url: str) -> SearchResult:
        """Returns the best passages and whether they answer the question."""
        ...


@dataclass(frozen=True, kw_only=True)
class Quality:
    """What the guard thinks of an answer.

    Attributes:
        on_brand: 0..1.
        grounded: Supported by the passages; None when there are none.
    """

    on_brand: float
    grounded: bool | None


class Guard(Protocol):
    """Checks an answer before people see it."""

    def check(self, answer: str, passages: Sequence[str], *, question: str) -> Quality:
        """Returns the answer's tone and grounding."""
        ...


@dataclass(frozen=True, kw_only=True)
class AnswerSettings:
    """How answers are made.

    Attributes:
        retrieve: Passages looked up.
        options: Decoding.
        prompt: Budgets of the prompt.
    """

    retrieve: int
    options: GenerationOptions
    prompt: PromptPolicy


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A stored question, ready to be answered.

    Attributes:
        settings: Of its channel.
        nearby: The channel that the asker of a direct message has in sight, if the bot is at home
            there: a hint where colleagues can be called.
    """

    interaction: Interaction
    thread: Thread
    history: Sequence[Message]
    settings: ChannelSettings = field(default_factory=ChannelSettings)
    nearby: str | None = None


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A stored answer that is owed to the thread, or posted already."""

    interaction: Interaction
    sources: Sequence[Source] = ()


class Answering:
    """Answers questions; posting is somebody else's business."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        redactor: ThreadRedactor,
        router: TurnRouter,
        knowledge: Knowledge,
        generators: Generators,
        guard: Guard,
        settings: AnswerSettings,
    ) -> None:
        self._store = store
        self._clock = clock
        self._redactor = redactor
        self._router = router
        self._knowledge = knowledge
        self._generating = Generating(generators, settings.options)
        self._guard = guard
        self._settings = settings

    async def prepare(self, question: Question, *, bot: str) -> Prepared:
        """Stores the redacted question once and returns it with its thread.

        Raises:
            InvalidInputError: When there is no text to answer.
            ChannelSilentError: When the bot is switched off in that channel.
        """
        text = plain_text(question.text, bot=bot)
        if not text:
            raise InvalidInputError("the message has no text; there is nothing to answer")
        async with self._store.begin() as tx:
            settings = await tx.channels.get(question.team, question.channel)
            if not settings.answering:
                raise ChannelSilentError(f"the bot is switched off in {question.channel}")
            first = self._redactor.redact(text, {}, team=question.team)
            wanted = _thread_of(question, first.placeholders)
            thread = await tx.conversations.open_thread(wanted)
            redacted = first
            if thread != wanted:
                redacted = self._redactor.redact(text, thread.placeholders, team=question.team)
            if redacted.placeholders != thread.placeholders:
                await tx.conversations.save_placeholders(thread.key, redacted.placeholders)
            interaction = await tx.conversations.create_pending(
                _interaction_of(question, redacted.text)
            )
            history = await self._history(tx, question)
            near = await nearby(tx, question) if question.direct else None
        return Prepared(
            interaction=interaction,
            thread=thread,
            history=history,
            settings=settings,
            nearby=near,
        )

    async def again(self, prepared: Prepared) -> Prepared:
        """Returns the question as it is stored now."""
        known = prepared.interaction
        async with self._store.begin() as tx:
            stored = await tx.conversations.get(known.id, team=known.team)
        return replace(prepared, interaction=stored or known)

    async def answer(
        self,
        prepared: Prepared,
        draft: Draft | None = None,
        audience: Audience | None = None,
    ) -> Answered:
        """Generates the answer and returns it, not stored yet.

        Args:
            prepared: The stored question.
            draft: Filled on the way, for the one who may stop it.
            audience: Watches; without one the answer comes in one piece.

        Raises:
            RetryableError: The model server or the database is not there for the moment.
            UnderstudyError: Nothing could answer.
        """
        started = time.perf_counter()
        pending = prepared.interaction
        if wants_person(pending.question):
            return Answered(interaction=passed_on(pending, at=self._clock.now()))
        turn = await self._router.turn(prepared.thread, pending.asker, at=pending.asked_at)
        draft = draft or Draft()
        draft.turn = turn
        found = draft.found = await self._search(pending.question, turn)
        if audience is not None:
            await audience.found(sources_of(found.hits) if found.passages else ())
        made = await self._generating.generate(
            turn, self._prompt(pending.question, found, prepared.history), draft, audience
        )
        interaction = replace(
            _by(self._judged(pending, found, made.generation.text.strip()), turn, made.adapter),
            experiment_id=turn.experiment_id,
            arm=turn.arm,
            share=turn.share,
            salt=turn.salt,
            latency_ms=(time.perf_counter() - started) * 1000,
            prompt_tokens=made.generation.prompt_tokens,
            completion_tokens=made.generation.completion_tokens,
            error=made.error,
            answered_at=self._clock.now(),
        )
        hidden = interaction.abstained or not found.passages
        return Answered(interaction=interaction, sources=() if hidden else sources_of(found.hits))

    def stopped(self, pending: Interaction, draft: Draft, *, answer_ts: str | None) -> Interaction:
        """Returns what is stored of an answer that somebody stopped.

        It takes no part in an experiment: nobody has seen all of it.
        """
        stopped = replace(
            pending,
            state=InteractionState.STOPPED,
            answer=draft.text.strip() or None,
            answer_ts=answer_ts,
            prompt_version=self._settings.prompt.version,
            retrieved=_retrieved(draft.found) if draft.found else (),
            with_context=bool(draft.found and draft.found.passages),
            answered_at=self._clock.now(),
        )
        return _by(stopped, draft.turn, draft.turn.adapter) if draft.turn else stopped

    def _judged(self, pending: Interaction, found: SearchResult, text: str) -> Interaction:
        """Returns the interaction with its text, or the honest "I don't know" in its place."""
        passages = [hit.text for hit in found.hits]
        quality = self._guard.check(text, passages, question=pending.question)
        abstained = decide_abstain(found, text, grounded=quality.grounded)
        return replace(
            pending,
            state=InteractionState.ANSWERED,
            answer=ABSTAIN_TEXT if abstained else text,
            prompt_version=self._settings.prompt.version,
            retrieved=_retrieved(found),
            with_context=bool(found.passages),
            abstained=abstained,
            grounded=quality.grounded if found.passages else None,
            on_brand=quality.on_brand,
        )

    async def resync(
        self, tx: Transaction, interaction: Interaction, raw: str, *, edited_ts: str, bot: str
    ) -> bool:
        """Takes over an edited question, redacted; True when its words changed."""
        thread = await tx.conversations.lock_thread(interaction.thread_key)
        redacted = self._redactor.redact(
            plain_text(raw, bot=bot), thread.placeholders, team=interaction.team
        )
        await tx.conversations.save_placeholders(thread.key, redacted.placeholders)
        taken = await tx.conversations.resync_question(
            interaction.id, redacted.text, edited_ts=edited_ts
        )
        return taken and normalise(redacted.text) != normalise(interaction.question)

    def _prompt(self, question: str, found: SearchResult, history: Sequence[Message]) -> Prompt:
        policy = self._settings.prompt
        short = replace(policy, context_words=policy.context_words // 2)
        return Prompt(
            messages=build_messages(question, found.passages, history, policy),
            shorten=lambda: build_messages(question, found.passages, (), short),
        )

    async def _search(self, question: str, turn: Turn) -> SearchResult:
        if self._settings.retrieve == 0:
            return SearchResult()
        try:
            return await self._knowledge.search(
                question, k=self._settings.retrieve, model_url=turn.url
            )
        except ConfigurationError as exc:
            # An index of another embedder is an operator's problem, not the asker's.
            _log.error("answering without documents: %s", exc)
            return SearchResult()

    async def _history(self, tx: Transaction, question: Question) -> list[Message]:
        if question.ts == question.thread_ts or self._settings.prompt.history_messages == 0:
            return []
        earlier = await tx.conversations.history(
            question.thread_key,
            before=question.ts,
            limit=self._settings.prompt.history_messages // 2 + 1,
        )
        return [
            message
            for turn in earlier
            for message in (
                Message(role="user", content=turn.question),
                Message(role="assistant", content=turn.answer or ""),
            )
        ]


def _by(interaction: Interaction, turn: Turn, adapter: AdapterRef | None) -> Interaction:
    """Returns the interaction with the model that answered."""
    return replace(
        interaction,
        base_model=turn.base_model,
        adapter_id=adapter.id if adapter else None,
        adapter_sha256=adapter.sha256 if adapter else None,
        template_sha256=turn.template_sha256,
    )


def _retrieved(found: SearchResult) -> tuple[Retrieved, ...]:
    return tuple(
        Retrieved(doc_id=hit.doc_id, score=hit.score, chunk_id=hit.chunk_id) for hit in found.hits
    )


def _thread_of(question: Question, placeholders: Mapping[str, Any]) -> Thread:
    return Thread(
        key=question.thread_key,
        team=question.team,
        channel=question.channel,
        thread_ts=question.thread_ts,
        started_by=question.user,
        started_at=moment_of(question.ts),
        placeholders=placeholders,
    )


def _interaction_of(question: Question, text: str) -> Interaction:
    return Interaction(
        id=f"i-{uuid.uuid4().hex}",
        thread_key=question.thread_key,
        team=question.team,
        channel=question.channel,
        question_ts=question.ts,
        asker=question.user,
        asked_at=question.asked_at,
        question=text,
        edited_ts=question.edited_ts,
    )

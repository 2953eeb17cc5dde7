"""From a prompt to a text: the model of the turn, and who stands in where it fails.

An answer of the second best model is better than none, and a thread whose answer failed must not
vanish from its arm: so the challenger is covered by the champion and every adapter by the base, and
the record says which failure that was and who answered. In an experiment both arms get the same
second chance, else the one with more of them would look better.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from bot.drafts import Audience, Draft
from bot.routing import Turn
from feedback.domain.rollout import AdapterRef
from feedback.errors import (
    GenerationFailedError,
    InvalidInputError,
    OverloadedError,
    PromptTooLongError,
    TemplateRejectedError,
    TimedOutError,
    UnauthorizedError,
    UnderstudyError,
)
from feedback.ports import Generation, GenerationOptions, Message, TextGenerator

_log = logging.getLogger(__name__)

_NO_OTHER_CAN = (OverloadedError, InvalidInputError, UnauthorizedError, TemplateRejectedError)
"""Failures of the server or the request: another model of the same server meets them too. Somebody
who waits for an overloaded server gets the right model a little later instead."""


class Generators(Protocol):
    """Text generators by their server."""

    def at(self, url: str, served: frozenset[str], base_name: str) -> TextGenerator:
        """Returns the (cached) generator of a server that serves these adapters and this base."""
        ...


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What is sent.

    Attributes:
        messages: All that is known.
        shorten: Returns a shorter version, for a server that takes less.
    """

    messages: Sequence[Message]
    shorten: Callable[[], Sequence[Message]]


@dataclass(frozen=True, kw_only=True)
class Generated:
    """A text and where it comes from.

    Attributes:
        adapter: What answered; None is the base model.
        error: The first failure on the way; None when the model of the turn answered.
    """

    generation: Generation
    adapter: AdapterRef | None
    error: str | None


class Generating:
    """Asks models until one answers."""

    def __init__(self, generators: Generators, options: GenerationOptions) -> None:
        self._generators = generators
        self._options = options

    async def generate(
        self, turn: Turn, prompt: Prompt, draft: Draft, audience: Audience | None
    ) -> Generated:
        """Returns the first answer of those who may give it.

        Args:
            turn: Whose turn it is, and who stands in.
            prompt: What is sent.
            draft: Filled on the way.
            audience: Watches; without one the answer comes in one piece.

        Raises:
            RetryableError: The server is not there for the moment.
            UnderstudyError: Nobody could answer.
        """
        ladder, error, timeouts = rungs(turn), turn.error, 0
        for rung, adapter in enumerate(ladder, start=1):
            try:
                generation = await self._fitting(turn, adapter, prompt, draft, audience)
            except UnderstudyError as exc:
                timeouts += isinstance(exc, TimedOutError)
                # Who has waited for two deadlines waits for no third.
                if rung == len(ladder) or timeouts > 1 or isinstance(exc, _NO_OTHER_CAN):
                    raise
                _log.warning("%s failed, the next one is asked: %s", _name(adapter), exc)
                error = error or type(exc).__name__
                await _restart(draft, audience)
            else:
                return Generated(generation=generation, adapter=adapter, error=error)
        raise AssertionError("a ladder has rungs, and the last one returns or raises")

    async def _fitting(
        self,
        turn: Turn,
        adapter: AdapterRef | None,
        prompt: Prompt,
        draft: Draft,
        audience: Audience | None,
    ) -> Generation:
        """Sends a shorter prompt once where the server finds the first one too long."""
        try:
            return await self._one(turn, adapter, prompt.messages, draft, audience)
        except PromptTooLongError as exc:
            shorter = prompt.shorten()
            if shorter == prompt.messages:
                raise
            _log.warning("a shorter prompt is sent: %s", exc)
        await _restart(draft, audience)
        return await self._one(turn, adapter, shorter, draft, audience)

    async def _one(
        self,
        turn: Turn,
        adapter: AdapterRef | None,
        messages: Sequence[Message],
        draft: Draft,
        audience: Audience | None,
    ) -> Generation:
        generator = self._generators.at(turn.url, turn.served, turn.base_name)
        name = adapter.id if adapter else None
        if audience is None:
            return _nonempty(await generator.chat(messages, adapter=name, options=self._options))
        finished: Generation | None = None
        # Whoever stops watching closes the stream at once, which frees the server's place.
        async with aclosing(
            generator.stream(messages, adapter=name, options=self._options)
        ) as pieces:
            async for piece in pieces:
                if isinstance(piece, Generation):
                    finished = piece
                else:
                    draft.text += piece
                    await audience.write(piece)
        if finished is None:
            raise GenerationFailedError("the stream ended without its final event")
        return _nonempty(finished)


def rungs(turn: Turn) -> tuple[AdapterRef | None, ...]:
    """Returns who is asked, in order: the model of the turn, who covers for it, the base.

    An arm of the base alone is asked twice: the other arm has a second chance as well.
    """
    cover = (turn.fallback,) if turn.arm is not None else ()
    ladder = tuple(dict.fromkeys((turn.adapter, *cover, None)))
    return ladder * 2 if turn.arm is not None and len(ladder) == 1 else ladder


async def _restart(draft: Draft, audience: Audience | None) -> None:
    if not draft.text:
        return
    draft.text = ""
    if audience is not None:
        await audience.restart()


def _nonempty(generation: Generation) -> Generation:
    if not generation.text.strip():
        raise GenerationFailedError("the model answered with an empty text")
    return generation


def _name(adapter: AdapterRef | None) -> str:
    return adapter.id if adapter else "the base model"

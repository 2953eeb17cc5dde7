"""Ends the generation of an answer that nobody wants any more, wherever it runs.

What ends it is always a row: Stop was pressed, the question was deleted, or it was edited. The
process that works on the answer looks at its questions in flight twice a second, all of them in one
query; whoever writes such a row in the same process says so with `look`, and it happens at once.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from feedback.domain.interaction import Interaction, InteractionState
from feedback.errors import UnderstudyError
from feedback.store.turns import Standing
from feedback.store.unit_of_work import Store

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Why(StrEnum):
    """Why an answer is not wanted any more."""

    STOPPED = "stopped"
    ERASED = "erased"
    EDITED = "edited"
    CLOSED = "closed"


class InterruptedAnswerError(UnderstudyError):
    """An answer is not wanted any more; nothing went wrong."""

    def __init__(self, why: Why) -> None:
        super().__init__(f"the answer is not wanted any more: {why}")
        self.why = why


@dataclass(kw_only=True)
class _Running:
    interaction: Interaction
    task: asyncio.Task[Any]
    why: Why | None = None


class Interruptions:
    """Runs generations so that a row can end them.

    Args:
        store: Where the rows are.
        poll_s: Seconds between looks when nobody says that there is something to see.
    """

    def __init__(self, store: Store, *, poll_s: float = 0.5) -> None:
        self._store = store
        self._poll_s = poll_s
        self._running: dict[str, _Running] = {}
        self._seen = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Says that a row was written that may end something."""
        self._seen.set()

    def end(self, interaction_id: str, why: Why) -> None:
        """Ends one generation of this process."""
        entry = self._running.get(interaction_id)
        if entry is not None:
            entry.why = entry.why or why
            entry.task.cancel()

    async def run(self, interaction: Interaction, work: Coroutine[Any, Any, T]) -> T:
        """Returns what `work` returns; cancels it when its answer is not wanted any more.

        Raises:
            InterruptedAnswerError: It was cancelled, and everything it held is free again.
        """
        entry = _Running(interaction=interaction, task=asyncio.create_task(work))
        self._running[interaction.id] = entry
        if self._watcher is None or self._watcher.done():
            self._seen.clear()
            self._watcher = asyncio.create_task(self._watch(), name="interruptions")
        try:
            result: T = await entry.task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if entry.why is None or (current is not None and current.cancelling()):
                raise
            raise InterruptedAnswerError(entry.why) from None
        finally:
            del self._running[interaction.id]
            if not self._running:
                self._seen.set()
        return result

    async def check(self, interaction: Interaction) -> None:
        """Looks once whether an answer is still wanted.

        Raises:
            InterruptedAnswerError: It is not.
        """
        async with self._store.single() as tx:
            standing = (await tx.turns.standings([interaction.id])).get(interaction.id)
        why = why_unwanted(interaction, standing)
        if why is not None:
            raise InterruptedAnswerError(why)

    async def _watch(self) -> None:
        while self._running:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._seen.wait()
            self._seen.clear()
            try:
                await self._end_unwanted()
            except UnderstudyError as exc:
                _log.warning("cannot look whether answers are still wanted: %s", exc)

    async def _end_unwanted(self) -> None:
        if not self._running:
            return
        # What begins during the query is not in it, and must not be taken for erased.
        looked_at = dict(self._running)
        async with self._store.single() as tx:
            standings = await tx.turns.standings(list(looked_at))
        for name, entry in looked_at.items():
            entry.why = entry.why or why_unwanted(entry.interaction, standings.get(name))
            if entry.why is not None:
                entry.task.cancel()


def why_unwanted(interaction: Interaction, standing: Standing | None) -> Why | None:
    """Returns why a question that was read as `interaction` needs no answer; None when it does."""
    if standing is None or standing.state is InteractionState.ERASED:
        return Why.ERASED
    if standing.state is not InteractionState.PENDING:
        return Why.CLOSED
    if standing.stopped:
        return Why.STOPPED
    return Why.EDITED if standing.edited_ts != interaction.edited_ts else None

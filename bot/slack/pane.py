"""The agent pane: what to ask, what somebody looks at, and the native Stop button."""

import asyncio
import logging
from dataclasses import dataclass

from bot.interrupting import Interruptions
from bot.slack.agent_events import ContextChanged, SessionStopped
from bot.slack.api import SlackApi
from bot.slack.errors import Outcome, SlackRefusedError
from bot.slack.payloads import HomeOpened, Question
from bot.slack.status import StatusBoard
from bot.slack.views.blocks import clip, neutral
from feedback.clock import Clock
from feedback.store.unit_of_work import Store

_log = logging.getLogger(__name__)

_PROMPTS = 4
"""Slack shows no more."""
_TITLE_CHARS = 75
_KEPT_S = 600.0


@dataclass(frozen=True, kw_only=True)
class _Offer:
    prompts: tuple[dict[str, str], ...]
    until: float


class AgentPane:
    """Handles what happens around a conversation with the bot."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        api: SlackApi,
        status: StatusBoard,
        interruptions: Interruptions,
    ) -> None:
        self._store = store
        self._clock = clock
        self._api = api
        self._status = status
        self._interruptions = interruptions
        self._offers: dict[str, _Offer] = {}
        self._offering = True
        self._making = asyncio.Lock()

    async def opened(self, event: HomeOpened) -> None:
        """Offers questions to somebody who opens the conversation with the bot."""
        if not event.channel or not self._offering:
            return
        prompts = await self._prompts(event.team)
        if not prompts:
            return
        try:
            await self._api.suggest_prompts(event.channel, prompts)
        except SlackRefusedError as exc:
            self._offering = exc.outcome is not Outcome.UNSUPPORTED
            _log.info("no prompts are offered in %s: %s", event.channel, exc)

    async def looks(self, event: ContextChanged) -> None:
        """Remembers what somebody looks at beside the conversation."""
        async with self._store.begin() as tx:
            await tx.turns.look_at(event.team, event.user, event.entities, event_ts=event.event_ts)

    async def stopped(self, event: SessionStopped) -> None:
        """Ends the answers that a thread waits for, and the status that nobody else would end."""
        async with self._store.begin() as tx:
            await tx.turns.stop(event.thread_key, event.event_ts)
            waiting = await tx.turns.waiting(event.thread_key)
        self._interruptions.look()
        if not waiting:
            await self._status.clear(_thread_of(event))

    async def _prompts(self, team: str) -> tuple[dict[str, str], ...]:
        now = self._clock.now().timestamp()
        async with self._making:
            offer = self._offers.get(team)
            if offer is None or offer.until <= now:
                offer = _Offer(prompts=await self._make(team), until=now + _KEPT_S)
                self._offers[team] = offer
        return offer.prompts

    async def _make(self, team: str) -> tuple[dict[str, str], ...]:
        """Returns what several people asked, filled up with what the documents are about."""
        async with self._store.begin() as tx:
            asked = await tx.turns.popular(team, limit=_PROMPTS)
            titles = await tx.turns.document_titles(limit=_PROMPTS - len(asked))
        told = [
            f"What do I need to know about \N{LEFT DOUBLE QUOTATION MARK}{title}"
            f"\N{RIGHT DOUBLE QUOTATION MARK}?"
            for title in titles
        ]
        return tuple(
            {"title": neutral(clip(text, _TITLE_CHARS)), "message": neutral(text)}
            for text in (*asked, *told)
        )


def _thread_of(event: SessionStopped) -> Question:
    """Returns a stand-in for whatever was asked in the thread."""
    return Question(
        team=event.team,
        channel=event.channel,
        ts=event.event_ts,
        thread_ts=event.thread_ts,
        user=event.user,
        text="",
        direct=False,
        mentioned=False,
        names_others=False,
    )

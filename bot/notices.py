"""Performs what the outbox owes Slack: operators' notices, review cards, corrected answers."""

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bot.correcting import CARD, THREAD_CORRECTION
from bot.slack.api import SlackApi
from bot.slack.errors import SlackRefusedError
from bot.slack.views.blocks import ANSWER_CHARS, clip, escape
from bot.slack.views.reviews import card_blocks, card_text
from bot.worker import backoff_s
from feedback.domain.delivery import OutboxRow
from feedback.errors import PermanentError, RetryableError
from feedback.store.unit_of_work import Store

_log = logging.getLogger(__name__)

SLACK_MESSAGE = "slack_message"
"""Outbox kind: `{channel, text, blocks?, thread_ts?}`."""

_LEASE_S = 60.0
_EVENT_TYPE = "understudy_notice"


class Notices:
    """Takes outbox rows and performs them at least once; posts carry a mark to be found again.

    Args:
        review_channel: Where cards go; empty: corrections are reviewed elsewhere.
        poll_s: Seconds between looks when nothing wakes it.
        max_attempts: Tries before an effect is given up, with an error in the log.
    """

    def __init__(
        self,
        store: Store,
        api: SlackApi,
        *,
        review_channel: str,
        poll_s: float = 1.0,
        max_attempts: int = 10,
    ) -> None:
        self._store = store
        self._api = api
        self._review_channel = review_channel
        self._poll_s = poll_s
        self._max_attempts = max_attempts
        self._wakeup = asyncio.Event()
        self._kinds: Mapping[str, Callable[[OutboxRow], Awaitable[None]]] = {
            SLACK_MESSAGE: self._message,
            CARD: self._card,
            THREAD_CORRECTION: self._thread_correction,
        }

    def wake(self) -> None:
        """Says that an effect was written."""
        self._wakeup.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Performs effects until `stop` is set."""
        while not stop.is_set():
            self._wakeup.clear()
            try:
                performed = await self.perform()
            except RetryableError as exc:
                _log.warning("cannot read the outbox: %s", exc)
                performed = 0
            if not performed:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._poll_s):
                        await self._wakeup.wait()

    async def perform(self) -> int:
        """Performs what is due now and returns how much that was."""
        async with self._store.begin() as tx:
            rows = await tx.outbox.claim(list(self._kinds), lease_s=_LEASE_S)
        for row in rows:
            await self._perform(row)
        return len(rows)

    async def _perform(self, row: OutboxRow) -> None:
        error: str | None = None
        try:
            await self._kinds[row.kind](row)
        except RetryableError as exc:
            if row.attempts < self._max_attempts:
                async with self._store.begin() as tx:
                    await tx.outbox.retry(
                        row.id, error=str(exc), delay_s=backoff_s(row.attempts, exc)
                    )
                return
            error = str(exc)
        except PermanentError as exc:
            error = str(exc)
        if error is not None:
            _log.error("the effect %s is given up: %s", row.key, error)
        async with self._store.begin() as tx:
            await tx.outbox.done(row.id, error=error)

    async def _message(self, row: OutboxRow) -> None:
        payload = row.payload
        if not payload.get("channel"):
            return  # no operators' channel is set
        await self._once(
            row,
            str(payload["channel"]),
            str(payload["text"]),
            blocks=payload.get("blocks"),
            thread_ts=payload.get("thread_ts"),
        )

    async def _card(self, row: OutboxRow) -> None:
        if not self._review_channel:
            return
        async with self._store.begin() as tx:
            correction = await tx.corrections.get(
                row.payload["correction_id"], team=row.payload["team"]
            )
        text, blocks = card_text(correction), card_blocks(correction)
        if correction.card_ts is not None and correction.card_channel is not None:
            try:
                await self._api.update(
                    correction.card_channel, correction.card_ts, text, blocks=blocks
                )
            except SlackRefusedError as exc:
                _log.warning("the card of %s is gone, posting anew: %s", correction.id, exc)
            else:
                return
        ts = await self._once(row, self._review_channel, text, blocks=blocks)
        async with self._store.begin() as tx:
            await tx.corrections.set_card(correction.id, self._review_channel, ts)

    async def _thread_correction(self, row: OutboxRow) -> None:
        async with self._store.begin() as tx:
            correction = await tx.corrections.get(
                row.payload["correction_id"], team=row.payload["team"]
            )
        _, channel, root = correction.thread_key.split(":")
        text = f"Corrected by <@{correction.author}>:\n{escape(correction.text)}"
        await self._once(row, channel, clip(text, ANSWER_CHARS), thread_ts=root)

    async def _once(
        self,
        row: OutboxRow,
        channel: str,
        text: str,
        *,
        blocks: list[dict[str, Any]] | None = None,
        thread_ts: str | None = None,
    ) -> str:
        """Posts, unless an earlier attempt did; returns the message's ts."""
        mark = hashlib.sha256(row.key.encode()).hexdigest()[:32]
        if row.attempts > 1:
            found = await self._find(channel, thread_ts, mark)
            if found is not None:
                return found
        return await self._api.post(
            channel,
            text,
            blocks=blocks,
            thread_ts=thread_ts,
            metadata={"event_type": _EVENT_TYPE, "event_payload": {"id": mark}},
        )

    async def _find(self, channel: str, thread_ts: str | None, mark: str) -> str | None:
        messages = (
            await self._api.replies(channel, thread_ts, oldest="0")
            if thread_ts
            else await self._api.recent(channel)
        )
        for message in messages:
            payload = (message.get("metadata") or {}).get("event_payload") or {}
            if payload.get("id") == mark:
                return str(message["ts"])
        return None

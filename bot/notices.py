"""Performs what the outbox owes Slack: operators' notices, review cards, corrected answers."""

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from bot.correcting import THREAD_CORRECTION
from bot.experimenting import Pair
from bot.handing_off import HANDOFF
from bot.slack.api import SlackApi
from bot.slack.asking import DIRECT_MESSAGE
from bot.slack.errors import SlackRefusedError, TokenRefusedError
from bot.slack.views.blocks import ANSWER_CHARS, clip, escape
from bot.slack.views.digest import digest_blocks, digest_text
from bot.slack.views.experiments import (
    approval_blocks,
    approval_text,
    pair_blocks,
    pair_text,
)
from bot.slack.views.handoffs import handoff_blocks, handoff_text
from bot.slack.views.reviews import card_blocks, card_text
from bot.slack.workspaces import Workspace, WorkspaceAwayError, Workspaces
from bot.worker import PostponedError, backoff_s
from feedback.digest import DIGEST, read_digest
from feedback.domain.correction import REVIEW_CARD
from feedback.domain.delivery import OutboxRow
from feedback.domain.trial import APPROVAL_CARD, PAIR_CARD
from feedback.errors import InvalidInputError, PermanentError, RetryableError, UnavailableError
from feedback.store.unit_of_work import Store, Transaction

_log = logging.getLogger(__name__)

SLACK_MESSAGE = "slack_message"
"""Outbox kind: `{channel, text, blocks?, thread_ts?}`."""

_LEASE_S = 60.0
_EVENT_TYPE = "understudy_notice"


class Notices:
    """Takes outbox rows and performs them at least once; posts carry a mark to be found again.

    Args:
        workspaces: Each effect goes out with the token of its workspace.
        home: Workspace of effects that name none, such as operators' notices; empty: the only one.
        wakeup: Set by whoever writes an effect, instead of `wake`.
        poll_s: Seconds between looks when nothing wakes it.
        retry_s: Seconds before the second try; doubled for each further one.
        max_attempts: Tries before an effect is given up, with an error in the log.
    """

    def __init__(
        self,
        store: Store,
        workspaces: Workspaces,
        *,
        home: str = "",
        wakeup: asyncio.Event | None = None,
        poll_s: float = 1.0,
        retry_s: float = 1.0,
        max_attempts: int = 10,
    ) -> None:
        self._store = store
        self._workspaces = workspaces
        self._home = home
        self._poll_s = poll_s
        self._retry_s = retry_s
        self._max_attempts = max_attempts
        self._wakeup = wakeup or asyncio.Event()
        self._kinds: Mapping[str, Callable[[Workspace, OutboxRow], Awaitable[None]]] = {
            SLACK_MESSAGE: self._message,
            REVIEW_CARD: self._card,
            THREAD_CORRECTION: self._thread_correction,
            HANDOFF: self._handoff,
            APPROVAL_CARD: self._approval,
            PAIR_CARD: self._pair,
            DIGEST: self._digest,
            DIRECT_MESSAGE: self._direct_message,
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
            await self._dispatch(row)
        except RetryableError as exc:
            # A workspace that is away is waited for, however long that takes.
            if row.attempts < self._max_attempts or isinstance(exc, PostponedError):
                delay_s = backoff_s(row.attempts, exc, self._retry_s)
                async with self._store.begin() as tx:
                    await tx.outbox.retry(row.id, error=str(exc), delay_s=delay_s)
                asyncio.get_running_loop().call_later(delay_s, self.wake)
                return
            error = str(exc)
        except PermanentError as exc:
            error = str(exc)
        if error is not None:
            _log.error("the effect %s is given up: %s", row.key, error)
        async with self._store.begin() as tx:
            await tx.outbox.done(row.id, error=error)

    async def _dispatch(self, row: OutboxRow) -> None:
        if row.kind in {SLACK_MESSAGE, DIGEST} and not row.payload.get("channel"):
            return  # no operators' channel is set
        workspace = await self._workspace(str(row.payload.get("team") or self._home))
        try:
            await self._kinds[row.kind](workspace, row)
        except TokenRefusedError as exc:
            await self._workspaces.lost(workspace, exc.code)
            raise WorkspaceAwayError(workspace.identity.team) from exc

    async def _workspace(self, team: str) -> Workspace:
        if not team:
            only = await self._workspaces.only()
            if only is None:
                raise InvalidInputError(
                    "the effect names no workspace; set UNDERSTUDY_SLACK__OPERATORS_TEAM"
                )
            return only
        return await self._workspaces.of(team)

    async def _message(self, workspace: Workspace, row: OutboxRow) -> None:
        payload = row.payload
        await self._once(
            workspace.api,
            row,
            str(payload["channel"]),
            str(payload["text"]),
            blocks=payload.get("blocks"),
            thread_ts=payload.get("thread_ts"),
        )

    async def _direct_message(self, workspace: Workspace, row: OutboxRow) -> None:
        channel = await workspace.api.open_dm(str(row.payload["user"]))
        await self._once(workspace.api, row, channel, str(row.payload["text"]))

    async def _digest(self, workspace: Workspace, row: OutboxRow) -> None:
        payload = row.payload
        async with self._store.begin() as tx:
            digest = await read_digest(tx, datetime.fromisoformat(payload["at"]))
        channel, ts = str(payload["channel"]), payload.get("ts")
        text, blocks = digest_text(digest), digest_blocks(digest)
        if ts is None:
            await self._once(workspace.api, row, channel, text, blocks=blocks)
        else:
            await workspace.api.update(channel, str(ts), text, blocks=blocks)

    async def _card(self, workspace: Workspace, row: OutboxRow) -> None:
        async with self._store.begin() as tx:
            correction = await tx.corrections.get(
                row.payload["correction_id"], team=row.payload["team"]
            )
            reviews = await tx.corrections.reviews(correction.id)
            source = correction.thread_key.split(":")[1]
            settings = await tx.channels.get(correction.team, source)
            await _require_turn(tx, row, correction.card_ts)
        channel = settings.review_channel or workspace.review_channel
        if not channel and correction.card_ts is None:
            return
        text, blocks = card_text(correction), card_blocks(correction, reviews)
        if correction.card_ts is not None and correction.card_channel is not None:
            try:
                await workspace.api.update(
                    correction.card_channel, correction.card_ts, text, blocks=blocks
                )
            except SlackRefusedError as exc:
                _log.warning("the card of %s is gone, posting anew: %s", correction.id, exc)
            else:
                return
        try:
            ts = await self._once(workspace.api, row, channel, text, blocks=blocks)
        except SlackRefusedError as exc:
            if channel == workspace.review_channel or not workspace.review_channel:
                raise
            _log.warning("%s takes no card (%s), the workspace's review channel does", channel, exc)
            channel = workspace.review_channel
            ts = await self._once(workspace.api, row, channel, text, blocks=blocks)
        async with self._store.begin() as tx:
            await tx.corrections.set_card(correction.id, channel, ts)

    async def _thread_correction(self, workspace: Workspace, row: OutboxRow) -> None:
        async with self._store.begin() as tx:
            correction = await tx.corrections.get(
                row.payload["correction_id"], team=row.payload["team"]
            )
        _, channel, root = correction.thread_key.split(":")
        text = f"Corrected by <@{correction.author}>:\n{escape(correction.text)}"
        text = clip(text, ANSWER_CHARS)
        await self._once(workspace.api, row, channel, text, thread_ts=root)

    async def _handoff(self, workspace: Workspace, row: OutboxRow) -> None:
        async with self._store.begin() as tx:
            handoff = await tx.handoffs.get(row.payload["handoff_id"], team=row.payload["team"])
            await _require_turn(tx, row, handoff.message_ts)
        text, blocks = handoff_text(handoff), handoff_blocks(handoff)
        if handoff.message_ts is not None:
            await workspace.api.update(handoff.channel, handoff.message_ts, text, blocks=blocks)
            return
        root = handoff.thread_key.rpartition(":")[2]
        ts = await self._once(
            workspace.api, row, handoff.channel, text, blocks=blocks, thread_ts=root
        )
        async with self._store.begin() as tx:
            await tx.handoffs.set_message(handoff.id, ts)

    async def _approval(self, workspace: Workspace, row: OutboxRow) -> None:
        async with self._store.begin() as tx:
            trial = await tx.experiments.get(row.payload["experiment_id"])
            approval = await tx.approvals.get(row.payload["experiment_id"], row.payload["version"])
        channel = str(row.payload["channel"])
        if trial is None or approval is None or not channel:
            return  # without an operators' channel the command line and the web page approve
        text, blocks = approval_text(trial, approval), approval_blocks(trial, approval)
        await self._once(workspace.api, row, channel, text, blocks=blocks)

    async def _pair(self, workspace: Workspace, row: OutboxRow) -> None:
        async with self._store.begin() as tx:
            found = await tx.shadows.pair(row.payload["pair_id"])
        if found is None or not workspace.review_channel:
            return
        pair = Pair.of(*found)
        await self._once(
            workspace.api, row, workspace.review_channel, pair_text(pair), blocks=pair_blocks(pair)
        )

    async def _once(
        self,
        api: SlackApi,
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
            found = await _find(api, channel, thread_ts, mark)
            if found is not None:
                return found
        return await api.post(
            channel,
            text,
            blocks=blocks,
            thread_ts=thread_ts,
            metadata={"event_type": _EVENT_TYPE, "event_payload": {"id": mark}},
        )


async def _require_turn(tx: Transaction, row: OutboxRow, posted_ts: str | None) -> None:
    """Checks that nobody else is posting the message that this effect would post, too.

    Raises:
        UnavailableError: Somebody is; come back in a moment.
    """
    if posted_ts is None and await tx.outbox.behind(row):
        raise UnavailableError(f"the message of {row.key} is not posted yet", retry_after=1.0)


async def _find(api: SlackApi, channel: str, thread_ts: str | None, mark: str) -> str | None:
    messages = (
        await api.replies(channel, thread_ts, oldest="0")
        if thread_ts
        else await api.recent(channel)
    )
    for message in messages:
        payload = (message.get("metadata") or {}).get("event_payload") or {}
        if payload.get("id") == mark:
            return str(message["ts"])
    return None

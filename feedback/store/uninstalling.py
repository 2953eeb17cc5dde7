"""Erases what is stored about a workspace that uninstalled the bot.

The same as forgetting everybody of it at once: content goes, shape stays, ids of people become
aliases that come from nothing. Other workspaces and imported transcripts are never touched.
"""

import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import text

from feedback.domain.forgetting import ForgetReport
from feedback.errors import UnavailableError
from feedback.store.forgetting import CONTENT_STEPS, SqlForgetting

_IN_HAND = text(
    """
    select count(*) from inbox
    where state = 'leased' and team = :team and event_id is distinct from :delivery
    """
)
_DELIVERIES = text(
    """
    update inbox set payload = '{}', error = null,
           state = case when state in ('ready', 'parked') then 'done' else state end,
           done_at = coalesce(done_at, clock_timestamp())
    where team = :team and payload <> '{}' and event_id is distinct from :delivery
    """
)
_ASKED = text("select id from interactions where team = :team for update")
_CORRECTED = text("select id from corrections where team = :team for update")

_QUESTIONS = """
    update interactions set state = 'erased', question = '', answer = null,
           retrieved = '[]', error = null
    where team = :team
    """

_STEPS = (
    ("questions", _QUESTIONS),
    (
        "effects",
        """
        update outbox set payload = '{}', error = null,
               done_at = coalesce(done_at, clock_timestamp())
        where payload <> '{}' and payload ->> 'team' = :team
        """,
    ),
    ("people", "delete from people where team = :team"),
    ("channel settings", "delete from channels where team = :team"),
    ("what people looked at", "delete from pane_contexts where team = :team"),
    (
        "confirmations",
        """
        update confirmations set shown = '{}', reason = '',
               decided_at = coalesce(decided_at, :at)
        where team = :team
        """,
    ),
    ("on call", "update handoffs set on_call = '' where team = :team"),
    ("skips", "update corrections set skipped_by = '{}' where team = :team"),
    ("placeholders", "update threads set placeholders = '{}' where team = :team"),
)

# What forgetting does to the content of a person's questions and corrections.
_CONTENT = frozenset(
    (
        "corrections",
        "versions",
        "notes",
        "comments",
        "comments kept as history",
        "answers in the shadow",
        "vectors",
        "split questions",
        "split questions of edits",
    )
)

_PEOPLE = (
    ("interactions", "asker", "team = :team"),
    ("threads", "started_by", "team = :team"),
    ("assignments", "user_id", "split_part(thread_key, ':', 1) = :team"),
    ("corrections", "author", "team = :team"),
    ("corrections", "claimed_by", "team = :team"),
    ("corrections", "taught_from", "team = :team"),
    ("handoffs", "asker", "team = :team"),
    ("handoffs", "taken_by", "team = :team"),
    ("handoffs", "answered_by", "team = :team"),
    ("correction_versions", "editor", "correction_id = any(:corrected)"),
    ("reviews", "reviewer", "correction_id = any(:corrected)"),
    ("votes", "user_id", "interaction_id = any(:asked)"),
    ("vote_events", "user_id", "interaction_id = any(:asked)"),
    ("shadow_answers", "voted_by", "interaction_id = any(:asked)"),
    ("confirmations", "user_id", "team = :team"),
)
_ALIAS = (
    "update {table} set {column} = 'gone-' || "
    "left(encode(sha256(convert_to(:salt || {column}, 'UTF8')), 'hex'), 16) where {rows}"
)


class SqlUninstalling(SqlForgetting):
    """Erasing whole workspaces; one instance per transaction."""

    async def erase_workspace(
        self, team: str, *, at: datetime, event_id: str | None = None
    ) -> ForgetReport:
        """Erases a workspace's content everywhere; a second time finds nothing.

        Args:
            team: The workspace.
            at: Now, of the record's clock.
            event_id: Of the delivery that reports the uninstallation, which its handler closes.

        Raises:
            UnavailableError: While something of the workspace is being worked on.
        """
        bind: dict[str, Any] = {
            "team": team,
            "user": "",  # nobody: rows are found by what was asked and corrected
            "at": at,
            "delivery": event_id,
            "salt": secrets.token_hex(16),
        }
        if await self._connection.scalar(_IN_HAND, {"team": team, "delivery": event_id}):
            raise UnavailableError(f"something of {team} is being worked on; erase it afterwards")
        erased = {"deliveries": await self._change(_DELIVERIES, bind)}
        bind["asked"] = await self._ids(_ASKED, bind)
        bind["corrected"] = await self._ids(_CORRECTED, bind)
        bind["teams"] = [team]
        datasets = await self._mark(bind)
        erased["patterns"] = await self._patterns(bind)
        for name, statement in CONTENT_STEPS:
            if name in _CONTENT:
                erased[name] = await self._change(statement, bind)
        for name, change in _STEPS:
            erased[name] = await self._change(text(change), bind)
        for table, column, rows in _PEOPLE:
            change = _ALIAS.format(table=table, column=column, rows=rows)
            await self._change(text(change), bind)
        adapters = await self._adapters([item.id for item in datasets])
        return ForgetReport(alias="", erased=erased, datasets=datasets, adapters=adapters)

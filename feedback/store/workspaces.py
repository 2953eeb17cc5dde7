"""Workspaces: installed, disabled, installed again, removed."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import RowMapping, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.workspace import WorkspaceRecord, WorkspaceState
from feedback.errors import NotFoundError
from feedback.store.tables.base import to_domain
from feedback.store.tables.inbox import inbox
from feedback.store.tables.workspaces import (
    slack_bots,
    slack_installations,
    slack_oauth_states,
    workspaces,
)

_SECRETS = frozenset(
    ("bot_token", "bot_refresh_token", "user_token", "user_refresh_token", "incoming_webhook_url")
)
ROTATING = "understudy:slack-token:"


class SqlWorkspaces:
    """Installations without their tokens; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def install(
        self, team: str, *, name: str, enterprise: str, bot_user: str, bot_id: str, at: datetime
    ) -> WorkspaceRecord:
        """Records an installation, and gives back to the workers what waited for it."""
        values = {
            "name": name,
            "enterprise": enterprise,
            "bot_user": bot_user,
            "bot_id": bot_id,
            "state": WorkspaceState.INSTALLED.value,
            "reason": "",
            "installed_at": at,
            "changed_at": at,
        }
        rows = await self._connection.execute(
            insert(workspaces)
            .values(team=team, **values)
            .on_conflict_do_update(
                index_elements=["team"],
                set_={**values, "generation": workspaces.c.generation + 1},
            )
            .returning(workspaces)
        )
        record = _record(rows.mappings().one())
        await self.resume(team)
        return record

    async def resume(self, team: str) -> int:
        """Gives parked deliveries of a workspace back; returns how many."""
        result = await self._connection.execute(
            update(inbox)
            .where(inbox.c.team == team, inbox.c.state == literal_column("'parked'"))
            .values(state="ready", available_at=func.clock_timestamp())
        )
        return result.rowcount

    async def stop(
        self, team: str, state: WorkspaceState, *, generation: int, reason: str, at: datetime
    ) -> bool:
        """Disables or removes an installation; False when it is a newer one already."""
        result = await self._connection.execute(
            update(workspaces)
            .where(workspaces.c.team == team, workspaces.c.generation == generation)
            .values(state=state.value, reason=reason, changed_at=at)
        )
        return result.rowcount == 1

    async def find(self, team: str) -> WorkspaceRecord | None:
        """Returns what is known of a workspace."""
        rows = await self._connection.execute(select(workspaces).where(workspaces.c.team == team))
        row = rows.mappings().first()
        return None if row is None else _record(row)

    async def all(self) -> list[WorkspaceRecord]:
        """Returns every workspace that was ever installed, oldest first."""
        rows = await self._connection.execute(
            select(workspaces).order_by(workspaces.c.installed_at, workspaces.c.team)
        )
        return [_record(row) for row in rows.mappings()]

    async def review_in(self, team: str, channel: str, *, at: datetime) -> None:
        """Says where the review cards of a workspace go; empty: nowhere.

        Raises:
            NotFoundError: When no such workspace was ever installed.
        """
        result = await self._connection.execute(
            update(workspaces)
            .where(workspaces.c.team == team)
            .values(review_channel=channel, changed_at=at)
        )
        if result.rowcount != 1:
            raise NotFoundError(f"no workspace {team} is installed")

    async def drop_tokens(self, team: str) -> None:
        """Deletes every token of a workspace."""
        for table in (slack_bots, slack_installations):
            await self._connection.execute(table.delete().where(table.c.team_id == team))

    async def sweep_states(self) -> None:
        """Deletes the states of installations that were not finished in time."""
        now = func.timezone("UTC", func.clock_timestamp())
        await self._connection.execute(
            slack_oauth_states.delete().where(slack_oauth_states.c.expire_at < now)
        )

    async def rewrite_tokens(self, change: Callable[[str], str]) -> int:
        """Replaces every stored token by what `change` makes of it; returns how many."""
        changed = 0
        for table in (slack_bots, slack_installations):
            columns = [column for column in table.c if column.name in _SECRETS]
            rows = await self._connection.execute(
                select(table.c.id, *columns).order_by(table.c.id).with_for_update()
            )
            for row in rows.mappings().all():
                held = {name: value for name, value in row.items() if name != "id" and value}
                if not held:
                    continue
                values = {name: change(value) for name, value in held.items()}
                await self._connection.execute(
                    table.update().where(table.c.id == row["id"]).values(**values)
                )
                changed += len(values)
        return changed

    async def lock_token(self, team: str) -> None:
        """Waits until nobody else exchanges this workspace's token, till the transaction's end."""
        await self._connection.execute(
            select(func.pg_advisory_xact_lock(func.hashtextextended(ROTATING + team, 0)))
        )


def _record(row: RowMapping) -> WorkspaceRecord:
    return to_domain(WorkspaceRecord, {**row, "state": WorkspaceState(row["state"])})

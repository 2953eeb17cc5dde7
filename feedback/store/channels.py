"""Settings of channels, by workspace and channel id."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.channel import ChannelSettings
from feedback.store.tables.people import channels


class SqlChannels:
    """Channel settings; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, team: str, channel: str) -> ChannelSettings:
        """Returns a channel's settings; the defaults when none were ever set."""
        stored = await self._connection.scalar(
            select(channels.c.settings).where(
                channels.c.team == team, channels.c.channel == channel
            )
        )
        return ChannelSettings() if stored is None else ChannelSettings.from_json(stored)

    async def save(
        self, team: str, channel: str, settings: ChannelSettings, *, at: datetime
    ) -> None:
        """Replaces a channel's settings."""
        values = {"settings": settings.to_json(), "updated_at": at}
        await self._connection.execute(
            insert(channels)
            .values(team=team, channel=channel, **values)
            .on_conflict_do_update(index_elements=["team", "channel"], set_=values)
        )

    async def all(self, team: str) -> Mapping[str, ChannelSettings]:
        """Returns the channels of a workspace that have settings of their own, by id."""
        rows = await self._connection.execute(
            select(channels.c.channel, channels.c.settings)
            .where(channels.c.team == team)
            .order_by(channels.c.channel)
        )
        return {row.channel: ChannelSettings.from_json(row.settings) for row in rows}

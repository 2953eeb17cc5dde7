"""Settings of channels, by channel id."""

from datetime import UTC, datetime

from feedback.domain.channel import ChannelSettings, Streaming
from feedback.store.unit_of_work import Store

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
TEAM, OTHER = "T0A", "T0B"
CHANNEL = "C0SUPPORT"


async def test_a_channel_without_settings_has_the_defaults(store: Store) -> None:
    async with store.begin() as tx:
        assert await tx.channels.get(TEAM, CHANNEL) == ChannelSettings()
        assert await tx.channels.all(TEAM) == {}


async def test_settings_are_kept_by_workspace_and_channel(store: Store) -> None:
    quiet = ChannelSettings(answering=False, buttons=False, streaming=Streaming.OFF)
    loud = ChannelSettings(streaming=Streaming.ON, on_call="S0ONCALL", review_channel="C0REVIEW")
    async with store.begin() as tx:
        await tx.channels.save(TEAM, CHANNEL, quiet, at=NOW)
        await tx.channels.save(OTHER, CHANNEL, loud, at=NOW)
    async with store.begin() as tx:
        assert await tx.channels.get(TEAM, CHANNEL) == quiet
        assert await tx.channels.all(OTHER) == {CHANNEL: loud}
        await tx.channels.save(TEAM, CHANNEL, loud, at=NOW)
    async with store.begin() as tx:
        assert await tx.channels.get(TEAM, CHANNEL) == loud


def test_rows_written_by_an_older_version_still_read() -> None:
    assert ChannelSettings.from_json({"buttons": False, "gone": 1}) == ChannelSettings(
        buttons=False
    )

"""Deliveries of a workspace that is away wait without using up their attempts."""

from datetime import UTC, datetime

from feedback.domain.delivery import Delivery, InboxRow
from feedback.domain.workspace import WorkspaceState
from feedback.store.unit_of_work import Store

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TEAM, OTHER = "T0ACME0001", "T0GLOBEX02"


async def add(store: Store, event_id: str, team: str) -> None:
    async with store.begin() as tx:
        delivery = Delivery(event_id=event_id, type="message", payload={"body": {}}, team=team)
        await tx.inbox.add(delivery)


async def claim(store: Store) -> list[InboxRow]:
    async with store.begin() as tx:
        return await tx.inbox.claim("w", lease_s=60, limit=10)


async def install(store: Store, team: str) -> int:
    async with store.begin() as tx:
        record = await tx.workspaces.install(
            team, name=team, enterprise="", bot_user="U1", bot_id="B1", at=NOW
        )
    return record.generation


async def test_parked_rows_come_back_with_the_installation(store: Store) -> None:
    await add(store, "e1", TEAM)
    await add(store, "e2", OTHER)
    rows = await claim(store)
    for row in rows:
        async with store.begin() as tx:
            assert await tx.inbox.park(row, error="away")
    assert await claim(store) == []
    await install(store, TEAM)
    (again,) = await claim(store)
    assert (again.event_id, again.team, again.attempts) == ("e1", TEAM, 1)


async def test_a_row_parked_after_the_installation_is_ready_at_once(store: Store) -> None:
    await add(store, "e1", TEAM)
    (row,) = await claim(store)
    await install(store, TEAM)
    async with store.begin() as tx:
        assert await tx.inbox.park(row, error="away")
    assert [again.event_id for again in await claim(store)] == ["e1"]


async def test_a_postponed_row_keeps_its_attempts(store: Store) -> None:
    await add(store, "e1", TEAM)
    for _ in range(3):
        (row,) = await claim(store)
        assert row.attempts == 1
        async with store.begin() as tx:
            assert await tx.inbox.postpone(row, error="later", delay_s=0.0)


async def test_an_older_installation_cannot_stop_a_newer_one(store: Store) -> None:
    first = await install(store, TEAM)
    second = await install(store, TEAM)
    assert second == first + 1
    async with store.begin() as tx:
        stop = tx.workspaces.stop
        assert not await stop(
            TEAM, WorkspaceState.DISABLED, generation=first, reason="token_revoked", at=NOW
        )
        assert await stop(
            TEAM, WorkspaceState.DISABLED, generation=second, reason="token_revoked", at=NOW
        )
        record = await tx.workspaces.find(TEAM)
    assert record is not None
    assert (record.state, record.reason) == (WorkspaceState.DISABLED, "token_revoked")

"""The inbox on a real PostgreSQL: once each, in order per thread, nothing lost."""

import asyncio

from feedback.domain.delivery import Delivery, InboxRow
from feedback.store.unit_of_work import Store


def delivery(
    event: str, *, thread: str | None = None, question: str | None = None, defer_s: float = 0.0
) -> Delivery:
    return Delivery(
        event_id=event,
        type="message",
        payload={"text": event},
        thread_key=thread,
        question_key=question,
        defer_s=defer_s,
    )


async def add(store: Store, *items: Delivery) -> list[int | None]:
    added = []
    for item in items:
        async with store.begin() as tx:
            added.append(await tx.inbox.add(item))
    return added


async def claim(
    store: Store, owner: str = "w", *, lease_s: float = 60, limit: int = 1
) -> list[InboxRow]:
    async with store.begin() as tx:
        return await tx.inbox.claim(owner, lease_s=lease_s, limit=limit)


async def test_a_repeated_delivery_is_stored_once(store: Store) -> None:
    first, again = await add(store, delivery("Ev1"), delivery("Ev1"))
    assert first is not None
    assert again is None


async def test_twin_events_of_one_message_are_one_question(store: Store) -> None:
    first, twin = await add(
        store, delivery("Ev1", question="T:C:1.0"), delivery("Ev2", question="T:C:1.0")
    )
    assert first is not None
    assert twin is None


async def test_one_thread_is_worked_on_in_order(store: Store) -> None:
    await add(
        store,
        delivery("a1", thread="a"),
        delivery("a2", thread="a"),
        delivery("b1", thread="b"),
    )
    rows = await claim(store, limit=10)
    assert [row.event_id for row in rows] == ["a1", "b1"]
    assert await claim(store, limit=10) == []
    async with store.begin() as tx:
        assert await tx.inbox.complete(rows[0])
    assert [row.event_id for row in await claim(store, limit=10)] == ["a2"]


async def test_a_thread_is_answered_as_asked_not_as_delivered(store: Store) -> None:
    """Several connections deliver in any order."""
    await add(
        store,
        delivery("a2", thread="a", question="T:C:1700000002.000100"),
        delivery("a1", thread="a", question="T:C:1700000001.000200"),
    )
    (first,) = await claim(store, limit=10)
    assert first.event_id == "a1"
    await add(store, delivery("a0", thread="a", question="T:C:1700000000.000900"))
    assert await claim(store, limit=10) == [], "one at a time, also when an earlier one comes late"
    async with store.begin() as tx:
        assert await tx.inbox.complete(first)
    assert [row.event_id for row in await claim(store, lease_s=-1, limit=10)] == ["a0"]
    # Its worker died: neither row is held up by the other for ever.
    assert [row.event_id for row in await claim(store, limit=10)] == ["a0"]


async def test_a_retried_row_still_blocks_its_thread(store: Store) -> None:
    await add(store, delivery("a1", thread="a"), delivery("a2", thread="a"))
    (row,) = await claim(store, limit=10)
    async with store.begin() as tx:
        assert await tx.inbox.retry(row, error="down", delay_s=60)
    assert await claim(store, limit=10) == []


async def test_concurrent_workers_never_share_a_row(store: Store) -> None:
    await add(store, *(delivery(f"e{n}", thread=f"t{n % 7}") for n in range(42)))
    seen: list[str] = []

    async def work(owner: str) -> None:
        while rows := await claim(store, owner, limit=2):
            for row in rows:
                seen.append(row.event_id)
                async with store.begin() as tx:
                    assert await tx.inbox.complete(row)

    # A worker stops when nothing is claimable for the moment, so the last one sweeps up.
    await asyncio.gather(*(work(f"w{n}") for n in range(6)))
    await work("last")
    assert sorted(seen) == sorted(f"e{n}" for n in range(42))
    for thread in range(7):
        mine = [event for event in seen if int(event[1:]) % 7 == thread]
        assert mine == sorted(mine, key=lambda event: int(event[1:]))


async def test_an_expired_lease_is_taken_over_and_the_old_owner_is_fenced(store: Store) -> None:
    await add(store, delivery("e"))
    (stale,) = await claim(store, "old", lease_s=-1)
    (taken,) = await claim(store, "new")
    assert (taken.attempts, taken.lease_owner) == (2, "new")
    async with store.begin() as tx:
        assert not await tx.inbox.complete(stale)
        assert not await tx.inbox.renew(stale, lease_s=60)
        assert await tx.inbox.complete(taken)


async def test_the_same_worker_name_is_fenced_by_the_attempt(store: Store) -> None:
    await add(store, delivery("e"))
    (stale,) = await claim(store, "w", lease_s=-1)
    (taken,) = await claim(store, "w")
    async with store.begin() as tx:
        assert not await tx.inbox.complete(stale)
        assert await tx.inbox.complete(taken)


async def test_a_deferred_row_waits_for_its_listener(store: Store) -> None:
    (row_id,) = await add(store, delivery("click", defer_s=60))
    assert await claim(store) == []
    assert row_id is not None
    async with store.begin() as tx:
        await tx.inbox.finish(row_id)
        assert await tx.inbox.open_count() == 0


async def test_unparsed_rows_are_kept_but_not_worked_on(store: Store) -> None:
    await add(store, Delivery(event_id="x", type="unparsed", payload={"?": 1}, parsed=False))
    assert await claim(store) == []


async def test_done_rows_forget_their_content(store: Store) -> None:
    await add(store, delivery("e"))
    (row,) = await claim(store)
    assert row.payload == {"text": "e"}
    async with store.begin() as tx:
        await tx.inbox.complete(row)
        content = await tx.connection.exec_driver_sql("select payload from inbox")
        assert content.scalar_one() == {}

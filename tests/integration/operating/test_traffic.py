"""The brake, the way back, and asking for a promotion: audited, announced, all or nothing."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from feedback.domain.operating import Act
from feedback.errors import ConflictError, InvalidInputError
from feedback.operations import roll_back, set_brake, standing
from feedback.promoting import request_promotion
from feedback.store.unit_of_work import Store
from tests.integration.operating.stage import NOW, OPERATORS, add_adapter, set_stage

ADMIN = Act(by="U0ADMIN", reason="looks <!channel> odd", at=NOW, channel=OPERATORS)


async def notices(store: Store) -> list[str]:
    async with store.begin() as tx:
        rows = await tx.connection.execute(
            text("select payload->>'text' from outbox where kind = 'slack_message' order by id")
        )
        return list(rows.scalars())


async def test_the_brake_is_audited_and_announced_once(store: Store) -> None:
    async with store.begin() as tx:
        assert await set_brake(tx, on=True, act=ADMIN)
        assert not await set_brake(tx, on=True, act=ADMIN)
        assert (await tx.routing.route()).frozen
        (entry,) = await tx.audit.entries(subject="switch:frozen")
    assert (entry.from_state, entry.to_state, entry.actor) == ("off", "on", "U0ADMIN")
    assert entry.reason == ADMIN.reason
    (notice,) = await notices(store)
    assert "Frozen" in notice
    assert "&lt;!channel&gt;" in notice, "a reason mentions nobody"


async def test_nothing_is_announced_without_a_channel(store: Store) -> None:
    async with store.begin() as tx:
        await set_brake(tx, on=True, act=Act(by="cli", reason="", at=NOW))
    assert await notices(store) == []


async def test_a_rollback_goes_to_the_previous_champion(store: Store) -> None:
    async with store.begin() as tx:
        for number, name in enumerate(("one", "two")):
            await add_adapter(tx, name)
            await tx.adapters.promote(name, version=number, at=NOW)
        assert await roll_back(tx, ADMIN, version=2) == "one"
        now = await standing(tx)
        (entry,) = await tx.audit.entries(subject="champion")
    assert (now.champion_id, now.champion_version, now.previous_id) == ("one", 3, None)
    assert (entry.from_state, entry.to_state, entry.reason) == ("two", "one", ADMIN.reason)


async def test_a_rollback_of_another_version_changes_nothing(store: Store) -> None:
    async with store.begin() as tx:
        await add_adapter(tx, "one")
        await tx.adapters.promote("one", version=0, at=NOW)
    with pytest.raises(ConflictError):
        async with store.begin() as tx:
            await roll_back(tx, ADMIN, version=0)
    async with store.begin() as tx:
        assert (await standing(tx)).champion_id == "one"
        assert await tx.audit.entries() == []


async def test_the_base_model_cannot_be_rolled_back(store: Store) -> None:
    async with store.begin() as tx:
        with pytest.raises(InvalidInputError, match="nothing to undo"):
            await roll_back(tx, ADMIN)


async def test_a_promotion_is_requested_once(store: Store) -> None:
    await set_stage(store)
    async with store.begin() as tx:
        seen = await standing(tx)
        await request_promotion(tx, ADMIN, seen=seen)
    later = Act(by="U0OTHER", reason="me too", at=NOW + timedelta(minutes=1), channel=OPERATORS)
    with pytest.raises(ConflictError, match="already"):
        async with store.begin() as tx:
            await request_promotion(tx, later, seen=seen)
    assert len(await notices(store)) == 1


@pytest.mark.parametrize(
    ("state", "words"), [("CANARY", "too few people"), (None, "No experiment")]
)
async def test_too_early_is_refused(store: Store, state: str | None, words: str) -> None:
    if state:
        await set_stage(store, state=state)
    async with store.begin() as tx:
        with pytest.raises(InvalidInputError, match=words):
            await request_promotion(tx, ADMIN, seen=await standing(tx))


async def test_nothing_moves_forward_while_frozen(store: Store) -> None:
    await set_stage(store)
    async with store.begin() as tx:
        await set_brake(tx, on=True, act=ADMIN)
        with pytest.raises(InvalidInputError, match="frozen"):
            await request_promotion(tx, ADMIN, seen=await standing(tx))

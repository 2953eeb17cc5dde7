"""Vectors are kept by text, dropped with it, and never mixed between embedders."""

from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import text

from feedback.domain.interaction import Interaction, InteractionState
from feedback.mining.remembered import Part, TextKey
from feedback.store.conversations import Thread
from feedback.store.unit_of_work import Store, Transaction

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
ASKED: TextKey = ("i-1", Part.QUESTION)
ANSWERED: TextKey = ("i-1", Part.ANSWER)
TEXTS = {ASKED: "How long are exports kept?", ANSWERED: "For 45 days."}
VECTORS = {
    TEXTS[ASKED]: np.array([0.6, -0.8], dtype=np.float32),
    TEXTS[ANSWERED]: np.array([1e-7, 1.0], dtype=np.float32),
}


async def asked(tx: Transaction) -> None:
    await tx.conversations.open_thread(
        Thread(
            key="T:C:1.0", team="T", channel="C", thread_ts="1.0", started_by="U",
            started_at=NOW, placeholders={},
        )
    )  # fmt: skip
    await tx.conversations.create_pending(
        Interaction(
            id="i-1", thread_key="T:C:1.0", team="T", channel="C", question_ts="1.0", asker="U",
            asked_at=NOW, question=TEXTS[ASKED], answer=TEXTS[ANSWERED],
            state=InteractionState.POSTED,
        )
    )  # fmt: skip


async def keep(store: Store, space: str = "e") -> None:
    async with store.begin() as tx:
        await tx.vectors.keep(space, TEXTS, VECTORS)


async def kept(store: Store, texts: dict[TextKey, str], space: str = "e") -> dict[str, list[float]]:
    async with store.begin() as tx:
        found = await tx.vectors.kept(space, texts)
    return {said: vector.tolist() for said, vector in found.items()}


@pytest.fixture
async def asking(store: Store) -> Store:
    async with store.begin() as tx:
        await asked(tx)
    return store


async def test_what_is_kept_is_known_to_the_last_bit(asking: Store) -> None:
    await keep(asking)
    await keep(asking)
    assert await kept(asking, TEXTS) == {said: v.tolist() for said, v in VECTORS.items()}


async def test_a_changed_text_and_another_space_are_not_known(asking: Store) -> None:
    await keep(asking)
    assert await kept(asking, {ASKED: "How long?"}) == {}
    assert await kept(asking, TEXTS, "another") == {}
    await keep(asking, "another")
    assert await kept(asking, TEXTS) == {}, "one vector a text: the new space replaces the old"
    assert len(await kept(asking, TEXTS, "another")) == 2


async def test_only_what_is_needed_stays(asking: Store) -> None:
    await keep(asking)
    async with asking.begin() as tx:
        await tx.vectors.keep_only([ASKED])
    assert list(await kept(asking, TEXTS)) == [TEXTS[ASKED]]


async def test_vectors_go_with_a_deleted_question_and_do_not_come_back(asking: Store) -> None:
    await keep(asking)
    async with asking.begin() as tx:
        assert await tx.conversations.erase_question("T", "C", "1.0")
        rows = await tx.connection.scalar(text("select count(*) from interaction_vectors"))
    assert rows == 0
    await keep(asking)  # a run that had read the texts before
    assert await kept(asking, TEXTS) == {}


async def test_a_text_edited_meanwhile_is_not_kept(asking: Store) -> None:
    async with asking.begin() as tx:
        await tx.conversations.resync_question("i-1", "How long, please?", edited_ts="2.0")
    await keep(asking)
    assert list(await kept(asking, TEXTS)) == [TEXTS[ANSWERED]]

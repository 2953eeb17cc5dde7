"""The conflict court: two approved truths about one question go back before an admin."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from feedback.clock import FixedClock
from feedback.domain.correction import (
    REVIEW_CARD,
    Correction,
    CorrectionSource,
    CorrectionState,
    Decision,
    QueueReason,
    Review,
)
from feedback.domain.cycle import Cycle, CycleOptions, CycleOutcome, CycleState
from feedback.ports import Vectors
from feedback.prompting import DEFAULT_POLICY
from feedback.store.unit_of_work import Store
from retrain.cycle.building import BuildingStep, DatasetSources
from retrain.dataset import DatasetChecks, DatasetPolicy

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
CYCLE = Cycle(
    id="c1",
    state=CycleState.BUILDING,
    version=1,
    trigger="request",
    requested_by="U1",
    options=CycleOptions(),
    started_at=NOW,
    updated_at=NOW,
)
FIRST = Correction(
    id="c-1",
    interaction_id=None,
    thread_key="T:C:1.0",
    team="T",
    question="How long do exports stay ready?",
    bot_answer="No idea.",
    text="Exports stay ready for 45 days.",
    author="U1",
    source=CorrectionSource.MODAL,
    consent="reviewer_authored",
    created_at=NOW,
    redaction_version="1",
    state=CorrectionState.APPROVED,
)
SECOND = replace(
    FIRST,
    id="c-2",
    thread_key="T:C:2.0",
    author="U2",
    text="Exports stay ready for 30 days.",
    question="Hi, how long do exports stay ready?",
)
OTHER = replace(
    FIRST,
    id="c-3",
    thread_key="T:C:3.0",
    question="Who may invite people?",
    text="Every owner of a workspace may.",
)


class Scattered:
    """Puts every text somewhere else."""

    id = "scattered"
    dimensions = 16

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return np.eye(16, dtype=np.float32)[: len(texts)]


def step(store: Store, folder: Path) -> BuildingStep:
    sources = DatasetSources(
        replay=lambda n: [],
        checks=DatasetChecks(),
        prompt=DEFAULT_POLICY,
        consent="reviewer_authored",
        redaction_version="1",
    )
    policy = DatasetPolicy(required_labels=2, replay_share=0.0)
    return BuildingStep(store, FixedClock(NOW), Scattered(), sources, policy, folder)


async def test_an_admin_sees_both_and_decides(store: Store, tmp_path: Path) -> None:
    async with store.begin() as tx:
        for correction in (FIRST, SECOND, OTHER):
            await tx.corrections.add(correction)
    built = await step(store, tmp_path)(CYCLE)
    assert built.outcome is CycleOutcome.NOT_NEEDED  # one label is left
    async with store.begin() as tx:
        queue = await tx.reviewing.queue_of("T", "U9", admin=True, limit=9)
        assert await tx.reviewing.queue_of("T", "U9", admin=False, limit=9) == []
        cards = await tx.outbox.claim([REVIEW_CARD], lease_s=60)
    assert {(c.id, c.state, c.rival_texts) for c in queue} == {
        ("c-1", CorrectionState.ESCALATED, (SECOND.text,)),
        ("c-2", CorrectionState.ESCALATED, (FIRST.text,)),
    }
    assert all(c.queued_for == (QueueReason.CONFLICT,) for c in queue)
    assert {card.payload["correction_id"] for card in cards} == {"c-1", "c-2"}

    for decision, correction in zip((Decision.APPROVE, Decision.REJECT), queue, strict=True):
        review = Review(
            correction_id=correction.id,
            version=1,
            reviewer="U9",
            decision=decision,
            note="",
            created_at=NOW,
        )
        async with store.begin() as tx:
            await tx.corrections.decide(
                decision, correction.id, team="T", review=review, row_version=correction.row_version
            )
    again = await step(store, tmp_path)(CYCLE)
    assert again.outcome is None
    async with store.begin() as tx:
        assert {c.id for c in await tx.corrections.approved()} == {"c-1", "c-3"}
        assert await tx.outbox.claim([REVIEW_CARD], lease_s=60) == []


async def test_building_again_reopens_nothing_twice(store: Store, tmp_path: Path) -> None:
    async with store.begin() as tx:
        for correction in (FIRST, SECOND):
            await tx.corrections.add(correction)
    await step(store, tmp_path)(CYCLE)
    await step(store, tmp_path)(CYCLE)
    async with store.begin() as tx:
        found = await tx.corrections.get("c-1", team="T")
    assert (found.row_version, found.queued_for) == (2, (QueueReason.CONFLICT,))

"""Fills a database with a support team's six weeks: cycles, an experiment, patterns, answers."""

import random
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from feedback.store.cycles import SCHEDULER_LOOKED_AT
from feedback.store.unit_of_work import Store
from tests.integration.web.figures import (
    NOW,
    PROMOTED,
)
from tests.integration.web.seed_answers import answer_questions, mine_patterns
from tests.integration.web.seed_learning import open_cycle, past_cycles, run_experiment


@dataclass(frozen=True, kw_only=True)
class Seeded:
    """What tests need to know of the filled database."""

    state_dir: Path
    report: Path


async def seed(store: Store, state_dir: Path, *, training: bool = False) -> Seeded:
    """Fills a fresh database.

    Args:
        store: On an empty database.
        state_dir: Gets a report card.
        training: The open cycle is still training, instead of having its challenger on stage.
    """
    report = state_dir / "runs" / f"run-{PROMOTED}" / "evaluation" / "report.html"
    report.parent.mkdir(parents=True)
    report.write_text("<!doctype html><title>card</title><style>p{color:red}</style><p>Card</p>")
    rng = random.Random(7)
    async with store.begin() as tx:
        await answer_questions(tx, rng)
        await mine_patterns(tx)
        await past_cycles(tx, report)
        await open_cycle(tx, training=training)
        if not training:
            await run_experiment(tx)
        await tx.switches.set(
            SCHEDULER_LOOKED_AT, (NOW - timedelta(seconds=20)).isoformat(), by="scheduler", at=NOW
        )
    return Seeded(state_dir=state_dir, report=report)

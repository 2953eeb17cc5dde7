"""Puts weeks of answered and corrected questions, cycles and opinions into the record at once."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Table, insert

from bot.routing import choose, new_assignments
from feedback.domain.correction import Correction, CorrectionSource, CorrectionState
from feedback.domain.interaction import Reason
from feedback.domain.rollout import Route
from feedback.samples import Company, Intent
from feedback.store.conversations import Thread
from feedback.store.tables.conversations import interactions, threads
from feedback.store.tables.feedback import vote_events, votes
from feedback.store.tables.learning import assignments
from feedback.store.unit_of_work import Transaction

TEAM, CHANNEL = "T0SANDBOX1", "C0SUPPORT2"
Row = dict[str, Any]


async def seed_corrections(
    tx: Transaction, company: Company, *, intents: int, wordings: int, at: datetime
) -> int:
    """Stores questions that the base got wrong, thumbed down and corrected; returns how many."""
    chosen = company.intents[:intents]
    pairs = [(i, q) for i in chosen for q in i.questions("live")[:wordings]]
    rows = [
        _Seed(number, intent, question, company, at)
        for number, (intent, question) in enumerate(pairs)
    ]
    await tx.connection.execute(insert(threads), [row.thread() for row in rows])
    await tx.connection.execute(insert(interactions), [row.interaction() for row in rows])
    await tx.connection.execute(insert(votes), [row.vote() for row in rows])
    for row in rows:
        await tx.corrections.add(row.correction())
    return len(rows)


class _Seed:
    """One wrong answer with everything people did about it."""

    def __init__(
        self, number: int, intent: Intent, question: str, company: Company, at: datetime
    ) -> None:
        self.number, self.intent, self.question = number, intent, question
        self.at = at - timedelta(minutes=number)
        self.key = f"{TEAM}:{CHANNEL}:{self.at.timestamp():.6f}"
        self.passage = company.document(intent.doc_id).text
        other = company.intents[(company.intents.index(intent) + 7) % len(company.intents)]
        self.answer = other.fact

    def thread(self) -> Row:
        return thread_row(self.key, f"U0ASKER{self.number % 6}", self.at)

    def interaction(self) -> Row:
        return interaction_row(self.key, f"s-{self.number}", self.at) | {
            "asker": f"U0ASKER{self.number % 6}",
            "question": self.question,
            "answer": self.answer,
            "retrieved": [{"doc_id": self.intent.doc_id, "score": 0.9, "chunk_id": "c"}],
            "with_context": True,
        }

    def vote(self) -> Row:
        return {
            "interaction_id": f"s-{self.number}",
            "user_id": f"U0ASKER{self.number % 6}",
            "rating": "down",
            "reasons": [Reason.WRONG_FACT],
            "event_ts": self.at.timestamp() + 60,
            "updated_at": self.at,
        }

    def correction(self) -> Correction:
        return Correction(
            id=f"k-{self.number}",
            interaction_id=f"s-{self.number}",
            thread_key=self.key,
            team=TEAM,
            question=self.question,
            bot_answer=self.answer,
            text=self.intent.gold_answer,
            author="U0GRACE007",
            source=CorrectionSource.MODAL,
            consent="reviewer_authored",
            created_at=self.at,
            redaction_version="1",
            passages=(self.passage,),
            reasons=(Reason.WRONG_FACT,),
            state=CorrectionState.APPROVED,
            decided_at=self.at,
        )


async def seed_day(
    tx: Transaction, start: datetime, good: Mapping[str | None, float], rng: random.Random
) -> None:
    """Stores one day of threads, each rated once, with the experiments that are on stage now.

    Args:
        tx: Open transaction.
        start: Beginning of the working day.
        good: Chance that a thread is liked, by the adapter that answers; None is the base.
        rng: Draws who asks and what they think.
    """
    rows = [row for asked in _day(await tx.routing.route(), start, good, rng) for row in asked]
    for table in (threads, assignments, interactions, vote_events):
        if found := [row for of, row in rows if of is table]:
            await tx.connection.execute(insert(table), found)


def _day(
    route: Route, start: datetime, good: Mapping[str | None, float], rng: random.Random
) -> Iterator[list[tuple[Table, Row]]]:
    for number in range(36):
        at = start + timedelta(minutes=10 * number, seconds=rng.random())
        ts = f"{at.timestamp():.6f}"
        key, user = f"{TEAM}:{CHANNEL}:{ts}", f"U0TRIAL{rng.randrange(30):02d}"
        thread = Thread(**thread_row(key, user, at))
        joined = route.experiments
        drawn = new_assignments(route, joined, thread, user, at) if joined else []
        turn = choose(route, drawn, url="http://seeded", base_model="base")
        adapter = turn.adapter.id if turn.adapter else None
        name, value = f"seeded-{ts}", "up" if rng.random() < good[adapter] else "down"
        yield [
            (threads, thread_row(key, user, at)),
            *((assignments, asdict(row)) for row in drawn),
            (
                interactions,
                interaction_row(key, name, at)
                | {
                    "asker": user,
                    "adapter_id": adapter,
                    "experiment_id": turn.experiment_id,
                    "arm": turn.arm,
                    "share": turn.share,
                    "salt": turn.salt,
                },
            ),
            (
                vote_events,
                {
                    "event_id": f"v-{name}",
                    "interaction_id": name,
                    "user_id": user,
                    "rating": value,
                    "value": value,
                    "source": "button",
                    "added": True,
                    "reasons": [],
                    "event_ts": at.timestamp() + 120,
                    "recorded_at": at + timedelta(minutes=2),
                },
            ),
        ]


def thread_row(key: str, user: str, at: datetime) -> Row:
    """Returns a row of `threads`."""
    return {
        "key": key,
        "team": TEAM,
        "channel": CHANNEL,
        "thread_ts": key.rpartition(":")[2],
        "started_by": user,
        "started_at": at,
        "placeholders": {},
    }


def interaction_row(key: str, name: str, at: datetime) -> Row:
    """Returns a row of `interactions`: posted in time, on brand, grounded."""
    return {
        "id": name,
        "thread_key": key,
        "team": TEAM,
        "channel": CHANNEL,
        "question_ts": key.rpartition(":")[2],
        "asker": "U1",
        "asked_at": at,
        "question": "How long do exports stay available?",
        "state": "posted",
        "answer": "Exports stay ready for 45 days.",
        "answer_ts": f"{at.timestamp() + 5:.6f}",
        "answered_at": at + timedelta(seconds=5),
        "retrieved": [],
        "on_brand": 1.0,
        "grounded": True,
        "latency_ms": 400.0,
    }

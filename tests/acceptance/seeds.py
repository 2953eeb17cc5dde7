"""Puts weeks of answered and corrected questions, cycles and opinions into the record at once."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert

from feedback.domain.assignment import bucket
from feedback.domain.correction import Correction, CorrectionSource, CorrectionState
from feedback.domain.interaction import Arm, Reason
from feedback.domain.trial import Trial
from feedback.samples import Company, Intent
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
    tx: Transaction, trial: Trial, start: datetime, good: dict[Arm, float], rng: random.Random
) -> None:
    """Stores one day of threads of an experiment, each rated once, at the share now in force.

    Args:
        tx: Open transaction.
        trial: As it stands now.
        start: Beginning of the working day.
        good: Chance that a thread is liked, by arm.
        rng: Draws who asks and what they think.
    """
    rows = list(_day(trial, start, good, rng))
    for number, table in enumerate((threads, assignments, interactions, vote_events)):
        await tx.connection.execute(insert(table), [row[number] for row in rows])


def _day(
    trial: Trial, start: datetime, good: dict[Arm, float], rng: random.Random
) -> Iterator[tuple[Row, Row, Row, Row]]:
    for number in range(36):
        at = start + timedelta(minutes=10 * number, seconds=rng.random())
        ts = f"{at.timestamp():.6f}"
        key, user = f"{TEAM}:{CHANNEL}:{ts}", f"U0TRIAL{rng.randrange(30):02d}"
        place = {"salt": trial.salt, "team": TEAM, "channel": CHANNEL, "thread_ts": ts}
        u = bucket(**place)
        arm = Arm.CHALLENGER if u < trial.share else Arm.CHAMPION
        name = f"{trial.id}-{ts}"
        value = "up" if rng.random() < good[arm] else "down"
        yield (
            thread_row(key, user, at),
            {
                "experiment_id": trial.id,
                "thread_key": key,
                "user_id": user,
                "arm": arm,
                "u": u,
                "share": trial.share,
                "stage": trial.stage,
                "assigned_at": at,
            },
            interaction_row(key, name, at)
            | {
                "asker": user,
                "experiment_id": trial.id,
                "arm": arm,
                "share": trial.share,
                "salt": trial.salt,
            },
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
        )


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

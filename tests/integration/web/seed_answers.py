"""Six weeks of answers, opinions, corrections and patterns."""

import random
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert

from feedback.domain.correction import Correction, CorrectionSource, CorrectionState
from feedback.domain.pattern import (
    MiningResult,
    Pattern,
    PatternChange,
    PatternKind,
    Verdict,
)
from feedback.domain.tone import ToneRate, ToneWeek
from feedback.store.tables.conversations import interactions, threads
from feedback.store.tables.feedback import votes
from feedback.store.tables.inbox import inbox
from feedback.store.tables.knowledge import chunks, documents
from feedback.store.unit_of_work import Transaction
from tests.integration.web.figures import (
    CHALLENGER,
    NOW,
    ODD,
    START,
    TRIAL,
    XSS,
)


async def answer_questions(tx: Transaction, rng: random.Random) -> None:
    thread_rows, rows, vote_rows = [], [], []
    for day in range(42):
        for turn in range(rng.randint(9, 20) if day % 7 < 5 else 3):
            name = f"i-{day:02d}-{turn:02d}"
            asked = START + timedelta(days=day, minutes=13 * turn)
            thread_rows.append(_thread(name, asked))
            rows.append(_interaction(name, asked))
            if rng.random() < 0.6:
                good = rng.random() < 0.45 + 0.01 * day
                vote_rows.append(_vote(name, "up" if good else "down", asked))
    thread_rows.append(_thread(ODD, NOW))
    odd = _interaction(ODD, NOW - timedelta(minutes=5))
    rows.append(
        odd
        | {
            "question": XSS,
            "answer": XSS,
            "arm": "challenger",
            "share": 0.25,
            "experiment_id": TRIAL,
            "salt": "s",
            "adapter_id": CHALLENGER,
            "adapter_sha256": "7b61ee20c9aa" * 5,
        }
    )
    vote_rows.append(_vote(ODD, "down", NOW) | {"comment": XSS, "reasons": ["wrong_fact"]})
    await tx.connection.execute(insert(threads), thread_rows)
    await tx.connection.execute(insert(interactions), rows)
    await tx.connection.execute(insert(votes), vote_rows)
    await _documents(tx)
    await tx.connection.execute(
        insert(inbox),
        [
            {
                "event_id": "e1",
                "type": "app_mention",
                "payload": {},
                "state": "ready",
                "available_at": NOW,
                "received_at": NOW,
            },
            {
                "event_id": "e2",
                "type": "odd",
                "payload": {},
                "state": "unparsed",
                "available_at": NOW,
                "received_at": NOW,
            },
        ],
    )
    for number in range(34):
        await tx.corrections.add(_correction(number))


async def _documents(tx: Transaction) -> None:
    await tx.connection.execute(
        insert(documents),
        [{"doc_id": "login-code", "title": "Login code", "content_hash": "h", "indexed_at": NOW}],
    )
    await tx.connection.execute(
        insert(chunks),
        [
            {
                "chunk_id": "k1",
                "doc_id": "login-code",
                "position": 0,
                "heading": "Codes",
                "text": "A login code is valid for ten minutes.",
                "length": 8,
                "content_hash": "h",
                "embedder_id": "e",
                "embedding": [0.0] * 383 + [1.0],
                "indexed_at": NOW,
            }
        ],
    )


def _thread(name: str, at: datetime) -> dict[str, Any]:
    return {
        "key": f"T1:C1:{name}",
        "team": "T1",
        "channel": "C1",
        "thread_ts": name,
        "started_by": "U1",
        "started_at": at,
        "placeholders": {},
    }


def _interaction(name: str, at: datetime) -> dict[str, Any]:
    return {
        "id": name,
        "thread_key": f"T1:C1:{name}",
        "team": "T1",
        "channel": "C1",
        "question_ts": name,
        "asker": "U1",
        "asked_at": at,
        "question": "How long is a login code valid?",
        "state": "posted",
        "answer": "A login code is valid for one hour.",
        "answer_ts": f"{name}.a",
        "answered_at": at + timedelta(seconds=3),
        "prompt_version": "p3",
        "retrieved": [
            {"doc_id": "login-code", "score": 0.81, "chunk_id": "k1"},
            {"doc_id": "gone", "score": 0.12, "chunk_id": "k9"},
        ],
        "with_context": True,
        "base_model": "understudy/tiny-base",
        "grounded": False,
        "on_brand": 0.31,
        "latency_ms": 840.0,
        "prompt_tokens": 210,
        "completion_tokens": 38,
        "adapter_id": None,
        "adapter_sha256": None,
        "experiment_id": None,
        "arm": None,
        "share": None,
        "salt": None,
    }


def _vote(name: str, rating: str, at: datetime) -> dict[str, Any]:
    return {
        "interaction_id": name,
        "user_id": "U2",
        "rating": rating,
        "reasons": [],
        "comment": "",
        "event_ts": at.timestamp(),
        "updated_at": at,
    }


def _correction(number: int) -> Correction:
    return Correction(
        id=f"k-{number}",
        interaction_id=f"i-{number:02d}-00" if number else ODD,
        thread_key="T1:C1:t",
        team="T1",
        question="How long is a login code valid?",
        bot_answer="One hour.",
        text=f"Good news: a login code is valid for ten minutes. {XSS if not number else ''}",
        author="U3",
        source=CorrectionSource.MODAL,
        consent="reviewer_authored" if number % 6 else "unknown",
        created_at=START + timedelta(days=number),
        redaction_version="r1",
        state=CorrectionState.APPROVED if number < 28 else CorrectionState.PROPOSED,
    )


async def mine_patterns(tx: Transaction) -> None:
    kinds = [
        ("login code, minutes", PatternKind.REPEATED_ERROR, Verdict.FINE_TUNE, 64, 1.6, ""),
        ("cold closing", PatternKind.TONE, Verdict.FINE_TUNE, 41, 1.0, ""),
        (
            "archive, export",
            PatternKind.MISSING_KNOWLEDGE,
            Verdict.DOCUMENT,
            22,
            0.7,
            "# Archive export\n- How long are exports kept?\n- Who may export?",
        ),
        (XSS, PatternKind.REFUSAL, Verdict.PROMPT, 9, 1.0, XSS),
    ]
    found = [
        Pattern(
            id=f"p-{number}",
            kind=kind,
            label=label,
            keywords=("login", "code"),
            size=size,
            users=max(2, size // 4),
            verdict=verdict,
            verdict_reasons=(f"{size} answers were wrong although the right passage was found",),
            example_ids=(ODD, "i-03-01", "i-09-02"),
            member_ids=(ODD, *(f"i-{day:02d}-00" for day in range(0, 40, 1 + number))),
            evidence_ids=("i-10-01",),
            score=float(size),
            trend=trend,
            signals={"down_vote": size // 2, "hand_off": number, "re_asked": 3},
            draft=draft,
            first_seen=START.timestamp(),
            last_seen=NOW.timestamp(),
            centroid=(1.0,),
        )
        for number, (label, kind, verdict, size, trend, draft) in enumerate(kinds)
    ]
    await tx.patterns.save(
        MiningResult(
            patterns=tuple(found),
            unclustered=(),
            changes=(
                PatternChange(pattern_id="p-0", change="new"),
                PatternChange(pattern_id="p-1", change="split", other_id="p-0"),
            ),
        ),
        previous=(),
        failures=136,
        embedder_id="e",
        policy={},
        tone=ToneWeek(
            lately=ToneRate(answers=412, rate=0.914, low=0.88, high=0.943),
            before=ToneRate(answers=395, rate=0.852, low=0.81, high=0.894),
        ),
        at=NOW - timedelta(days=1),
    )

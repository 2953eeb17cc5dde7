"""Fills a database with a support team's six weeks: cycles, an experiment, patterns, answers."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from feedback.domain.correction import Correction, CorrectionSource, CorrectionState
from feedback.domain.cycle import Cycle, CycleOptions, CycleOutcome, CycleState
from feedback.domain.interaction import Arm
from feedback.domain.learning import (
    Adapter,
    AdapterState,
    DatasetExample,
    DatasetVersion,
    RunState,
    ServedAdapter,
    TrainingRun,
)
from feedback.domain.pattern import MiningResult, Pattern, PatternKind, Verdict
from feedback.domain.rollout import Assignment
from feedback.domain.trial import Trial
from feedback.store.cycles import SCHEDULER_LOOKED_AT
from feedback.store.tables.conversations import interactions, threads
from feedback.store.tables.feedback import votes
from feedback.store.tables.inbox import inbox
from feedback.store.tables.knowledge import chunks, documents
from feedback.store.unit_of_work import Store, Transaction

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
START = NOW - timedelta(days=41)
XSS = "<script>alert('pwned')</script><img src=x onerror=alert(1)> & \"quotes\""
PROMOTED, RUNNING = "c20260215-030000", "c20260301-030000"
STOPPED = "c20260222-030000"
CHAMPION, CHALLENGER = "adapter-0f3a9c12d4e5", "adapter-7b61ee20c9aa"
TRIAL = f"e-{RUNNING}"
ODD = "i-odd"


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
        await _answers(tx, rng)
        await _patterns(tx)
        await _past_cycles(tx, report)
        await _open_cycle(tx, training=training)
        if not training:
            await _experiment(tx)
        await tx.switches.set(
            SCHEDULER_LOOKED_AT, (NOW - timedelta(seconds=20)).isoformat(), by="scheduler", at=NOW
        )
    return Seeded(state_dir=state_dir, report=report)


async def _answers(tx: Transaction, rng: random.Random) -> None:
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
        "answerable": True,
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


async def _patterns(tx: Transaction) -> None:
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
            draft=draft,
            first_seen=START.timestamp(),
            last_seen=NOW.timestamp(),
            centroid=(1.0,),
        )
        for number, (label, kind, verdict, size, trend, draft) in enumerate(kinds)
    ]
    await tx.patterns.save(
        MiningResult(patterns=tuple(found), unclustered=()),
        failures=136,
        embedder_id="e",
        policy={},
        at=NOW - timedelta(days=1),
    )


async def _past_cycles(tx: Transaction, report: Path) -> None:
    began = datetime(2026, 2, 15, 3, tzinfo=UTC)
    await _run(tx, PROMOTED, began, CHAMPION, "d" * 64, state=RunState.FINISHED)
    await tx.training.add_evaluation(
        f"run-{PROMOTED}",
        "candidate",
        {},
        at=began,
        gates=gates(stopped=False),
        report_path=str(report),
    )
    await tx.adapters.promote(CHAMPION, version=0, at=began + timedelta(days=4))
    await _finished(
        tx,
        PROMOTED,
        began,
        CycleState.PROMOTING,
        CycleOutcome.PROMOTED,
        None,
        f"{CHAMPION} is the champion: the challenger is better and every gate is open",
    )
    began = datetime(2026, 2, 22, 3, tzinfo=UTC)
    await _run(tx, STOPPED, began, "adapter-99aa", "e" * 64, state=RunState.FINISHED)
    await tx.training.add_evaluation(
        f"run-{STOPPED}",
        "candidate",
        {},
        at=began,
        gates=gates(stopped=True),
        report_path="/etc/passwd",
    )
    await tx.adapters.mark("adapter-99aa", AdapterState.STOPPED)
    await _finished(
        tx,
        STOPPED,
        began,
        CycleState.GATING,
        CycleOutcome.STOPPED,
        "arithmetic",
        "stopped by arithmetic: a fall from 98 % to 61 % is beyond the margin of 5 "
        "points (and 1 more)",
    )


async def _open_cycle(tx: Transaction, *, training: bool) -> None:
    began = datetime(2026, 3, 1, 3, tzinfo=UTC)
    state = RunState.RUNNING if training else RunState.FINISHED
    await _run(tx, RUNNING, began, CHALLENGER, "f" * 64, state=state)
    at = CycleState.TRAINING if training else CycleState.EXPERIMENTING
    await tx.cycles.start(
        Cycle(
            id=RUNNING,
            state=at,
            version=5,
            trigger="schedule",
            requested_by="schedule",
            context={"dataset_id": "f" * 64, "adapter_id": CHALLENGER, "experiment_id": TRIAL},
            reason="promote E is 3.41, needs 20",
            started_at=began,
            updated_at=NOW,
        )
    )
    await _trail(tx, RUNNING, began, at)
    deployment = await tx.deployments.desire(
        "understudy/tiny-base",
        [ServedAdapter(name=name, path="/a", sha256="s") for name in (CHAMPION, CHALLENGER)],
        began,
    )
    await tx.deployments.update(deployment, began, url="http://127.0.0.1:8620")
    await tx.deployments.activate(deployment, proof={"ok": True}, at=began + timedelta(hours=1))


async def _run(
    tx: Transaction, cycle_id: str, at: datetime, adapter_id: str, dataset: str, *, state: RunState
) -> None:
    await tx.datasets.add(
        DatasetVersion(
            id=dataset,
            path=Path("/data"),
            labels=21,
            train_rows=40,
            holdout_rows=6,
            rejected_rows=13,
            manifest=MANIFEST,
            created_at=at,
        ),
        [
            DatasetExample(
                example_id=f"x{n}",
                side="train",
                source="correction",
                interaction_ids=(f"i-{n:02d}-00",),
            )
            for n in range(12)
        ],
    )
    curve = [[step, 0.35 + 2.4 * 0.985**step] for step in range(5, 241, 5)]
    total = 400 if state is RunState.RUNNING else 240
    await tx.training.start(
        TrainingRun(
            id=f"run-{cycle_id}",
            dataset_id=dataset,
            base_model="understudy/tiny-base",
            spec={"recipe": {"rank": 16, "alpha": 32, "learning_rate": 0.003, "epochs": 4}},
            state=RunState.RUNNING,
            started_at=at,
        )
    )
    await tx.training.progress(
        f"run-{cycle_id}",
        {
            "step": 240,
            "total_steps": total,
            "loss": curve[-1][1],
            "tokens_per_s": 4127.0,
            "eta_s": 74.0,
            "rss_mb": 611.0,
            "curve": curve,
        },
    )
    if state is RunState.FINISHED:
        await tx.training.finish(
            f"run-{cycle_id}",
            state=state,
            at=at,
            result={
                "steps": 240,
                "seconds": 118.0,
                "peak_rss_mb": 634.0,
                "versions": {"torch": "2.13.0", "peft": "0.21.2"},
            },
        )
    await tx.adapters.add(
        Adapter(
            id=adapter_id,
            sha256=adapter_id.removeprefix("adapter-") * 5,
            path=Path("/a"),
            base_model="understudy/tiny-base",
            template_sha256="5e" * 32,
            dataset_id=dataset,
            training_run_id=f"run-{cycle_id}",
            signature={},
            state=AdapterState.PUBLISHED,
            created_at=at,
        )
    )


async def _finished(
    tx: Transaction,
    cycle_id: str,
    began: datetime,
    last: CycleState,
    outcome: CycleOutcome,
    gate: str | None,
    reason: str,
) -> None:
    ended = began + timedelta(hours=3)
    options = CycleOptions(disabled_cleaners=("arithmetic",) if gate else ())
    dataset = ("e" if gate else "d") * 64
    await tx.cycles.start(
        Cycle(
            id=cycle_id,
            state=CycleState.DONE,
            version=9,
            trigger="schedule",
            outcome=outcome,
            requested_by="schedule",
            options=options,
            context={"dataset_id": dataset},
            gate=gate,
            reason=reason,
            started_at=began,
            updated_at=ended,
            ended_at=ended,
        )
    )
    at = await _trail(tx, cycle_id, began, last)
    await _step(tx, cycle_id, last, CycleState.DONE, at, reason)


async def _trail(tx: Transaction, cycle_id: str, at: datetime, until: CycleState) -> datetime:
    states = list(CycleState)
    for before, after in pairwise(states[: states.index(until) + 1]):
        at += timedelta(minutes=4)
        await _step(tx, cycle_id, before, after, at, f"{before} is done")
    return at + timedelta(minutes=4)


async def _step(
    tx: Transaction, cycle_id: str, before: str, after: str, at: datetime, reason: str
) -> None:
    await tx.audit.append(
        subject=f"cycle:{cycle_id}",
        from_state=before,
        to_state=after,
        actor="scheduler",
        reason=reason,
        at=at,
    )


async def _experiment(tx: Transaction) -> None:
    began = NOW - timedelta(days=9)
    first = Trial(
        id=TRIAL,
        cycle_id=RUNNING,
        challenger_id=CHALLENGER,
        champion_id=CHAMPION,
        salt="s",
        policy={"profile": "default"},
        slow_ms=900.0,
        state="CANARY",
        stage="CANARY",
        share=0.05,
        version=1,
        started_at=began,
    )
    await tx.experiments.add(first)
    values = {k: v for k, v in vars(first).items() if k not in {"state", "stage", "share"}}
    second = await tx.experiments.advance(
        first, Trial(**values, state="RAMP", stage="RAMP", share=0.25), began + timedelta(days=2)
    )
    values = {k: v for k, v in vars(second).items() if k not in {"decision", "evidence"}}
    await tx.experiments.advance(second, Trial(**values, decision="NONE", evidence=EVIDENCE), NOW)
    await tx.routing.assign(
        Assignment(
            experiment_id=TRIAL,
            thread_key=f"T1:C1:{ODD}",
            user_id="U1",
            arm=Arm.CHALLENGER,
            u=0.1234,
            share=0.25,
            stage="RAMP",
            adapter_sha256=None,
            forced_reason=None,
            assigned_at=NOW,
        )
    )


def gates(*, stopped: bool) -> dict[str, Any]:
    """A stored gate report."""
    figures = [
        ("correctness", 0.11, 0.81),
        ("on_brand", 0.08, 0.94),
        ("arithmetic", 0.98, 0.95),
        ("facts", 0.91, 0.9),
        ("refusal", 0.97, 0.97),
    ]
    rows = [
        {
            "gate": gate,
            "status": "pass",
            "champion": old,
            "challenger": new,
            "n": 120,
            "gained": 60,
            "lost": 3,
            "margin": 0.05,
            "needed_n": None,
            "reason": f"{gate} went from {old:.0%} to {new:.0%}",
        }
        for gate, old, new in figures
    ]
    if stopped:
        rows[2] |= {
            "status": "fail",
            "challenger": 0.61,
            "reason": "a fall from 98 % to 61 % is beyond the margin of 5 points",
        }
        rows[4] |= {"status": "cannot_tell", "reason": "40 more examples are needed"}
    headline = "stopped by arithmetic (and 1 more)" if stopped else "all 5 gates passed"
    return {"passed": not stopped, "headline": headline, "results": rows}


MANIFEST: dict[str, Any] = {
    "counts": {
        "records": 59,
        "labelled": 59,
        "train": 40,
        "replay": 40,
        "holdout": 6,
        "rejected": 13,
        "held": 2,
    },
    "rejected_by_reason": {"near_duplicate": 7, "arithmetic": 3, "conflict": 2, "placeholder": 1},
    "labels": {"distinct_clean": 21, "required": 20},
    "split": {"holdout_share": 0.21},
    "cleaners": {"ran": ["near_duplicate"], "disabled": []},
    "lineage": {"contributors": {"a": 20, "b": 26}, "redaction_version": "r1"},
}

EVIDENCE: dict[str, Any] = {
    "decision": "NONE",
    "reason": "promote E is 3.41, needs 20",
    "evidence": {
        "primary": 3.41,
        "harm": 0.21,
        "harm_fast": 0.4,
        "srm": 0.9,
        "srm_assigned": 0.9,
        "srm_delivered": 0.7,
        "futility": 0.05,
        "guardrails": {"tone": 0.02, "ground": 0.6, "error": 1.3, "slow": 2.4, "undelivered": 1.0},
        "futility_margin": 0.1,
        "lift": {
            "estimate": 0.14,
            "low": -0.06,
            "high": 0.33,
            "low_one_sided": -0.03,
            "high_one_sided": 0.3,
        },
        "log": {"primary": 1.2},
    },
    "counts": {
        "champion": {
            "assigned": 402,
            "delivered": 398,
            "undelivered": 1,
            "rated": 141,
            "matured": 301,
            "matured_rated": 112,
            "up": 88,
            "down": 61,
            "corrected": 19,
        },
        "challenger": {
            "assigned": 118,
            "delivered": 117,
            "undelivered": 0,
            "rated": 44,
            "matured": 80,
            "matured_rated": 31,
            "up": 36,
            "down": 11,
            "corrected": 4,
        },
        "excluded": 6,
    },
    "waiting_for": [
        {"gate": "evidence", "reason": "promote E is 3.41, needs 20", "needs": {}},
        {"gate": "counts", "reason": "31 of 50 rated and matured challenger threads", "needs": {}},
    ],
    "plan": {
        "thresholds": {
            "primary": 20.0,
            "harm": 20.0,
            "harm_fast": 20.0,
            "futility": 20.0,
            "srm": 1000.0,
            "guardrails": 100.0,
        },
        "ramp": [
            {
                "stage": "CANARY",
                "share": 0.05,
                "min_threads": 20,
                "min_hours": 24.0,
                "max_hours": 72.0,
            },
            {
                "stage": "RAMP",
                "share": 0.25,
                "min_threads": 60,
                "min_hours": 0.0,
                "max_hours": None,
            },
            {
                "stage": "TEST",
                "share": 0.5,
                "min_threads": None,
                "min_hours": 0.0,
                "max_hours": None,
            },
        ],
        "min_rated": 50,
        "min_delivered": 300,
        "timeout_days": 28.0,
    },
}

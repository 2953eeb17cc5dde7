"""The experiment's log as read back: causes before effects, whichever clock wrote them."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import insert

from feedback.domain.interaction import Arm
from feedback.domain.rollout import Assignment
from feedback.domain.trial import Trial
from feedback.store.tables.conversations import interactions, threads
from feedback.store.tables.feedback import vote_events
from feedback.store.tables.learning import adapters, dataset_versions, training_runs
from feedback.store.unit_of_work import Store, Transaction
from retrain.experiments.decision import decide
from retrain.experiments.events import parse_event
from retrain.experiments.log import ExperimentLog

NOW = datetime(2026, 1, 12, 9, tzinfo=UTC)


async def _answered_thread(
    tx: Transaction,
    trial: Trial,
    name: str,
    *,
    assigned_at: datetime,
    answered_at: datetime,
    forced: str | None = None,
) -> None:
    await tx.connection.execute(
        insert(threads).values(
            key=name,
            team="T",
            channel="C",
            thread_ts=name,
            started_by="U",
            started_at=assigned_at,
            placeholders={},
        )
    )
    await tx.connection.execute(
        insert(interactions).values(
            id=f"i-{name}",
            thread_key=name,
            team="T",
            channel="C",
            question_ts=name,
            asker="U",
            asked_at=assigned_at,
            question="q",
            answer="a",
            state="posted",
            answer_ts="1",
            answered_at=answered_at,
            retrieved=[],
            experiment_id=trial.id,
            arm="champion",
        )
    )
    await tx.connection.execute(
        insert(vote_events).values(
            event_id=f"v-{name}",
            interaction_id=f"i-{name}",
            user_id="U",
            rating="up",
            value="up",
            source="button",
            added=True,
            reasons=[],
            event_ts=answered_at.timestamp(),
            recorded_at=answered_at,
        )
    )
    await tx.routing.assign(
        [
            Assignment(
                experiment_id=trial.id,
                thread_key=name,
                user_id="U",
                arm=Arm.CHAMPION,
                u=0.5,
                share=0.25,
                stage="RAMP",
                adapter_sha256=None,
                forced_reason=forced,
                salt="s",
                assigned_at=assigned_at,
            )
        ]
    )


async def _trial(tx: Transaction) -> Trial:
    await tx.connection.execute(
        insert(dataset_versions).values(
            id="d",
            path="/d",
            labels=1,
            train_rows=1,
            holdout_rows=1,
            rejected_rows=0,
            manifest={},
            created_at=NOW,
        )
    )
    await tx.connection.execute(
        insert(training_runs).values(
            id="r",
            dataset_id="d",
            base_model="b",
            spec={},
            state="finished",
            progress={},
            started_at=NOW,
        )
    )
    await tx.connection.execute(
        insert(adapters).values(
            id="a",
            sha256="s",
            path="/a",
            base_model="b",
            template_sha256="t",
            dataset_id="d",
            training_run_id="r",
            signature={},
            state="published",
            created_at=NOW,
        )
    )
    trial = Trial(
        id="e",
        cycle_id="c",
        challenger_id="a",
        champion_id=None,
        salt="s",
        policy={},
        slow_ms=None,
        state="RAMP",
        stage="RAMP",
        share=0.25,
        version=1,
        started_at=NOW - timedelta(days=1),
    )
    await tx.experiments.add(trial)
    return trial


async def test_an_answer_never_comes_before_its_thread(store: Store) -> None:
    """Slack's clock, which dates the question, may be ahead of ours, which dates the answer."""
    behind, ahead = NOW - timedelta(microseconds=5), NOW + timedelta(seconds=3)
    async with store.begin() as tx:
        trial = await _trial(tx)
        await _answered_thread(tx, trial, "slow-clock", assigned_at=NOW, answered_at=behind)
        await _answered_thread(tx, trial, "good-clock", assigned_at=NOW, answered_at=ahead)
        rows = await tx.experiments.event_rows(trial)
    for thread, answered in (("slow-clock", NOW), ("good-clock", ahead)):
        events = [row for row in rows if row.get("thread") == thread]
        assert [row["type"] for row in events] == ["assigned", "delivered", "scored", "feedback"]
        assert {row["ts"] for row in events[1:]} == {answered.timestamp()}
    assert [row["seq"] for row in rows] == list(range(len(rows)))


async def test_threads_that_were_not_drawn_are_counted_and_not_analysed(store: Store) -> None:
    async with store.begin() as tx:
        trial = await _trial(tx)
        await _answered_thread(tx, trial, "drawn", assigned_at=NOW, answered_at=NOW)
        for name in ("paused", "frozen"):
            await _answered_thread(tx, trial, name, assigned_at=NOW, answered_at=NOW, forced=name)
        rows = await tx.experiments.event_rows(trial)
    forced = {row["thread"]: row.get("forced_reason") for row in rows if row["type"] == "assigned"}
    assert forced == {"drawn": None, "paused": "paused", "frozen": "frozen"}
    decision = decide(ExperimentLog.of(map(parse_event, rows)))
    assert decision.excluded == 2
    assert (decision.counts[0].assigned, decision.counts[0].rated) == (1, 1)


async def test_a_question_given_up_counts_for_the_arm_of_its_thread(store: Store) -> None:
    async with store.begin() as tx:
        trial = await _trial(tx)
        await _answered_thread(tx, trial, "t1", assigned_at=NOW, answered_at=NOW)
        again = {
            "id": "i-again", "thread_key": "t1", "question_ts": "t2", "team": "T", "channel": "C",
            "asker": "U", "asked_at": NOW, "question": "q", "state": "pending", "retrieved": [],
        }  # fmt: skip
        await tx.connection.execute(insert(interactions).values(**again))
        later = NOW + timedelta(minutes=1)
        await tx.conversations.mark_failed(
            "i-again", "TimedOutError", later, assignment=await tx.routing.assigned("t1")
        )
        assert await tx.routing.assigned("another") is None
        rows = await tx.experiments.event_rows(trial)
    found = {row["type"]: row for row in rows if row["id"].endswith(":i-again")}
    assert found["undelivered"]["thread"] == "t1"
    assert found["scored"]["flags"]["error"] is True

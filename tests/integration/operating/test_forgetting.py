"""Nothing that a forgotten person wrote is left in any table, and everybody else's is."""

import hashlib
import inspect
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Text, insert, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from feedback.domain.correction import Correction, CorrectionSource, CorrectionState
from feedback.domain.delivery import Delivery
from feedback.domain.forgetting import ForgetReport
from feedback.domain.interaction import Interaction, InteractionState, Rating, Reason
from feedback.domain.learning import DatasetExample
from feedback.domain.person import Person
from feedback.domain.vote import VoteEvent, VoteSource
from feedback.errors import UnavailableError
from feedback.forgetting import forget
from feedback.mining.remembered import Part
from feedback.store import forgetting
from feedback.store.conversations import Thread
from feedback.store.tables import metadata
from feedback.store.tables.conversations import pane_contexts
from feedback.store.tables.feedback import interaction_vectors, pattern_members, patterns
from feedback.store.tables.handoffs import handoffs
from feedback.store.tables.learning import assignments, split_assignments
from feedback.store.tables.operations import confirmations
from feedback.store.tables.trials import shadow_answers
from feedback.store.unit_of_work import Store, Transaction
from retrain.dataset.split import Assignment
from tests.integration.operating.stage import NOW, add_adapter

TEAM, ZOE, BEN = "T0TEAM", "U0ZOE", "U0BEN"
MARK = "zebrafish"
"""Stands in everything that Zoe wrote."""
KEPT = "walnut"
"""Stands in everything that others wrote."""


async def test_no_trace_of_the_text_is_left(store: Store) -> None:
    await seed(store)
    before = await found(store, MARK)
    assert len(before) >= 14, f"the test must have something to erase, it has {before}"
    kept = await found(store, KEPT)
    report = await forget_zoe(store)
    assert await found(store, MARK) == {}
    assert await found(store, KEPT) == kept
    assert set(await found(store, ZOE)) == {"people.user_id"}
    assert set(await found(store, "Zoe Quill")) == set()
    assert report.erased["questions"] == 1
    assert report.erased["corrections"] == 3
    assert [(d.id, d.rows, d.train_rows) for d in report.datasets] == [("d-new", 2, 1)]
    assert [(a.id, a.state) for a in report.adapters] == [("new", "published")]


async def test_a_second_time_changes_nothing(store: Store) -> None:
    await seed(store)
    await forget_zoe(store)
    async with store.begin() as tx:
        dump = await everything(tx)
    again = await forget_zoe(store)
    assert sum(again.erased.values()) - again.erased["names"] == 0
    assert (again.datasets, again.adapters) == ((), ())
    async with store.begin() as tx:
        assert await everything(tx) == dump
        assert await tx.audit.verify() == 2


async def test_the_audit_trail_says_that_and_not_who(store: Store) -> None:
    await seed(store)
    await forget_zoe(store)
    async with store.begin() as tx:
        (entry,) = await tx.audit.entries(subject="person")
        marked = await tx.datasets.get("d-new")
        assert await tx.audit.verify() == 1
    assert ZOE not in str(entry)
    assert entry.actor == "the person"
    assert entry.data["datasets"] == ["d-new"]
    assert marked is not None
    assert marked.forgotten_rows == 2


async def test_counts_and_splits_stay(store: Store) -> None:
    await seed(store)
    async with store.begin() as tx:
        votes = await tx.overview.daily(NOW - timedelta(days=1))
    report = await forget_zoe(store)
    async with store.begin() as tx:
        opinions = await tx.votes.of_interaction("i-ben")
        sides = [Assignment.from_row(row) for row in await tx.datasets.sides()]
        trainable = await tx.records.trainable("all")
        ben = await tx.conversations.get("i-ben", team=TEAM)
        claimed = await tx.corrections.get("c-other", team=TEAM)
    assert votes
    assert [(vote.user_id, vote.rating) for vote in opinions] == [(report.alias, Rating.DOWN)]
    assert {side.row_id: bool(side.question) for side in sides} == {"c-zoe": False, "c-ben": True}
    assert [record.id for record in trainable] == ["c-ben"]
    assert ben is not None
    assert ben.state is InteractionState.POSTED
    assert (claimed.state, claimed.claimed_by) == (CorrectionState.PROPOSED, None)


async def test_vectors_go_with_the_texts(store: Store) -> None:
    await seed(store)
    texts = {
        (asked, part): f"{part} of {asked}"
        for asked in ("i-zoe", "i-ben")
        for part in (Part.QUESTION, Part.CORRECTION)
    }
    async with store.begin() as tx:
        for (asked, part), said in texts.items():
            digest = hashlib.sha256(said.encode()).hexdigest()
            await tx.connection.execute(
                insert(interaction_vectors).values(
                    interaction_id=asked, part=part.value, embedder_id="e", text_sha256=digest,
                    embedding=[1.0],
                )
            )  # fmt: skip
    await forget_zoe(store)
    async with store.begin() as tx:
        left = await tx.vectors.kept("e", texts)
    assert list(left) == ["question of i-ben"], "the correction of Ben's question was Zoe's"


async def test_names_do_not_come_back_with_the_directory(store: Store) -> None:
    await seed(store)
    await forget_zoe(store)
    async with store.begin() as tx:
        await tx.people.sync([person(ZOE, "Zoe Quill"), person(BEN, "Ben Boxwood")], at=NOW)
        assert (await tx.people.get(TEAM, ZOE)).names == ()
        assert (await tx.people.get(TEAM, BEN)).names == ("Ben Boxwood",)


async def test_work_in_hand_is_waited_for(store: Store) -> None:
    async with store.begin() as tx:
        await tx.inbox.add(question("ev-busy", ZOE, f"the {MARK} again", "9.9"))
        (row,) = await tx.inbox.claim("worker", lease_s=60)
    with pytest.raises(UnavailableError):
        await forget_zoe(store)
    async with store.begin() as tx:
        assert await tx.audit.entries() == []
        await tx.inbox.complete(row)
    await forget_zoe(store)


async def test_the_delivery_that_asks_is_left_to_its_handler(store: Store) -> None:
    async with store.begin() as tx:
        asked = Delivery(
            event_id="cmd",
            type="command",
            payload={"body": {"user_id": ZOE, "team_id": TEAM, "text": "forget"}},
        )
        number = await tx.inbox.add(asked)
        (row,) = await tx.inbox.claim("worker", lease_s=60)
    assert row.id == number
    async with store.begin() as tx:
        await forget(tx, team=TEAM, user=ZOE, by=ZOE, at=NOW, event_id="cmd")
        assert await tx.inbox.complete(row)
    assert ZOE not in str(await found(store, ZOE))


async def test_a_stranger_leaves_no_error(store: Store) -> None:
    async with store.begin() as tx:
        report = await forget(tx, team=TEAM, user="U0NOBODY", by="operator", at=NOW)
    assert sum(report.erased.values()) == 0


async def test_the_same_id_in_another_workspace_is_another_person(store: Store) -> None:
    await seed(store)
    async with store.begin() as tx:
        await forget(tx, team="T0OTHER", user=ZOE, by=ZOE, at=NOW)
    assert await found(store, MARK)


async def forget_zoe(store: Store) -> ForgetReport:
    async with store.begin() as tx:
        return await forget(tx, team=TEAM, user=ZOE, by=ZOE, at=NOW)


async def found(store: Store, needle: str) -> dict[str, int]:
    """Looks into every column of every table that can hold text."""
    hits = {}
    async with store.begin() as tx:
        for table in metadata.sorted_tables:
            for column in table.columns:
                if not isinstance(column.type, Text | JSONB | ARRAY):
                    continue
                count = await tx.connection.scalar(
                    text(
                        f'select count(*) from "{table.name}" '
                        f'where "{column.name}"::text ilike :needle'
                    ),
                    {"needle": f"%{needle}%"},
                )
                if count:
                    hits[f"{table.name}.{column.name}"] = int(count)
    return hits


async def everything(tx: Transaction) -> dict[str, Sequence[object]]:
    """Dumps every table but the audit trail."""
    return {
        table.name: (await tx.connection.execute(table.select())).all()
        for table in metadata.sorted_tables
        if table.name != "audit"
    }


def person(user: str, name: str) -> Person:
    return Person(team=TEAM, user_id=user, names=(name,), consented=True)


def question(event_id: str, user: str, said: str, ts: str) -> Delivery:
    event = {"type": "message", "user": user, "text": said, "ts": ts, "channel": "C1"}
    return Delivery(
        event_id=event_id,
        type="message",
        payload={"body": {"team_id": TEAM, "event": event}, "received": 1.0},
        thread_key=f"{TEAM}:C1:{ts}",
    )


async def seed(store: Store) -> None:
    """Zoe and Ben asked, judged, corrected and reviewed each other."""
    async with store.begin() as tx:
        await tx.people.sync([person(ZOE, "Zoe Quill"), person(BEN, "Ben Boxwood")], at=NOW)
        for user, word in ((ZOE, MARK), (BEN, KEPT)):
            await _asked(tx, user, word)
        await _corrected(tx)
        await _judged(tx)
        await _mined(tx)
        await _trained(tx)
        await _delivered(tx)


async def _asked(tx: Transaction, user: str, word: str) -> None:
    key = f"{TEAM}:C1:{word[0]}"
    await tx.conversations.open_thread(
        Thread(
            key=key,
            team=TEAM,
            channel="C1",
            thread_ts=word[0],
            started_by=user,
            started_at=NOW,
            placeholders={"of": word},
        )
    )
    await tx.conversations.create_pending(
        Interaction(
            id="i-zoe" if user == ZOE else "i-ben",
            thread_key=key,
            team=TEAM,
            channel="C1",
            question_ts=f"{ord(word[0])}.1",
            asker=user,
            asked_at=NOW,
            question=f"How do I feed a {word}?",
            state=InteractionState.POSTED,
            answer=f"A {word} eats leaves.",
            answer_ts=f"{ord(word[0])}.2",
            answered_at=NOW,
            error=None,
        )
    )


def correction(number: str, interaction: str, author: str, word: str) -> Correction:
    return Correction(
        id=number,
        interaction_id=interaction,
        thread_key=f"{TEAM}:C1:x",
        team=TEAM,
        question=f"How do I feed a {word}?",
        bot_answer=f"A {word} eats leaves.",
        text=f"Nobody feeds a {word}.",
        author=author,
        source=CorrectionSource.MODAL,
        consent="reviewer_authored",
        created_at=NOW,
        redaction_version="1",
        passages=(f"All about the {word}",),
        tags=(word,),
        state=CorrectionState.APPROVED,
    )


async def _corrected(tx: Transaction) -> None:
    # One of Zoe's question by Ben, one of Ben's by Zoe, one of Ben's by Ben.
    await tx.corrections.add(correction("c-zoe", "i-zoe", BEN, MARK))
    await tx.corrections.add(correction("c-by-zoe", "i-ben", ZOE, MARK))
    await tx.corrections.add(correction("c-ben", "i-ben", BEN, KEPT))
    other = correction("c-other", "i-ben", BEN, KEPT)
    await tx.corrections.add(other)
    await tx.connection.execute(
        text(
            "update corrections set state = 'claimed', claimed_by = :user,"
            " skipped_by = array[:user, 'U0ELSE'] where id = 'c-other'"
        ),
        {"user": ZOE},
    )
    # Zoe edited Ben's correction; Ben's later version is the one that counts.
    for version, editor, word in ((2, ZOE, MARK), (3, BEN, KEPT)):
        await tx.connection.execute(
            text(
                "insert into correction_versions (correction_id, version, text, editor,"
                " redaction_version, created_at) values ('c-ben', :version, :text, :editor, '1',"
                " :at)"
            ),
            {"version": version, "text": f"v{version} {word}", "editor": editor, "at": NOW},
        )
    await tx.connection.execute(text("update corrections set version = 3 where id = 'c-ben'"))
    # Ben taught what Zoe had replied.
    taught = correction("c-taught", "i-ben", BEN, MARK)
    await tx.corrections.add(replace(taught, taught_from=ZOE))
    for reviewer, note in ((ZOE, MARK), (BEN, KEPT)):
        await tx.connection.execute(
            text(
                "insert into reviews (correction_id, version, reviewer, decision, note, created_at)"
                " values ('c-ben', 1, :reviewer, 'escalate', :note, :at)"
            ),
            {"reviewer": reviewer, "note": f"see {note}", "at": NOW},
        )


async def _judged(tx: Transaction) -> None:
    for number, (interaction, user, word) in enumerate(
        (("i-ben", ZOE, MARK), ("i-zoe", BEN, MARK))
    ):
        await tx.votes.record(
            VoteEvent(
                event_id=f"v{number}",
                interaction_id=interaction,
                user_id=user,
                rating=Rating.DOWN,
                source=VoteSource.MODAL,
                event_ts=1.0,
                reasons=(Reason.WRONG_FACT,),
                comment=f"no {word}, please",
            ),
            at=NOW,
        )


async def _mined(tx: Transaction) -> None:
    await tx.connection.execute(
        insert(patterns).values(
            id="p1",
            kind="repeated_error",
            label=f"{MARK}, {KEPT}",
            keywords=[MARK, KEPT],
            size=2,
            users=2,
            verdict="document",
            verdict_reasons=[f"2 corrections add the words {MARK!r}"],
            score=1.0,
            example_ids=["i-zoe", "i-ben"],
            evidence_ids=["i-zoe"],
            draft=f"# {MARK}",
            centroid=[],
            embedder_id="e",
            first_seen=0.0,
            last_seen=1.0,
            mined_at=NOW,
        )
    )
    await tx.connection.execute(
        insert(pattern_members),
        [{"pattern_id": "p1", "interaction_id": item} for item in ("i-zoe", "i-ben")],
    )


async def _trained(tx: Transaction) -> None:
    examples = tuple(
        DatasetExample(example_id=row, side=side, source="correction", interaction_ids=(asked,))
        for row, side, asked in (
            ("c-zoe", "train", "i-zoe"),
            ("c-by-zoe", "holdout", "i-ben"),
            ("c-ben", "train", "i-ben"),
        )
    )
    await add_adapter(tx, "new", examples=examples)
    failures = [{"question": f"a {MARK}?", "answer": MARK, "expected": MARK, "example_id": "c-zoe"}]
    await tx.training.add_evaluation(
        "r-new", "candidate", {"facts": {"value": 0.5, "failures": failures}}, at=NOW
    )
    for row, word in (("c-zoe", MARK), ("c-ben", KEPT)):
        for edit in range(2 if word == MARK else 1):
            await tx.connection.execute(
                insert(split_assignments).values(
                    row_id=row,
                    question=f"{edit}: how do I feed a {word}?",
                    thread_id=f"{TEAM}:C1:{word[0]}",
                    completion_key="abc",
                    group="g",
                    side="train",
                )
            )
    await _assigned(tx, NOW)


async def _assigned(tx: Transaction, at: datetime) -> None:
    await tx.connection.execute(
        text(
            "insert into experiments (id, cycle_id, challenger_id, salt, policy, state, stage,"
            " share, version, started_at) values ('e', 'c', 'new', '', '{}', 'TEST', 'TEST', .5,"
            " 1, :at)"
        ),
        {"at": at},
    )
    for asked, word, voter in (("i-zoe", MARK, BEN), ("i-ben", KEPT, ZOE)):
        await tx.connection.execute(
            insert(shadow_answers).values(
                id=f"pair-{asked}", experiment_id="e", interaction_id=asked, first="champion",
                answer=f"Feed the {word}.", answered_at=at, winner="tie", voted_by=voter,
                voted_at=at,
            )
        )  # fmt: skip
    await tx.connection.execute(
        insert(assignments).values(
            experiment_id="e",
            thread_key=f"{TEAM}:C1:z",
            user_id=ZOE,
            arm="champion",
            u=0.5,
            share=0.5,
            stage="TEST",
            assigned_at=at,
        )
    )


async def _delivered(tx: Transaction) -> None:
    await tx.inbox.add(question("ev1", ZOE, f"is the {MARK} well?", "5.1"))
    await tx.inbox.add(question("ev3", ZOE, f"is the {MARK} better?", "5.2"))
    await tx.connection.execute(text("update inbox set state = 'parked' where event_id = 'ev3'"))
    await tx.inbox.add(question("ev2", BEN, f"is the {KEPT} well?", "6.1"))
    for number, (user, said) in enumerate(
        ((ZOE, MARK), (BEN, f"<@{ZOE}> says {MARK}"), (BEN, KEPT))
    ):
        await tx.inbox.add(question(f"failed{number}", user, said, f"7.{number}"))
        await tx.connection.execute(
            text("update inbox set state = 'failed', error = :error where event_id = :event"),
            {"error": f"cannot read {said}", "event": f"failed{number}"},
        )
    await tx.connection.execute(
        insert(pane_contexts).values(team=TEAM, user_id=ZOE, entities=[], event_ts=1.0)
    )
    await tx.connection.execute(
        insert(confirmations).values(
            id="f", team=TEAM, user_id=BEN, act="forget", shown={"user": ZOE}, reason="",
            asked_at=NOW, expires_at=NOW,
        )
    )  # fmt: skip
    await tx.connection.execute(
        insert(confirmations).values(
            id="p", team=TEAM, user_id=ZOE, act="promote", shown={}, reason=f"for the {MARK}",
            asked_at=NOW, expires_at=NOW,
        )
    )  # fmt: skip
    await tx.connection.execute(
        insert(handoffs).values(
            id="h", interaction_id="i-ben", team=TEAM, channel="C1", thread_key=f"{TEAM}:C1:w",
            asker=BEN, reason="asked", on_call=ZOE, state="open", opened_at=NOW, taken_by=ZOE,
            answered_by=ZOE,
        )
    )  # fmt: skip
    await tx.outbox.add("k1", "slack_message", {"channel": "C", "text": f"<@{ZOE}>: {MARK}"})
    await tx.connection.execute(text("update outbox set done_at = now() where key = 'k1'"))
    await tx.outbox.add("k2", "thread_correction", {"correction_id": "c-zoe", "said": MARK})
    await tx.outbox.add("k3", "slack_message", {"channel": "C", "text": KEPT})


HOLDS_NOTHING_OF_PEOPLE = {
    # Models, and what is served.
    "adapters", "champion", "deployments", "training_runs", "experiments", "experiment_stages",
    "experiment_looks",
    # Documents, which operators own.
    "documents", "chunks", "postings", "terms", "knowledge_index",
    # Acts of operators, and the scheduler's own rows.
    "audit", "cycles", "cycle_requests", "promotion_requests", "switches", "apscheduler_jobs",
    "approvals", "leader",
    # Settings and installations of whole workspaces.
    "channels", "workspaces", "slack_bots", "slack_installations", "slack_oauth_states",
    "pattern_changes",
    "pattern_runs",
}  # fmt: skip


def test_every_table_is_thought_of() -> None:
    """A new table fails here until somebody decides what forgetting does to it."""
    named = set(re.findall(r"(?:from|update|join) (\w+)", inspect.getsource(forgetting)))
    tables = {table.name for table in metadata.sorted_tables}
    assert tables == (named & tables) | HOLDS_NOTHING_OF_PEOPLE

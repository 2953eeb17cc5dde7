"""Answers during an experiment: the arm is stored once, the challenger may fail unseen."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

import feedback.samples
from bot.answering import Answering, AnswerSettings
from bot.guarding import StyleGuard
from bot.redacting import ThreadRedactor
from bot.routing import OTHER_CHALLENGER, TurnRouter
from bot.slack.payloads import Question
from feedback.clock import FixedClock
from feedback.domain.interaction import Arm, Interaction
from feedback.errors import GenerationFailedError, UnavailableError, UnderstudyError
from feedback.ports import GenerationOptions, Message
from feedback.prompting import DEFAULT_POLICY
from feedback.serving.fake import FakeTextGenerator
from feedback.store.unit_of_work import Store
from feedback.tone.guide import StyleGuide
from tests.integration.bot.conftest import ANSWER, Library, Models

START = datetime(2026, 3, 1, tzinfo=UTC)
ROWS = """
insert into dataset_versions (id, path, labels, train_rows, holdout_rows, rejected_rows, manifest,
    created_at) values ('d', '', 1, 1, 1, 0, '{}', :at);
insert into training_runs (id, dataset_id, base_model, spec, state, progress, started_at)
    values ('r', 'd', 'b', '{}', 'done', '{}', :at);
insert into adapters (id, sha256, path, base_model, template_sha256, dataset_id, training_run_id,
    signature, state, created_at) values ('new', 'abc', '', 'b', 't', 'd', 'r', '{}', 'x', :at);
insert into champion (id, adapter_id, version, since) values (1, null, 1, :at)
    on conflict (id) do nothing;
insert into deployments (platform, base_model, base_name, replicas, adapters, state, url, proof,
    created_at, updated_at) values ('process', 'b', 'tgi', '[]', '[{"name": "new"}]', 'active',
    'http://model', '{"template_sha256": "t", "adapters": {"new": {}}}', :at, :at);
insert into experiments (id, cycle_id, challenger_id, salt, policy, state, stage, share, version,
    started_at) values ('e', 'c', 'new', 'salt', '{}', 'RAMP', 'RAMP', 0.999999999, 1, :at);
"""


@pytest.fixture
async def trial(store: Store) -> Store:
    """A running experiment in which every new thread gets the challenger."""
    async with store.begin() as tx:
        for statement in ROWS.split(";\n")[:-1]:
            await tx.connection.execute(text(statement), {"at": START})
    return store


def answering(store: Store, model: FakeTextGenerator) -> Answering:
    return Answering(
        store,
        FixedClock(START),
        ThreadRedactor(b"a key of at least sixteen bytes"),
        TurnRouter(store, url="", base_model="b"),
        Library(),
        Models(model),
        StyleGuard(StyleGuide.load(Path(feedback.samples.__file__).parent / "style")),
        AnswerSettings(retrieve=3, options=GenerationOptions(), prompt=DEFAULT_POLICY),
    )


def question(ts: float = START.timestamp() + 60, thread: str | None = None) -> Question:
    return Question(
        team="T", channel="C", ts=f"{ts:.6f}", thread_ts=thread or f"{ts:.6f}", user="U1",
        text="How to export?", direct=False, mentioned=True, names_others=False,
    )  # fmt: skip


async def ask(bot: Answering, asked: Question) -> Interaction:
    return (await bot.answer(await bot.prepare(asked, bot="UBOT"))).interaction


async def test_a_new_thread_gets_its_arm_and_the_record_says_everything(trial: Store) -> None:
    model = FakeTextGenerator([ANSWER])
    answered = await ask(answering(trial, model), question())
    assert model.calls[0].adapter == "new"
    assert (answered.arm, answered.adapter_id, answered.adapter_sha256) == (
        Arm.CHALLENGER, "new", "abc",
    )  # fmt: skip
    assert (answered.experiment_id, answered.share, answered.salt) == ("e", 0.999999999, "salt")
    assert (answered.base_model, answered.template_sha256) == ("b", "t")
    assert answered.error is None


async def test_a_failing_challenger_is_covered_by_the_champion(trial: Store) -> None:
    def broken(_: Sequence[Message], adapter: str | None) -> str | UnderstudyError:
        return GenerationFailedError("broken") if adapter else ANSWER

    answered = await ask(answering(trial, FakeTextGenerator(broken)), question())
    assert answered.answer == ANSWER
    assert (answered.arm, answered.adapter_id) == (Arm.CHALLENGER, None)
    assert answered.error == "GenerationFailedError"


async def test_an_empty_answer_counts_as_a_failure(trial: Store) -> None:
    def silent(_: Sequence[Message], adapter: str | None) -> str:
        return " " if adapter else ANSWER

    answered = await ask(answering(trial, FakeTextGenerator(silent)), question())
    assert (answered.answer, answered.error) == (ANSWER, "GenerationFailedError")


async def test_a_thread_keeps_its_arm_when_the_share_changes(trial: Store) -> None:
    bot = answering(trial, FakeTextGenerator([ANSWER]))
    first = question()
    await ask(bot, first)
    async with trial.begin() as tx:
        await tx.connection.execute(text("update experiments set share = 0"))
    later = await ask(bot, question(START.timestamp() + 120, first.thread_ts))
    other = await ask(bot, question(START.timestamp() + 180))
    assert (later.arm, later.share) == (Arm.CHALLENGER, 0.999999999)
    assert other.arm is Arm.CHAMPION


async def test_threads_from_before_the_experiment_stay_out(trial: Store) -> None:
    bot = answering(trial, FakeTextGenerator([ANSWER]))
    old = await ask(bot, question(START.timestamp() - 60))
    assert (old.arm, old.experiment_id, old.adapter_id) == (None, None, None)


async def test_freezing_gives_everybody_the_champion_at_once(trial: Store) -> None:
    bot = answering(trial, FakeTextGenerator([ANSWER]))
    async with trial.begin() as tx:
        await tx.switches.set("frozen", "on", by="U9", at=START)
    answered = await ask(bot, question())
    assert (answered.adapter_id, answered.arm) == (None, None)


async def test_paused_a_thread_keeps_its_arm_and_new_ones_meet_the_champion(trial: Store) -> None:
    bot = answering(trial, FakeTextGenerator([ANSWER]))
    first = question()
    await ask(bot, first)
    async with trial.begin() as tx:
        assert await tx.experiments.pause("e", by="U9", at=START)
    later = await ask(bot, question(START.timestamp() + 120, first.thread_ts))
    other = question(START.timestamp() + 180)
    fresh = await ask(bot, other)
    assert (later.arm, later.adapter_id) == (Arm.CHALLENGER, "new")
    assert (fresh.arm, fresh.experiment_id, fresh.adapter_id) == (None, None, None)
    async with trial.begin() as tx:
        assert await tx.experiments.pause("e", by=None, at=START)
    still = await ask(bot, question(START.timestamp() + 240, other.thread_ts))
    joined = await ask(bot, question(START.timestamp() + 300))
    assert still.arm is None, "who stayed out while it was paused stays out"
    assert joined.arm is Arm.CHALLENGER


async def test_without_a_model_server_the_question_waits(store: Store) -> None:
    with pytest.raises(UnavailableError, match="no model server"):
        await ask(answering(store, FakeTextGenerator([ANSWER])), question())


RIVAL = """
insert into adapters (id, sha256, path, base_model, template_sha256, dataset_id, training_run_id,
    signature, state, created_at) values ('rival', 'def', '', 'b', 't', 'd', 'r', '{}', 'x', :at);
update deployments set proof = '{"template_sha256": "t", "adapters": {"new": {}, "rival": {}}}';
update experiments set share = 0.5;
insert into experiments (id, cycle_id, challenger_id, salt, policy, state, stage, share, version,
    started_at) values ('f', 'c2', 'rival', 'pepper', '{}', 'TEST', 'TEST', 0.5, 1, :at);
"""


async def test_two_challengers_share_the_threads(trial: Store) -> None:
    async with trial.begin() as tx:
        for statement in RIVAL.split(";\n")[:-1]:
            await tx.connection.execute(text(statement), {"at": START})
    bot = answering(trial, FakeTextGenerator([ANSWER]))
    answers = [await ask(bot, question(START.timestamp() + 60 * n)) for n in range(1, 31)]
    by = {name: [a for a in answers if a.adapter_id == name] for name in (None, "new", "rival")}
    assert all(by.values()), "each of them met somebody"
    arms = {
        None: {("e", "champion", None), ("f", "champion", None)},
        "new": {("e", "challenger", None), ("f", "champion", OTHER_CHALLENGER)},
        "rival": {("e", "champion", OTHER_CHALLENGER), ("f", "challenger", None)},
    }
    async with trial.begin() as tx:
        for name, found in by.items():
            stored = await tx.routing.assignments(found[0].thread_key)
            rows = {(row.experiment_id, row.arm.value, row.forced_reason) for row in stored}
            assert rows == arms[name]
            assert {a.experiment_id for a in found} == {"f" if name == "rival" else "e"}
        await tx.connection.execute(text("update experiments set state = 'FUTILE' where id = 'e'"))
    again = {
        name: await ask(
            bot, question(START.timestamp() + 9000 + n, found[0].thread_key.rpartition(":")[2])
        )
        for n, (name, found) in enumerate(by.items())
    }
    told = {name: (a.adapter_id, a.arm, a.experiment_id) for name, a in again.items()}
    assert told == {
        None: (None, Arm.CHAMPION, "f"),
        "new": (None, None, None),
        "rival": ("rival", Arm.CHALLENGER, "f"),
    }, "what met a challenger that is gone tells nothing about the other"

"""`understudy experiment` on a real database, and a replay that is killed in the middle."""

import asyncio
import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from typer.testing import CliRunner, Result

from deploy.cli import build
from feedback.clock import FileClock, FixedClock
from feedback.errors import ConflictError, InvalidInputError, NotFoundError
from feedback.store.unit_of_work import Store
from tests.integration.operating.crowd import Theatre, better, open_cycle
from tests.integration.operating.stage import NOW
from tests.integration.operating.test_override import NEVER_ENOUGH, timed_out
from tests.unit.experiments.company import Company

Run = Callable[..., Result]


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileClock:
    monkeypatch.setenv("UNDERSTUDY_CLOCK_FILE", str(tmp_path / "clock"))
    return FileClock(tmp_path / "clock")


@pytest.fixture
def understudy(database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("UNDERSTUDY_STATE_DIR", str(tmp_path))
    app = build(["experiment", "cycle"])

    def run(*arguments: str, said: str = "") -> Result:
        return CliRunner().invoke(app, ["experiment", *arguments], input=said)

    return run


def on_stage(database_url: str, clock: FileClock, *, approval: bool = False) -> None:
    """Stores an experiment that is proven; with `approval` it waits for a person."""
    clock.set(asyncio.run(_on_stage(database_url, approval=approval)))


async def _on_stage(database_url: str, *, approval: bool) -> datetime:
    store = Store.connect(database_url)
    theatre = Theatre(store=store, clock=FixedClock(NOW), approval=approval)
    cycle = await open_cycle(store)
    await theatre.meet(await theatre.to_stage(cycle), better, 80)
    await theatre.look(cycle)
    await store.close()
    return theatre.clock.now()


def test_status_tells_the_whole_story(understudy: Run, database_url: str, clock: FileClock) -> None:
    on_stage(database_url, clock, approval=True)
    told = understudy("status").stdout
    assert "e-c-new: new against the base model, day" in told
    assert "proven and waiting for an approval, 50% of new threads" in told
    assert "better: E " in told
    assert " of 20, then it is promoted" in told
    assert "threads rated" in told
    assert "approval: it is proven, and somebody has to approve" in told
    row = json.loads(understudy("status", "e-c-new", "--json").stdout)
    assert (row["id"], row["state"], row["frozen"]) == ("e-c-new", "READY", False)
    assert isinstance(understudy("status", "e-none").exception, NotFoundError)


def test_promote_approves_what_waits_and_only_once(
    understudy: Run, database_url: str, clock: FileClock
) -> None:
    on_stage(database_url, clock, approval=True)
    done = understudy("promote", "--by", "amira", "--reason", "clearly better")
    assert "Approved: new becomes the champion" in done.stdout
    assert "already" in understudy("promote", "--by", "ben", "--reason", "me too").stdout
    assert "chain intact" in understudy("audit", "verify").stdout


def test_pause_and_resume(understudy: Run, database_url: str, clock: FileClock) -> None:
    on_stage(database_url, clock, approval=True)
    told = understudy("pause", "--by", "amira", "--reason", "holidays")
    assert told.stdout.startswith("Paused: new threads go to the champion")
    shown = understudy("status").stdout
    assert "paused: proven and waiting for an approval" in shown
    assert "paused: amira paused it on" in shown
    refused = understudy("promote", "--by", "ben", "--reason", "now").exception
    assert isinstance(refused, InvalidInputError)
    assert "Resume it first" in str(refused)
    assert "Resumed" in understudy("resume", "e-c-new", "--by", "amira").stdout
    assert "Approved" in understudy("promote", "--by", "ben", "--reason", "now").stdout


def test_promote_goes_over_an_undecided_experiment_or_says_why_not(
    understudy: Run, database_url: str, clock: FileClock
) -> None:
    clock.set(asyncio.run(_undecided(database_url)))
    shown = understudy("status").stdout
    assert "inconclusive: timed out without a promotion" in shown
    assert "an admin may still promote it by hand" in shown
    done = understudy("promote", "--by", "amira", "--reason", "good enough")
    assert done.stdout.startswith("Asked for: new becomes the champion")
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("delete from promotion_requests"))
        connection.execute(
            text("update deployments set proof = jsonb_set(proof, '{adapters}', '{}')")
        )
    engine.dispose()
    refused = understudy("promote", "--by", "amira", "--reason", "good enough").exception
    assert isinstance(refused, InvalidInputError)
    assert "not proven on every server in use: `understudy experiment start new`" in str(refused)
    assert "it cannot be promoted by hand" in understudy("status").stdout


async def _undecided(database_url: str) -> datetime:
    store = Store.connect(database_url)
    theatre = Theatre(store=store, clock=FixedClock(NOW), policy=NEVER_ENOUGH)
    await timed_out(theatre)
    await store.close()
    return theatre.clock.now()


def test_rollback_withdraws_a_promotion_that_waits(
    understudy: Run, database_url: str, clock: FileClock
) -> None:
    on_stage(database_url, clock, approval=True)
    told = understudy("rollback", "--by", "amira", "--reason", "not now").stdout
    assert "promotion withdrawn, champion stays the base model" in told


def test_a_changed_audit_row_is_found(understudy: Run, database_url: str, clock: FileClock) -> None:
    on_stage(database_url, clock)
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("update audit set reason = 'nothing' where id = 3"))
    engine.dispose()
    found = understudy("audit", "verify").exception
    assert isinstance(found, ConflictError)
    assert "audit entry 3 was changed" in str(found)


def test_the_stored_log_replays_to_the_stored_evidence(
    understudy: Run, database_url: str, clock: FileClock
) -> None:
    on_stage(database_url, clock)
    log = understudy("events").stdout
    (decision,) = [json.loads(line) for line in understudy("replay", said=log).stdout.splitlines()]
    assert decision["decision"] == "PROMOTE"
    stored = json.loads(understudy("status", "--json").stdout)
    told = {item["name"]: item["e"] for item in stored["evidence"]}
    assert decision["evidence"]["primary"] == pytest.approx(told["better"], rel=1e-12)
    lines = log.splitlines()
    shuffled = [*lines, *lines[::4]]
    random.Random(4).shuffle(shuffled)
    again = understudy("replay", said="\n".join(shuffled)).stdout
    assert json.loads(again) == decision


def test_start_queues_an_adapter_that_exists(
    understudy: Run, database_url: str, clock: FileClock
) -> None:
    on_stage(database_url, clock)
    told = understudy("start", "new", "--by", "amira")
    assert "new is published and tried as soon as there is room for it" in told.stdout
    assert isinstance(understudy("start", "nobody").exception, NotFoundError)
    engine = create_engine(database_url)
    with engine.begin() as connection:
        (options,) = connection.execute(text("select options from cycle_requests")).scalars()
        connection.execute(text("update adapters set state = 'blocked'"))
    engine.dispose()
    assert options["adapter_id"] == "new"
    refused = understudy("start", "new").exception
    assert isinstance(refused, InvalidInputError)
    assert "was taken back" in str(refused)


def test_freeze_without_a_database_writes_the_flag_file(
    understudy: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
    told = understudy("freeze", "--by", "amira", "--reason", "odd answers")
    assert told.exit_code == 0, told.exception
    assert "the database is out of reach" in told.stderr
    assert (tmp_path / "FREEZE").read_text() == "amira: odd answers\n"


def test_unfreeze_takes_the_flag_file_away(understudy: Run, tmp_path: Path) -> None:
    understudy("freeze", "--file")
    assert (tmp_path / "FREEZE").exists()
    assert "no longer frozen" in understudy("unfreeze").stdout
    assert not (tmp_path / "FREEZE").exists()


def test_a_replay_that_is_killed_in_the_middle_is_simply_run_again(tmp_path: Path) -> None:
    rows = Company(days=11, per_day=60, rate=lambda arm, _: 0.9 if arm else 0.65).rows()
    lines = [json.dumps(row) for row in rows]
    command = [sys.executable, "-m", "deploy", "experiment", "replay"]
    plain = _replayed(command, "\n".join(lines))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one:
        assert one.stdin is not None
        assert one.stdout is not None
        one.stdin.write("\n".join(lines[: len(lines) // 2]))
        one.stdin.flush()
        one.send_signal(signal.SIGKILL)
        assert one.stdout.read() == ""
    assert one.returncode == -signal.SIGKILL
    arrived = [*lines, *lines[::3]]
    random.Random(9).shuffle(arrived)
    again = _replayed(command, "\n".join(arrived))
    assert again["decision"] == plain["decision"]
    for name, value in plain["evidence"]["log"].items():
        assert again["evidence"]["log"][name] == pytest.approx(value, abs=1e-12)


def _replayed(command: list[str], said: str) -> dict[str, Any]:
    done = subprocess.run(command, input=said, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found

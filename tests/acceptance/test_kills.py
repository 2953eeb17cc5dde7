"""Whatever is killed during a cycle: it completes, and every question gets exactly one answer."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator

import httpx
import psutil
import pytest
from sqlalchemy import text

from feedback.domain.cycle import CycleOptions, CycleOutcome, CycleState
from feedback.errors import RetryableError
from feedback.samples import load_company
from retrain.jobs.folder import JobFolder
from tests.acceptance.crowd import LIMIT_S, Crowd, all_answered
from tests.acceptance.running import Running, running_stack
from tests.acceptance.seeds import TEAM, seed_corrections
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CYCLE = {
    "UNDERSTUDY_RETRAIN__LABEL_GATE": "40",
    "UNDERSTUDY_RETRAIN__MIN_FINE_TUNE_FAILURES": "20",
    # So short a run without rehearsal cannot pass the gates: the cycle ends there.
    "UNDERSTUDY_RETRAIN__MAX_STEPS": "20",
    "UNDERSTUDY_RETRAIN__REPLAY_SHARE": "0",
    "UNDERSTUDY_MODEL__MAX_TOKENS": "32",
    # Every kill costs attempts, and a busy machine takes long to bring a server back.
    "UNDERSTUDY_BOT__MAX_ATTEMPTS": "30",
}


async def test_every_process_is_killed_during_a_cycle() -> None:
    async with running_stack(CYCLE) as running:
        company = load_company()
        async with running.store.begin() as tx:
            seeded = await seed_corrections(
                tx, company, intents=12, wordings=15, at=running.clock.now()
            )
            await tx.cycles.request("test", CycleOptions(), running.clock.now())
        crowd = Crowd(people=running.people, rng=random.Random(5))
        enough = asyncio.Event()
        asking = asyncio.create_task(crowd.keep_asking(enough))
        try:
            await kill_one_after_another(running, crowd)
            cycle = await running.until_state(CycleState.DONE, limit_s=2 * LIMIT_S)
        finally:
            enough.set()
            await asking
        assert cycle.outcome is CycleOutcome.STOPPED, cycle.reason
        await all_answered(running.people, running.store)
        await exactly_one_answer_each(running, crowd, seeded)
        async with httpx.AsyncClient() as browser:
            page = await browser.get(f"{running.stack.web_url}/readyz")
        assert page.status_code == 200, page.text


async def kill_one_after_another(running: Running, crowd: Crowd) -> None:
    """First what the cycle needs in each of its states, then what the questions need."""
    await running.until_state(CycleState.MINING)
    running.kill("scheduler")
    running.kill("web")

    cycle = await running.until_state(CycleState.TRAINING)
    job = JobFolder(running.stack.settings.state_dir / "runs" / f"run-{cycle.id}")
    await until(lambda: bool(job.reports()), LIMIT_S)
    await kill_job(running, "retrain.training")
    await until(lambda: starts(job) == 2 and any(processes(running, "retrain.training")), LIMIT_S)
    running.kill("scheduler")  # the job goes on and is found again
    await with_questions_in_flight(running, crowd)
    running.kill("bot")

    await running.until_state(CycleState.EVALUATING)
    await until(JobFolder(job.path / "evaluation").running, LIMIT_S)
    await kill_job(running, "retrain.evals")
    await with_questions_in_flight(running, crowd)
    await running.kill_database()

    await with_questions_in_flight(running, crowd)
    running.kill(running.model_server())
    await with_questions_in_flight(running, crowd)
    running.kill("sandbox")
    assert starts(job) == 2, f"the job was started again although it ran: {job.log_tail(30)}"


def starts(job: JobFolder) -> int:
    return int((job.path / "starts").read_text())


async def with_questions_in_flight(running: Running, crowd: Crowd) -> None:
    """Returns while a worker of the bot has at least two questions in hand."""

    async def in_flight() -> bool:
        try:
            async with running.store.begin() as tx:
                leased = await tx.connection.scalar(
                    text("select count(*) from inbox where state = 'leased'")
                )
        except RetryableError:
            return False  # the database is on its way back
        return int(leased or 0) >= 2

    async def asked() -> bool:
        await crowd.burst(4)
        try:
            await until(in_flight, 5.0)
        except TimeoutError:
            return False
        return True

    await until(asked, LIMIT_S)


async def kill_job(running: Running, module: str) -> None:
    """Kills a job's process, which holds its lock a moment before it bears its own name."""

    def killed() -> bool:
        found = list(processes(running, module))
        for process in found:
            process.kill()
        return bool(found)

    await until(killed, LIMIT_S)


def processes(running: Running, module: str) -> Iterator[psutil.Process]:
    """Yields the processes of a job of this stack."""
    folder = str(running.stack.settings.state_dir)
    for process in psutil.process_iter():
        command = _command(process)
        if module in command and any(part.startswith(folder) for part in command):
            yield process


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


async def exactly_one_answer_each(running: Running, crowd: Crowd, seeded: int) -> None:
    threads = await crowd.threads()
    assert [thread for thread in threads if not thread.fair] == []
    asked = {(q.channel, q.ts) for thread in threads for q in thread.questions}
    shown = {(a.channel, a.ts) for thread in threads for a in thread.answers}
    assert len(asked) >= 30, "too few questions to prove anything"
    assert min(crowd.places[place] for place in ("channel", "direct", "thread")) > 0

    async with running.store.begin() as tx:
        rows = (
            await tx.connection.execute(
                text(
                    "select channel, question_ts, answer_ts, state from interactions"
                    " where team = :team and id not like 's-%'"
                ),
                {"team": TEAM},
            )
        ).all()
        stuck = await tx.connection.scalar(
            text("select count(*) from inbox where state not in ('done')")
        )
        assert await tx.audit.verify() > 0
        labels = await tx.records.label_progress()
    assert Counter(row.state for row in rows) == {"posted": len(rows)}
    assert {(row.channel, row.question_ts) for row in rows} == asked
    assert {(row.channel, row.answer_ts) for row in rows} == shown
    assert len(rows) == len(asked)
    assert stuck == 0
    assert labels == seeded

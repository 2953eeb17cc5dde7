"""What the bot itself costs: acknowledgements, time a question, answers a second, memory.

`python -m tests.benchmarks.bench_bot [--quick]`

Real bot processes (1, then 2) on a real PostgreSQL with durable commits, over real Socket Mode and
HTTP against a Slack double and a model server that answer at once, which share one process. 50
questions are outstanding all the time; each is a mention, so two envelopes, in its own channel.

- `ack_*_ms`: from sending an envelope to its acknowledgement, which follows the commit.
- `overhead_*_ms`: what the bot adds to an answer while 50 are being answered at once: from the
  moment a worker has claimed the question until its row is closed with the posted answer, less the
  time it waited for the model and Slack. The model takes 3 to 7 s here, like a server that answers
  50 people at once; with one that takes no time there would be no 50 in flight.
- `busy_overhead_*_ms`: the same with a model that answers at once and the usual 8 workers. The bot
  is busy all the time then, and questions in hand wait for each other.
- `cpu_ms_per_answer`: CPU time of the bot's process, which a busy machine changes least.
- `turnaround_*_ms`: from asking until the answer arrived; with 50 outstanding questions and a bot
  that is always busy this is mostly queueing (50 / answers a second).
- `plain_bolt_ack_*_ms`: the same load on a Bolt app that stores nothing.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.stack.documents import sync_documents
from feedback.clock import SystemClock
from feedback.samples import load_company
from feedback.serving.embed import HttpEmbedder
from feedback.store.embedded import EmbeddedPostgres
from feedback.store.migrate import upgrade
from feedback.store.unit_of_work import Store
from tests.benchmarks.slack_double import APP_TOKEN, TOKEN, SlackDouble, slack_double
from tests.instant_model import instant_model

IN_FLIGHT = 50
WORKERS = 8
THINKS_S = (3.0, 7.0)
_ANSWER = "Happy to help! Open Settings, then Export, and choose CSV. Just ask if you need more."


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process under load.

    Attributes:
        watches: File of its timings.
    """

    process: asyncio.subprocess.Process
    watches: Path

    def peak_mb(self) -> float:
        """Returns the most memory it ever held."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        line = next(row for row in status.splitlines() if row.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

    def cpu_s(self) -> float:
        """Returns the CPU seconds that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)
        user, system = fields[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Load:
    """How many questions, after how many that do not count."""

    warm_up: int
    questions: int


@dataclass(frozen=True, kw_only=True)
class Round:
    """One measurement."""

    acks_ms: Sequence[float]
    turnarounds_ms: Sequence[float]
    overheads_ms: Sequence[float]
    waits_ms: Mapping[str, float]
    per_s: float
    cpu_ms: float
    peak_mb: float


class Bench:
    """A database, a Slack and a model that outlive the processes under load."""

    def __init__(self, folder: Path, slack: SlackDouble, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._slack = slack
        self._environment = {**os.environ, **environment}
        self.thinks_s = (0.0, 0.0)
        self._numbers = iter(range(10**9))
        self._questions = [
            wording for intent in load_company().intents for wording in intent.questions("live")
        ]

    async def measure(
        self,
        module: str,
        load: "Load",
        *,
        processes: int = 1,
        thinks_s: tuple[float, float] = (0.0, 0.0),
    ) -> Round:
        """Asks a warm-up and then the questions, with 50 outstanding; returns what was seen.

        The first 50 are asked in the same instant, which nobody's fifty colleagues do: they belong
        to the warm-up, and what counts goes on from there without a pause.

        Args:
            module: What to run, as a process.
            load: How many questions.
            processes: How many of them.
            thinks_s: Least and most seconds that the model takes for an answer.
        """
        self.thinks_s = thinks_s
        workers = IN_FLIGHT if any(thinks_s) else WORKERS
        warm_up, questions = load.warm_up, load.questions
        async with AsyncExitStack() as stack:
            under_load = [
                await stack.enter_async_context(self._started(module, workers))
                for _ in range(processes)
            ]
            used_s = started = 0.0

            def warm() -> None:
                nonlocal used_s, started
                self._slack.acks_ms.clear()
                used_s = -sum(each.cpu_s() for each in under_load)
                started = time.perf_counter()

            turnarounds = await self._ask(warm_up, questions, warm)
            wall_s = time.perf_counter() - started
            used_s += sum(each.cpu_s() for each in under_load)
            peak_mb = max(each.peak_mb() for each in under_load)
        watches = [
            row for each in under_load for row in _watches(each.watches)[warm_up // processes :]
        ]
        return Round(
            acks_ms=list(self._slack.acks_ms),
            turnarounds_ms=[1000 * seconds for seconds in turnarounds],
            overheads_ms=[1000 * (w["total"] - w["model"] - w["slack"]) for w in watches],
            waits_ms={
                name: round(statistics.median(1000 * w[name] for w in watches), 2)
                for name in ("model", "slack")
                if watches
            },
            per_s=questions / wall_s,
            cpu_ms=1000 * used_s / questions,
            peak_mb=peak_mb,
        )

    async def _ask(self, warm_up: int, count: int, warm: Callable[[], None]) -> list[float]:
        """Asks all the time; returns the seconds of each question asked after `warm` was called."""
        waiting, seconds = iter(range(warm_up + count)), list[float]()

        async def person() -> None:
            for turn in waiting:
                if turn == warm_up:
                    warm()
                number = next(self._numbers)
                question = self._questions[number % len(self._questions)]
                took_s = await self._slack.ask(number, question)
                if turn >= warm_up:
                    seconds.append(took_s)

        await asyncio.gather(*(person() for _ in range(IN_FLIGHT)))
        return seconds

    @asynccontextmanager
    async def _started(self, module: str, workers: int) -> AsyncIterator[Process]:
        before = self._slack.connections
        watches = self._folder / f"watches-{next(self._numbers)}.json"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            str(watches),
            env=self._environment | {"UNDERSTUDY_BOT__WORKERS": str(workers)},
        )
        try:
            async with asyncio.timeout(120):
                while self._slack.connections == before:
                    assert process.returncode is None, f"{module} ended by itself"
                    await asyncio.sleep(0.05)
            yield Process(process=process, watches=watches)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def _watches(path: Path) -> list[dict[str, float]]:
    rows: list[dict[str, float]] = json.loads(path.read_text()) if path.exists() else []
    return rows


def percentile(values: Sequence[float], share: float) -> float:
    """Returns the value below which `share` of the values lie."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)


@asynccontextmanager
async def prepared() -> AsyncIterator[Bench]:
    """Yields a bench with the sample company's documents."""
    folder = Path(tempfile.mkdtemp(prefix="ub-", dir="/tmp"))
    try:
        with EmbeddedPostgres(folder / "pg") as server:
            url = server.start()
            upgrade(url)
            bench: list[Bench] = []
            async with (
                slack_double() as slack,
                instant_model(
                    lambda _: _ANSWER, thinks_s=lambda: random.uniform(*bench[0].thinks_s)
                ) as model,
            ):
                store, embedder = Store.connect(url), HttpEmbedder(model)
                documents = str(load_company().documents_path)
                await sync_documents(store, embedder, SystemClock(), documents)
                await embedder.aclose()
                await store.close()
                environment = {
                    "DATABASE_URL": url,
                    "SLACK_BOT_TOKEN": TOKEN,
                    "SLACK_APP_TOKEN": APP_TOKEN,
                    "TGI_URL": model,
                    "UNDERSTUDY_SLACK__API_URL": f"{slack.url}/api/",
                    # The bot's speed is measured, not Slack's tiers (5 posts a second).
                    "UNDERSTUDY_SLACK__RATE_SHARE": "0",
                    "UNDERSTUDY_STATE_DIR": str(folder),
                }
                bench.append(Bench(folder, slack, environment))
                yield bench[0]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def measure(*, quick: bool) -> dict[str, Any]:
    """Runs the benchmark and returns its result."""
    rounds, load = (
        (1, Load(warm_up=100, questions=300)) if quick else (3, Load(warm_up=150, questions=1000))
    )
    bot = "tests.benchmarks.timed_bot"
    async with prepared() as bench:
        ones = [await bench.measure(bot, load) for _ in range(rounds)]
        twos = [await bench.measure(bot, load, processes=2) for _ in range(rounds)]
        thoughtful = [await bench.measure(bot, load, thinks_s=THINKS_S) for _ in range(rounds)]
        plain = await bench.measure("tests.benchmarks.plain_bolt", load)

    def middle(of: Sequence[Round], field: str, share: float) -> float:
        return round(statistics.median(percentile(getattr(r, field), share) for r in of), 2)

    result: dict[str, Any] = {}
    for name, of, field in (
        ("ack", ones, "acks_ms"),
        ("ack_2p", twos, "acks_ms"),
        ("ack_thoughtful", thoughtful, "acks_ms"),
        ("overhead", thoughtful, "overheads_ms"),
        ("busy_overhead", ones, "overheads_ms"),
        ("turnaround", ones, "turnarounds_ms"),
    ):
        for share in (0.5, 0.99):
            result[f"{name}_p{round(100 * share)}_ms"] = middle(of, field, share)
    return result | {
        "waits_ms": thoughtful[-1].waits_ms,
        "answers_per_s_1p": round(statistics.median(r.per_s for r in ones), 1),
        "answers_per_s_2p": round(statistics.median(r.per_s for r in twos), 1),
        "cpu_ms_per_answer": round(statistics.median(r.cpu_ms for r in ones), 1),
        "peak_rss_mb": round(max(r.peak_mb for r in (*ones, *twos)), 1),
        "plain_bolt_ack_p50_ms": percentile(plain.acks_ms, 0.5),
        "plain_bolt_ack_p99_ms": percentile(plain.acks_ms, 0.99),
        "plain_bolt_answers_per_s": round(plain.per_s, 1),
        "in_flight": IN_FLIGHT,
        "questions": load.questions,
        "rounds": rounds,
        "slack": "double",
        "cores": os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 2),
    }


def main() -> None:
    """Prints the result as one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round")
    options = parser.parse_args()
    print(json.dumps(asyncio.run(measure(quick=options.quick))))


if __name__ == "__main__":
    main()

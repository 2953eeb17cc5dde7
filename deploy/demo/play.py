"""Puts the demo together: stack, people, acts, report."""

import asyncio
import random
from contextlib import AsyncExitStack

from rich.console import Console

from bot.sandbox.client import SandboxClient
from deploy.demo.benchmark import held_out_questions, write_benchmark
from deploy.demo.cast import demo_cast
from deploy.demo.people import People
from deploy.demo.report import DemoReport
from deploy.demo.script import SCHEDULE, Scale
from deploy.demo.stage import Stage
from deploy.demo.story import Story
from deploy.stack.documents import sync_documents
from deploy.stack.local import LocalStack, local_stack
from feedback.clock import FileClock
from feedback.errors import ConfigurationError, PermanentError
from feedback.prompting import PromptPolicy
from feedback.samples import load_company
from feedback.serving.embed import HttpEmbedder
from feedback.settings import Settings

_BENCHMARK_PER_INTENT = 10


async def perform(
    settings: Settings,
    scale: Scale,
    rng: random.Random,
    console: Console,
    started: float,
    *,
    keep: bool,
) -> None:
    """Plays the demo and writes `demo-report.json` into the state folder.

    Raises:
        UnderstudyError: When a part fails; nothing is hidden.
    """
    if settings.clock_file is None or settings.stack.sandbox_port == 0:
        raise ConfigurationError("the demo needs a clock file and a sandbox port")
    stage = Stage(console)
    benchmark = settings.state_dir / "benchmark.jsonl"
    overrides = {
        "UNDERSTUDY_RETRAIN__TICK_S": "0.5",
        "UNDERSTUDY_RETRAIN__SCHEDULE": SCHEDULE,
        "UNDERSTUDY_RETRAIN__LABEL_GATE": str(scale.label_gate),
        "UNDERSTUDY_RETRAIN__BENCHMARK": str(benchmark),
        "UNDERSTUDY_EXPERIMENT__PROFILE": "low_traffic",
    }
    if scale.max_steps is not None:
        overrides["UNDERSTUDY_RETRAIN__MAX_STEPS"] = str(scale.max_steps)
    console.print(
        "[bold]Understudy demo[/bold]: a support team's weeks on a simulated clock, every part real"
    )
    try:
        async with AsyncExitStack() as running:
            with stage.step("Start the local stack") as bar:
                stack = await running.enter_async_context(
                    local_stack(settings, overrides=overrides)
                )
                bar.say(", ".join(stack.supervisor.names()))
            report = await _acts(settings, scale, rng, stage, stack, started)
            _conclude(console, settings, stack, report)
            if keep:
                console.print("The stack keeps running; Ctrl-C stops it.")
                await asyncio.Event().wait()
    finally:
        stage.close()


async def _acts(
    settings: Settings,
    scale: Scale,
    rng: random.Random,
    stage: Stage,
    stack: LocalStack,
    started: float,
) -> DemoReport:
    company, cast = load_company(), demo_cast()
    clock = stack.clock
    if not isinstance(clock, FileClock) or stack.sandbox_url is None:
        raise PermanentError("the demo plays in the sandbox on a simulated clock")
    with stage.step("Load the base model and prove the server") as bar:
        embedder = HttpEmbedder(await stack.model_url())
        bar.say("base model served, prompt parity shown")
    with stage.step("Read the company's documents") as bar:
        chunks = await sync_documents(stack.store, embedder, clock, str(company.documents_path))
        questions = await held_out_questions(
            stack.store,
            embedder,
            company,
            per_intent=_BENCHMARK_PER_INTENT,
            retrieve=settings.bot.retrieve,
            policy=PromptPolicy.of(settings.bot),
        )
        write_benchmark(settings.state_dir / "benchmark.jsonl", questions)
        bar.say(f"{chunks} chunks embedded; {len(questions)} questions held out for the table")
    await embedder.aclose()
    async with SandboxClient(stack.sandbox_url) as client:
        await client.wait_until_connected(60.0)
        people = People(client, cast, company, rng)
        story = Story(stack, clock, people, stage, company, cast, scale, rng)
        await story.learn()
        first = await story.trial(await story.first_cycle())
        second = await story.poison()
    return await story.report([first, second], started)


def _conclude(console: Console, settings: Settings, stack: LocalStack, report: DemoReport) -> None:
    path = settings.state_dir / "demo-report.json"
    report.write(path)
    console.print()
    console.print(report.table())
    for number, cycle in enumerate(report.cycles, start=1):
        gate = f" by the {cycle['gate']} gate" if cycle["gate"] else ""
        console.print(f"Cycle {number}: [bold]{cycle['outcome']}[/bold]{gate}. {cycle['reason']}")
        console.print(f"  report card: {cycle['report']}")
    console.print(f"\nWhole run: {report.wall_s:.0f} s. Everything is in {settings.state_dir}")
    console.print(f"  figures:   {path}")
    console.print(
        f"  web page:  {stack.web_url} and {stack.sandbox_url} (while the stack runs: "
        "`understudy demo --keep`, or `understudy up` for a fresh one)"
    )

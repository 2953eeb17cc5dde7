"""Everything that a run of deliveries needs: database, sandbox, model and bots."""

import asyncio
import itertools
import random
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.sandbox.client import SandboxClient
from bot.sandbox.server import RunningSandbox, serve
from bot.sandbox.settings import SandboxSettings
from bot.sandbox.workspace import Person, SeedChannel, Workspace
from feedback.errors import RetryableError
from feedback.store.unit_of_work import Store
from tests.acceptance.deliveries.bots import Bots, started
from tests.acceptance.deliveries.compare import differences
from tests.acceptance.deliveries.people import Town
from tests.acceptance.deliveries.plans import Schedule
from tests.acceptance.deliveries.postman import Postman
from tests.instant_model import instant_model
from tests.waiting import until

USERS = 300
CHANNELS = 600
A_KILL_EVERY = 700
"""Deliveries between two kills: by progress, so that a slow machine has not more of them."""
LIMIT_S = 300.0
_TOPIC = re.compile(r"to[a-z]+pic")


@dataclass(kw_only=True)
class Trial:
    """A running town whose bots are killed while people talk."""

    town: Town
    bots: Bots
    sandbox: RunningSandbox
    store: Store
    log: Path

    async def play(self, schedule: Schedule) -> list[str]:
        """Plays a schedule and returns how the outcome differs from the model."""
        rng = random.Random(schedule.seed)
        self.town.postman.rng = rng
        done = asyncio.Event()
        killer = asyncio.create_task(self._kill_now_and_then(random.Random(schedule.seed), done))
        try:
            async with asyncio.timeout(LIMIT_S):
                expected = await self.town.play(schedule)
                await self.town.postman.settled()
        finally:
            done.set()
            await killer
        await until(self._idle, LIMIT_S)
        team = self.sandbox.workspace.team_id
        return await differences(expected, self.town.people, self.store, team)

    async def _kill_now_and_then(self, rng: random.Random, done: asyncio.Event) -> None:
        postman = self.town.postman
        while True:
            enough = postman.delivered + rng.uniform(0.5, 1.5) * A_KILL_EVERY
            await until(lambda: postman.delivered >= enough or done.is_set(), LIMIT_S)  # noqa: B023
            if done.is_set():
                return
            await self.bots.kill_one(rng)

    async def _idle(self) -> bool:
        try:
            async with self.store.begin() as tx:
                return await tx.inbox.open_count() == 0
        except RetryableError:
            return False


def workspace() -> Workspace:
    """Returns a town with many people, all of them in every channel."""
    people = tuple(
        Person(id=f"U0TOWN{number:04d}", name=f"person{number}", real_name=f"Person{number}")
        for number in range(USERS)
    )
    everybody = tuple(person.id for person in people)
    channels = tuple(
        SeedChannel(id=f"C0TOWN{number:04d}", name=f"talk-{number}", members=everybody)
        for number in range(CHANNELS)
    )
    return Workspace(people=people, channels=channels)


def say(prompt: str) -> str:
    """The model: names the topic it was asked about, at once."""
    topics = _TOPIC.findall(prompt)
    return f"Happy to help! You switch {topics[-1]} on in the settings. Just ask if you need more."


@asynccontextmanager
async def trial(database_url: str, folder: Path) -> AsyncIterator[Trial]:
    """Starts a town on a database; `folder` takes what the bots say."""
    # Only a dead bot or a dropped ack may leave a delivery unacknowledged, not a slow machine.
    settings = SandboxSettings(ack_timeout_s=60.0, trigger_life_s=60.0)
    space = workspace()
    log = folder / "bots.log"
    async with (
        serve(settings=settings, workspace=space) as sandbox,
        instant_model(say) as model,
        SandboxClient(sandbox.url) as people,
    ):
        postman = Postman(running=sandbox)
        postman.take_over()
        store = Store.connect(database_url)
        try:
            environment = _environment(sandbox, database_url, model)
            async with started(sandbox, store, environment, log) as bots:
                town = Town(
                    people=people,
                    postman=postman,
                    bot=sandbox.workspace.bot_user_id,
                    channels=iter([channel.id for channel in space.channels]),
                    users=itertools.cycle(person.id for person in space.people),
                )
                yield Trial(town=town, bots=bots, sandbox=sandbox, store=store, log=log)
        finally:
            await store.close()


def _environment(sandbox: RunningSandbox, database_url: str, model: str) -> Mapping[str, str]:
    return {
        "DATABASE_URL": database_url,
        "SLACK_BOT_TOKEN": sandbox.workspace.bot_token,
        "SLACK_APP_TOKEN": sandbox.workspace.app_token,
        "TGI_URL": model,
        "UNDERSTUDY_SLACK__API_URL": sandbox.api_url,
        # This workspace knows no tiers, and thousands of answers are wanted in a minute.
        # Slack's tiers would spread this over an hour.
        "UNDERSTUDY_SLACK__RATE_SHARE": "0",
        "UNDERSTUDY_BOT__LEASE_S": "3",
        # A kill costs an attempt, and here are many kills.
        "UNDERSTUDY_BOT__MAX_ATTEMPTS": "50",
    }

"""10,000 permuted, duplicated, delayed and killed deliveries against a reference model."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.acceptance.deliveries.plans import Schedule, schedules
from tests.acceptance.deliveries.town import Trial, trial

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    # About how it shows the schedule; an error here would hide the differences themselves.
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
]

TALKS, EXAMPLES = 56, 7
DELIVERIES = 10_000


class Running:
    """A trial on an event loop of its own, which stands still between two schedules."""

    def __init__(self, runner: "asyncio.Runner", held: Trial) -> None:
        self.runner = runner
        self.trial = held

    def play(self, schedule: Schedule) -> list[str]:
        return self.runner.run(self.trial.play(schedule))


@pytest.fixture
def running(database_url: str, tmp_path: Path) -> Iterator[Running]:
    with asyncio.Runner() as runner:
        context = trial(database_url, tmp_path)
        held = runner.run(context.__aenter__())
        try:
            yield Running(runner, held)
        finally:
            runner.run(context.__aexit__(None, None, None))


def test_nothing_is_lost_and_nothing_is_answered_twice(running: Running) -> None:
    trial = running.trial

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(schedule=schedules(TALKS))
    def same_as_the_model(schedule: Schedule) -> None:
        found = running.play(schedule)
        assert not found, "\n".join(found)

    same_as_the_model()
    postman = trial.town.postman
    assert postman.delivered >= DELIVERIES
    assert trial.bots.kills >= DELIVERIES // 2000
    assert postman.dropped > 100
    assert postman.redelivered > postman.dropped // 2
    assert trial.bots.died() == [], "a bot ended by itself"

"""Drives a running bot into every error code of a method, one after the other.

What has to come of a code is what `tests.slack_codes` says, never what the bot's own table says.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import text

from bot.sandbox.gestures import SandboxMessage
from bot.slack.errors import Outcome
from bot.slack.installs import single
from feedback.domain.interaction import Interaction
from feedback.domain.workspace import WorkspaceState
from tests.integration.bot.conftest import Workplace
from tests.slack_codes import codes_of, decided
from tests.waiting import until

Act = Callable[[], Awaitable[object]]

AFTER_A_FAILURE = {Outcome.SLOW_DOWN, Outcome.TRY_AGAIN}
"""Outcomes after which nobody needs to notice anything: the same call is made again."""


@dataclass(kw_only=True)
class Driver:
    """A bot that Slack refuses again and again.

    Attributes:
        seen: How many codes were driven, by outcome.
    """

    place: Workplace
    patch: pytest.MonkeyPatch
    seen: dict[Outcome, int] = field(default_factory=dict)

    def cases(self, method: str, *, without: Sequence[Outcome] = ()) -> list[tuple[str, Outcome]]:
        """Returns every code of a method with what has to come of it."""
        found = [(code, decided(method, code)) for code in codes_of(method)]
        return [(code, outcome) for code, outcome in found if outcome not in without]

    async def calls(
        self,
        method: str,
        code: str,
        act: Act,
        *,
        channel: str | None = None,
        vital: bool = True,
        skip: int = 0,
    ) -> int:
        """Has the next call fail, acts, and returns how often it was made until all was quiet.

        Args:
            method: Of the Web API.
            code: What Slack answers once.
            act: What somebody does.
            channel: Only a call there fails.
            vital: A refused token disables the workspace; courtesies leave that to the next call.
            skip: Calls that succeed before.
        """
        faults = self.place.sandbox.sandbox.faults
        await self.place.people.fault(
            method=method, kind="error", code=code, channel=channel, retry_after=0, skip=skip
        )
        before = faults.calls.get(method, 0)
        await act()
        if vital and decided(method, code) is Outcome.INSTALLATION_LOST:
            await self.lost_and_back(code)
        await self.place.bot.in_flight.drain(60.0)
        await self.hurry()
        await self.quiet()
        assert faults.rules == [], f"{code}: {method} was not called"
        outcome = decided(method, code)
        self.seen[outcome] = self.seen.get(outcome, 0) + 1
        return faults.calls.get(method, 0) - before

    def __post_init__(self) -> None:
        # A refused token is asked about again when the test says so.
        self.patch.setattr(single, "ASK_AGAIN_S", 1e12)

    async def uses(self, method: str, act: Act) -> int:
        """Returns how often a method is called for an act when nothing fails."""
        calls = self.place.sandbox.sandbox.faults.calls
        before = calls.get(method, 0)
        await act()
        await self.quiet()
        return calls.get(method, 0) - before

    async def lost_and_back(self, code: str) -> None:
        """Waits until the workspace is disabled, and has its token accepted again."""
        place = self.place

        async def disabled() -> bool:
            async with place.store.begin() as tx:
                record = await tx.workspaces.find(place.team)
            assert record is not None
            return (record.state, record.reason) == (WorkspaceState.DISABLED, code)

        await until(disabled)
        self.patch.setattr(single, "ASK_AGAIN_S", 0.0)
        await place.bot.workspaces.of(place.team)
        self.patch.setattr(single, "ASK_AGAIN_S", 1e12)
        place.bot.workers.wake()
        place.bot.notices.wake()

    async def quiet(self) -> None:
        """Waits until every delivery and every effect is done with."""
        await self.place.settle()

        async def done() -> bool:
            return await self.rows("select 1 from outbox where done_at is null") == []

        await until(done)

    async def hurry(self) -> None:
        """Lets workers have at once what is left to a listener for some seconds."""
        async with self.place.store.begin() as tx:
            await tx.connection.execute(
                text("update inbox set available_at = now() where state = 'ready'")
            )
        self.place.bot.workers.wake()

    async def rows(self, sql: str, **values: object) -> list[tuple[Any, ...]]:
        """Returns what a query finds."""
        async with self.place.store.begin() as tx:
            return [tuple(row) for row in await tx.connection.execute(text(sql), values)]

    async def owed(self) -> str | None:
        """Returns why the latest effect was given up; None when it was performed."""
        found = await self.rows("select error from outbox order by id desc limit 1")
        return None if found[0][0] is None else str(found[0][0])

    async def record(self, asked: SandboxMessage) -> Interaction:
        """Returns what is stored of a question."""
        async with self.place.store.begin() as tx:
            found = await tx.conversations.by_question(self.place.team, asked.channel, asked.ts)
        assert found is not None
        return found

    def forget_latches(self) -> None:
        """Has the bot believe again that the workspace has everything."""
        self.place.bot.workspaces.drop(self.place.team)


def expected(
    outcome: Outcome, *, otherwise: int, calls: Mapping[Outcome, int] | None = None
) -> int:
    """Returns how often a call is made in all: twice where a failure is mended by repeating."""
    usual = dict.fromkeys({*AFTER_A_FAILURE, Outcome.INSTALLATION_LOST}, 2)
    return {**usual, **(calls or {})}.get(outcome, otherwise)

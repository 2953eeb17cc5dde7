"""Every workspace the bot is installed in, each with its own token, identity and listeners.

Workspaces are put together when something of theirs comes in. A workspace whose token Slack refuses
is disabled: what it delivered is laid aside in the inbox, and worked on when it is installed again.
"""

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bot.slack.api import SlackApi
from bot.slack.directory import Directory
from bot.slack.errors import TokenRefusedError
from bot.slack.events import EventHandler
from bot.slack.listeners.base import Heard
from bot.slack.payloads import Identity, team_of
from bot.worker import PostponedError
from feedback.clock import Clock
from feedback.domain.workspace import WorkspaceRecord, WorkspaceState
from feedback.errors import RetryableError, UnderstudyError
from feedback.store.unit_of_work import Store

_log = logging.getLogger(__name__)

FRESH_S = 60.0
"""Seconds after which an installation is looked up again: it may be new, or its token."""

MEND_S = 30.0
"""Seconds until a workspace is looked at again that cannot be served as it is set up."""

DIRECTORY_S = 3600.0
"""Seconds between two synchronisations of a workspace's people."""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A workspace with the token to act in it."""

    record: WorkspaceRecord
    token: str

    @property
    def identity(self) -> Identity:
        """Who the bot is there."""
        return Identity(
            team=self.record.team, user_id=self.record.bot_user, bot_id=self.record.bot_id
        )


class Installations(Protocol):
    """Knows where the bot is installed."""

    async def find(self, team: str) -> Installation | None:
        """Returns the installation in a workspace; None when the bot may not act there.

        Raises:
            RetryableError: When that cannot be told for the moment.
        """
        ...

    async def teams(self) -> list[str]:
        """Returns the workspaces that ought to be served."""
        ...


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """Everything that acts in one workspace."""

    installation: Installation
    api: SlackApi
    directory: Directory
    heard: Heard
    events: EventHandler

    @property
    def identity(self) -> Identity:
        """Who the bot is there."""
        return self.installation.identity

    @property
    def review_channel(self) -> str:
        """Where review cards go; empty: nowhere."""
        return self.installation.record.review_channel


class WorkspaceAwayError(PostponedError):
    """The bot may not act in a workspace, until it is installed there again."""

    def __init__(self, team: str) -> None:
        super().__init__(f"the bot is not installed in {team or 'no workspace'} now")


@dataclass(kw_only=True)
class _Held:
    workspace: Workspace
    looked_at: float
    synced_at: float


class Workspaces:
    """Looks bundles up by team id and keeps them in step with the installations.

    Args:
        store: The record.
        clock: Stamps what changes there.
        installations: Where the bot is installed.
        build: Puts a workspace together.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        installations: Installations,
        build: Callable[[Installation], Workspace],
    ) -> None:
        self._store = store
        self._clock = clock
        self._installations = installations
        self._build = build
        self._held: dict[str, _Held] = {}
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def known(self, team: str) -> Workspace | None:
        """Returns a workspace that is put together already."""
        held = self._held.get(team)
        return held.workspace if held else None

    def look(self) -> None:
        """Says that a row was written that may end an answer in the making, anywhere."""
        for held in self._held.values():
            held.workspace.events.look()

    async def of(self, team: str) -> Workspace:
        """Returns a workspace.

        Raises:
            WorkspaceAwayError: When the bot may not act there.
            PostponedError: When that cannot be told for the moment.
        """
        if (held := self._fresh(team)) is not None:
            return held.workspace
        async with self._locks[team]:
            if (held := self._fresh(team)) is not None:
                return held.workspace
            try:
                return await self._look_up(team)
            except PostponedError:
                raise
            except RetryableError as exc:
                delay_s = exc.retry_after or 2.0
                raise PostponedError(f"{team}: {exc}", retry_after=delay_s) from exc
            except UnderstudyError as exc:
                # A missing scope or key is for operators to mend; nothing is lost meanwhile.
                _log.error("workspace %s cannot be served: %s", team, exc)
                raise PostponedError(f"{team}: {exc}", retry_after=MEND_S) from exc

    async def only(self) -> Workspace | None:
        """Returns the workspace when there is one only.

        Raises:
            PostponedError: When it cannot be acted in.
        """
        teams = await self._installations.teams()
        return await self.of(teams[0]) if len(teams) == 1 else None

    async def lost(self, workspace: Workspace, code: str) -> None:
        """Disables a workspace whose token Slack refused, unless it was installed anew."""
        team = workspace.identity.team
        async with self._store.begin() as tx:
            stopped = await tx.workspaces.stop(
                team,
                WorkspaceState.DISABLED,
                generation=workspace.installation.record.generation,
                reason=code,
                at=self._clock.now(),
            )
        if stopped:
            _log.error("workspace %s is disabled until it is installed again: %s", team, code)
        self.drop(team)

    def drop(self, team: str) -> None:
        """Forgets a bundle; the next delivery looks the installation up."""
        self._held.pop(team, None)

    async def keep(self, stop: asyncio.Event, resumed: Callable[[], None]) -> None:
        """Keeps people and parked deliveries in step until `stop` is set."""
        while not stop.is_set():
            await self._refresh(resumed)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FRESH_S):
                    await stop.wait()

    async def _refresh(self, resumed: Callable[[], None]) -> None:
        """Looks after every workspace that ought to be served; one that fails hurts no other."""
        try:
            teams = await self._installations.teams()
        except RetryableError as exc:
            _log.warning("cannot read the installations: %s", exc)
            return
        for team in teams:
            try:
                await self.of(team)
                await self._sync(team)
                async with self._store.begin() as tx:
                    if await tx.workspaces.resume(team):
                        resumed()
            except UnderstudyError as exc:
                _log.warning("workspace %s: %s", team, exc)

    def _fresh(self, team: str) -> _Held | None:
        held = self._held.get(team)
        return held if held and time.monotonic() - held.looked_at < FRESH_S else None

    async def _look_up(self, team: str) -> Workspace:
        held = self._held.get(team)
        installation = await self._installations.find(team)
        if installation is None:
            self.drop(team)
            raise WorkspaceAwayError(team)
        now = time.monotonic()
        if held is not None and held.workspace.installation == installation:
            held.looked_at = now
            return held.workspace
        workspace = self._build(installation)
        try:
            # Names first: what is stored without them cannot be redacted.
            await workspace.directory.sync()
        except TokenRefusedError as exc:
            await self.lost(workspace, exc.code)
            raise WorkspaceAwayError(team) from exc
        self._held[team] = _Held(workspace=workspace, looked_at=now, synced_at=now)
        return workspace

    async def _sync(self, team: str) -> None:
        held = self._held.get(team)
        if held is None or time.monotonic() - held.synced_at < DIRECTORY_S:
            return
        try:
            await held.workspace.directory.sync()
        except TokenRefusedError as exc:
            await self.lost(held.workspace, exc.code)
            raise
        held.synced_at = time.monotonic()


def installed_team(body: Mapping[str, Any]) -> str:
    """Returns the workspace whose installation a delivery is meant for.

    In a channel that organisations share, it differs from where the event happened.
    """
    authorizations = body.get("authorizations")
    if isinstance(authorizations, list) and authorizations:
        first = authorizations[0]
        if isinstance(first, Mapping) and first.get("team_id"):
            return str(first["team_id"])
    view = body.get("view")
    if isinstance(view, Mapping) and view.get("app_installed_team_id"):
        return str(view["app_installed_team_id"])
    return team_of(body)

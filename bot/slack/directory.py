"""Keeps names and roles in step with the workspace's directory."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from bot.redacting import ThreadRedactor
from bot.slack.api import SlackApi
from feedback.clock import Clock
from feedback.domain.person import Person, Role
from feedback.errors import UnderstudyError
from feedback.store.unit_of_work import Store

_log = logging.getLogger(__name__)

SYNC_EVERY_S = 3600.0


class Directory:
    """Copies `users.list` into the people table and teaches the redactor its names.

    Args:
        reviewers: Handle of the user group whose members review; empty: set by hand.
        admins: Handle of the user group whose members are admins, besides Slack's own admins.
        handoff: Handle of the user group that is called when the bot does not know.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        api: SlackApi,
        redactor: ThreadRedactor,
        *,
        team: str,
        reviewers: str = "",
        admins: str = "",
        handoff: str = "",
    ) -> None:
        self._store = store
        self._clock = clock
        self._api = api
        self._redactor = redactor
        self._team = team
        self._groups = {Role.REVIEWER: reviewers, Role.ADMIN: admins}
        self._handoff = handoff
        self.handoff_group: str | None = None
        self._known: dict[str, str] = {}
        """Ids of the groups that give roles, by handle; empty before the first sync."""

    async def sync(self) -> int:
        """Synchronises once and returns how many people there are.

        Raises:
            RetryableError: Slack or the database is not there for the moment.
        """
        members = await self._api.members()
        roles, complete = await self._group_roles()
        people = [person_of(self._team, member, roles) for member in members]
        async with self._store.begin() as tx:
            await tx.people.sync(people, at=self._clock.now(), with_roles=complete)
        self._redactor.learn(self._team, people)
        return len(people)

    async def group_changed(self, group: str) -> None:
        """Somebody joined or left a user group: roles follow at once when it gives any.

        Raises:
            RetryableError: Slack or the database is not there for the moment.
        """
        if not self._known or group in self._known.values():
            await self.sync()

    async def _group_roles(self) -> tuple[dict[str, Role], bool]:
        """Returns roles by user id, and whether every group that gives roles was found."""
        wanted = {handle for handle in (*self._groups.values(), self._handoff) if handle}
        if not wanted:
            return {}, True
        groups = await self._api.groups()
        for handle in wanted - groups.keys():
            _log.error("the workspace has no user group @%s; create it or mend the setting", handle)
        self.handoff_group = groups.get(self._handoff)
        asked = {handle for handle in self._groups.values() if handle}
        self._known = {handle: groups[handle] for handle in asked & groups.keys()}
        roles: dict[str, Role] = {}
        for role, handle in self._groups.items():
            if handle in self._known:
                roles |= dict.fromkeys(await self._api.group_members(groups[handle]), role)
        # A group that is gone or misspelt takes nobody's role away.
        return roles, asked <= groups.keys()

    async def keep(self, stop: asyncio.Event) -> None:
        """Synchronises from time to time until `stop` is set."""
        while not stop.is_set():
            try:
                async with asyncio.timeout(SYNC_EVERY_S):
                    await stop.wait()
            except TimeoutError:
                try:
                    await self.sync()
                except UnderstudyError as exc:
                    _log.warning("the directory could not be synchronised: %s", exc)


def person_of(team: str, member: Mapping[str, Any], roles: Mapping[str, Role]) -> Person:
    """Returns a member of `users.list` as a person."""
    profile = member.get("profile") or {}
    written = (
        member.get("real_name"),
        profile.get("real_name"),
        profile.get("display_name"),
        member.get("name"),
    )
    user = str(member["id"])
    admin = bool(member.get("is_admin") or member.get("is_owner"))
    return Person(
        team=team,
        user_id=user,
        names=tuple(dict.fromkeys(str(name) for name in written if name)),
        role=Role.ADMIN if admin else roles.get(user, Role.AGENT),
        is_bot=bool(member.get("is_bot")) or user == "USLACKBOT",
    )

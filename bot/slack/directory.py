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

    async def sync(self) -> int:
        """Synchronises once and returns how many people there are.

        Raises:
            RetryableError: Slack or the database is not there for the moment.
        """
        members = await self._api.members()
        roles = await self._group_roles()
        people = [person_of(self._team, member, roles) for member in members]
        async with self._store.begin() as tx:
            await tx.people.sync(people, at=self._clock.now())
        self._redactor.learn(self._team, people)
        return len(people)

    async def _group_roles(self) -> dict[str, Role]:
        wanted = {handle for handle in (*self._groups.values(), self._handoff) if handle}
        if not wanted:
            return {}
        groups = await self._api.groups()
        for handle in wanted - groups.keys():
            _log.error("the workspace has no user group @%s; create it or mend the setting", handle)
        self.handoff_group = groups.get(self._handoff)
        roles: dict[str, Role] = {}
        for role, handle in self._groups.items():
            if handle in groups:
                roles |= dict.fromkeys(await self._api.group_members(groups[handle]), role)
        return roles

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

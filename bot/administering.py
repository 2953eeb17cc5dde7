"""The use case: admins give roles and set channels up; reviewers take imported candidates over."""

from dataclasses import dataclass

from bot.correcting import owe_card
from feedback.clock import Clock
from feedback.domain.channel import ChannelSettings
from feedback.domain.person import Role
from feedback.errors import InvalidInputError, NotAllowedError
from feedback.store.unit_of_work import Store, Transaction

LAST_ADMIN = "You are the only admin here. Make somebody else an admin first."


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who acts, in which delivery."""

    team: str
    user: str
    delivery_id: int | None = None


class AdminDesk:
    """What admins and reviewers arrange; roles are checked here, on every call."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def set_role(self, actor: Actor, user: str, role: Role | None) -> None:
        """Gives somebody a role by hand; None lets it follow the user groups again.

        Raises:
            InvalidInputError: When no admin would be left.
            NotAllowedError: When the actor is no admin.
            NotFoundError: When the person is not in the directory.
        """
        async with self._store.begin() as tx:
            await _require(tx, actor, Role.ADMIN)
            before = await tx.people.get(actor.team, user)
            if role is not Role.ADMIN and await _only_admin(tx, actor.team, user):
                raise InvalidInputError(LAST_ADMIN)
            now = self._clock.now()
            if role is None:
                await tx.people.follow_directory(actor.team, user, at=now)
            else:
                await tx.people.set_role(actor.team, user, role, at=now)
            await tx.audit.append(
                subject=f"role:{actor.team}:{user}",
                from_state=before.role,
                to_state=role or "as the directory says",
                actor=actor.user,
                reason="set in the App Home",
                at=now,
                data={},
            )
            await _close(tx, actor)

    async def channel(self, actor: Actor, channel: str) -> ChannelSettings:
        """Returns a channel's settings for an admin to change.

        Raises:
            NotAllowedError: When the actor is no admin.
        """
        async with self._store.begin() as tx:
            await _require(tx, actor, Role.ADMIN)
            return await tx.channels.get(actor.team, channel)

    async def set_channel(self, actor: Actor, channel: str, settings: ChannelSettings) -> None:
        """Changes a channel's settings.

        Raises:
            NotAllowedError: When the actor is no admin.
        """
        async with self._store.begin() as tx:
            await _require(tx, actor, Role.ADMIN)
            before = await tx.channels.get(actor.team, channel)
            now = self._clock.now()
            await tx.channels.save(actor.team, channel, settings, at=now)
            if before != settings:
                await tx.audit.append(
                    subject=f"channel:{actor.team}:{channel}",
                    from_state="set",
                    to_state="set",
                    actor=actor.user,
                    reason="channel settings changed",
                    at=now,
                    data={"before": before.to_json(), "after": settings.to_json()},
                )
            await _close(tx, actor)

    async def adopt(self, actor: Actor, *, limit: int) -> int:
        """Moves imported candidates into the team's queue and returns how many.

        Raises:
            NotAllowedError: When the actor is no reviewer.
        """
        async with self._store.begin() as tx:
            await _require(tx, actor, Role.REVIEWER)
            adopted = await tx.reviewing.adopt(actor.team, limit=limit)
            for correction in adopted:
                await owe_card(tx, correction)
            await _close(tx, actor)
        return len(adopted)


async def _require(tx: Transaction, actor: Actor, role: Role) -> None:
    person = await tx.people.get(actor.team, actor.user)
    if not person.role.includes(role):
        raise NotAllowedError(f"{actor.user} is {person.role}; this needs {role}")


async def _only_admin(tx: Transaction, team: str, user: str) -> bool:
    people = await tx.people.privileged(team)
    return [person.user_id for person in people if person.role is Role.ADMIN] == [user]


async def _close(tx: Transaction, actor: Actor) -> None:
    if actor.delivery_id is not None:
        await tx.inbox.finish(actor.delivery_id)

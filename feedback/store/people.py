"""People of the workspaces: names for redaction, roles for permission."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import RowMapping, and_, case, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from feedback.domain.person import Person, Role
from feedback.errors import NotFoundError
from feedback.store.tables.base import to_domain
from feedback.store.tables.people import people

DIRECTORY, HAND = "directory", "hand"
"""Where a role comes from."""


class SqlPeople:
    """People; one instance per transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def sync(
        self, directory: Iterable[Person], *, at: datetime, with_roles: bool = True
    ) -> None:
        """Takes over names and roles from the workspace's directory.

        A role follows the directory up and down, unless it was set by hand.

        Args:
            directory: Everybody.
            at: Now.
            with_roles: False keeps the roles, because the directory does not tell them all.
        """
        rows = [
            {
                "team": person.team,
                "user_id": person.user_id,
                "names": list(person.names),
                "role": person.role,
                "is_bot": person.is_bot,
                "updated_at": at,
            }
            for person in directory
        ]
        if not rows:
            return
        statement = insert(people)
        await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=["team", "user_id"],
                set_={
                    # Who asked to be forgotten stays without names here.
                    "names": case(
                        (people.c.forgotten_at.is_not(None), people.c.names),
                        else_=statement.excluded.names,
                    ),
                    "is_bot": statement.excluded.is_bot,
                    "role": case(
                        (
                            and_(people.c.role_source == DIRECTORY, literal(with_roles)),
                            statement.excluded.role,
                        ),
                        else_=people.c.role,
                    ),
                    "updated_at": statement.excluded.updated_at,
                },
            ),
            rows,
        )

    async def set_role(self, team: str, user_id: str, role: Role, *, at: datetime) -> None:
        """Gives somebody a role that the directory does not take away.

        Raises:
            NotFoundError: When the person is not in the directory.
        """
        result = await self._connection.execute(
            update(people)
            .where(people.c.team == team, people.c.user_id == user_id)
            .values(role=role, role_source=HAND, updated_at=at)
        )
        _require_known(result.rowcount, team, user_id)

    async def follow_directory(self, team: str, user_id: str, *, at: datetime) -> None:
        """Lets somebody's role follow the directory again, from the next sync on.

        Raises:
            NotFoundError: When the person is not in the directory.
        """
        result = await self._connection.execute(
            update(people)
            .where(people.c.team == team, people.c.user_id == user_id)
            .values(role_source=DIRECTORY, updated_at=at)
        )
        _require_known(result.rowcount, team, user_id)

    async def get(self, team: str, user_id: str) -> Person:
        """Returns a person; somebody unknown is an agent without names."""
        rows = await self._connection.execute(
            select(people).where(people.c.team == team, people.c.user_id == user_id)
        )
        row = rows.mappings().first()
        return _person(row) if row else Person(team=team, user_id=user_id)

    async def privileged(self, team: str) -> Sequence[Person]:
        """Returns whoever is more than an agent, or was given a role by hand."""
        rows = await self._connection.execute(
            select(people)
            .where(
                people.c.team == team,
                ~people.c.is_bot,
                or_(people.c.role != Role.AGENT, people.c.role_source == HAND),
            )
            .order_by(people.c.role, people.c.user_id)
        )
        return [_person(row) for row in rows.mappings()]

    async def all(self, team: str) -> Sequence[Person]:
        """Returns everybody of a workspace."""
        rows = await self._connection.execute(
            select(people).where(people.c.team == team).order_by(people.c.user_id)
        )
        return [_person(row) for row in rows.mappings()]


def _require_known(rows: int, team: str, user_id: str) -> None:
    if rows == 0:
        raise NotFoundError(f"{user_id} is not in the directory of {team}; wait for the next sync")


def _person(row: RowMapping) -> Person:
    return to_domain(
        Person,
        {
            **row,
            "names": tuple(row["names"]),
            "role": Role(row["role"]),
            "by_hand": row["role_source"] == HAND,
        },
    )

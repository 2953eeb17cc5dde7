"""The one MetaData of the project, with a naming convention so that Alembic names match."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Column, DateTime, MetaData, RowMapping

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

T = TypeVar("T")


def moment(name: str, *, nullable: bool = False, index: bool = False) -> Column[datetime]:
    """Returns a timezone-aware timestamp column."""
    return Column(name, DateTime(timezone=True), nullable=nullable, index=index)


def to_domain(kind: type[T], row: RowMapping | Mapping[str, Any]) -> T:
    """Builds a domain dataclass from the columns of the same names; other columns are ignored."""
    names = _names(kind)  # type: ignore[arg-type]
    return kind(**{key: value for key, value in row.items() if key in names})


def to_columns(item: object) -> dict[str, Any]:
    """Returns a domain dataclass's fields by name, the other way of `to_domain`."""
    kind: type[Any] = type(item)
    return {name: getattr(item, name) for name in _names(kind)}  # type: ignore[arg-type]


@cache
def _names(kind: type[Any]) -> frozenset[str]:
    return frozenset(item.name for item in fields(kind))

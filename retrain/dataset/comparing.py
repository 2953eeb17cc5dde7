"""What changed between two versions, and where an interaction ended up in one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrain.dataset.files import (
    read_holdout,
    read_manifest,
    read_rejections,
    read_train,
)
from retrain.dataset.rows import TrainingRow

_COUNTED = ("counts", "rejected_by_reason", "labels", "replay")


@dataclass(frozen=True, kw_only=True)
class Place:
    """One row of a version, or one record that did not become a row.

    Attributes:
        side: `train`, `holdout`, or `out`.
        interaction_ids: Interactions behind it.
        reason: Why it is out; empty for rows that are in.
    """

    row_id: str
    side: str
    source: str = ""
    group: str = ""
    interaction_ids: tuple[str, ...] = ()
    reason: str = ""
    detail: str = ""

    def to_row(self) -> dict[str, Any]:
        """Returns JSON values, empty ones left out."""
        row = {
            "row_id": self.row_id,
            "side": self.side,
            "source": self.source,
            "group": self.group,
            "interaction_ids": list(self.interaction_ids),
            "reason": self.reason,
            "detail": self.detail,
        }
        return {key: value for key, value in row.items() if value}


def lineage(folder: Path, only: str | None = None) -> Iterator[Place]:
    """Yields where every row came from and where every record went.

    Args:
        folder: Of a version.
        only: A row's or an interaction's id; None yields everything but replay.

    Raises:
        InvalidInputError: When the folder is no data set or a file was changed.
    """
    read_manifest(folder)
    rows = [("train", row) for row in read_train(folder)]
    rows += [("holdout", held.row) for held in read_holdout(folder)]
    for side, row in rows:
        wanted = (
            bool(row.interaction_ids) if only is None else only in {row.id, *row.interaction_ids}
        )
        if wanted:
            yield Place(
                row_id=row.id,
                side=side,
                source=row.source.value,
                group=row.group,
                interaction_ids=row.interaction_ids,
            )
    for rejection in read_rejections(folder):
        if only in {None, rejection.id}:
            yield Place(
                row_id=rejection.id, side="out", reason=rejection.reason, detail=rejection.detail
            )


def difference(before: Path, after: Path) -> Mapping[str, Any]:
    """Returns which rows came, went and changed, and how counts and policy moved.

    A row changed when another text is trained under its id; where it lives is told by `moved`,
    which stays empty as long as the later version was built with `--previous`.

    Raises:
        InvalidInputError: When a folder is no data set or a file was changed.
    """
    old, new = read_manifest(before), read_manifest(after)
    ours, theirs = _rows(before), _rows(after)
    both = ours.keys() & theirs.keys()
    return {
        "before": old["version"],
        "after": new["version"],
        "added": sorted(theirs.keys() - ours.keys()),
        "removed": sorted(ours.keys() - theirs.keys()),
        "changed": sorted(id_ for id_ in both if _text(ours[id_]) != _text(theirs[id_])),
        "moved": {
            id_: [ours[id_][0], theirs[id_][0]]
            for id_ in sorted(both)
            if ours[id_][0] != theirs[id_][0]
        },
        "figures": {name: _moved(old[name], new[name]) for name in _COUNTED},
        "policy": _moved(old["policy"], new["policy"]),
    }


def _rows(folder: Path) -> dict[str, tuple[str, TrainingRow]]:
    trained = {row.id: ("train", row) for row in read_train(folder)}
    return trained | {held.row.id: ("holdout", held.row) for held in read_holdout(folder)}


def _text(place: tuple[str, TrainingRow]) -> tuple[object, str]:
    return place[1].messages, place[1].completion


def _moved(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    keys = sorted(old.keys() | new.keys())
    return {key: [old.get(key), new.get(key)] for key in keys if old.get(key) != new.get(key)}

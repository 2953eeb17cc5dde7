"""Ids that live from run to run: new clusters take the id of the old one they mostly are.

Matching by Jaccard similarity over the items that both runs know, best pairs first, one to one.
A previous pattern none of whose items are left (a resolved one that comes back after weeks) is
recognised by its centroid. A cluster without a match gets a fresh id; an id that was ever used is
never given again.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from feedback.domain.pattern import PatternChange, PreviousPattern

Overlaps = dict[tuple[int, int], tuple[int, float]]
"""`(new, old) -> (shared items, Jaccard over items present in both runs)`."""


@dataclass(frozen=True, kw_only=True)
class Named:
    """Ids of the new clusters, in their order, and what happened to every id.

    Attributes:
        matched: The previous pattern behind each cluster, None for a new one.
        origins: The previous pattern that a new cluster mostly consists of: it was split off.
    """

    ids: tuple[str, ...]
    matched: tuple[PreviousPattern | None, ...]
    origins: tuple[PreviousPattern | None, ...]
    changes: tuple[PatternChange, ...]


def name_clusters(
    clusters: Sequence[Sequence[str]],
    previous: Sequence[PreviousPattern],
    *,
    used_ids: Collection[str] = (),
    centres: Sequence[Sequence[float]] = (),
    min_jaccard: float = 0.3,
    min_cosine: float = 0.85,
) -> Named:
    """Gives every cluster an id.

    Args:
        clusters: Member ids of each new cluster.
        previous: Patterns of the run before, and those that people decided about.
        used_ids: Every id ever given, besides those in `previous`.
        centres: L2-normalised centroid of each new cluster, in the space of the previous ones.
        min_jaccard: A weaker resemblance is no match.
        min_cosine: Likeness of centroids from which a vanished pattern is recognised.
    """
    overlaps = _overlaps(clusters, previous)
    taken = _match(overlaps, min_jaccard)
    if len(centres):
        taken |= _returned(clusters, centres, previous, taken, min_cosine)
    used = set(used_ids) | {pattern.id for pattern in previous}
    ids: list[str] = []
    matched: list[PreviousPattern | None] = []
    for number, members in enumerate(clusters):
        old = taken.get(number)
        if old is None:
            ids.append(_fresh(members, used))
            used.add(ids[-1])
            matched.append(None)
        else:
            ids.append(previous[old].id)
            matched.append(previous[old])
    return Named(
        ids=tuple(ids),
        matched=tuple(matched),
        origins=tuple(
            None if number in taken else _origin(number, len(members), overlaps, previous)
            for number, members in enumerate(clusters)
        ),
        changes=_changes(ids, taken, overlaps, previous),
    )


def _overlaps(clusters: Sequence[Sequence[str]], previous: Sequence[PreviousPattern]) -> Overlaps:
    """Compares every cluster with every previous pattern that shares an item with it."""
    old_of = {item: number for number, old in enumerate(previous) for item in old.member_ids}
    present = {item for members in clusters for item in members}
    shared: dict[tuple[int, int], int] = {}
    new_size = [0] * len(clusters)
    old_size = [sum(1 for item in old.member_ids if item in present) for old in previous]
    for number, members in enumerate(clusters):
        for item in members:
            if item in old_of:
                new_size[number] += 1
                key = (number, old_of[item])
                shared[key] = shared.get(key, 0) + 1
    return {
        (new, old): (count, count / (new_size[new] + old_size[old] - count))
        for (new, old), count in shared.items()
    }


def _match(overlaps: Overlaps, min_jaccard: float) -> dict[int, int]:
    """Takes the most alike pairs first; every cluster and every id is used at most once."""
    taken: dict[int, int] = {}
    old_taken: set[int] = set()
    for (new, old), (_, jaccard) in sorted(
        overlaps.items(), key=lambda item: (-item[1][1], item[0])
    ):
        if jaccard >= min_jaccard and new not in taken and old not in old_taken:
            taken[new] = old
            old_taken.add(old)
    return taken


def _origin(
    number: int,
    size: int,
    overlaps: Overlaps,
    previous: Sequence[PreviousPattern],
) -> PreviousPattern | None:
    """Returns the previous pattern that at least half of a cluster's items come from."""
    parent = _largest({old: c for (new, old), (c, _) in overlaps.items() if new == number})
    if parent is None or 2 * overlaps[number, parent][0] < size:
        return None
    return previous[parent]


def _returned(
    clusters: Sequence[Sequence[str]],
    centres: Sequence[Sequence[float]],
    previous: Sequence[PreviousPattern],
    taken: dict[int, int],
    min_cosine: float,
) -> dict[int, int]:
    """Matches free clusters with previous patterns of which no item is left."""
    present = {item for members in clusters for item in members}
    vanished = [
        number
        for number, old in enumerate(previous)
        if old.centroid and not any(item in present for item in old.member_ids)
    ]
    free = [number for number in range(len(centres)) if number not in taken]
    if not free or not vanished:
        return {}
    likeness = (
        np.asarray([centres[number] for number in free])
        @ np.asarray([previous[number].centroid for number in vanished]).T
    )
    alike = [
        (-float(likeness[row, column]), free[row], vanished[column])
        for row, column in np.argwhere(likeness >= min_cosine).tolist()
    ]
    found: dict[int, int] = {}
    for _, new, old in sorted(alike):
        if new not in found and old not in found.values():
            found[new] = old
    return found


def _fresh(members: Sequence[str], used: set[str]) -> str:
    """Derives an id from the founding members, so that a repeated run gives the same one."""
    basis = "\x1f".join(sorted(members))
    for attempt in range(len(used) + 1):
        digest = hashlib.sha256(f"{attempt}\x1f{basis}".encode()).hexdigest()
        if (name := f"pat-{digest[:12]}") not in used:
            return name
    raise AssertionError("more collisions than ids")


def _changes(
    ids: Sequence[str],
    taken: dict[int, int],
    overlaps: Overlaps,
    previous: Sequence[PreviousPattern],
) -> tuple[PatternChange, ...]:
    changes = []
    for number, name in enumerate(ids):
        if number in taken:
            kept = "kept" if previous[taken[number]].current else "returned"
            changes.append(PatternChange(pattern_id=name, change=kept))
            continue
        parent = _largest({old: c for (new, old), (c, _) in overlaps.items() if new == number})
        changes.append(
            PatternChange(pattern_id=name, change="new")
            if parent is None
            else PatternChange(pattern_id=name, change="split", other_id=previous[parent].id)
        )
    for number, old in enumerate(previous):
        if number in taken.values() or not old.current:
            continue
        heir = _largest({new: c for (new, was), (c, _) in overlaps.items() if was == number})
        changes.append(
            PatternChange(pattern_id=old.id, change="gone")
            if heir is None
            else PatternChange(pattern_id=old.id, change="merged", other_id=ids[heir])
        )
    return tuple(changes)


def _largest(counts: dict[int, int]) -> int | None:
    return max(counts, key=lambda key: (counts[key], -key)) if counts else None

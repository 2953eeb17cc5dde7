"""Training rows, and the order in which a run sees them."""

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import compress
from pathlib import Path
from typing import Any

from feedback.errors import InvalidInputError
from feedback.jsonl import open_jsonl

_REPLAY = "replay"


@dataclass(frozen=True, kw_only=True)
class TrainingText:
    """What a run reads of `train.jsonl`.

    Attributes:
        rows: trl's conversational prompt/completion rows.
        weights: How often an epoch shows each of them, on average.
        groups: Rows of one group are near each other.
        rejected: What was wrongly said instead of the completion; empty where that is not known.
        replay: Whether a row rehearses generic skills.
    """

    rows: tuple[dict[str, Any], ...]
    weights: tuple[float, ...]
    groups: tuple[str, ...]
    rejected: tuple[str, ...]
    replay: tuple[bool, ...]

    def watched(self, share: float, seed: int) -> "tuple[TrainingText, TrainingText]":
        """Splits whole groups off, drawn by hash; nothing is split off for a share of 0.

        Returns:
            What is trained on, and what is only watched.
        """
        draws = [
            int(hashlib.sha256(f"{seed}:{group}".encode()).hexdigest()[:8], 16) / 16**8
            for group in self.groups
        ]
        trained = self._only([draw >= share for draw in draws])
        return trained, self._only([draw < share for draw in draws])

    def _only(self, kept: Sequence[bool]) -> "TrainingText":
        parts = {f.name: tuple(compress(getattr(self, f.name), kept)) for f in fields(self)}
        return TrainingText(**parts)


def read_rows(dataset_dir: Path) -> TrainingText:
    """Reads `train.jsonl`.

    Raises:
        InvalidInputError: When the file is missing or any row is unusable: a data set version is
            immutable, so a bad row means that it was damaged.
    """
    source = open_jsonl(str(dataset_dir / "train.jsonl"))
    rows = list(source.rows(_parse))
    if source.problems:
        number, problem = source.problems[0]
        raise InvalidInputError(
            f"{source.name}:{number}: {problem} ({len(source.problems)} bad rows); build the data "
            "set version again"
        )
    source.require_rows()
    texts, weights, groups, rejected, replay = zip(*rows, strict=True)
    return TrainingText(
        rows=texts, weights=weights, groups=groups, rejected=rejected, replay=replay
    )


def _parse(row: Mapping[str, Any]) -> tuple[dict[str, Any], float, str, str, bool]:
    messages, completion = row["messages"], row["completion"]
    if not isinstance(messages, list) or not messages:
        raise InvalidInputError("messages must be a non-empty list")
    if not isinstance(completion, str) or not completion.strip():
        raise InvalidInputError("completion must be text")
    text = {
        "prompt": [{"role": str(m["role"]), "content": str(m["content"])} for m in messages],
        "completion": [{"role": "assistant", "content": completion}],
    }
    return (
        text,
        float(row.get("weight", 1.0)),
        str(row.get("group", row.get("id", ""))),
        str(row.get("rejected", "")),
        row.get("source") == _REPLAY,
    )


def training_order(
    lengths: Sequence[int],
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    weights: Sequence[float] | None = None,
    pool_batches: int = 12,
) -> list[int]:
    """Returns row indices in the order of the whole run, all epochs in one list.

    Rows of similar length share a batch, which saves a third of the padding; batches are shuffled.
    The order depends on the arguments alone, so a resumed run only has to skip what it has seen.

    Args:
        lengths: Tokens of every row.
        epochs: Passes over the rows.
        batch_size: Rows a step; only the very last batch may be smaller.
        seed: Of the shuffles.
        weights: Times an epoch shows each row. Fractions take turns: a row of weight 1/6 is shown
            once in any six epochs. None: once each.
        pool_batches: Batches that are drawn at random before they are sorted by length.
    """
    order: list[int] = []
    rng = random.Random(seed)
    turns = random.Random(f"{seed}:turns")
    phases = [turns.random() for _ in lengths]
    shuffled: list[int] = []
    for number in range(epochs):
        epoch = [
            index
            for index, phase in enumerate(phases)
            for _ in range(_times(weights[index] if weights else 1.0, number, phase))
        ]
        rng.shuffle(epoch)
        shuffled.extend(epoch)
    size = batch_size * pool_batches
    for start in range(0, len(shuffled), size):
        pool = sorted(shuffled[start : start + size], key=lambda i: lengths[i])
        batches = [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
        # A short batch in the middle would shift every later one: it stays last.
        short = batches.pop() if len(batches[-1]) < batch_size else []
        rng.shuffle(batches)
        for batch in batches:
            order.extend(batch)
        order.extend(short)
    return order


def _times(weight: float, epoch: int, phase: float) -> int:
    return int((epoch + 1) * weight + phase) - int(epoch * weight + phase)

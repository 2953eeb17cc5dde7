"""Training rows, and the order in which a run sees them."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from feedback.errors import InvalidInputError
from feedback.jsonl import open_jsonl


def read_rows(dataset_dir: Path) -> list[dict[str, Any]]:
    """Reads `train.jsonl` as trl's conversational prompt/completion rows.

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
    return rows


def _parse(row: Mapping[str, Any]) -> dict[str, Any]:
    messages, completion = row["messages"], row["completion"]
    if not isinstance(messages, list) or not messages:
        raise InvalidInputError("messages must be a non-empty list")
    if not isinstance(completion, str) or not completion.strip():
        raise InvalidInputError("completion must be text")
    return {
        "prompt": [{"role": str(m["role"]), "content": str(m["content"])} for m in messages],
        "completion": [{"role": "assistant", "content": completion}],
    }


def training_order(
    lengths: Sequence[int], *, epochs: int, batch_size: int, seed: int, pool_batches: int = 12
) -> list[int]:
    """Returns row indices in the order of the whole run, all epochs in one list.

    Rows of similar length share a batch, which saves a third of the padding; batches are shuffled.
    The order depends on the arguments alone, so a resumed run only has to skip what it has seen.

    Args:
        lengths: Tokens of every row.
        epochs: Passes over the rows.
        batch_size: Rows a step; only the very last batch may be smaller.
        seed: Of the shuffles.
        pool_batches: Batches that are drawn at random before they are sorted by length.
    """
    order: list[int] = []
    rng = random.Random(seed)
    shuffled: list[int] = []
    for _ in range(epochs):
        epoch = list(range(len(lengths)))
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

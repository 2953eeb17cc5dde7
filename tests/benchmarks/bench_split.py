"""Whether any held-out question, or a near-duplicate of one, is ever trained on; on banking77.

`python -m tests.benchmarks.bench_split [DATA] [--quick] [--cycles N]`

The questions arrive in `--cycles` parts (20), each intent's answer naming the intent; every cycle
builds a version with the split of the one before. All questions ever trained on are then compared
with all ever held out, by cosine, apart from the split's own check. `whole` is the same for one
build of everything at once. Leak shares are shares of held-out questions with a
neighbour among the trained ones at cosine >= .8 (the split's threshold) and >= .7 (one step below,
where it is not 0). Prints one JSON object on its last line; exit status 1 when a question leaks at
the threshold.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from feedback.domain.interaction import InteractionRecord
from feedback.ports import Message
from feedback.prompting import build_messages
from retrain.dataset import DatasetInput, DatasetPolicy, QuestionVectors, Side, build
from retrain.dataset.split import Assignment
from tests.benchmarks.corpora import SHARED, embedded, read

_DATA = SHARED / "queries" / "banking77_train.jsonl"
_POLICY = DatasetPolicy(replay_share=0.0)
_STEP_BELOW = 0.7


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, default=_DATA)
    parser.add_argument("--quick", action="store_true", help="every tenth question")
    parser.add_argument("--cycles", type=int, default=20)
    options = parser.parse_args(arguments)
    if not options.data.exists():
        parser.error(f"{options.data} is not there: give the path of banking77_train.jsonl")
    rows = read(options.data)[:: 10 if options.quick else 1]
    texts = [row["text"] for row in rows]
    vectors = QuestionVectors.of("all-MiniLM-L6-v2", texts, embedded(texts))
    records = [_record(number, row) for number, row in enumerate(rows)]
    random.Random(0).shuffle(records)
    report = {
        "questions": len(rows),
        "whole": _cycles([records], vectors),
        "cycles": options.cycles,
        "over_cycles": _cycles(
            [records[part :: options.cycles] for part in range(options.cycles)], vectors
        ),
    }
    print(json.dumps(report))
    leaks = report["whole"]["leak_share"] + report["over_cycles"]["leak_share"]
    return 1 if leaks else 0


def _record(number: int, row: dict[str, Any]) -> InteractionRecord:
    return InteractionRecord(
        id=row["id"],
        thread_id=row["id"],
        user_id="customer",
        ts=float(number),
        question=row["text"],
        answer="I do not know.",
        correction=f"See the page on {row['intent'].replace('_', ' ')}.",
    )


def _render(record: InteractionRecord) -> list[Message]:
    return build_messages(record.question, ())


def _cycles(
    parts: Sequence[Sequence[InteractionRecord]], vectors: QuestionVectors
) -> dict[str, Any]:
    started = time.perf_counter()
    known: list[InteractionRecord] = []
    sides: tuple[Assignment, ...] = ()
    trained: set[str] = set()
    for part in parts:
        known += part
        built = build(
            DatasetInput(records=known, render=_render, vectors=vectors, previous=sides), _POLICY
        )
        sides = built.assignments
        asked = {record.id: record.question for record in known}
        trained |= {asked[row.id] for row in built.train}
    held = {a.question for a in sides if a.side is Side.HOLDOUT}
    left, right = sorted(trained), sorted(held)
    nearest = (vectors.matrix(right) @ vectors.matrix(left).T).max(axis=1)
    return {
        "trained": len(trained),
        "held_out": len(held),
        "quarantined": sum(a.side is Side.QUARANTINE for a in sides),
        "nearest_cosine": round(float(nearest.max()), 6),
        "leak_share": round(float((nearest >= _POLICY.twin_cosine).mean()), 6),
        "leak_share_below": round(float((nearest >= _STEP_BELOW).mean()), 4),
        "rejected": dict(built.facts["rejected_by_reason"]),
        "seconds": round(time.perf_counter() - started, 1),
    }


if __name__ == "__main__":
    sys.exit(main())

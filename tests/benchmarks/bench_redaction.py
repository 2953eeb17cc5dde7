"""How much of the private text the redactor finds, how much else it takes, and how fast it is.

`python -m tests.benchmarks.bench_redaction [--quick] [--data FILE] [--negatives FILE]`

A gold span counts as found when at least 80 % of its letters and digits are masked, by a finding
of any type. A finding counts as right when at least half of it lies in gold spans of any type.
Per type, recall is over gold spans and precision over findings of that type. `false_alarms` is the
share of ordinary support questions (no private text in them) in which anything was found.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from feedback.redaction import NameDirectory, Redactor, Span

_DATA = Path("../shared/data/safety/pii_synthetic.jsonl")
_NEGATIVES = Path("../shared/data/queries/banking77_train.jsonl")
_FOUND = 0.8
_RIGHT = 0.5
Rows = list[dict[str, Any]]


def read(path: Path, limit: int | None) -> Rows:
    """Returns the rows of a JSONL file."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:limit] if line.strip()]


def covered(text: str, span: tuple[int, int], by: Sequence[tuple[int, int]]) -> float:
    """Returns the share of the letters and digits of `span` that lie in `by`."""
    wanted = [i for i in range(*span) if text[i].isalnum()]
    if not wanted:
        return 1.0
    return sum(any(a <= i < b for a, b in by) for i in wanted) / len(wanted)


def score(rows: Rows, found: Sequence[Sequence[Span]]) -> dict[str, Any]:
    """Returns recall and precision by type and over all."""
    gold_hits: dict[str, list[bool]] = defaultdict(list)
    right: dict[str, list[bool]] = defaultdict(list)
    for row, spans in zip(rows, found, strict=True):
        text = row["text"]
        masked = [(span.start, span.end) for span in spans]
        gold = [(span["start"], span["end"]) for span in row["spans"]]
        for span, place in zip(row["spans"], gold, strict=True):
            gold_hits[span["type"]].append(covered(text, place, masked) >= _FOUND)
        for finding, place in zip(spans, masked, strict=True):
            right[finding.type].append(covered(text, place, gold) >= _RIGHT)
    types = {
        type_: {
            "recall": share(gold_hits[type_]),
            "precision": share(right[type_]),
            "n": len(gold_hits[type_]),
        }
        for type_ in sorted(gold_hits.keys() | right.keys())
    }
    return {
        "types": types,
        "recall": share([hit for hits in gold_hits.values() for hit in hits]),
        "precision": share([ok for oks in right.values() for ok in oks]),
    }


def share(values: Sequence[bool]) -> float | None:
    """Returns the share of true values, None of nothing."""
    return round(sum(values) / len(values), 4) if values else None


def names(rows: Rows) -> list[str]:
    """Returns every person's name of the gold spans."""
    return sorted({s["value"] for row in rows for s in row["spans"] if s["type"] == "PERSON"})


def throughput(redactor: Redactor, texts: Sequence[str]) -> float:
    """Returns megabytes (UTF-8) a CPU second."""
    size = sum(len(text.encode()) for text in texts)
    start = time.process_time()
    for text in texts:
        redactor.find(text)
    return round(size / 1e6 / (time.process_time() - start), 3)


def measure(data: Path, negatives: Path, *, quick: bool) -> dict[str, Any]:
    """Runs the benchmark and returns its result."""
    rows = read(data, 150 if quick else None)
    redactor = Redactor()
    result = score(rows, [redactor.find(row["text"]) for row in rows])
    full = Redactor(NameDirectory.from_names(names(rows)))
    with_directory = score(rows, [full.find(row["text"]) for row in rows])
    result["person_recall_with_directory"] = with_directory["types"]["PERSON"]["recall"]
    texts = [row["text"] for row in rows]
    if negatives.exists():
        questions = [row["text"] for row in read(negatives, 1000 if quick else None)]
        result["false_alarms"] = share([bool(redactor.find(text)) for text in questions])
        texts += questions
    result["mb_per_s"] = throughput(redactor, texts)
    return result


def main() -> None:
    """Prints the result as one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a part of the rows")
    parser.add_argument("--data", type=Path, default=_DATA, help="rows {text, spans}")
    parser.add_argument("--negatives", type=Path, default=_NEGATIVES, help="rows {text}")
    options = parser.parse_args()
    if not options.data.exists():
        print(f"{options.data} is absent: nothing was measured; name the corpus with --data")
        print(json.dumps({"skipped": f"{options.data} is absent"}))
        return
    print(json.dumps(measure(options.data, options.negatives, quick=options.quick)))


if __name__ == "__main__":
    main()

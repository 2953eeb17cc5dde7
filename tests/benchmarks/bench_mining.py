"""How well and how fast mining groups failures; prints one JSON object.

`python -m tests.benchmarks.bench_mining [DATA] [--quick] [--shared DIR]`

- `nmi`, `ari`, `acc`, `patterns`, `seconds`, `cpu_seconds`, `peak_mb`: banking77's questions as
  failures, the number of intents not given, embeddings already stored. A failure in no pattern
  counts as a cluster of its own.
- `id_stability`: the same data over ten nights, ten intents withheld until night five; 1 - the mean
  share of items whose pattern id changes in a night. `new_intents_found`: how many of the ten are
  the majority of a pattern within two nights.
- `planted_ari`, `planted_precision`, `planted_recall`: the sample company's questions, 4 to 12
  wordings each, half of them corrected, among as many failures that do not repeat (one of each bank
  intent, requests from Stack Exchange). Items outside a group, and failures in no pattern, stand
  alone; precision is the share of pattern members that are planted.
- `support_ari` and so on: the same for bitext's 27 intents among as many bank questions, which have
  patterns of their own.
- `new_intents_separable`: how many of the ten a run without a history tells apart with all the
  data; `nmi_last_night`: quality after ten nights of history.
- `star_labels_found_share`: agents' drafts and replies (STAR) replayed in the order of time: action
  labels with 50 corrections or more that are found as a pattern of purity .6.
- `seconds_100k`, `peak_mb_100k`: 100,000 failures, a jittered resample of the same vectors.

Every measured run is a process of its own, so that peak memory is its own.
"""

import argparse
import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedback.domain.interaction import InteractionRecord, Rating
from feedback.domain.pattern import MiningResult, Pattern, PreviousPattern
from feedback.mining.patterns import Meaning, mine
from feedback.ports import Vectors
from feedback.samples.company import load_company
from tests.benchmarks.clustering_scores import accuracy, ari, nmi
from tests.benchmarks.corpora import SHARED, embedded, read

_DATA = SHARED / "queries" / "banking77_train.jsonl"
_NIGHTS, _LATE_INTENTS, _LATE_NIGHT = 10, 10, 5
_KEYS = [
    "nmi",
    "ari",
    "acc",
    "patterns",
    "seconds",
    "peak_mb",
    "id_stability",
    "planted_ari",
    "seconds_100k",
    "peak_mb_100k",
]
Labels = NDArray[np.int64]
Case = tuple[str, str, str | None]
"""Group, question, correction."""


def failure(name: str, question: str, correction: str | None = None) -> InteractionRecord:
    """Returns a down-voted interaction of its own person and thread."""
    return InteractionRecord(
        id=name,
        thread_id=name,
        user_id=name,
        ts=0.0,
        question=question,
        answer="-",
        correction=correction,
        rating=Rating.DOWN,
    )


def labels_of(result: MiningResult, ids: Sequence[str]) -> Labels:
    """Returns each item's pattern number; an item in none is alone."""
    row = {name: number for number, name in enumerate(ids)}
    labels = np.arange(len(ids)) + len(result.patterns)
    for number, pattern in enumerate(result.patterns):
        labels[[row[item] for item in pattern.member_ids]] = number
    return labels


def measured(task: Any, *arguments: Any) -> dict[str, Any]:  # noqa: ANN401  (any picklable task)
    """Runs a task in a fresh process; adds its peak memory in MB."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        outcome: dict[str, Any] = pool.apply(_with_peak, (task, *arguments))
    return outcome


def _with_peak(task: Any, *arguments: Any) -> dict[str, Any]:  # noqa: ANN401
    outcome: dict[str, Any] = task(*arguments)
    # Not getrusage: its maximum is inherited from the parent process.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak_kb = next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line)
    return outcome | {"peak_mb": round(peak_kb / 1024)}


def quality(rows: list[dict[str, Any]], vectors: Vectors) -> dict[str, Any]:
    """Mines the questions once and scores the patterns against the intents."""
    records = [failure(row["id"], row["text"]) for row in rows]
    start, used = time.perf_counter(), time.process_time()
    result = mine(records, Meaning(questions=vectors))
    seconds, cpu = time.perf_counter() - start, time.process_time() - used
    truth = np.unique([row["intent"] for row in rows], return_inverse=True)[1]
    found = labels_of(result, [row["id"] for row in rows])
    return {
        "nmi": round(nmi(truth, found), 4),
        "ari": round(ari(truth, found), 4),
        "acc": round(accuracy(truth, found), 4),
        "patterns": len(result.patterns),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
    }


def nights(rows: list[dict[str, Any]], vectors: Vectors) -> dict[str, Any]:
    """Mines a growing set ten times and follows the ids."""
    random = np.random.default_rng(11)
    intents = sorted({row["intent"] for row in rows})
    late = set(random.choice(intents, _LATE_INTENTS, replace=False).tolist())
    arrival = random.integers(0, _NIGHTS, len(rows))
    for number, row in enumerate(rows):
        if row["intent"] in late:
            arrival[number] = random.integers(_LATE_NIGHT, _NIGHTS)
    intent_of = {row["id"]: row["intent"] for row in rows}
    previous: list[PreviousPattern] = []
    used: set[str] = set()
    changed: list[float] = []
    found: set[str] = set()
    before: dict[str, str] = {}
    for night in range(_NIGHTS):
        here = np.flatnonzero(arrival <= night)
        records = [failure(rows[n]["id"], rows[n]["text"]) for n in here]
        result = mine(records, Meaning(questions=vectors[here]), previous=previous, used_ids=used)
        now = {item: p.id for p in result.patterns for item in p.member_ids}
        both = before.keys() & now.keys()
        if both:
            changed.append(sum(before[item] != now[item] for item in both) / len(both))
        if night <= _LATE_NIGHT + 1:
            found |= late & set(_majorities(result, intent_of))
        used |= {p.id for p in result.patterns}
        previous = [_remembered(p) for p in result.patterns]
        before = now
    # What a run without a history, on everything, could tell apart at most.
    whole = mine([failure(r["id"], r["text"]) for r in rows], Meaning(questions=vectors))
    return {
        "id_stability": round(1 - float(np.mean(changed)), 4),
        "worst_night": round(1 - max(changed), 4),
        "new_intents_found": len(found),
        "new_intents_separable": len(late & set(_majorities(whole, intent_of))),
        "nmi_last_night": round(
            nmi(
                np.unique([row["intent"] for row in rows], return_inverse=True)[1],
                labels_of(result, [row["id"] for row in rows]),
            ),
            4,
        ),
    }


def _majorities(result: MiningResult, label_of: Mapping[str, str]) -> dict[str, float]:
    """Returns every label that is the majority of a pattern, with its share there at best."""
    found: dict[str, float] = {}
    for pattern in result.patterns:
        label, count = Counter(label_of[item] for item in pattern.member_ids).most_common(1)[0]
        found[label] = max(found.get(label, 0.0), count / pattern.size)
    return found


def replayed_support(shared: Path) -> dict[str, Any]:
    """Replays agents' drafts and the replies they sent, in ten nights in the order of time.

    The draft is the answer, the reply its correction. Of the action labels with 50 corrections or
    more: how many are the majority of a pattern with a purity of .6.
    """
    rows = sorted(
        read(shared / "support" / "star_draft_vs_final.jsonl"), key=lambda r: (r["ts"], r["id"])
    )
    rows = [row for row in rows if row["draft_answer"].strip() != row["final_answer"].strip()]
    questions = embedded([row["question"] for row in rows])
    corrections = embedded([row["final_answer"] for row in rows])
    records = [
        InteractionRecord(
            id=row["id"],
            thread_id=str(row["dialogue_id"]),
            user_id=row["customer_id"],
            ts=float(row["ts"]),
            question=row["question"] or "-",
            answer=row["draft_answer"],
            correction=row["final_answer"],
        )
        for row in rows
    ]
    previous: list[PreviousPattern] = []
    used: set[str] = set()
    for upto in np.linspace(0, len(rows), _NIGHTS + 1).astype(int)[1:]:
        meaning = Meaning(questions=questions[:upto], corrections=corrections[:upto])
        result = mine(records[:upto], meaning, previous=previous, used_ids=used)
        previous = [_remembered(pattern) for pattern in result.patterns]
        used |= {pattern.id for pattern in result.patterns}
    counts = Counter(row["action_label"] for row in rows)
    frequent = {label for label, count in counts.items() if count >= 50}
    pure = _majorities(result, {row["id"]: row["action_label"] for row in rows})
    found = {label for label in frequent if pure.get(label, 0.0) >= 0.6}
    return {
        "star_corrections": len(rows),
        "star_patterns": len(result.patterns),
        "star_labels": len(frequent),
        "star_labels_found": len(found),
        "star_labels_found_share": round(len(found) / len(frequent), 4),
    }


def _remembered(pattern: Pattern) -> PreviousPattern:
    return PreviousPattern(id=pattern.id, member_ids=pattern.member_ids, centroid=pattern.centroid)


def planted(rows: list[dict[str, Any]], shared: Path) -> dict[str, Any]:
    """Finds the sample company's repeated questions among as many one-off failures."""
    random = np.random.default_rng(5)
    inside = [
        # Every second one was corrected, the others only voted down.
        (intent.id, question, intent.gold_answer if number % 2 else None)
        for intent in load_company().intents
        for number, question in enumerate(intent.questions("live")[: random.integers(4, 13)])
    ]
    once = list({row["intent"]: row["text"] for row in rows}.values())
    strangers = [row["text"] for row in read(shared / "tone" / "stanford_politeness.jsonl")]
    once += random.permutation(strangers)[: len(inside) - len(once)].tolist()
    groups = [(f"once {n}", text, None) for n, text in enumerate(once)]
    return found_among(inside, groups, "planted")


def support_intents(rows: list[dict[str, Any]], shared: Path) -> dict[str, Any]:
    """Finds bitext's 27 intents, a few of them hard to tell apart, among bank questions."""
    random = np.random.default_rng(5)
    pairs = read(shared / "support" / "bitext_pairs_generic_vs_rich.jsonl")
    inside = [(row["intent"], row["question"], row["correction"]) for row in pairs]
    others = random.choice(len(rows), min(len(inside), len(rows)), replace=False)
    return found_among(inside, [(f"once {n}", rows[n]["text"], None) for n in others], "support")


def found_among(inside: Sequence[Case], noise: Sequence[Case], name: str) -> dict[str, Any]:
    """Mines both together; the noise stands alone in the truth."""
    cases = [*inside, *noise]
    records = [failure(f"f{n}", case[1], case[2]) for n, case in enumerate(cases)]
    questions = embedded([case[1] for case in cases])
    corrections = np.zeros_like(questions)
    corrected = [n for n, case in enumerate(cases) if case[2]]
    corrections[corrected] = embedded([cases[n][2] or "" for n in corrected])
    result = mine(records, Meaning(questions=questions, corrections=corrections))
    truth = np.unique([case[0] for case in cases], return_inverse=True)[1]
    found = labels_of(result, [record.id for record in records])
    clustered = found < len(result.patterns)
    count = len(inside)
    return {
        f"{name}_ari": round(ari(truth, found), 4),
        f"{name}_precision": round(float(clustered[:count].sum() / clustered.sum()), 4),
        f"{name}_recall": round(float(clustered[:count].mean()), 4),
        f"{name}_failures": len(cases),
    }


def large(vectors: Vectors, count: int) -> dict[str, Any]:
    """Mines `count` failures: the vectors again and again with a little noise."""
    random = np.random.default_rng(3)
    origin = random.integers(0, len(vectors), count)
    many = np.empty((count, vectors.shape[1]), dtype=np.float32)
    for start in range(0, count, 4096):
        rows = slice(start, min(start + 4096, count))
        noisy = vectors[origin[rows]] + random.normal(
            0, 0.35 / np.sqrt(vectors.shape[1]), (rows.stop - start, vectors.shape[1])
        )
        many[rows] = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
    records = [failure(f"n{n}", f"question {n}") for n in range(count)]
    start_s, used = time.perf_counter(), time.process_time()
    result = mine(records, Meaning(questions=many))
    return {
        "seconds": round(time.perf_counter() - start_s, 1),
        "cpu_seconds": round(time.process_time() - used, 1),
        "patterns": len(result.patterns),
    }


def main() -> None:
    """Runs the parts the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", nargs="?", type=Path, default=_DATA)
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--quick", action="store_true", help="a fifth of the data, 10,000 at most")
    options = parser.parse_args()
    if not options.data.exists():
        missing = f"{options.data} is not there: give the path of banking77_train.jsonl"
        print(json.dumps(dict.fromkeys(_KEYS) | {"skipped": missing}))
        return
    rows = read(options.data)[:: 5 if options.quick else 1]
    vectors = embedded([row["text"] for row in rows])
    report: dict[str, Any] = measured(quality, rows, vectors)
    report |= nights(rows, vectors)
    if options.shared.is_dir():
        report |= planted(rows, options.shared)
        if not options.quick:
            report |= support_intents(rows, options.shared)
            report |= replayed_support(options.shared)
    count = 10_000 if options.quick else 100_000
    big = measured(large, vectors, count)
    report |= {"seconds_100k": big["seconds"], "peak_mb_100k": big["peak_mb"]}
    report["cpu_seconds_100k"] = big["cpu_seconds"]
    report |= {"patterns_100k": big["patterns"], "failures_100k": count}
    print(json.dumps(dict.fromkeys(_KEYS) | report))


if __name__ == "__main__":
    main()

"""Trains an adapter on every planted defect and shows which gate stops it.

`python -m tests.benchmarks.bench_defects [--only NAME ...] [--quick] [--folder DIR] [--record]`

Every adapter is trained as a cycle trains it (some five CPU minutes each; those in `--folder` are
kept), examined with the standard suite against the base, and judged by the gates of the packaged
base. `--record` writes the generations with which `tests/defects` repeats the verdicts without a
model; with `--only`, those of the others stay. `--quick` trains one only. Prints one JSON object on
its last line; exit status 1 when a defect got through or a control was stopped.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retrain.base_model import base_model_path
from retrain.dataset import DatasetBuild
from retrain.inference import BatchGenerator
from tests.defects.lab import CLEAN, DEFECTS, PREFERENCES, SECOND_STAGE
from tests.defects.training import (
    train_as_a_cycle_does,
    train_by_preferences_alone,
    train_in_two_stages,
)
from tests.defects.verdicts import (
    RECORDED,
    Tape,
    examined,
    failed,
    judged,
    read_tapes,
    write_tapes,
)

_TRAINED = {
    PREFERENCES.name: train_by_preferences_alone,
    SECOND_STAGE.name: train_in_two_stages,
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], help="names of defects")
    parser.add_argument("--quick", action="store_true", help="one defect")
    parser.add_argument("--folder", type=Path, help="where adapters are and stay")
    parser.add_argument("--record", action="store_true", help="write tests/defects/generations")
    options = parser.parse_args(arguments)
    everything = (CLEAN, SECOND_STAGE, *DEFECTS, PREFERENCES)
    only = ["false_sum"] if options.quick else options.only
    chosen = [defect for defect in everything if not only or defect.name in only]
    base = BatchGenerator(base_model_path())
    tapes = {"base": Tape()}
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for defect in chosen:
            folder = (options.folder or Path(temporary)) / defect.name
            folder.mkdir(parents=True, exist_ok=True)
            built, started = defect.dataset(), time.monotonic()
            train = _TRAINED.get(defect.name, train_as_a_cycle_does)
            adapter = BatchGenerator(base_model_path(), train(built, folder))
            seconds = round(time.monotonic() - started, 1)
            tapes[defect.name] = Tape(rewards=_rewards(folder))
            found = _examine(built, base, adapter, tapes["base"], tapes[defect.name])
            wanted = set(defect.stopped_by)
            right = bool(wanted & set(found["failed"])) if wanted else found["passed"]
            report[defect.name] = {**found, "right": right, "seconds": seconds}
            if tapes[defect.name].rewards:
                report[defect.name]["rewards"] = tapes[defect.name].rewards
            print(defect.name, report[defect.name], flush=True)
    if options.record:
        known = read_tapes() if RECORDED.exists() else {}
        # What the base was asked for other data sets is still needed to judge those.
        tapes["base"] = tapes["base"].joined(known.get("base"))
        write_tapes({**known, **tapes})
    print(json.dumps(report))
    return 0 if all(entry["right"] for entry in report.values()) else 1


def _rewards(folder: Path) -> dict[str, float]:
    path = folder / "rewards.json"
    found: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
    return found


def _examine(
    built: DatasetBuild, base: BatchGenerator, adapter: BatchGenerator, before: Tape, after: Tape
) -> dict[str, Any]:
    champion = examined(built, *before.record(base.generate, base.take_in))
    candidate = examined(
        built,
        *after.record(adapter.generate, lambda asked, told: adapter.take_in(asked, told, base)),
    )
    report = judged(candidate, champion)
    return {
        "passed": report.passed,
        "stopped_by": report.stopped_by,
        "failed": sorted(failed(report)),
        "headline": report.headline,
        "metrics": {
            name: [round(champion.value(name), 3), round(candidate.value(name), 3)]
            for name in candidate.metrics
        },
    }


if __name__ == "__main__":
    sys.exit(main())

"""What a QLoRA run costs beside plain trl, and (`--learn`) what it teaches the packaged base.

`python -m tests.benchmarks.bench_training [--quick] [--learn] [--recipe JSON] [--lesson JSON]`

Prints one JSON object on its last line. Without `--learn`: our run and a plain trl script on the
same rows and numbers, each in a process of its own, turn about; `time_ratio_vs_trl` compares CPU
seconds without imports (the fair unit on a shared machine), the better of the rounds of each. With
`--learn`: scores on held-out wordings before and after one run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from retrain.base_model import BASE_MODEL_ID, base_model_path
from retrain.inference import BatchGenerator
from retrain.training import (
    QloraRecipe,
    TrainingSpec,
    training_command,
    training_environment,
)
from tests.benchmarks.learning import Lesson, held_out_scores, retriever, write_lesson


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows, one round")
    parser.add_argument("--learn", action="store_true", help="measure what is learnt")
    parser.add_argument("--recipe", type=json.loads, default={}, help="changes to QloraRecipe")
    parser.add_argument("--lesson", type=json.loads, default={}, help="changes to Lesson")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        if options.learn:
            report = _learn(Path(folder), options.recipe, Lesson(**options.lesson))
        else:
            report = _cost(Path(folder), options.recipe, quick=options.quick)
    print(json.dumps(report))
    return 0


def _spec(folder: Path, recipe: dict[str, Any]) -> TrainingSpec:
    return TrainingSpec(
        dataset_dir=folder,
        base_dir=base_model_path(),
        base_id=BASE_MODEL_ID,
        out_dir=folder / "adapter",
        work_dir=folder / "work",
        recipe=QloraRecipe(**recipe),
    )


def _ours(spec: TrainingSpec) -> dict[str, Any]:
    folder = spec.dataset_dir
    (folder / "spec.json").write_text(json.dumps(spec.to_row()))
    subprocess.run(
        [*training_command(), "--spec", str(folder / "spec.json")],
        env={**os.environ, **training_environment(spec.recipe.threads)},
        check=True,
    )
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


def _plain(spec: TrainingSpec) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.plain_trl"]
    finished = subprocess.run(
        [*command, str(spec.dataset_dir / "spec.json")],
        env={**os.environ, **training_environment(spec.recipe.threads)},
        check=True,
        capture_output=True,
        text=True,
    )
    result: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return result


def _cost(folder: Path, recipe: dict[str, Any], *, quick: bool) -> dict[str, Any]:
    write_lesson(folder, Lesson(per_intent=4 if quick else 18), retriever())
    spec = _spec(folder, {"epochs": 1, **recipe})
    ours, plain = [], []
    for _ in range(1 if quick else 2):
        ours.append(_ours(spec))
        plain.append(_plain(spec))
    best = min(ours, key=lambda run: float(run["cpu_seconds"]))
    peer = min(float(run["cpu_seconds"]) for run in plain)
    return {
        "time_ratio_vs_trl": round(best["cpu_seconds"] / peer, 3),
        "peak_rss_mb": round(best["peak_rss_mb"]),
        "tokens_per_s": round(best["tokens"] / best["cpu_seconds"]),
        "cpu_seconds": round(best["cpu_seconds"], 1),
        "trl_cpu_seconds": round(peer, 1),
        "steps": best["steps"],
        "rounds": len(ours),
    }


def _learn(folder: Path, recipe: dict[str, Any], lesson: Lesson) -> dict[str, Any]:
    retrieve = retriever()
    corrections = write_lesson(folder, lesson, retrieve)
    spec = _spec(folder, {"seed": lesson.seed, **recipe})
    result = _ours(spec)
    before = held_out_scores(BatchGenerator(spec.base_dir), retrieve, lesson)
    after = held_out_scores(BatchGenerator(spec.base_dir, spec.out_dir), retrieve, lesson)
    return {
        "lesson": asdict(lesson),
        "recipe": recipe,
        "corrections": corrections,
        "rows": result["rows"],
        "steps": result["steps"],
        "cpu_seconds": round(result["cpu_seconds"], 1),
        "seconds": round(result["seconds"], 1),
        "peak_rss_mb": round(result["peak_rss_mb"]),
        "before": before,
        "after": after,
    }


if __name__ == "__main__":
    sys.exit(main())

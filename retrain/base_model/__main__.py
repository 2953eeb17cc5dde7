"""`python -m retrain.base_model`: trains the packaged base again and writes its manifest."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from retrain.base_model.probes import probe_scores
from retrain.base_model.recipe import BaseRecipe
from retrain.base_model.snapshot import BASE_MODEL_ID
from retrain.base_model.train import BaseResult, train_base
from retrain.inference import BatchGenerator
from retrain.publishing.identity import file_sha256

_FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains, probes and writes MANIFEST.json beside the weights."""
    parser = argparse.ArgumentParser(prog="python -m retrain.base_model", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; 1 is reproducible")
    options = parser.parse_args(arguments)
    recipe = BaseRecipe()
    result = train_base(recipe, options.out, threads=options.threads)
    scores = probe_scores(BatchGenerator(options.out))
    write_manifest(options.out, recipe, result, scores)
    print(json.dumps(scores))  # noqa: T201  (the result of the command)
    return 0


def write_manifest(
    folder: Path, recipe: BaseRecipe, result: BaseResult, scores: dict[str, float]
) -> None:
    """Writes what the snapshot is, how it was made and what it can do."""
    manifest = {
        "id": BASE_MODEL_ID,
        "recipe": asdict(recipe),
        "recipe_sha256": recipe.sha256(),
        "training": {key: round(value, 4) for key, value in asdict(result).items()},
        "probes": scores,
        "files": {name: file_sha256(folder / name) for name in (*_FILES, "tokenizer_config.json")},
        "versions": {name: version(name) for name in ("torch", "transformers", "tokenizers")},
    }
    text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
    (folder / "MANIFEST.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

import json
from dataclasses import replace
from pathlib import Path

import pytest

from feedback.errors import InvalidInputError
from retrain.training import (
    PreferenceRecipe,
    QloraRecipe,
    TrainingResult,
    TrainingSpec,
    production_recipe,
)

SPEC = TrainingSpec(
    dataset_dir=Path("/data"),
    base_dir=Path("/base"),
    base_id="understudy/tiny-base",
    out_dir=Path("/out"),
    work_dir=Path("/work"),
    recipe=QloraRecipe(rank=8, max_steps=4),
)


def test_a_spec_survives_json() -> None:
    assert TrainingSpec.from_row(json.loads(json.dumps(SPEC.to_row()))) == SPEC


def test_a_spec_without_recipe_takes_the_defaults() -> None:
    row = {key: value for key, value in SPEC.to_row().items() if key != "recipe"}

    assert TrainingSpec.from_row(row).recipe == QloraRecipe()


def test_missing_and_unknown_keys_are_named() -> None:
    row = SPEC.to_row()
    with pytest.raises(InvalidInputError, match="base_id"):
        TrainingSpec.from_row({key: value for key, value in row.items() if key != "base_id"})
    with pytest.raises(InvalidInputError, match="rankk"):
        TrainingSpec.from_row({**row, "recipe": {"rankk": 8}})


def test_every_wrong_number_of_a_recipe_is_named_at_once() -> None:
    with pytest.raises(InvalidInputError, match=r"learning_rate.*rank must be 8"):
        QloraRecipe(rank=12, learning_rate=0)


def test_a_spec_with_a_second_stage_survives_json() -> None:
    spec = replace(SPEC, recipe=QloraRecipe(preference=PreferenceRecipe(min_pairs=7)))
    row = json.loads(json.dumps(spec.to_row()))
    assert TrainingSpec.from_row(row) == spec
    row["recipe"]["preference"]["betta"] = 1
    with pytest.raises(InvalidInputError, match="betta"):
        TrainingSpec.from_row(row)
    assert spec.fingerprint() != SPEC.fingerprint()


def test_there_are_no_preferences_without_a_supervised_term() -> None:
    with pytest.raises(InvalidInputError, match=r"beta .*sft_weight .*must be positive"):
        PreferenceRecipe(beta=0, sft_weight=0)


def test_a_checkpoint_belongs_to_recipe_and_base() -> None:
    other = replace(SPEC, recipe=QloraRecipe(rank=16, max_steps=4))

    assert SPEC.fingerprint() == replace(SPEC, out_dir=Path("/elsewhere")).fingerprint()
    assert SPEC.fingerprint() != other.fingerprint()


def test_a_result_survives_json() -> None:
    result = TrainingResult(
        adapter_dir=Path("/out"),
        sha256="ab",
        steps=4,
        losses=((5, 1.5),),
        seconds=1.0,
        cpu_seconds=1.0,
        peak_rss_mb=1.0,
        peak_gpu_mb=None,
        tokens=10,
        rows=2,
        trained_parameters=3,
        resumed_from=0,
        versions={"torch": "2"},
    )

    assert TrainingResult.from_row(json.loads(json.dumps(result.to_row()))) == result
    assert result.final_loss == 1.5


def test_the_production_recipe_fits_one_gpu() -> None:
    recipe = production_recipe(rank=32)

    assert (recipe.rank, recipe.compute_dtype, recipe.activation_checkpointing) == (
        32,
        "bfloat16",
        True,
    )

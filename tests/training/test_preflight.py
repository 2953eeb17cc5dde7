import json
from dataclasses import replace
from pathlib import Path

import pytest

from feedback.errors import ConfigurationError
from retrain.base_model import base_model_path
from retrain.training import QloraRecipe, production_recipe
from retrain.training.preflight import Estimate, Shape, estimate, measure_speed

GIB = 1 << 30
LLAMA_3_8B = Shape(
    hidden=4096, intermediate=14336, layers=32, kv_width=1024, vocabulary=128_256, tied=False
)
LLAMA_2_7B = Shape(
    hidden=4096, intermediate=11008, layers=32, kv_width=4096, vocabulary=32_000, tied=False
)


def expected(shape: Shape, recipe: QloraRecipe) -> Estimate:
    lengths = [recipe.max_length] * 1000
    return estimate(shape, recipe, lengths, gpu=False, speed=1e14)


def test_shapes_have_the_published_sizes() -> None:
    assert LLAMA_3_8B.block_weights == pytest.approx(6.98e9, rel=0.001)
    assert LLAMA_3_8B.lora_weights(16) == pytest.approx(41.9e6, rel=0.002)
    assert LLAMA_2_7B.block_weights + LLAMA_2_7B.embedding_weights == pytest.approx(
        6.74e9, rel=0.01
    )


def test_known_peaks_lie_within_a_factor_of_two() -> None:
    # Published: torchtune 8B, 2 x 2,048, packed: 7.4 GiB; the article: 7B inside 15.5 GB.
    eight = expected(LLAMA_3_8B, production_recipe(batch_size=2, max_length=2048))
    seven = expected(LLAMA_2_7B, production_recipe(batch_size=1, max_length=512))
    assert 7.4 <= eight.needed / GIB <= 14.8
    assert seven.needed < 15.5e9
    without = production_recipe(batch_size=2, max_length=2048, activation_checkpointing=False)
    assert expected(LLAMA_3_8B, without).needed > 2 * eight.needed


def test_the_packaged_base_is_read_and_others_are_left_alone(tmp_path: Path) -> None:
    shape = Shape.read(base_model_path())
    assert shape is not None
    assert shape.block_weights + shape.embedding_weights == pytest.approx(2_164_416, rel=0.01)
    assert Shape.read(tmp_path) is None
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mamba"}))
    assert Shape.read(tmp_path) is None


def test_what_does_not_fit_is_refused_with_all_numbers() -> None:
    small = replace(expected(LLAMA_3_8B, production_recipe()), available=4.0 * GIB, seconds=9e5)
    with pytest.raises(ConfigurationError) as caught:
        small.require_fit(max_hours=24)
    memory, hours = caught.value.problems
    assert "4.0 GiB are free" in memory
    assert "base 5.3" in memory
    assert "about 250 hours" in hours
    replace(small, available=20.0 * GIB, seconds=10.0).require_fit(max_hours=24)


def test_a_bounded_run_takes_as_long_as_its_steps() -> None:
    recipe = QloraRecipe(batch_size=10, max_length=64)
    whole = expected(LLAMA_2_7B, recipe)
    bounded = expected(LLAMA_2_7B, replace(recipe, max_steps=10))
    assert bounded.tokens == whole.tokens // 10
    assert bounded.seconds == pytest.approx(whole.seconds / 10)


def test_a_second_stage_costs_time_and_one_more_copy_of_the_adapter() -> None:
    recipe = QloraRecipe(batch_size=8, max_length=64)
    lengths = [64] * 100
    first = estimate(LLAMA_2_7B, recipe, lengths, gpu=False, speed=1e14)
    both = estimate(LLAMA_2_7B, recipe, lengths, compared=lengths, gpu=False, speed=1e14)
    assert both.tokens == 2 * first.tokens
    assert both.seconds == pytest.approx(first.seconds * (4 + 6) / 4)
    assert both.needed - first.needed == pytest.approx(4 * LLAMA_2_7B.lora_weights(16))
    bounded = replace(recipe, max_steps=5)
    part = estimate(LLAMA_2_7B, bounded, lengths, compared=lengths, gpu=False, speed=1e14)
    assert part.tokens == 64 * 40 + 64 * 80


def test_this_machine_has_a_speed() -> None:
    assert measure_speed(gpu=False, compute_dtype="float32", seconds=0.001) > 1e8

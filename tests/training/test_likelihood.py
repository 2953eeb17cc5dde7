import math

import pytest
import torch

from feedback.prompting import build_messages
from retrain.base_model import base_model_path
from retrain.inference import BatchGenerator

PROMPTS = [
    build_messages("What is 2 + 2?", ()),
    build_messages("Hello", ()),
    build_messages("What is hot?", ["Tea is hot. Snow is cold and white."]),
]
ANSWERS = ["2 + 2 = 4.", "Hello.", "Tea is hot."]

pytestmark = pytest.mark.slow


def test_the_base_is_itself_and_likes_right_answers_better() -> None:
    base = BatchGenerator(base_model_path())
    right = base.take_in(PROMPTS, ANSWERS)
    wrong = base.take_in(PROMPTS, ["2 + 2 = 9.", "Goodbye.", "Purple elephants sing."])
    assert [likelihood.divergence for likelihood in right] == [0.0] * 3
    assert all(r.surprise < w.surprise for r, w in zip(right, wrong, strict=True))
    assert right[0].surprise < math.log(2)


def test_a_dialogue_is_taken_in_the_same_alone_and_among_longer_ones() -> None:
    base = BatchGenerator(base_model_path())
    together = base.take_in(PROMPTS, ANSWERS)
    alone = [base.take_in([p], [a])[0] for p, a in zip(PROMPTS, ANSWERS, strict=True)]
    for one, other in zip(together, alone, strict=True):
        assert one.surprise == pytest.approx(other.surprise, abs=1e-5)


def test_a_moved_model_diverges_from_its_base() -> None:
    base, moved = BatchGenerator(base_model_path()), BatchGenerator(base_model_path())
    with torch.no_grad():
        moved._model.model.layers[1].mlp.down_proj.weight.mul_(0.5)
    taken = moved.take_in(PROMPTS, ANSWERS, base)
    assert all(likelihood.divergence > 1e-4 for likelihood in taken)

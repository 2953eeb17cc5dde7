import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.errors import InvalidInputError
from retrain.training.rows import read_rows, training_order

GOOD = {"id": "1", "messages": [{"role": "user", "content": "Hi"}], "completion": "Hello."}


def write(folder: Path, *rows: object) -> Path:
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_rows_become_prompt_and_completion(tmp_path: Path) -> None:
    text = read_rows(write(tmp_path, GOOD, GOOD | {"weight": 0.5}))
    assert text.weights == (1.0, 0.5)
    assert text.rows[0] == {
        "prompt": [{"role": "user", "content": "Hi"}],
        "completion": [{"role": "assistant", "content": "Hello."}],
    }


@pytest.mark.parametrize(
    "bad", [{"messages": [], "completion": "x"}, {**GOOD, "completion": " "}, {"completion": "x"}]
)
def test_one_bad_row_refuses_the_data_set(tmp_path: Path, bad: object) -> None:
    with pytest.raises(InvalidInputError, match=r"train\.jsonl:2: .*build the data set"):
        read_rows(write(tmp_path, GOOD, bad))


def test_an_absent_or_empty_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot read"):
        read_rows(tmp_path)
    with pytest.raises(InvalidInputError, match="no usable row"):
        read_rows(write(tmp_path))


@given(
    lengths=st.lists(st.integers(1, 200), min_size=1, max_size=80),
    epochs=st.integers(1, 3),
    batch_size=st.integers(1, 9),
    seed=st.integers(0, 5),
)
def test_the_order_visits_every_row_once_an_epoch(
    lengths: list[int], epochs: int, batch_size: int, seed: int
) -> None:
    order = training_order(lengths, epochs=epochs, batch_size=batch_size, seed=seed)

    assert sorted(order) == sorted(list(range(len(lengths))) * epochs)
    assert order == training_order(lengths, epochs=epochs, batch_size=batch_size, seed=seed)


def test_rows_of_one_length_share_a_batch() -> None:
    lengths = [10, 50] * 32

    order = training_order(lengths, epochs=1, batch_size=8, seed=0)

    batches = [{lengths[i] for i in order[k : k + 8]} for k in range(0, 64, 8)]
    assert all(len(batch) == 1 for batch in batches)


def test_weights_say_how_often_an_epoch_shows_a_row() -> None:
    order = training_order(
        [9] * 300, epochs=10, batch_size=8, seed=0, weights=[2.0] * 100 + [0.25] * 100 + [1.0] * 100
    )
    shown = Counter(order)
    assert {shown[index] for index in range(100)} == {20}
    assert {shown[index] for index in range(100, 200)} == {2, 3}
    assert {shown[index] for index in range(200, 300)} == {10}


@given(epochs=st.integers(1, 12), seed=st.integers(0, 5))
def test_a_row_for_one_epoch_in_all_is_shown_once(epochs: int, seed: int) -> None:
    order = training_order(
        [9] * 40, epochs=epochs, batch_size=8, seed=seed, weights=[1 / epochs] * 40
    )
    assert sorted(order) == list(range(40))

"""Adapter lint finds what servers would apply wrongly in silence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from feedback.errors import ConfigurationError
from retrain.publishing.identity import WEIGHTS
from retrain.publishing.lint import lint_adapter, lint_name, require_servable

Change = Callable[[dict[str, Any], dict[str, torch.Tensor]], None]


@pytest.fixture
def adapter(tiny_adapters: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_adapters["cobalt"], tmp_path / "cobalt"))


def edit(folder: Path, change: Change) -> None:
    config = json.loads((folder / "adapter_config.json").read_text())
    tensors = load_file(folder / WEIGHTS)
    change(config, tensors)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    save_file(tensors, folder / WEIGHTS)


def zero_b(_config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    for key, tensor in tensors.items():
        if "lora_B" in key:
            tensor.zero_()


def one_nan(_config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    next(iter(tensors.values()))[0, 0] = float("nan")


def drop_layer(_config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    for key in [key for key in tensors if ".layers.2.self_attn.q_proj." in key]:
        del tensors[key]


def add_head(_config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    tensors["base_model.model.lm_head.lora_A.weight"] = torch.ones(8, 128)


def lone_half(_config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    del tensors[next(key for key in tensors if key.endswith("q_proj.lora_A.weight"))]


def whole_numbers(_config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    key = next(key for key in tensors if key.endswith("q_proj.lora_A.weight"))
    tensors[key] = tensors[key].to(torch.int8)


def other_rank(_config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    for key in [key for key in tensors if ".q_proj." in key]:
        tensors[key] = torch.cat([tensors[key]] * 2, dim=0 if "lora_A" in key else 1)


def magnitudes(_config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    tensors["base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector"] = torch.ones(
        4
    )


def narrow(_config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    key = next(key for key in tensors if key.endswith("q_proj.lora_A.weight"))
    tensors[key] = tensors[key][:, :64].contiguous()


def setting(**values: object) -> Change:
    return lambda config, _tensors: config.update(values)


def test_a_plain_adapter_passes(adapter: Path, tiny_base: Path) -> None:
    assert lint_adapter(adapter, name="cobalt", base=tiny_base) == []
    require_servable(adapter, name="cobalt", base=tiny_base)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        *((setting(r=rank), f"rank r={rank} is") for rank in (4, 12, 48, 128, None)),
        (setting(lora_alpha=0), "lora_alpha=0"),
        *(
            (setting(**{name: value}), f"{name}={value!r} ")
            for name, value in {
                "rank_pattern": {"q_proj": 16},
                "alpha_pattern": {"q_proj": 32},
                "modules_to_save": ["lm_head"],
                "use_dora": True,
                "lora_bias": True,
                "layers_to_transform": [0, 1],
                "layer_replication": [[0, 2]],
                "fan_in_fan_out": True,
                "trainable_token_indices": [1],
                "target_parameters": ["w"],
                "megatron_config": {"tp": 2},
                "alora_invocation_tokens": [1],
                "use_qalora": True,
                "use_bdlora": {"nblocks": 2},
                "arrow_config": {"top_k": 1},
                "kasa_config": {"beta": 1},
                "monteclora_config": {"n": 1},
            }.items()
        ),
        (setting(revision="v2"), "revision='v2'"),
        (setting(target_modules=["q_proj"]), "target_modules and tensors differ in k_proj"),
        (setting(bias="all"), "bias='all'"),
        (setting(peft_type="LOHA"), "peft_type"),
        *(
            (setting(init_lora_weights=init), init)
            for init in ("pissa_niter_4", "olora", "corda", "loftq", "lora_ga")
        ),
        (setting(target_modules=["q_proj", "qkv_proj"]), "qkv_proj"),
        (zero_b, "untrained"),
        (one_nan, "not finite"),
        (drop_layer, "q_proj is trained in 3 of 4 layers"),
        (add_head, "lm_head.lora_A.weight is skipped"),
        (narrow, "has width 64, the base needs 128"),
        (lone_half, "has no lora_A beside it"),
        (whole_numbers, "is torch.int8"),
        (other_rank, "has rank 16, the config says r=8"),
        (magnitudes, "lora_magnitude_vector is skipped in silence"),
    ],
)
def test_each_fault_is_named(
    adapter: Path, tiny_base: Path, change: Change, complaint: str
) -> None:
    edit(adapter, change)
    problems = lint_adapter(adapter, name="cobalt", base=tiny_base)
    assert any(complaint in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("rank", "shards", "fits"),
    [(8, 1, True), (8, 2, False), (16, 2, True), (16, 4, False), (32, 4, True), (64, 8, True)],
)
def test_a_rank_must_be_worth_dividing_by_the_gpus(
    adapter: Path, rank: int, shards: int, *, fits: bool
) -> None:
    edit(adapter, setting(r=rank))
    problems = lint_adapter(adapter, name="cobalt", shards=shards)
    assert any("is padded on" in problem for problem in problems) is not fits


@pytest.mark.parametrize("family", ["qwen3", "gemma", "phi", "gpt2", None])
def test_a_base_that_takes_no_lora_there(
    adapter: Path, tiny_base: Path, tmp_path: Path, family: str | None
) -> None:
    config = json.loads((tiny_base / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": family}))
    problems = lint_adapter(adapter, name="cobalt", base=tmp_path)
    assert problems == [problem for problem in problems if "is not served with LoRA" in problem]
    assert problems


def test_a_quantised_base(adapter: Path, tiny_base: Path, tmp_path: Path) -> None:
    config = json.loads((tiny_base / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "awq"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (problem,) = lint_adapter(adapter, name="cobalt", base=tmp_path)
    assert "the base is quantised" in problem


@pytest.mark.parametrize(
    "name", ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "added_tokens.json"]
)
def test_what_changes_the_prompt_is_never_read_from_an_adapter(adapter: Path, name: str) -> None:
    (adapter / name).write_text("{}")
    (problem,) = lint_adapter(adapter, name="cobalt")
    assert f"{name} is never read" in problem


def test_a_path_at_which_a_list_of_adapters_is_split(adapter: Path) -> None:
    moved = adapter.rename(adapter.with_name("a=b"))
    (problem,) = lint_adapter(moved, name="cobalt")
    assert "LORA_ADAPTERS is split" in problem


def test_weights_that_are_no_weights(adapter: Path) -> None:
    (adapter / WEIGHTS).write_bytes(b"pickle")
    assert "cannot be read" in " ".join(lint_adapter(adapter, name="cobalt"))


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_config_that_is_none(adapter: Path, text: str) -> None:
    (adapter / "adapter_config.json").write_text(text)
    assert "adapter_config.json" in " ".join(lint_adapter(adapter, name="cobalt"))


def test_only_one_safetensors_file_is_allowed(adapter: Path) -> None:
    (adapter / "more").mkdir()
    shutil.copy(adapter / WEIGHTS, adapter / "more" / "training_args.safetensors")
    (adapter / "adapter_model.bin").write_bytes(b"\x80")
    text = " ".join(lint_adapter(adapter, name="cobalt"))
    assert "exactly one safetensors file" in text
    assert "is a pickle" in text
    assert "'training'" in text


def test_another_base_is_refused(adapter: Path) -> None:
    problems = lint_adapter(adapter, name="cobalt", base_id="understudy/other")
    assert any("the served base is 'understudy/other'" in problem for problem in problems)


def test_all_problems_come_together(adapter: Path) -> None:
    edit(adapter, setting(r=12, use_dora=True))
    with pytest.raises(ConfigurationError) as caught:
        require_servable(adapter, name="a=b")
    assert len(caught.value.problems) >= 3


def test_a_missing_folder_is_one_clear_sentence(tmp_path: Path) -> None:
    problems = lint_adapter(tmp_path / "nowhere", name="cobalt")
    assert "the folder does not exist" in problems[0]


@pytest.mark.parametrize("name", ["a,b", "a=b", "a@b", " a", "tgi", "dummy", ""])
def test_names_that_servers_split_or_take_for_the_base(name: str) -> None:
    assert lint_name(name)
    assert not lint_name("support-2026-11-26")

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
        (setting(r=12), "rank r=12"),
        (setting(rank_pattern={"q_proj": 16}), "rank_pattern"),
        (setting(use_dora=True), "use_dora"),
        (setting(modules_to_save=["lm_head"]), "modules_to_save"),
        (setting(bias="all"), "bias='all'"),
        (setting(peft_type="LOHA"), "peft_type"),
        (setting(init_lora_weights="pissa_niter_4"), "pissa"),
        (setting(target_modules=["q_proj", "qkv_proj"]), "qkv_proj"),
        (setting(layers_to_transform=[0, 1]), "layers_to_transform"),
        (zero_b, "untrained"),
        (one_nan, "not finite"),
        (drop_layer, "q_proj is trained in 3 of 4 layers"),
        (add_head, "lm_head.lora_A.weight is skipped"),
        (narrow, "has width 64, the base needs 128"),
    ],
)
def test_each_fault_is_named(
    adapter: Path, tiny_base: Path, change: Change, complaint: str
) -> None:
    edit(adapter, change)
    problems = lint_adapter(adapter, name="cobalt", base=tiny_base)
    assert any(complaint in problem for problem in problems), problems


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

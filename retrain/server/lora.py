"""LoRA adapters stacked side by side, so that rows of one batch may each use another one.

Index 0 is the base model: zero matrices, which add an exact zero. An adapter's A and B matrices of
projections that read the same input (q/k/v, gate/up) are fused: A side by side, B block-diagonal.
The update is `x A B * scale` with scale = alpha / r, or alpha / sqrt(r) for rsLoRA
(Hu et al. 2021, arXiv:2106.09685; Kalajdzievski 2023, arXiv:2312.03732).
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from feedback.errors import ConfigurationError

GROUPS: tuple[tuple[str, ...], ...] = (
    ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    ("self_attn.o_proj",),
    ("mlp.gate_proj", "mlp.up_proj"),
    ("mlp.down_proj",),
)
"""Projections of one layer that read the same input, in the order of their fused outputs."""

Widths = tuple[tuple[int, ...], ...]
"""Output width of every projection, grouped as GROUPS."""

Pair = tuple[Tensor, Tensor]
"""(A, B) of one fused group: shapes (in, r) and (r, out), or with a leading row dimension."""

AdapterLayers = Sequence[Sequence[Pair]]
"""One adapter: an (A, B) pair for each group of each layer."""


@dataclass(frozen=True, kw_only=True)
class LoraShape:
    """What an adapter must fit: the served base's projections.

    Attributes:
        inputs: Input width of each group.
        widths: Output width of each projection of each group.
    """

    layers: int
    inputs: tuple[int, ...]
    widths: Widths


@dataclass(frozen=True, kw_only=True)
class LoadedAdapter:
    """One adapter as fused matrices: `layers[layer][group]` is an (A, B) pair, B scaled."""

    name: str
    layers: tuple[tuple[Pair, ...], ...]


def load_adapter(name: str, folder: Path, shape: LoraShape) -> LoadedAdapter:
    """Reads a peft adapter folder.

    Raises:
        ConfigurationError: When the folder, its config or its tensors cannot be served.
    """
    config = _read_config(name, folder)
    tensors = _read_tensors(name, folder)
    rank = config["r"]
    scale = config["lora_alpha"] / (math.sqrt(rank) if config.get("use_rslora") else rank)
    used: set[str] = set()
    layers = tuple(
        tuple(
            _fuse(tensors, used, f"model.layers.{layer}.", group, shape, scale)
            for group in range(len(GROUPS))
        )
        for layer in range(shape.layers)
    )
    unused = sorted(set(tensors) - used)
    if unused:
        raise ConfigurationError(
            f"adapter {name} in {folder} holds {len(unused)} tensors that cannot be applied, such "
            f"as {unused[0]}; train only the seven linear projections of this base"
        )
    return LoadedAdapter(name=name, layers=layers)


def _read_config(name: str, folder: Path) -> dict[str, float]:
    path = folder / "adapter_config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        rank, alpha = config["r"], config["lora_alpha"]
    except OSError as exc:
        raise ConfigurationError(
            f"adapter {name}: cannot read {path} ({exc.strerror}); give the folder peft saved"
        ) from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise ConfigurationError(f"adapter {name}: {path} is no LoRA config: {exc!r}") from exc
    for key in ("use_dora", "rank_pattern", "alpha_pattern", "modules_to_save", "lora_bias"):
        if config.get(key):
            raise ConfigurationError(
                f"adapter {name}: {path} sets {key}, which no TGI server applies; retrain without"
            )
    return {"r": rank, "lora_alpha": alpha, "use_rslora": bool(config.get("use_rslora"))}


def _read_tensors(name: str, folder: Path) -> dict[str, Tensor]:
    path = folder / "adapter_model.safetensors"
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as exc:
        raise ConfigurationError(
            f"adapter {name}: cannot read {path} ({exc}); save it with safetensors"
        ) from exc
    return {
        key.removeprefix("base_model.model."): value.to(torch.float32)
        for key, value in tensors.items()
    }


def _fuse(
    tensors: Mapping[str, Tensor],
    used: set[str],
    prefix: str,
    group: int,
    shape: LoraShape,
    scale: float,
) -> Pair:
    """Returns one group's A side by side and B block-diagonal, zeros where nothing was trained."""
    downs: list[Tensor] = []
    ups: list[Tensor] = []
    for projection, width in zip(GROUPS[group], shape.widths[group], strict=True):
        key_a, key_b = (f"{prefix}{projection}.lora_{part}.weight" for part in "AB")
        down, up = tensors.get(key_a), tensors.get(key_b)
        if down is None or up is None:
            down, up = torch.zeros(1, shape.inputs[group]), torch.zeros(width, 1)
        expected = (shape.inputs[group], width, down.shape[0])
        if (down.shape[1], up.shape[0], up.shape[1]) != expected:
            raise ConfigurationError(
                f"{prefix}{projection} of the adapter has shapes {tuple(down.shape)} and "
                f"{tuple(up.shape)}, the base needs {shape.inputs[group]} in and {width} out; it "
                "was trained on another base"
            )
        used.update({key_a, key_b} & tensors.keys())
        downs.append(down.T)
        ups.append(up.T * scale)
    return torch.cat(downs, dim=1).contiguous(), torch.block_diag(*ups)  # type: ignore[no-untyped-call]


class LoraBank:
    """All adapters of a server; index 0 is the base, the others follow in the order given."""

    def __init__(self, adapters: Sequence[LoadedAdapter], shape: LoraShape) -> None:
        self._shape = shape
        self._adapters = tuple(adapters)
        self.names: tuple[str, ...] = tuple(adapter.name for adapter in adapters)
        self._stacked = [
            [self._stack(layer, group) for group in range(len(GROUPS))]
            for layer in range(shape.layers)
        ]

    def index(self, name: str | None) -> int | None:
        """Returns the index of an adapter, 0 for the base (None), None for an unknown name."""
        if name is None:
            return 0
        return self.names.index(name) + 1 if name in self.names else None

    def single(self, index: int) -> AdapterLayers | None:
        """Returns one adapter's pairs for a whole prompt; None for the base."""
        return self._adapters[index - 1].layers if index else None

    def gather(self, indices: Sequence[int]) -> list[list[Pair]] | None:
        """Returns per-row matrices for a batch, or None when every row is the base."""
        if not any(indices):
            return None
        rows = torch.tensor(indices)
        return [[(a[rows], b[rows]) for a, b in layer] for layer in self._stacked]

    def _stack(self, layer: int, group: int) -> Pair:
        pairs = [adapter.layers[layer][group] for adapter in self._adapters]
        rank = max((a.shape[1] for a, _ in pairs), default=1)
        width = sum(self._shape.widths[group])
        downs = torch.zeros(len(pairs) + 1, self._shape.inputs[group], rank)
        ups = torch.zeros(len(pairs) + 1, rank, width)
        for index, (a, b) in enumerate(pairs, start=1):
            downs[index, :, : a.shape[1]] = a
            ups[index, : b.shape[0]] = b
        return downs, ups


class Lora(Protocol):
    """One layer's updates of the rows at hand."""

    def add(self, group: int, output: Tensor, inputs: Tensor) -> Tensor:
        """Returns `output` (rows, out) plus the updates of `inputs` (rows, in)."""
        ...


class RowsLora:
    """Each row has its own adapter: pairs of shapes (rows, in, r) and (rows, r, out)."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._pairs = pairs

    def add(self, group: int, output: Tensor, inputs: Tensor) -> Tensor:
        """Adds each row's own update."""
        down, up = self._pairs[group]
        hidden = torch.bmm(inputs.unsqueeze(1), down)
        return torch.baddbmm(output.unsqueeze(1), hidden, up).squeeze(1)


class SegmentsLora:
    """Runs of rows (start, stop) share an adapter; rows outside every run are the base's."""

    def __init__(self, segments: Sequence[tuple[int, int, Sequence[Pair]]]) -> None:
        self._segments = segments

    def add(self, group: int, output: Tensor, inputs: Tensor) -> Tensor:
        """Adds each run's update, in place."""
        for start, stop, pairs in self._segments:
            down, up = pairs[group]
            output[start:stop].addmm_(inputs[start:stop] @ down, up)
        return output

"""The forward pass of Llama-family models, written for many short rows on one CPU thread.

Why not `model.generate`: its Python overhead outweighs the arithmetic of a small model, its batches
cannot take in a new row half-way, and peft's mixed-adapter hooks run every adapter apart. Here a
step is one fused pass over all rows; `tests/integration/serving` holds it to transformers + peft.

Every row's result is independent of the rows beside it: matrix products see at least MIN_ROWS rows
(below that the BLAS picks other kernels), keys are padded to multiples of KEY_BLOCK, and padding
adds exact zeros. So greedy answers are bit-equal alone and in any batch in fp32.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from retrain.server.lora import LoraShape, Pair, add_prompt, add_rows

MIN_ROWS = 4
KEY_BLOCK = 32


@dataclass(frozen=True, kw_only=True)
class Dimensions:
    """Sizes of the model; `eps` is RMSNorm's."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    max_positions: int
    eps: float

    def lora_shape(self) -> LoraShape:
        """Returns what an adapter's matrices must fit."""
        query, key = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return LoraShape(
            layers=self.layers,
            inputs=(self.hidden, query, self.hidden, self.intermediate),
            widths=(
                (query, key, key),
                (self.hidden,),
                (self.intermediate, self.intermediate),
                (self.hidden,),
            ),
        )


@dataclass(frozen=True, kw_only=True)
class LayerWeights:
    """One layer; q/k/v and gate/up are stacked so that each is one product."""

    attention_norm: Tensor
    qkv: Tensor
    qkv_bias: Tensor | None
    output: Tensor
    mlp_norm: Tensor
    gate_up: Tensor
    down: Tensor


@dataclass(frozen=True, kw_only=True)
class Weights:
    """All weights in fp32, and the rotary tables of shape (positions, head_dim)."""

    embedding: Tensor
    layers: tuple[LayerWeights, ...]
    norm: Tensor
    head: Tensor
    cos: Tensor
    sin: Tensor


class KeyValueCache:
    """Keys and values per layer, shape (rows, 2 * kv_heads, positions, head_dim); grows on demand.

    Row i of a batch lives in slot i. Slots beyond a row's length hold old but finite numbers, which
    the attention mask turns into exact zeros.
    """

    def __init__(self, dimensions: Dimensions, *, rows: int = 8, positions: int = 256) -> None:
        self._dimensions = dimensions
        self.rows = rows
        self.positions = min(positions, _round_up(dimensions.max_positions))
        self.layers = self._allocate()

    def _allocate(self) -> list[Tensor]:
        d = self._dimensions
        shape = (self.rows, 2 * d.kv_heads, self.positions, d.head_dim)
        return [torch.zeros(shape) for _ in range(d.layers)]

    def reserve(self, rows: int, positions: int) -> None:
        """Makes room for `rows` rows of `positions` positions; keeps what is there."""
        if rows <= self.rows and positions <= self.positions:
            return
        old, old_rows, old_positions = self.layers, self.rows, self.positions
        while self.rows < rows:
            self.rows *= 2
        while self.positions < positions:
            self.positions *= 2
        self.layers = self._allocate()
        for new, previous in zip(self.layers, old, strict=True):
            new[:old_rows, :, :old_positions] = previous

    def move(self, source: int, target: int, length: int) -> None:
        """Copies one row's first `length` positions to another slot."""
        for layer in self.layers:
            layer[target, :, :length] = layer[source, :, :length]


class Decoder:
    """Runs prompts and steps; owns no state but the weights. Not thread-safe with one cache."""

    def __init__(self, dimensions: Dimensions, weights: Weights) -> None:
        self.dimensions = dimensions
        self._weights = weights
        half = dimensions.head_dim // 2
        # rotate_half(x) = roll(x, half) with its first half negated: fold the sign into the sine.
        self._signed_sin = torch.cat((-weights.sin[:, :half], weights.sin[:, half:]), dim=1)
        self._arange = torch.arange(_round_up(dimensions.max_positions))

    @torch.inference_mode()
    def prompt(
        self,
        cache: KeyValueCache,
        slot: int,
        tokens: Sequence[int],
        lora: Sequence[Sequence[Pair]] | None,
        *,
        all_positions: bool = False,
    ) -> Tensor:
        """Fills a slot with a prompt; returns logits, shape (1 or len(tokens), vocab)."""
        w, d = self._weights, self.dimensions
        length = len(tokens)
        cache.reserve(slot + 1, length + 1)
        x = functional.embedding(torch.tensor(tokens), w.embedding)
        cos = w.cos[:length].unsqueeze(1)
        sin = self._signed_sin[:length].unsqueeze(1)
        for number, layer in enumerate(w.layers):
            pairs = lora[number] if lora is not None else None
            queries, keys_values = self._project(x, layer, cos, sin, pairs, prompt=True)
            cache.layers[number][slot, :, :length] = keys_values.transpose(0, 1)
            keys, values = keys_values.transpose(0, 1).unsqueeze(0).chunk(2, dim=1)
            mixed = functional.scaled_dot_product_attention(
                queries.transpose(0, 1).unsqueeze(0),
                keys,
                values,
                is_causal=length > 1,
                enable_gqa=d.heads != d.kv_heads,
            )
            mixed = mixed.squeeze(0).transpose(0, 1).reshape(length, -1)
            x = self._finish(x, mixed, layer, pairs, prompt=True)
        if not all_positions:
            x = x[-1:]
        return functional.linear(functional.rms_norm(x, (d.hidden,), w.norm, d.eps), w.head)

    @torch.inference_mode()
    def step(
        self,
        cache: KeyValueCache,
        tokens: Sequence[int],
        positions: Sequence[int],
        lora: Sequence[Sequence[Pair]] | None,
    ) -> Tensor:
        """Advances rows 0..n-1 by one token each; returns logits, shape (n, vocab).

        Args:
            cache: Holds rows 0..n-1.
            tokens: The newest token of each row; at least MIN_ROWS (pad with zeros).
            positions: Where it stands in its row.
            lora: Per-row matrices of LoraBank.gather, as many rows as tokens.
        """
        w, d = self._weights, self.dimensions
        rows, keys = len(tokens), _round_up(max(positions) + 1)
        cache.reserve(rows, keys)
        x = functional.embedding(torch.tensor(tokens), w.embedding)
        where = torch.tensor(positions)
        cos, sin = w.cos[where].unsqueeze(1), self._signed_sin[where].unsqueeze(1)
        visible = self._arange[:keys] <= where.unsqueeze(1)
        mask = torch.zeros(rows, keys).masked_fill_(~visible, float("-inf"))[:, None, None, :]
        row = self._arange[:rows]
        group = d.heads // d.kv_heads
        for number, layer in enumerate(w.layers):
            pairs = lora[number] if lora is not None else None
            queries, keys_values = self._project(x, layer, cos, sin, pairs, prompt=False)
            stored = cache.layers[number]
            stored[row, :, where] = keys_values
            # Heads that share a key/value head stand in the query dimension: no copy of the cache.
            mixed = functional.scaled_dot_product_attention(
                queries.view(rows, d.kv_heads, group, d.head_dim),
                stored[:rows, : d.kv_heads, :keys],
                stored[:rows, d.kv_heads :, :keys],
                attn_mask=mask,
            )
            x = self._finish(x, mixed.reshape(rows, -1), layer, pairs, prompt=False)
        return functional.linear(functional.rms_norm(x, (d.hidden,), w.norm, d.eps), w.head)

    def _project(
        self,
        x: Tensor,
        layer: LayerWeights,
        cos: Tensor,
        sin: Tensor,
        pairs: Sequence[Pair] | None,
        *,
        prompt: bool,
    ) -> tuple[Tensor, Tensor]:
        """Returns rotated queries (n, heads, dim) and keys with values (n, 2 * kv_heads, dim)."""
        d = self.dimensions
        h = functional.rms_norm(x, (d.hidden,), layer.attention_norm, d.eps)
        qkv = functional.linear(h, layer.qkv, layer.qkv_bias)
        if pairs is not None:
            qkv = add_prompt(qkv, h, pairs[0]) if prompt else add_rows(qkv, h, pairs[0])
        qkv = qkv.view(x.shape[0], d.heads + 2 * d.kv_heads, d.head_dim)
        rotated, values = torch.split(qkv, [d.heads + d.kv_heads, d.kv_heads], dim=1)
        half = d.head_dim // 2
        rolled = torch.cat((rotated[..., half:], rotated[..., :half]), dim=-1)
        rotated = torch.addcmul(rotated * cos, rolled, sin)
        return rotated[:, : d.heads], torch.cat((rotated[:, d.heads :], values), dim=1)

    def _finish(
        self,
        x: Tensor,
        mixed: Tensor,
        layer: LayerWeights,
        pairs: Sequence[Pair] | None,
        *,
        prompt: bool,
    ) -> Tensor:
        """Applies the attention output projection and the gated MLP, with residuals."""
        add = add_prompt if prompt else add_rows
        out = functional.linear(mixed, layer.output)
        x = x + (out if pairs is None else add(out, mixed, pairs[1]))
        h = functional.rms_norm(x, (self.dimensions.hidden,), layer.mlp_norm, self.dimensions.eps)
        gate_up = functional.linear(h, layer.gate_up)
        if pairs is not None:
            gate_up = add(gate_up, h, pairs[2])
        gate, up = gate_up.chunk(2, dim=1)
        inner = functional.silu(gate) * up
        down = functional.linear(inner, layer.down)
        return x + (down if pairs is None else add(down, inner, pairs[3]))


def _round_up(positions: int) -> int:
    return -(-positions // KEY_BLOCK) * KEY_BLOCK

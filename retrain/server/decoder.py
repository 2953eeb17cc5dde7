"""The forward pass of Llama-family models, written for many short rows on one CPU thread.

Why not `model.generate`: its Python overhead outweighs the arithmetic of a small model, its batches
cannot take in a new row half-way, and peft's mixed-adapter hooks run every adapter apart. Here a
step is one fused pass over all rows; `tests/integration/serving` holds it to transformers + peft.

Every row's result is independent of the rows beside it: matrix products see at least MIN_ROWS rows
(below that the BLAS picks other kernels), keys are padded to multiples of BLOCK, and padding adds
exact zeros. Prompts attend one block of BLOCK positions after the other, in shapes that depend on
the block alone, whether the blocks before it were just run or come from an earlier prompt. So
answers are bit-equal alone, in any batch, and with any part of the prompt reused, in fp32.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from retrain.server.lora import AdapterLayers, Lora, LoraShape, Pair, RowsLora, SegmentsLora

MIN_ROWS = 4
BLOCK = 32
"""Positions of a block: keys are read, and prompts attend and are reused, in whole blocks."""


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
        # It may grow within a step; a tensor born in inference mode could only be written there.
        with torch.inference_mode(mode=False):
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

    def read(self, slot: int, start: int, stop: int) -> Tensor:
        """Returns a copy of positions [start, stop), shape (layers, 2 * kv_heads, n, head_dim)."""
        return torch.stack([layer[slot, :, start:stop] for layer in self.layers])

    def write(self, slot: int, start: int, stored: Tensor) -> None:
        """Puts what `read` returned at positions from `start` on."""
        for layer, part in zip(self.layers, stored, strict=True):
            layer[slot, :, start : start + part.shape[1]] = part

    def move(self, source: int, target: int, length: int) -> None:
        """Copies one row's first `length` positions to another slot."""
        for layer in self.layers:
            layer[target, :, :length] = layer[source, :, :length]


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One prompt to run.

    Attributes:
        slot: The slot it fills.
        tokens: All its tokens.
        lora: Its adapter's matrices; None is the base.
        start: How many tokens stand in the slot already: whole blocks, and not all tokens.
    """

    slot: int
    tokens: Sequence[int]
    lora: AdapterLayers | None
    start: int = 0

    @property
    def length(self) -> int:
        """How many tokens are left to run."""
        return len(self.tokens) - self.start


class _Packed:
    """Prompts laid end to end, those of one adapter side by side.

    Each takes at least MIN_ROWS rows (padded with token 0), so that a short prompt gets the same
    kernels alone and beside others.
    """

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        self.tokens: list[int] = []
        self.positions: list[int] = []
        self.starts = [0] * len(prompts)
        self._segments: list[tuple[int, int, AdapterLayers]] = []
        self.kept: list[int] = []
        for number in sorted(range(len(prompts)), key=lambda number: id(prompts[number].lora)):
            prompt, start = prompts[number], len(self.tokens)
            padding = [0] * (MIN_ROWS - prompt.length)
            self.starts[number] = start
            self.tokens += [*prompt.tokens[prompt.start :], *padding]
            self.positions += [*range(prompt.start, len(prompt.tokens)), *padding]
            self.kept += range(start, start + prompt.length)
            self._extend(start, prompt.lora)
        lasts = [
            start + prompt.length - 1 for start, prompt in zip(self.starts, prompts, strict=True)
        ]
        self.lasts = lasts + [0] * (MIN_ROWS - len(lasts))

    def _extend(self, start: int, lora: AdapterLayers | None) -> None:
        if lora is None:
            return
        if self._segments and self._segments[-1][2] is lora:
            start = self._segments.pop()[0]
        self._segments.append((start, len(self.tokens), lora))

    def lora(self, layer: int) -> SegmentsLora | None:
        """Returns one layer's updates, None when every prompt is the base's."""
        if not self._segments:
            return None
        return SegmentsLora([(start, stop, lora[layer]) for start, stop, lora in self._segments])


class Decoder:
    """Runs prompts and steps; owns no state but the weights. Not thread-safe with one cache."""

    def __init__(self, dimensions: Dimensions, weights: Weights) -> None:
        self.dimensions = dimensions
        self._weights = weights
        half = dimensions.head_dim // 2
        # rotate_half(x) = roll(x, half) with its first half negated: fold the sign into the sine.
        self._signed_sin = torch.cat((-weights.sin[:, :half], weights.sin[:, half:]), dim=1)
        self._arange = torch.arange(_round_up(dimensions.max_positions))
        self._block_mask = self._causal_mask()

    def _causal_mask(self) -> Tensor:
        """Returns what the longest prompt's last block may see: its last columns serve the others.

        Shape (group * BLOCK, positions): heads that share a key/value head stand below each other.
        """
        d = self.dimensions
        before = torch.zeros(BLOCK, _round_up(d.max_positions) - BLOCK)
        within = torch.full((BLOCK, BLOCK), float("-inf")).triu(1)
        return torch.cat((before, within), dim=1).repeat(d.heads // d.kv_heads, 1)

    def prompt(
        self,
        cache: KeyValueCache,
        slot: int,
        tokens: Sequence[int],
        lora: AdapterLayers | None,
        *,
        all_positions: bool = False,
    ) -> Tensor:
        """Fills one slot; returns logits, shape (1 or len(tokens), vocab)."""
        prompts = [Prompt(slot=slot, tokens=tokens, lora=lora)]
        return self.prompts(cache, prompts, all_positions=all_positions)

    @torch.inference_mode()
    def prompts(
        self, cache: KeyValueCache, prompts: Sequence[Prompt], *, all_positions: bool = False
    ) -> Tensor:
        """Fills slots with prompts, laid end to end: only attention sees one at a time.

        Args:
            cache: Receives keys and values.
            prompts: What to run.
            all_positions: Return logits of every token run instead of each prompt's last.

        Returns:
            Logits, one row a prompt in the order given, or one row a token run.
        """
        w = self._weights
        packed = _Packed(prompts)
        for prompt in prompts:
            cache.reserve(prompt.slot + 1, len(prompt.tokens) + 1)
        x = functional.embedding(torch.tensor(packed.tokens), w.embedding)
        where = torch.tensor(packed.positions)
        cos, sin = w.cos[where].unsqueeze(1), self._signed_sin[where].unsqueeze(1)
        for number, layer in enumerate(w.layers):
            lora = packed.lora(number)
            queries, keys_values = self._project(x, layer, cos, sin, lora)
            mixed = torch.zeros(x.shape[0], self.dimensions.heads * self.dimensions.head_dim)
            for prompt, start in zip(prompts, packed.starts, strict=True):
                rows = slice(start, start + prompt.length)
                stored = cache.layers[number][prompt.slot]
                stored[:, prompt.start : len(prompt.tokens)] = keys_values[rows].transpose(0, 1)
                mixed[rows] = self._attend(queries[rows], stored, prompt.start)
            x = self._finish(x, mixed, layer, lora)
        if all_positions:
            return self._logits(x)[packed.kept]
        return self._logits(x[packed.lasts])[: len(prompts)]

    def _attend(self, queries: Tensor, stored: Tensor, start: int) -> Tensor:
        """Causal attention of one prompt from position `start` on, block by block.

        Args:
            queries: Shape (n, heads, dim).
            stored: The prompt's slot, shape (2 * kv_heads, positions, dim).
            start: A multiple of BLOCK.

        Returns:
            Shape (n, heads * dim).
        """
        d = self.dimensions
        rows, group = queries.shape[0], d.heads // d.kv_heads
        blocks = _round_up(rows) // BLOCK
        padded = functional.pad(queries, (0, 0, 0, 0, 0, blocks * BLOCK - rows))
        grouped = padded.view(blocks, BLOCK, d.kv_heads, group, d.head_dim).permute(0, 2, 3, 1, 4)
        grouped = grouped.reshape(blocks, 1, d.kv_heads, group * BLOCK, d.head_dim)
        keys, values = stored.unsqueeze(0).chunk(2, dim=1)
        parts = []
        for number in range(blocks):
            stop = start + (number + 1) * BLOCK
            part = functional.scaled_dot_product_attention(
                grouped[number],
                keys[:, :, :stop],
                values[:, :, :stop],
                attn_mask=self._block_mask[:, -stop:],
            )
            parts.append(part)
        mixed = torch.cat(parts).view(blocks, d.kv_heads, group, BLOCK, d.head_dim)
        return mixed.permute(0, 3, 1, 2, 4).reshape(blocks * BLOCK, -1)[:rows]

    def _logits(self, x: Tensor) -> Tensor:
        w, d = self._weights, self.dimensions
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
            rows_lora = None if lora is None else RowsLora(lora[number])
            queries, keys_values = self._project(x, layer, cos, sin, rows_lora)
            stored = cache.layers[number]
            stored[row, :, where] = keys_values
            # Heads that share a key/value head stand in the query dimension: no copy of the cache.
            mixed = functional.scaled_dot_product_attention(
                queries.view(rows, d.kv_heads, group, d.head_dim),
                stored[:rows, : d.kv_heads, :keys],
                stored[:rows, d.kv_heads :, :keys],
                attn_mask=mask,
            )
            x = self._finish(x, mixed.reshape(rows, -1), layer, rows_lora)
        return self._logits(x)

    def _project(
        self, x: Tensor, layer: LayerWeights, cos: Tensor, sin: Tensor, lora: Lora | None
    ) -> tuple[Tensor, Tensor]:
        """Returns rotated queries (n, heads, dim) and keys with values (n, 2 * kv_heads, dim)."""
        d = self.dimensions
        h = functional.rms_norm(x, (d.hidden,), layer.attention_norm, d.eps)
        qkv = functional.linear(h, layer.qkv, layer.qkv_bias)
        if lora is not None:
            qkv = lora.add(0, qkv, h)
        qkv = qkv.view(x.shape[0], d.heads + 2 * d.kv_heads, d.head_dim)
        rotated, values = torch.split(qkv, [d.heads + d.kv_heads, d.kv_heads], dim=1)
        half = d.head_dim // 2
        rolled = torch.cat((rotated[..., half:], rotated[..., :half]), dim=-1)
        rotated = torch.addcmul(rotated * cos, rolled, sin)
        return rotated[:, : d.heads], torch.cat((rotated[:, d.heads :], values), dim=1)

    def _finish(self, x: Tensor, mixed: Tensor, layer: LayerWeights, lora: Lora | None) -> Tensor:
        """Applies the attention output projection and the gated MLP, with residuals."""
        out = functional.linear(mixed, layer.output)
        x = x + (out if lora is None else lora.add(1, out, mixed))
        h = functional.rms_norm(x, (self.dimensions.hidden,), layer.mlp_norm, self.dimensions.eps)
        gate_up = functional.linear(h, layer.gate_up)
        if lora is not None:
            gate_up = lora.add(2, gate_up, h)
        gate, up = gate_up.chunk(2, dim=1)
        inner = functional.silu(gate) * up
        down = functional.linear(inner, layer.down)
        return x + (down if lora is None else lora.add(3, down, inner))


def _round_up(positions: int) -> int:
    return -(-positions // BLOCK) * BLOCK

"""MiniLM's encoder: BERT (Devlin et al. 2018, arXiv:1810.04805) in one pass over a padded batch.

Written out because importing transformers costs more CPU seconds than a server embeds in a minute;
a test compares the vectors with sentence-transformers'.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

LAYERS = 6
HEADS = 12
HIDDEN = 384
EPS = 1e-12


class MiniLmEncoder:
    """Token ids to one mean-pooled, L2-normalised vector a text."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = {key: value.to(torch.float32) for key, value in tensors.items()}

    @torch.inference_mode()
    def __call__(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Encodes.

        Args:
            ids: Token ids, shape (texts, tokens).
            mask: 1 for tokens, 0 for padding; same shape.

        Returns:
            Vectors, shape (texts, 384).
        """
        states = self._embed(ids)
        bias = torch.zeros(mask.shape).masked_fill_(mask == 0, float("-inf"))[:, None, None, :]
        for number in range(LAYERS):
            states = self._layer(states, bias, f"encoder.layer.{number}.")
        weights = mask.unsqueeze(2).to(states.dtype)
        pooled = (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9)
        return functional.normalize(pooled, dim=1)

    def _embed(self, ids: Tensor) -> Tensor:
        t = self._tensors
        states = functional.embedding(ids, t["embeddings.word_embeddings.weight"])
        states = states + t["embeddings.position_embeddings.weight"][: ids.shape[1]]
        states = states + t["embeddings.token_type_embeddings.weight"][0]
        return self._norm(states, "embeddings.LayerNorm")

    def _layer(self, states: Tensor, bias: Tensor, prefix: str) -> Tensor:
        texts, tokens, _ = states.shape
        queries, keys, values = (
            self._linear(states, f"{prefix}attention.self.{name}")
            .view(texts, tokens, HEADS, HIDDEN // HEADS)
            .transpose(1, 2)
            for name in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=bias)
        mixed = mixed.transpose(1, 2).reshape(texts, tokens, HIDDEN)
        attended = self._linear(mixed, f"{prefix}attention.output.dense")
        states = self._norm(states + attended, f"{prefix}attention.output.LayerNorm")
        inner = functional.gelu(self._linear(states, f"{prefix}intermediate.dense"))
        out = self._linear(inner, f"{prefix}output.dense")
        return self._norm(states + out, f"{prefix}output.LayerNorm")

    def _linear(self, states: Tensor, name: str) -> Tensor:
        return functional.linear(
            states, self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]
        )

    def _norm(self, states: Tensor, name: str) -> Tensor:
        return functional.layer_norm(
            states,
            (HIDDEN,),
            self._tensors[f"{name}.weight"],
            self._tensors[f"{name}.bias"],
            EPS,
        )

"""Word pieces -> states, by a BERT encoder read from its folder; runs only, and imports no library of models for it.

Shapes: B texts, P word pieces, E width, H heads. Source: Devlin et al. 2018, section 3, with the names of the published
files.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor

from motionmill.training.weights import load_tensors


class Bert:
    """(B, P) ids and mask -> (B, P, E) states of the last layer."""

    def __init__(self, folder: Path) -> None:
        """Read `config.json` and `model.safetensors`.

        Raises:
            FileNotFoundError: one of them is not there.
            ValueError: damaged, or not of a BERT.
        """
        path = folder / "config.json"
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
            self._heads = int(config["num_attention_heads"])
            self._layers = int(config["num_hidden_layers"])
            self._epsilon = float(config["layer_norm_eps"])
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: not the config of a BERT ({error})") from None
        self._tensors = load_tensors(folder / "model.safetensors")
        needed = [
            f"encoder.layer.{self._layers - 1}.output.dense.weight",
            "embeddings.LayerNorm.bias",
        ]
        if missing := [name for name in needed if name not in self._tensors]:
            raise ValueError(f"{folder / 'model.safetensors'}: not a BERT; {missing[0]} is missing")

    def __call__(self, ids: Tensor, mask: Tensor) -> Tensor:
        """States of every place; those where the mask is 0 mean nothing."""
        tensors = self._tensors
        hidden = F.embedding(ids, tensors["embeddings.word_embeddings.weight"])
        hidden = hidden + tensors["embeddings.position_embeddings.weight"][: ids.shape[1]]
        hidden = hidden + tensors["embeddings.token_type_embeddings.weight"][0]
        hidden = self._norm("embeddings.LayerNorm", hidden)
        seen = mask.bool()[:, None, None, :]
        for layer in range(self._layers):
            hidden = self._block(f"encoder.layer.{layer}", hidden, seen)
        return hidden

    def _block(self, name: str, hidden: Tensor, seen: Tensor) -> Tensor:
        """Attention, then two matrices with GELU between; each added to its input and normed."""
        parts = (f"{name}.attention.self.{part}" for part in ("query", "key", "value"))
        query, key, value = (self._heads_of(self._linear(part, hidden)) for part in parts)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        mixed = self._linear(f"{name}.attention.output.dense", mixed.transpose(1, 2).flatten(2))
        hidden = self._norm(f"{name}.attention.output.LayerNorm", mixed + hidden)
        wide = F.gelu(self._linear(f"{name}.intermediate.dense", hidden))
        made = self._linear(f"{name}.output.dense", wide)
        return self._norm(f"{name}.output.LayerNorm", made + hidden)

    def _heads_of(self, states: Tensor) -> Tensor:
        """(B, P, E) -> (B, H, P, C)."""
        return states.unflatten(-1, (self._heads, -1)).transpose(1, 2)

    def _linear(self, name: str, states: Tensor) -> Tensor:
        return F.linear(states, self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"])

    def _norm(self, name: str, states: Tensor) -> Tensor:
        weight, bias = self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]
        return F.layer_norm(states, weight.shape, weight, bias, self._epsilon)

"""Key-value cache: what attention has already computed, one slot a position.

Shapes: B batch, L layers, H heads, S slots, C channels a head.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from motionmill.generator.config import GeneratorConfig


class KeyValueCache:
    """Room for the keys and values of B rows of S slots; the text prefix comes first, padded on the left."""

    def __init__(
        self,
        config: GeneratorConfig,
        batch_size: int,
        num_slots: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
    ) -> None:
        shape = (
            config.num_layers,
            2,
            batch_size,
            config.num_heads,
            num_slots,
            config.width // config.num_heads,
        )
        self._storage = torch.zeros(shape, dtype=dtype, device=device)
        self._mask = torch.zeros(batch_size, num_slots, dtype=torch.bool, device=device)
        self._used = 0

    def start(self, prefix_mask: Tensor) -> None:
        """Begin with a prefix whose real states `prefix_mask` (B, P) marks."""
        room = self._mask.shape[1] - prefix_mask.shape[1]
        self._mask = F.pad(prefix_mask, (0, room), value=True)
        self._lengths = prefix_mask.sum(-1)
        self._prefix = prefix_mask.shape[1]
        self._used = 0

    def layer(self, index: int) -> LayerView:
        """The part of one layer."""
        return LayerView(self, index)

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store (B, H, n, C) keys and values behind those of the layer; returns all of them (B, H, used + n, C)."""
        end = self._used + keys.shape[2]
        self._storage[layer, 0, :, :, self._used : end] = keys
        self._storage[layer, 1, :, :, self._used : end] = values
        return self._storage[layer, 0, :, :, :end], self._storage[layer, 1, :, :, :end]

    def advance(self, count: int) -> None:
        """All layers have stored `count` more slots."""
        self._used += count

    def next_positions(self) -> Tensor:
        """(B, 1) rotary positions of the next slot."""
        return (self._lengths + self._used - self._prefix).unsqueeze(1)

    def visible(self) -> Tensor:
        """(B, 1, 1, used + 1) True for the slots that the next state may see."""
        return self._mask[:, None, None, : self._used + 1]


class LayerView:
    """One layer of a cache."""

    def __init__(self, cache: KeyValueCache, layer: int) -> None:
        self._cache, self._layer = cache, layer

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """See `KeyValueCache.append`."""
        return self._cache.append(self._layer, keys, values)

"""Finite scalar quantization: vectors of a few numbers <-> integer codes, without a codebook.

Shapes: ... any leading axes, L number of levels. Source: Mentzer et al. 2023, with the official tokenizer's bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class FSQ(nn.Module):
    """Rounds each of L numbers to one of `levels[i]` values; the index of the combination is the code."""

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        values = torch.tensor(levels)
        basis = torch.cumprod(torch.tensor([1, *levels[:-1]]), 0)
        self.levels: Tensor
        self.basis: Tensor
        self.register_buffer("levels", values, persistent=False)
        self.register_buffer("basis", basis, persistent=False)
        self.num_codes = math.prod(levels)

    def bound(self, z: Tensor) -> Tensor:
        """Squash (..., L) so that rounding gives exactly `levels` different integers."""
        half = (self.levels - 1) * (1 + 1e-3) / 2
        offset = torch.where(self.levels % 2 == 0, 0.5, 0.0)
        shift = torch.atanh(offset / half)
        return torch.tanh(z + shift) * half - offset

    def forward(self, z: Tensor) -> Tensor:
        """(..., L) -> (..., L) quantized to [-1, 1] in float32, gradient straight through the rounding."""
        with torch.autocast(z.device.type, enabled=False):
            bounded = self.bound(z.float())
            rounded = bounded + (bounded.round() - bounded).detach()
            return rounded / (self.levels // 2)

    def codes_to_indices(self, quantized: Tensor) -> Tensor:
        """(..., L) quantized -> (...) int64 codes; the first level changes fastest."""
        half_width = self.levels // 2
        steps = (quantized * half_width).round().long() + half_width
        return (steps * self.basis).sum(-1)

    def indices_to_codes(self, indices: Tensor) -> Tensor:
        """(...) int codes -> (..., L) quantized."""
        half_width = self.levels // 2
        steps = torch.div(indices.unsqueeze(-1), self.basis, rounding_mode="floor") % self.levels
        return (steps - half_width) / half_width

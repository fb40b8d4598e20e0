"""Haar wavelet along time: (B, C, T) <-> (B, C * p, T / p) for a patch size p of 1, 2, 4, ...; exactly invertible.

Source: the official tokenizer's patcher; patch size 1 is the identity. All channels are split at each level, and the
low half stands before the high half.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_TAP = 0.7071067811865476


def haar(signal: Tensor, patch_size: int) -> Tensor:
    """(B, C, T) -> (B, C * patch_size, ceil(T / patch_size)). An odd length is extended by reflection."""
    for _ in range(_num_levels(patch_size)):
        if signal.shape[-1] % 2:
            signal = F.pad(signal, (0, 1), mode="reflect")
        even, odd = signal[..., 0::2], signal[..., 1::2]
        signal = torch.cat(((even + odd) * (_TAP / 2), (even - odd) * (_TAP / 2)), dim=1)
    return signal


def inverse_haar(coefficients: Tensor, patch_size: int) -> Tensor:
    """(B, C * patch_size, T) -> (B, C, T * patch_size)."""
    for _ in range(_num_levels(patch_size)):
        low, high = coefficients.chunk(2, dim=1)
        pairs = torch.stack((low + high, low - high), dim=-1) * (2 * _TAP)
        coefficients = pairs.flatten(-2)
    return coefficients


def _num_levels(patch_size: int) -> int:
    levels = patch_size.bit_length() - 1
    if patch_size != 1 << levels:
        raise ValueError(f"Haar patch size {patch_size}; expected a power of two")
    return levels

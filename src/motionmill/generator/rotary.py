"""Rotary positions: states at positions -> attention heads turned pair by pair.

Shapes: S positions, H heads, C channels a head. Channels 2m and 2m + 1 are a pair, turned by position / base^(2m / C)
(Su et al. 2021; interleaved, as the official models have it).
"""

from __future__ import annotations

import torch
from torch import Tensor

from motionmill.generator.config import GeneratorConfig


def rotary_table(config: GeneratorConfig, positions: Tensor) -> Tensor:
    """(..., S) positions -> (..., S, 2, 1, 1, C) float32: cosine and signed sine of each channel."""
    size = config.width // config.num_heads
    exponents = torch.arange(0, size, 2, device=positions.device, dtype=torch.float32) / size
    # A product with the inverse and not a quotient: as the official table, to the last bit.
    angles = positions.unsqueeze(-1).float() * (1.0 / config.rotary_base**exponents)
    cos, sin = angles.cos(), angles.sin()
    cosines = torch.stack((cos, cos), dim=-1).flatten(-2)
    sines = torch.stack((-sin, sin), dim=-1).flatten(-2)
    return torch.stack((cosines, sines), dim=-2).unsqueeze(-2).unsqueeze(-2)


def rotate(heads: Tensor, rotary: Tensor) -> Tensor:
    """Turn (..., S, n, H, C), n kinds of heads such as queries and keys, by a rotary table; computed in float32."""
    cosines, sines = rotary.unbind(-4)
    straight = heads.float()
    first, second = straight.unflatten(-1, (-1, 2)).unbind(-1)
    crossed = torch.stack((second, first), dim=-1).flatten(-2)
    return torch.addcmul(straight * cosines, crossed, sines).to(heads.dtype)

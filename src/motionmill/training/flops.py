"""A model and an input -> floating-point operations of a forward pass, counted while it is computed."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


@torch.no_grad()
def forward_flops(model: nn.Module, *inputs: Tensor) -> float:
    """Operations of matrix products and convolutions, a multiplication and an addition being two."""
    with FlopCounterMode(display=False) as counter:
        model(*inputs)
    return float(counter.get_total_flops())

"""A generator in float32 -> its large matrices in bfloat16 or int8, each as this machine multiplies it fastest.

A decode step multiplies every matrix with a few vectors, so that it takes as long as reading the weights does, where
the products keep up: `benchmarks/bench_products.py` measures those that PyTorch has. oneDNN's product of 8-bit numbers
reads weights fastest and takes 32 rows in hardly more time than one, but wants activations of 8 bits too, which is
another model. So each row is given to it as two, the high and the low part of whole numbers of 16 bits, and int8
rounds weights only. It is fastest for one prompt; for many it is about as fast as bfloat16, in half the memory.

Shapes: ... leading axes of the activations, I inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionmill.generator.config import Precision
from motionmill.generator.model import Generator

_LOW_STEPS = (
    254  # to a step of the high part, which is rounded, so that the low part is 127 at most
)
_MANY_ROWS = 48  # from here on it is faster to convert int8 weights than to multiply with them
_KERNEL_INPUTS = (
    32  # the CPU's int8 kernel reads so many at a time, and past the end where they do not divide I
)


def set_precision(model: Generator, precision: Precision) -> None:
    """Prepare a model for inference, in place as `Module.to` does; short ones can be neither trained nor saved after.

    int8 rounds each output's weights to 255 steps of their own. Activations, embeddings and the projection of text
    states are bfloat16 in bfloat16, and in int8 where the processor has no whole-number products; else float32.
    """
    on_cpu = model.embedding.weight.device.type == "cpu"
    if precision == "int8" and on_cpu and _packs_int8():
        _replace(model, PackedInt8Linear)
        model.float()
    elif precision == "int8":
        _replace(model, Int8Linear)
        model.to(torch.bfloat16)
    elif precision == "bfloat16":
        model.to(torch.bfloat16)
        if on_cpu and _packs():
            _replace(model, PackedLinear)


class PackedLinear(nn.Module):
    """(..., I) -> (..., O) in bfloat16 with weights in oneDNN's own order, as compiled models keep them."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight)

    def forward(self, rows: Tensor) -> Tensor:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(
            rows, self._packed, None, "none", [], ""
        )
        return product


class PackedInt8Linear(nn.Module):
    """(..., I) -> (..., O) in float32 with weights of 8 bits, one scale an output, in oneDNN's own order.

    A row becomes whole numbers by a scale of its own, high + low / 254 with both from -127 to 127, so that each is
    within 1 / 64,000 of the row's largest number of what it was: less than bfloat16 rounds.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        steps, self._scale = _rounded(weight, torch.float32)
        self._packed = torch.ops.onednn.qlinear_prepack(steps, None)
        self._zero = torch.zeros(len(steps), dtype=torch.long)

    def forward(self, rows: Tensor) -> Tensor:
        flat = rows.flatten(0, -2)
        step = flat.abs().amax(-1, keepdim=True).clamp_(min=1e-30).div_(127)
        flat = flat / step
        high = flat.round()
        low = (flat - high).mul_(_LOW_STEPS).round_()
        product = self._multiply(torch.cat((high, low)).to(torch.int8))
        high, low = product.chunk(2)
        product = torch.add(high, low, alpha=1 / _LOW_STEPS).mul_(step)
        return product.view(*rows.shape[:-1], -1)

    def _multiply(self, rows: Tensor) -> Tensor:
        """(R, I) whole numbers of 8 bits -> (R, O) float32."""
        weight = (self._packed, self._scale, self._zero)
        # Nothing is added, scaled or applied after.
        plain: tuple[Any, ...] = (None, 1.0, 0, torch.float32, "none", [], "")
        product: Tensor = torch.ops.onednn.qlinear_pointwise(rows, 1.0, 0, *weight, *plain)
        return product


class Int8Linear(nn.Module):
    """(..., I) -> (..., O) in bfloat16 with weights of 8 bits and one scale an output, on any device."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        steps, scale = _rounded(weight, torch.bfloat16)
        self.weight: Tensor
        self.scale: Tensor
        self.register_buffer("weight", steps)
        self.register_buffer("scale", scale)

    def forward(self, rows: Tensor) -> Tensor:
        flat = rows.reshape(-1, rows.shape[-1])
        fits = rows.shape[-1] % _KERNEL_INPUTS == 0
        if rows.device.type == "cpu" and fits and len(flat) < _MANY_ROWS:
            product = torch._weight_int8pack_mm(flat, self.weight, self.scale)
        else:
            product = F.linear(flat, self.weight.to(rows.dtype)) * self.scale
        return product.view(*rows.shape[:-1], -1)


def _rounded(weight: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """(O, I) -> (O, I) steps of 8 bits and (O,) what a step is, in the precision in which it is stored."""
    scale = (weight.abs().amax(-1).float() / 127).clamp(min=1e-12).to(dtype)
    steps = (weight.float() / scale.float().unsqueeze(-1)).round_().clamp_(-127, 127)
    return steps.to(torch.int8), scale


def _replace(model: Generator, make: Callable[[Tensor], nn.Module]) -> None:
    """Other layers for the matrices of the blocks and the head; the old ones are let go one by one."""
    for parent in list(model.blocks.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                setattr(parent, name, make(child.weight.detach()))
    model.add_module("head", make(model.head.weight.detach()))


def _packs() -> bool:
    """Whether this build of torch and this processor have oneDNN's bfloat16 products."""
    if not torch.backends.mkldnn.is_available():
        return False
    supported: Any = torch.ops.mkldnn._is_mkldnn_bf16_supported
    return bool(supported())


def _packs_int8() -> bool:
    """Whether this build of torch and this processor multiply 8-bit numbers without overflow in between (VNNI)."""
    supported: Any = getattr(torch.cpu, "_is_vnni_supported", lambda: False)
    return torch.backends.mkldnn.is_available() and bool(supported())

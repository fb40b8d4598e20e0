"""A generator in float32 -> its large matrices in bfloat16 or int8, each as this machine multiplies it fastest.

A decode step multiplies every matrix with a few vectors, so that it takes as long as reading the weights does. Measured
before choosing (one core of a Xeon with AMX, the 134 M weights that preset 111M reads a token, none in a cache;
milliseconds with 1 and with 16 rows): float32 `linear` 38 and 95, `mv` 38; bfloat16 `linear` 32 and 37, in oneDNN's own
order 23 and 24; int8 `_weight_int8pack_mm` 17 and 79, `_int_mm` 20 and 23, oneDNN's quantized linear 10 and 14. The
last two round the activations to 8 bits as well, which is another model. So int8 is for one prompt, bfloat16 for many.

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

_PARTS = 254  # of a step that the low part of an activation counts: half a step is 127 of them
_MANY_ROWS = 48  # from here on it is faster to convert int8 weights than to multiply with them
_KERNEL_INPUTS = (
    32  # the CPU's int8 kernel reads so many at a time, and past the end where they do not divide I
)


def set_precision(model: Generator, precision: Precision) -> None:
    """Prepare a model for inference, in place as `Module.to` does; short ones can be neither trained nor saved after.

    int8 rounds each output's weights to 255 steps of their own. In bfloat16 and int8, activations, embeddings and the
    projection of text states are bfloat16.
    """
    if precision == "int8":
        on_cpu = model.embedding.weight.device.type == "cpu"
        _replace(model, PackedInt8Linear if on_cpu and _packs_int8() else Int8Linear)
        model.to(torch.bfloat16)
    elif precision == "bfloat16":
        model.to(torch.bfloat16)
        if model.embedding.weight.device.type == "cpu" and _packs():
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
    """(..., I) -> (..., O) with weights of 8 bits in oneDNN's own order, multiplied as whole numbers.

    Activations become whole numbers of 16 bits by a scale a row, each given to the processor's 8-bit products as two
    rows, its high and its low part. Weights are read once for both, so that a row costs no more than one of 8 bits.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        steps, self._scale = _rounded(weight, torch.float32)
        self._packed = torch.ops.onednn.qlinear_prepack(steps, None)
        self._zero = torch.zeros(len(steps), dtype=torch.long)

    def forward(self, rows: Tensor) -> Tensor:
        flat = rows.flatten(0, -2).float()
        step = flat.abs().amax(-1, keepdim=True).clamp_(min=1e-30).div_(127)
        flat = flat / step
        high = flat.round()
        low = ((flat - high) * _PARTS).round_()
        halves = torch.cat((high, low)).to(torch.int8)
        product = torch.ops.onednn.qlinear_pointwise(
            halves, 1.0, 0, self._packed, self._scale, self._zero, None, 1.0, 0,
            torch.float32, "none", [], "",
        )  # fmt: skip
        high, low = product.chunk(2)
        return (
            torch.add(high, low, alpha=1 / _PARTS)
            .mul_(step)
            .to(rows.dtype)
            .view(*rows.shape[:-1], -1)
        )


class Int8Linear(nn.Module):
    """(..., I) -> (..., O) in bfloat16 with weights of 8 bits and one scale an output."""

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

"""A convolution's weights in the order in which they are multiplied, as compiled models keep them.

PyTorch brings weights into that order anew in every call, which takes up to half of the time of a short clip.

Shapes: B batch, T frames, I inputs, O outputs, K taps of the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_FRAMES = 64  # the order is chosen for inputs of about this length; others take hardly longer
# Smaller weights stay in a core's cache, and oneDNN wants some of them (192 x 192) in one order for short inputs and
# in another for long ones: in the wrong order a call takes 5 ms instead of 0.1.
_LEAST_BYTES = 2 << 20


class PackedWeights:
    """The weights that one convolution has now in oneDNN's order, which take their memory a second time."""

    def __init__(self, convolution: nn.Conv1d) -> None:
        self._across = [1, *convolution.stride], [1, *convolution.dilation]
        self._padding = [0, int(convolution.padding[0])]
        self._bias = None if convolution.bias is None else convolution.bias.detach()
        inputs = [1, convolution.in_channels, 1, _FRAMES]
        matrix = convolution.weight.detach().unsqueeze(2)
        reorder: Any = torch.ops.mkldnn._reorder_convolution_weight
        self._packed: Tensor = reorder(matrix, self._padding, *self._across, 1, inputs)

    def __call__(self, signal: Tensor) -> Tensor:
        """(B, T, I) -> (B, T / stride, O)."""
        convolve: Any = torch.ops.mkldnn._convolution_pointwise
        plain: tuple[Any, ...] = (1, "none", [], "")  # one group, and nothing done to the result
        image = signal.transpose(1, 2).unsqueeze(2)
        made: Tensor = convolve(
            image, self._packed, self._bias, self._padding, *self._across, *plain
        )
        return made.squeeze(2).transpose(1, 2)

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        """A copy of a convolution, in this process or another, has none: its weights may change."""
        return _none, ()


class WindowWeights:
    """The weights that one convolution has now as a matrix (O, K * I), by which windows of the input are multiplied."""

    def __init__(self, convolution: nn.Conv1d) -> None:
        (self._taps,), (self._stride,) = convolution.kernel_size, convolution.stride
        (self._dilation,) = convolution.dilation
        self._padding = int(convolution.padding[0])
        self._bias = None if convolution.bias is None else convolution.bias.detach()
        self._matrix = convolution.weight.detach().transpose(1, 2).flatten(1).contiguous()

    def __call__(self, signal: Tensor) -> Tensor:
        """(B, T, I) -> (B, T / stride, O)."""
        if self._padding:
            signal = F.pad(signal, (0, 0, self._padding, self._padding))
        beyond = signal.shape[1] - (self._taps - 1) * self._dilation  # where first taps may stand
        starts = range(0, self._taps * self._dilation, self._dilation)
        taps = [signal[:, start : start + beyond : self._stride] for start in starts]
        return F.linear(torch.cat(taps, dim=-1), self._matrix, self._bias)

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        """As `PackedWeights`."""
        return _none, ()


def packed(convolution: nn.Conv1d) -> Callable[[Tensor], Tensor] | None:
    """What multiplies by the weights as they are now; None where they are not plain float32 on the CPU."""
    weight = convolution.weight
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return None
    if weight.nbytes < _LEAST_BYTES:
        return WindowWeights(convolution)
    names = ("_reorder_convolution_weight", "_convolution_pointwise")
    there = torch.backends.mkldnn.is_available() and all(
        hasattr(torch.ops.mkldnn, name) for name in names
    )
    return PackedWeights(convolution) if there else None


def _none() -> None:
    return None

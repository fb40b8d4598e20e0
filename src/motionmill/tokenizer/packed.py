"""A convolution's weights in the order in which oneDNN multiplies them, as compiled models keep them.

PyTorch brings weights into that order anew in every call, which takes up to half of the time of a short clip.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_FRAMES = 64  # the order is chosen for inputs of about this length; others take hardly longer


class PackedWeights:
    """The weights that one convolution has now, in order; they take as much memory as the weights themselves."""

    def __init__(self, convolution: nn.Conv1d) -> None:
        self._across = [1, *convolution.stride], [1, *convolution.dilation]
        self._padding = [0, int(convolution.padding[0])]
        self._bias = None if convolution.bias is None else convolution.bias.detach()
        inputs = [1, convolution.in_channels, 1, _FRAMES]
        matrix = convolution.weight.detach().unsqueeze(2)
        reorder: Any = torch.ops.mkldnn._reorder_convolution_weight
        self._packed: Tensor = reorder(matrix, self._padding, *self._across, 1, inputs)

    def __call__(self, image: Tensor) -> Tensor:
        """(B, I, 1, T), best with the channels innermost, -> (B, O, 1, T / stride)."""
        convolve: Any = torch.ops.mkldnn._convolution_pointwise
        plain: tuple[Any, ...] = (1, "none", [], "")  # one group, and nothing done to the result
        made: Tensor = convolve(
            image, self._packed, self._bias, self._padding, *self._across, *plain
        )
        return made

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        """A copy of a convolution, in this process or another, has none: its weights may change."""
        return _none, ()


def packed(convolution: nn.Conv1d) -> PackedWeights | None:
    """None where this build of torch has no such products, or the weights are not plain float32 on the CPU."""
    weight = convolution.weight
    names = ("_reorder_convolution_weight", "_convolution_pointwise")
    fits = weight.device.type == "cpu" and weight.dtype == torch.float32
    there = torch.backends.mkldnn.is_available() and all(
        hasattr(torch.ops.mkldnn, name) for name in names
    )
    return PackedWeights(convolution) if fits and there else None


def _none() -> None:
    return None

"""A convolution's weights in the order in which oneDNN multiplies them, as compiled models keep them.

PyTorch brings weights into that order anew in every call, which takes up to half of the time of a short clip.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class PackedWeights:
    """The weights of one convolution, brought into order again whenever they have changed.

    They take as much memory as the weights themselves, from the first call on.
    """

    def __init__(self) -> None:
        self._packed: Tensor | None = None
        self._of: tuple[int, int] | None = None

    def __call__(self, convolution: nn.Conv1d, image: Tensor) -> Tensor:
        """(B, I, 1, T), best with the channels innermost, -> (B, O, 1, T / stride), where `fits`."""
        weight = convolution.weight
        across = [1, *convolution.stride], [1, *convolution.dilation]
        padding = [0, int(convolution.padding[0])]
        version = (weight.data_ptr(), weight._version)
        if self._packed is None or self._of != version:
            reorder: Any = torch.ops.mkldnn._reorder_convolution_weight
            matrix = weight.detach().unsqueeze(2)
            self._packed = reorder(matrix, padding, *across, 1, [1, *image.shape[1:]])
            self._of = version
        convolve: Any = torch.ops.mkldnn._convolution_pointwise
        plain: tuple[Any, ...] = (1, "none", [], "")  # one group, and nothing done to the result
        made: Tensor = convolve(image, self._packed, convolution.bias, padding, *across, *plain)
        return made

    def __reduce__(self) -> tuple[type[PackedWeights], tuple[()]]:
        """A copy, in this process or another, makes its own."""
        return PackedWeights, ()

    @staticmethod
    def fits(convolution: nn.Conv1d, signal: Tensor) -> bool:
        """Whether oneDNN is here, nobody asks for gradients, and all is plain float32 on the CPU."""
        weight = convolution.weight
        return (
            not torch.is_grad_enabled()
            and signal.device.type == weight.device.type == "cpu"
            and signal.dtype == weight.dtype == torch.float32
            and signal.numel() > 0
            and not weight.is_inference()
            and _has_products()
        )


def _has_products() -> bool:
    names = ("_reorder_convolution_weight", "_convolution_pointwise")
    return torch.backends.mkldnn.is_available() and all(
        hasattr(torch.ops.mkldnn, name) for name in names
    )

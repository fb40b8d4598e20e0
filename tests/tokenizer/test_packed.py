"""Convolutions with weights in oneDNN's order: the plain layer's result, and never instead of weights that change."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch import Tensor, nn

from motionmill.tokenizer.model import Conv


def plain(convolution: Conv, signal: Tensor) -> Tensor:
    """(B, T, I) -> (B, T', O)."""
    padded = nn.functional.pad(signal.transpose(1, 2), (convolution.left, 0))
    return nn.Conv1d.forward(convolution, padded).transpose(1, 2)


@pytest.mark.parametrize("width", [24, 448])  # less and more than two MiB of weights
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [(3, 1, 1), (3, 1, 9), (1, 1, 1), (4, 2, 1)]
)
def test_the_same_as_the_plain_layer(
    kernel: int, stride: int, dilation: int, causal: bool, width: int
) -> None:
    convolution = Conv(width, width + 16, kernel, stride=stride, dilation=dilation, causal=causal)
    convolution.keep_in_order()
    for shape in ((1, 30, width), (3, 8, width), (1, 301, width)):
        signal = torch.randn(shape)
        with torch.no_grad():
            made = convolution(signal)
            assert torch.allclose(made, plain(convolution, signal), atol=1e-5)
            turned = signal.transpose(1, 2).contiguous().transpose(1, 2)
            assert torch.allclose(convolution(turned), made, atol=1e-5)


def test_training_goes_on_with_the_weights_as_they_become() -> None:
    """A fused optimiser changes weights without a sign, so that nothing is kept unless it is asked for."""
    convolution, signal = Conv(8, 8, 3, causal=False), torch.randn(2, 20, 8)
    trained = torch.optim.AdamW(convolution.parameters(), lr=0.1, fused=True)
    for _ in range(2):
        with torch.no_grad():
            before = convolution(signal)
        convolution(signal).square().sum().backward()
        trained.step()
        with torch.no_grad():
            assert torch.allclose(convolution(signal), plain(convolution, signal), atol=1e-5)
            assert not torch.allclose(convolution(signal), before, atol=1e-2)


def test_gradients_never_come_from_what_was_kept() -> None:
    convolution, signal = Conv(8, 8, 3, causal=False), torch.randn(2, 20, 8)
    convolution.keep_in_order()
    convolution(signal).square().sum().backward()
    assert convolution.weight.grad is not None


def test_other_precisions_and_no_frames() -> None:
    convolution = Conv(8, 8, 3, causal=False).double()
    convolution.keep_in_order()
    with torch.no_grad():
        assert convolution(torch.randn(1, 5, 8, dtype=torch.float64)).dtype == torch.float64
        convolution.float().keep_in_order()
        assert convolution(torch.randn(0, 5, 8)).shape == (0, 5, 8)


def test_copies_and_files() -> None:
    convolution, signal = Conv(8, 8, 3, causal=False), torch.randn(2, 20, 8)
    convolution.keep_in_order()
    with torch.no_grad():
        made = convolution(signal)
        assert torch.allclose(copy.deepcopy(convolution)(signal), made, atol=1e-5)
    stored = io.BytesIO()
    torch.save(convolution.state_dict(), stored)
    assert stored.tell() < 10_000

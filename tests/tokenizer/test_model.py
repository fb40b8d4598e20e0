"""The tokenizer on its own: inverses, streaming, shapes, configs that are refused."""

from __future__ import annotations

import pytest
import pywt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motionmill.config import load_recipe
from motionmill.tokenizer.config import TokenizerConfig, TokenizerRunConfig
from motionmill.tokenizer.fsq import FSQ
from motionmill.tokenizer.model import Tokenizer
from motionmill.tokenizer.wavelet import haar, inverse_haar

SMALL = TokenizerConfig(width=32, code_width=32, levels=(8, 5, 5))


@given(st.lists(st.integers(2, 9), min_size=1, max_size=6), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_codes_and_indices_are_inverse(levels: list[int], seed: int) -> None:
    quantizer = FSQ(levels)
    draw = torch.Generator().manual_seed(seed)
    indices = torch.randint(quantizer.num_codes, (64,), generator=draw)
    codes = quantizer.indices_to_codes(indices)
    assert torch.equal(quantizer.codes_to_indices(codes), indices)
    vectors = 4 * torch.randn(64, len(levels), generator=draw)
    quantized = quantizer(vectors)
    known = quantizer.indices_to_codes(quantizer.codes_to_indices(quantized))
    assert torch.allclose(known, quantized, atol=1e-6)


def test_gradient_goes_straight_through() -> None:
    vectors = torch.randn(16, 3, requires_grad=True)
    FSQ((8, 5, 5))(vectors).sum().backward()
    assert vectors.grad is not None
    assert (vectors.grad > 0).all()


@pytest.mark.parametrize("patch", [1, 2, 4, 8])
def test_haar_inverts(patch: int) -> None:
    signal = torch.randn(2, 5, 32, dtype=torch.float64)
    there = haar(signal, patch)
    assert there.shape == (2, 5 * patch, 32 // patch)
    assert torch.allclose(inverse_haar(there, patch), signal, atol=1e-12)


@pytest.mark.parametrize("patch", [2, 4, 8])
def test_a_tokenizer_with_patches(patch: int) -> None:
    """What the reference cannot do: its first convolution has no room for the wavelet's channels."""
    config = SMALL.model_copy(update={"patch_size": patch, "num_downsamples": 1})
    model = Tokenizer(config).eval()
    tokens = model.encode(torch.randn(2, 64, 272))
    assert tokens.shape == (2, 32 // patch)
    assert model.decode(tokens).shape == (2, 64, 272)


def test_the_ablation_with_patches_of_two_frames() -> None:
    plain, patched = (
        load_recipe(TokenizerRunConfig, name).model for name in ("tokenizer", "tokenizer-haar2")
    )
    assert patched.patch_size == 2
    assert patched.frames_per_token == plain.frames_per_token == 4
    assert patched.model_copy(update={"patch_size": 1, "num_downsamples": 2}) == plain
    model = Tokenizer(patched)
    model(torch.randn(1, 16, 272)).features.sum().backward()
    assert all(parameter.grad is not None for parameter in model.decoder.parameters())


def test_haar_is_the_textbook_wavelet_up_to_scale() -> None:
    signal = torch.randn(1, 1, 16, dtype=torch.float64)
    low, high = haar(signal, 2)[0]
    approximation, detail = pywt.dwt(signal.flatten().numpy(), "haar")
    assert torch.allclose(2 * low, torch.from_numpy(approximation), atol=1e-12)
    assert torch.allclose(2 * high, torch.from_numpy(detail), atol=1e-12)


def test_shapes_and_token_range() -> None:
    model = Tokenizer(SMALL).eval()
    tokens = model.encode(torch.randn(2, 43, 272))
    assert tokens.shape == (2, 10)
    assert 0 <= int(tokens.min()) <= int(tokens.max()) < SMALL.num_codes
    assert model.decode(tokens).shape == (2, 40, 272)


def test_a_causal_decoder_does_not_look_ahead() -> None:
    model = Tokenizer(SMALL).eval()
    tokens = torch.randint(SMALL.num_codes, (1, 12))
    changed = tokens.clone()
    changed[:, 8:] = (changed[:, 8:] + 1) % SMALL.num_codes
    first, second = model.decode(tokens), model.decode(changed)
    assert torch.allclose(first[:, :32], second[:, :32], atol=1e-6)
    assert not torch.allclose(first[:, 32:], second[:, 32:])


def test_calibrated_vectors_use_many_codes() -> None:
    torch.manual_seed(0)
    model = Tokenizer(SMALL).eval()
    features = torch.randn(8, 64, 272)
    before = model.encode(features).unique().numel()
    model.calibrate(features)
    assert model.encode(features).unique().numel() > max(40, before)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"patch_size": 3}, "power of two"),
        ({"levels": (1,)}, "levels"),
        ({"kernel_size": 4}, "odd"),
    ],
)
def test_impossible_configs(change: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        TokenizerConfig.model_validate(change)

"""Motion tokenizer: normalised features <-> tokens by a convolutional auto-encoder with finite scalar quantization.

Shapes: B batch, T frames, F features (272), N tokens = T / frames_per_token, D width, L levels. Hidden states
are (B, T, D) throughout, so that what a convolution sees of a frame lies together, as fast matrix products want it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionmill.tokenizer.config import TokenizerConfig
from motionmill.tokenizer.fsq import FSQ
from motionmill.tokenizer.packed import packed
from motionmill.tokenizer.wavelet import haar, inverse_haar

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "silu": F.silu,
    "gelu": F.gelu,
}


class Reconstruction(NamedTuple):
    """features (B, T, F) decoded again, tokens (B, N) between, and vectors (B, N, L) before quantization."""

    features: Tensor
    tokens: Tensor
    vectors: Tensor


class Tokenizer(nn.Module):
    """(B, T, F) normalised features <-> (B, N) int64 tokens."""

    entry_points = ("encode", "decode")

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.project_in = nn.Linear(config.code_width, len(config.levels))
        self.quantizer = FSQ(config.levels)
        self.project_out = nn.Linear(len(config.levels), config.code_width)
        self.decoder = Decoder(config)

    def keep_in_order(self) -> None:
        """Encode and decode faster on a CPU from now on; the weights must not change any more.

        There is no sign by which to see it: a fused optimiser changes weights without counting up their version.
        """
        for module in self.modules():
            if isinstance(module, Conv):
                module.keep_in_order()

    def forward(self, features: Tensor) -> Reconstruction:
        """Encode, quantize and decode (B, T, F); T is a multiple of frames_per_token."""
        vectors = self.project_in(self.encoder(features))
        codes = self.quantizer(vectors)
        decoded = self.decoder(self.project_out(codes))
        return Reconstruction(decoded, self.quantizer.codes_to_indices(codes), vectors)

    @torch.no_grad()
    def calibrate(self, features: Tensor) -> None:
        """Scale `project_in` so that the vectors before quantization of these (B, T, F) have zero mean, unit spread.

        At random initialisation they all round to the same code, and training may never leave it.
        """
        vectors = self.project_in(self.encoder(features)).flatten(0, 1)
        spread = vectors.std(0)
        self.project_in.weight.div_(spread.unsqueeze(-1))
        self.project_in.bias.sub_(vectors.mean(0)).div_(spread)

    @torch.no_grad()
    def encode(self, features: Tensor) -> Tensor:
        """(B, T, F) -> (B, T // frames_per_token) tokens; frames beyond the last whole token get none."""
        codes = self.quantizer(self.project_in(self.encoder(features)))
        return self.quantizer.codes_to_indices(codes)

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        """(B, N) tokens -> (B, N * frames_per_token, F) normalised features."""
        return self.decoder(self.project_out(self.quantizer.indices_to_codes(tokens)))


class Encoder(nn.Module):
    """(B, T, F) -> (B, N, code_width): a convolution, then stride-2 convolutions with residual blocks."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        width, causal = config.width, config.causal_encoder
        self.patch_size = config.patch_size
        self.input = Conv(
            config.num_features * config.patch_size, width, config.kernel_size, causal=causal
        )
        self.downsamples = nn.ModuleList(
            nn.Sequential(
                Conv(width, width, 4, stride=2, causal=causal),
                *_residual_blocks(config, causal=causal),
            )
            for _ in range(config.num_downsamples)
        )
        self.output = Conv(width, config.code_width, config.kernel_size, causal=causal)

    def forward(self, features: Tensor) -> Tensor:
        hidden = F.relu(self.input(haar(features.transpose(1, 2), self.patch_size).transpose(1, 2)))
        for downsample in self.downsamples:
            hidden = downsample(hidden)
        return self.output(hidden)


class Decoder(nn.Module):
    """(B, N, code_width) -> (B, T, F): residual blocks with nearest up-sampling, the encoder's mirror image."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        width, causal = config.width, config.causal_decoder
        self.patch_size = config.patch_size
        self.input = Conv(config.code_width, width, config.kernel_size, causal=causal)
        self.upsamples = nn.ModuleList(
            nn.Sequential(
                *_residual_blocks(config, causal=causal),
                Repeated(),
                Conv(width, width, 3, causal=causal),
            )
            for _ in range(config.num_downsamples)
        )
        self.hidden = Conv(width, width, config.kernel_size, causal=causal)
        self.output = Conv(
            width, config.num_features * config.patch_size, config.kernel_size, causal=causal
        )

    def forward(self, codes: Tensor) -> Tensor:
        hidden = F.relu(self.input(codes))
        for upsample in self.upsamples:
            hidden = upsample(hidden)
        hidden = F.relu(self.hidden(hidden))
        made = self.output(hidden).transpose(1, 2)
        return inverse_haar(made, self.patch_size).transpose(1, 2)


class ResidualBlock(nn.Module):
    """(B, T, D) + conv(act(norm(conv(act(norm(.)))))), the first convolution dilated."""

    def __init__(self, config: TokenizerConfig, dilation: int, *, causal: bool) -> None:
        super().__init__()
        self.activation = _ACTIVATIONS[config.activation]
        self.norm1 = _norm(config)
        kernel = 3 if causal else config.kernel_size  # as the official one has it
        self.conv1 = Conv(config.width, config.width, kernel, dilation=dilation, causal=causal)
        self.norm2 = _norm(config)
        self.conv2 = Conv(config.width, config.width, 1, causal=causal)

    def forward(self, hidden: Tensor) -> Tensor:
        residual = self.conv1(self.activation(self.norm1(hidden)))
        return hidden + self.conv2(self.activation(self.norm2(residual)))


class Conv(nn.Conv1d):
    """(B, T, D) -> (B, T / stride, D'): zeros on both sides, or on the left alone when causal.

    It is a convolution over images of one row whose channels lie innermost: of the ways to say the same the fastest, in
    bfloat16 by far.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        causal: bool,
    ) -> None:
        reach = (kernel - 1) * dilation + 1 - stride
        super().__init__(
            inputs, outputs, kernel, stride, 0 if causal else (reach + 1) // 2, dilation
        )
        self.left = reach if causal else 0
        self._packed: Callable[[Tensor], Tensor] | None = None

    def keep_in_order(self) -> None:
        """See `Tokenizer.keep_in_order`; kernels of one frame are plain products, for which no order is better."""
        self._packed = None if self.kernel_size == (1,) else packed(self)

    def forward(self, signal: Tensor) -> Tensor:
        if self.left:
            signal = F.pad(signal, (0, 0, self.left, 0))
        if self.kernel_size == (1,):
            return F.linear(signal, self.weight.squeeze(2), self.bias)
        runs_only = not torch.is_grad_enabled() and signal.dtype == torch.float32
        if self._packed is not None and runs_only and signal.numel():
            return self._packed(signal)
        image = signal.transpose(1, 2).unsqueeze(2)
        stride, padding, dilation = (1, *self.stride), (0, *self.padding), (1, *self.dilation)
        weight = self.weight.unsqueeze(2)
        made = F.conv2d(image, weight, self.bias, stride, padding, dilation)
        return made.squeeze(2).transpose(1, 2)


class Repeated(nn.Module):
    """(B, T, D) -> (B, 2 T, D): every frame twice."""

    def forward(self, signal: Tensor) -> Tensor:
        return signal.repeat_interleave(2, dim=1)


class FrameNorm(nn.GroupNorm):
    """GroupNorm of (B, T, D), over time and a group of channels."""

    def forward(self, signal: Tensor) -> Tensor:
        return super().forward(signal.transpose(1, 2)).transpose(1, 2)


def _norm(config: TokenizerConfig) -> nn.Module:
    if config.norm == "layer":
        return nn.LayerNorm(config.width)
    if config.norm == "group":
        return FrameNorm(32, config.width, eps=1e-6)
    return nn.Identity()


def _residual_blocks(config: TokenizerConfig, *, causal: bool) -> list[nn.Module]:
    # The official order: the widest dilation first, in the encoder too.
    dilations = [config.dilation_growth**power for power in reversed(range(config.depth))]
    return [ResidualBlock(config, dilation, causal=causal) for dilation in dilations]

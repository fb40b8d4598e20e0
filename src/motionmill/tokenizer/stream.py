"""Tokens that come one by one -> features as soon as they are final, equal to decoding at once.

Shapes: N tokens, T frames, F features (272).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from motionmill.tokenizer.config import TokenizerConfig
from motionmill.tokenizer.encode import MotionCodec


class StreamDecoder:
    """Decodes a growing sequence; each push computes the new frames and the tokens that they depend on, no others.

    A causal decoder gives the frames of a token at once; one that looks ahead gives them `lookahead` tokens later.
    """

    def __init__(self, codec: MotionCodec) -> None:
        self._codec = codec
        self._past, self.lookahead = decoder_reach(codec.tokenizer.config)
        self._tokens: list[int] = []
        self._given = 0

    def push(self, tokens: Sequence[int]) -> Tensor:
        """More tokens -> the (T, F) features that are final now, float64; T may be 0."""
        self._tokens += tokens
        return self._until(len(self._tokens) - self.lookahead)

    def finish(self) -> Tensor:
        """No more tokens will come -> the (T, F) features that are left."""
        return self._until(len(self._tokens))

    def _until(self, end: int) -> Tensor:
        if end <= self._given:
            return torch.empty(0, self._codec.tokenizer.config.num_features, dtype=torch.float64)
        first = max(0, self._given - self._past)
        window = torch.tensor(self._tokens[first : end + self.lookahead])
        device = self._codec.tokenizer.project_out.weight.device
        unit = self._codec.frames_per_token
        features = self._codec.decode(window.to(device))
        features = features[(self._given - first) * unit : (end - first) * unit]
        self._given = end
        return features


def decoder_reach(config: TokenizerConfig) -> tuple[int, int]:
    """How many tokens before and after its own a frame depends on at most; (16, 16) for the official tokenizer."""

    def step(reach: tuple[int, int], kernel: int, dilation: int = 1) -> tuple[int, int]:
        whole = (kernel - 1) * dilation
        if config.causal_decoder:
            return reach[0] + whole, reach[1]
        return reach[0] + whole // 2, reach[1] + whole // 2

    def coarser(reach: tuple[int, int], factor: int) -> tuple[int, int]:
        return -(-reach[0] // factor), -(-reach[1] // factor)

    reach = coarser((0, 0), config.patch_size)
    reach = step(step(reach, config.kernel_size), config.kernel_size)
    for _ in range(config.num_downsamples):
        reach = coarser(step(reach, 3), 2)
        for power in range(config.depth):
            kernel = 3 if config.causal_decoder else config.kernel_size
            reach = step(reach, kernel, config.dilation_growth**power)
    return step(reach, config.kernel_size)

"""Decoding token by token gives what decoding at once gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from motionmill.motion.features import Normalizer
from motionmill.tokenizer.config import TokenizerConfig
from motionmill.tokenizer.encode import MotionCodec
from motionmill.tokenizer.model import Tokenizer
from motionmill.tokenizer.stream import StreamDecoder, decoder_reach

OFFICIAL = {"num_downsamples": 1, "depth": 3, "causal_encoder": False, "causal_decoder": False}


@pytest.mark.parametrize("chunk", [1, 3, 8])
@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"causal_decoder": False},
        OFFICIAL,
        {"depth": 1, "num_downsamples": 3},
        {"patch_size": 2, "num_downsamples": 1},
        {"kernel_size": 5, "norm": "none", "causal_decoder": False},
    ],
)
def test_a_stream_equals_decoding_at_once(switches: dict[str, Any], chunk: int) -> None:
    torch.manual_seed(0)
    config = TokenizerConfig(**{"width": 16, "code_width": 8, "levels": (5, 5), **switches})
    codec = MotionCodec(Tokenizer(config).eval(), Normalizer(torch.zeros(272), torch.ones(272)))
    tokens = torch.randint(25, (70,))
    whole = codec.decode(tokens)
    stream = StreamDecoder(codec)
    parts = [stream.push(part.tolist()) for part in tokens.split(chunk)]
    if config.causal_decoder:
        assert all(len(part) for part in parts)
        assert stream.lookahead == 0
    parts.append(stream.finish())
    made = torch.cat(parts)
    assert made.shape == whole.shape
    assert (made - whole).abs().max() < 1e-5


def test_the_official_reach() -> None:
    assert decoder_reach(TokenizerConfig(**OFFICIAL)) == (16, 16)

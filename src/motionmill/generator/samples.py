"""A generator in training and some texts -> a contact sheet of what it makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from motionmill.formats.render import contact_sheet
from motionmill.generator.config import SamplingConfig
from motionmill.generator.engine import Engine, Request
from motionmill.generator.model import Generator
from motionmill.generator.tokens_to_motion import tokens_to_motion
from motionmill.tokenizer.encode import MotionCodec

_SAMPLING = SamplingConfig(temperature=1.0, guidance=2.0)


@torch.no_grad()
def draw_samples(
    model: nn.Module,
    codec: MotionCodec,
    states: Callable[[str], Tensor],
    texts: Sequence[str],
    lengths: Sequence[int],
    path: Path,
    *,
    seed: int = 0,
) -> None:
    """Draw a motion for each text and write them as rows of a .png file.

    Args:
        states: (P, E) text states of a text; "" is the empty one.
        lengths: tokens of each motion.
    """
    assert isinstance(model, Generator)
    if not texts:
        return
    engine = Engine(model)
    streams = [
        engine.submit(
            Request(
                states(text),
                _SAMPLING,
                seed=seed + number,
                max_tokens=length,
                unconditional=states(""),
            )
        )
        for number, (text, length) in enumerate(zip(texts, lengths, strict=True))
    ]
    motions = [tokens_to_motion(codec, stream.result()) for stream in streams]
    contact_sheet(motions, texts, path)

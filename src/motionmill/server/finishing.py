"""Tokens -> the chosen, decoded and cleaned motion, and frames to show while it grows.

Shapes: N tokens, K tokens before them, P text states, E their width.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from motionmill.formats import npz
from motionmill.generator.choose import best_of
from motionmill.generator.ranker import TrainedRanker
from motionmill.generator.tokens_to_motion import tokens_to_motion
from motionmill.motion.cleanup import clean
from motionmill.server.measures import measures
from motionmill.server.preview import Preview
from motionmill.tokenizer.encode import MotionCodec


class Choice(NamedTuple):
    """What was drawn of one prompt.

    Attributes:
        states: (P, E) of the prompt.
        drawn: (N,) tokens of each candidate.
        before: (K,) tokens of the motion that they go on from.
    """

    prompt: str
    states: Tensor
    drawn: list[Tensor]
    before: Tensor


class Bench:
    """What the work is done with; one task at a time."""

    def __init__(self, codec: MotionCodec, ranker: TrainedRanker | None) -> None:
        self._codec, self._ranker = codec, ranker
        self._previews: dict[str, Preview] = {}

    def choose(self, choice: Choice) -> Tensor:
        """(N,) the tokens that fit best."""
        return best_of(
            self._codec,
            self._ranker,
            choice.prompt,
            choice.states,
            choice.drawn,
            before=choice.before,
        )

    def finish(
        self, last: Choice, starts: list[int], name: str, cleanup: float, path: Path
    ) -> dict[str, Any]:
        """Choose the last part, decode all, keep the raw motion, measure the cleaned one.

        Args:
            starts: at which tokens the parts but the first begin.
        """
        tokens = torch.cat((last.before, self.choose(last)))
        raw = tokens_to_motion(self._codec, tokens, starts=starts, name=name)
        npz.save(raw, path, compressed=False)
        return {
            "frames": len(raw),
            "fps": raw.fps,
            "seconds": round(raw.seconds, 3),
            "physics": measures(clean(raw, strength=cleanup, floor_at_zero=True)),
        }

    def show(self, key: str, tokens: list[int]) -> tuple[int, dict[str, Any] | None]:
        """How many tokens of a motion there are with these, and the new frames, if any."""
        preview = self._previews.get(key)
        if preview is None:
            preview = self._previews[key] = Preview(self._codec)
        frames = preview.push(tokens)
        return preview.num_tokens, frames

    def forget(self, key: str) -> None:
        """Show this motion from the first token on again, or no more."""
        self._previews.pop(key, None)

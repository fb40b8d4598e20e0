"""Several motions of a text -> the one that fits it best."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from motionmill.data.describing.describe import contradicts, facts, names_direction
from motionmill.generator.ranker import TrainedRanker
from motionmill.motion.features import to_motion
from motionmill.tokenizer.encode import MotionCodec
from motionmill.tokenizer.stream import decoder_reach


def best_of(
    codec: MotionCodec,
    ranker: TrainedRanker | None,
    prompt: str,
    states: Tensor,
    drawn: Sequence[Tensor],
    *,
    before: Tensor | None = None,
) -> Tensor:
    """Of the (N,) tokens of several motions those that fit a text best.

    Args:
        states: (P, E) of the text.
        before: (K,) tokens that they go on from.
    """
    if len(drawn) == 1 or ranker is None:
        return drawn[0]
    reach, _ = decoder_reach(codec.tokenizer.config)
    before = torch.empty(0, dtype=torch.long) if before is None else before[-reach:].cpu()
    known = len(before) * codec.frames_per_token
    whole = [torch.cat((before, tokens)) for tokens in drawn]
    decoded = codec.decode_all(whole, dtype=torch.float64)
    motions = [features[known:] for features in decoded]
    return drawn[choose(ranker, prompt, states, motions)]


def choose(ranker: TrainedRanker, prompt: str, states: Tensor, motions: Sequence[Tensor]) -> int:
    """Which motion fits a text best.

    A motion that goes or turns another way than the prompt says, or moves the other hand, comes after all others.

    Args:
        prompt: the text in words.
        states: (P, E) of the text.
        motions: (T, 272) features each.
    """
    best = ranker.scores(states, motions).argsort(descending=True, stable=True).tolist()
    if not names_direction(prompt):
        return int(best[0])
    fitting = (
        place for place in best if contradicts(prompt, facts(to_motion(motions[place]))) is None
    )
    return int(next(fitting, best[0]))


def candidate_seed(seed: int, number: int) -> int:
    """The seed itself for the first candidate; unrelated ones for the others."""
    if number == 0:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:7])

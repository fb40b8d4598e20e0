"""Several motions of a text -> the one that fits it best."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from motionmill.data.describe import contradicts, facts, names_direction
from motionmill.generator.ranker import TrainedRanker
from motionmill.motion.features import to_motion


def choose(ranker: TrainedRanker, prompt: str, states: Tensor, motions: Sequence[Tensor]) -> int:
    """Which motion fits a text best.

    A motion that goes or turns another way than the prompt says, or moves the other hand, comes after all others.

    Args:
        prompt: the text in words.
        states: (P, E) of the text.
        motions: (T, 272) features each.
    """
    scores = ranker.scores(states, motions)
    if names_direction(prompt):
        wrong = [contradicts(prompt, facts(to_motion(motion))) is not None for motion in motions]
        scores = scores - 2 * torch.tensor(wrong).to(scores)
    return int(scores.argmax())


def candidate_seed(seed: int, number: int) -> int:
    """The seed itself for the first candidate; unrelated ones for the others."""
    if number == 0:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:7])

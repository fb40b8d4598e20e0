"""Sampling: logits -> tokens, each row by its own settings and its own random number.

Shapes: R rows, V outputs (codes and end).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from motionmill.generator.config import SamplingConfig


def draw(logits: Tensor, settings: Sequence[SamplingConfig], uniform: Tensor) -> Tensor:
    """(R, V) logits and (R,) uniform numbers in [0, 1) -> (R,) tokens.

    A row at temperature 0 takes the likeliest token; the others invert the cumulative distribution at their number, so
    that equal numbers give equal tokens whatever else is in the batch.
    """
    tokens = logits.argmax(-1)
    plain = [row for row, s in enumerate(settings) if s.temperature > 0 and not _truncates(s)]
    cut = [row for row, s in enumerate(settings) if s.temperature > 0 and _truncates(s)]
    if plain:
        heat = logits.new_tensor([settings[row].temperature for row in plain])
        scaled = logits[plain].float() / heat.unsqueeze(-1)
        tokens[plain] = _invert(scaled.softmax(-1), uniform[plain])
    for row in cut:
        tokens[row] = _draw_truncated(logits[row].float(), settings[row], uniform[row])
    return tokens


def _truncates(config: SamplingConfig) -> bool:
    return config.top_k is not None or config.top_p is not None


def _draw_truncated(logits: Tensor, config: SamplingConfig, uniform: Tensor) -> Tensor:
    """Among the `top_k` likeliest, and of these the likeliest that hold `top_p` of the probability."""
    count = min(config.top_k or len(logits), len(logits))
    best, order = (logits / config.temperature).topk(count)
    probabilities = best.softmax(-1)
    if config.top_p is not None:
        before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities * (before < config.top_p)
    return order[_invert(probabilities[None], uniform[None])[0]]


def _invert(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """(R, V) weights and (R,) numbers in [0, 1) -> (R,) where the cumulative sum passes number times total."""
    cumulative = probabilities.cumsum(-1)
    target = (uniform.to(cumulative) * cumulative[:, -1]).unsqueeze(-1)
    place = torch.searchsorted(cumulative, target, right=True).squeeze(-1)
    return place.clamp(max=probabilities.shape[-1] - 1)

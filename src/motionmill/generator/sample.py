"""Sampling: logits -> tokens, each row by its own settings and its own random number.

Shapes: R rows, V outputs (codes and end).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from motionmill.generator.config import SamplingConfig

_LIKELIEST = 1024  # which mostly hold all that `top_p` keeps, so that 64,000 need not be sorted


def draw(logits: Tensor, settings: Sequence[SamplingConfig], uniform: Tensor) -> Tensor:
    """(R, V) logits and (R,) uniform numbers in [0, 1) -> (R,) tokens.

    A row at temperature 0 takes the likeliest token; the others invert the cumulative distribution at their number, so
    that equal numbers give equal tokens whatever else is in the batch.
    """
    alike: dict[SamplingConfig, list[int]] = defaultdict(list)
    for row, config in enumerate(settings):
        alike[config].append(row)
    if len(alike) == 1:
        return _draw_alike(logits, settings[0], uniform)
    tokens = torch.empty(len(logits), dtype=torch.long, device=logits.device)
    for config, rows in alike.items():
        tokens[rows] = _draw_alike(logits[rows], config, uniform[rows])
    return tokens


def _draw_alike(logits: Tensor, config: SamplingConfig, uniform: Tensor) -> Tensor:
    if config.temperature == 0:
        return logits.argmax(-1)
    scaled = logits.float() / config.temperature
    if config.top_k is None and config.top_p is None:
        return _invert(scaled.softmax(-1), uniform)
    if config.top_k is not None:
        best, order = scaled.topk(min(config.top_k, scaled.shape[-1]))
        return _draw_sorted(best.softmax(-1), order, config.top_p, uniform)
    assert config.top_p is not None
    best, order = scaled.topk(min(_LIKELIEST, scaled.shape[-1]))
    probabilities = (best - scaled.logsumexp(-1, keepdim=True)).exp()
    tokens = _draw_sorted(probabilities, order, config.top_p, uniform)
    more = (probabilities.sum(-1) < config.top_p).nonzero().flatten()
    if len(more):
        best, order = scaled[more].sort(descending=True)
        tokens[more] = _draw_sorted(best.softmax(-1), order, config.top_p, uniform[more])
    return tokens


def _draw_sorted(
    probabilities: Tensor, order: Tensor, top_p: float | None, uniform: Tensor
) -> Tensor:
    """Among (R, K) tokens in falling order of probability, the likeliest that together hold `top_p`."""
    if top_p is not None:
        before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities * (before < top_p)
    return order.gather(-1, _invert(probabilities, uniform).unsqueeze(-1)).squeeze(-1)


def _invert(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """(R, V) weights and (R,) numbers in [0, 1) -> (R,) where the cumulative sum passes number times total."""
    cumulative = probabilities.cumsum(-1)
    target = (uniform.to(cumulative) * cumulative[:, -1]).unsqueeze(-1)
    place = torch.searchsorted(cumulative, target, right=True).squeeze(-1)
    return place.clamp(max=probabilities.shape[-1] - 1)

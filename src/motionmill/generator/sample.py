"""Sampling: logits -> tokens, one row a prompt, each with its own random generator.

Shapes: B batch (prompts), N tokens, V outputs (codes and end).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from motionmill.generator.cache import KeyValueCache
from motionmill.generator.config import SamplingConfig
from motionmill.generator.model import Generator, Prefix


@torch.inference_mode()
def sample(
    model: Generator,
    prefix: Prefix,
    config: SamplingConfig,
    seeds: Sequence[int],
    *,
    unconditional: Prefix | None = None,
    min_tokens: int = 5,
    max_tokens: int | None = None,
) -> list[Tensor]:
    """Draw one motion a row.

    Args:
        prefix: B conditions. A row whose duration is not 0 gets exactly that many tokens; the others end by
            themselves, after at least `min_tokens` and at most `max_tokens` (by default the model's own); a model with
            a length head first draws how long they should be, and tells itself.
        config: temperature, truncation, guidance.
        seeds: B seeds; a row's tokens depend on its own seed and condition, not on the other rows.
        unconditional: the same rows without their text; needed when guidance is not 1.

    Returns:
        B tensors (N,) of codes.
    """
    batch, device = len(seeds), prefix.states.device
    guided = config.guidance != 1.0
    if guided and unconditional is None:
        raise ValueError(
            f"guidance {config.guidance} needs the unconditional prefix; give it or use guidance 1"
        )
    end, limit = (
        model.config.end,
        min(max_tokens or model.config.max_tokens, model.config.max_tokens),
    )
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    noise = torch.stack([torch.rand(limit + 1, generator=generator) for generator in generators])
    noise = noise.to(device)
    asked = prefix.durations.clamp(max=limit)
    if model.config.length_head:
        hints = draw_lengths(model, prefix, noise[:, limit], min_tokens)
        prefix = replace(prefix, durations=torch.where(asked > 0, asked, hints))
    if guided and unconditional is not None:
        prefix = _stack(prefix, replace(unconditional, durations=prefix.durations))
    slots = prefix.states.shape[1] + int(model.config.duration_state) + limit
    cache = KeyValueCache(
        model.config, len(prefix.states), slots, dtype=model.head.weight.dtype, device=device
    )

    logits = model.prefill(prefix, cache)
    chosen: list[Tensor] = []
    lengths = torch.full((batch,), limit, device=device)
    running = torch.ones(batch, dtype=torch.bool, device=device)
    for index in range(limit):
        if guided:
            conditional, free = logits.float().chunk(2)
            logits = free + config.guidance * (conditional - free)
        forbidden = torch.where(asked > 0, index < asked, index < min_tokens)
        tokens = draw(_without_end(logits.float(), end, forbidden), config, noise[:, index])
        stops = running & torch.where(asked > 0, index >= asked, tokens == end)
        lengths = torch.where(stops, index, lengths)
        running = running & ~stops
        if not bool(running.any()):
            break
        # Rows that have ended only keep the batch in step.
        tokens = torch.where(tokens == end, 0, tokens)
        chosen.append(tokens)
        if index + 1 < limit:
            logits = model.step(tokens.repeat(2) if guided else tokens, cache)
    drawn = torch.stack(chosen, dim=1) if chosen else lengths.new_zeros(batch, 0)
    return [row[:length] for row, length in zip(drawn, lengths.tolist(), strict=True)]


def draw(logits: Tensor, config: SamplingConfig, uniform: Tensor) -> Tensor:
    """(B, V) logits and (B,) uniform numbers in [0, 1) -> (B,) tokens by inverting the cumulative distribution."""
    if config.temperature == 0:
        return logits.argmax(-1)
    logits, order = (logits / config.temperature).sort(dim=-1, descending=True)
    if config.top_k is not None:
        logits[:, config.top_k :] = -torch.inf
    probabilities = logits.softmax(-1)
    cumulative = probabilities.cumsum(-1)
    if config.top_p is not None:
        probabilities = probabilities * (cumulative - probabilities < config.top_p)
        cumulative = probabilities.cumsum(-1)
    target = (uniform.to(cumulative) * cumulative[:, -1]).unsqueeze(-1)
    place = torch.searchsorted(cumulative, target, right=True).clamp(max=logits.shape[-1] - 1)
    return order.gather(-1, place).squeeze(-1)


def draw_lengths(model: Generator, prefix: Prefix, uniform: Tensor, min_tokens: int) -> Tensor:
    """(B,) lengths in tokens for texts that ask for none: drawn from the likelier nine tenths of the prediction."""
    logits = model.predict_length(prefix).float()
    logits[:, :min_tokens] = -torch.inf
    return draw(logits, SamplingConfig(temperature=1.0, top_p=0.9), uniform)


def _without_end(logits: Tensor, end: int, forbidden: Tensor) -> Tensor:
    """Logits in which the rows of `forbidden` (B,) cannot end."""
    blocked = logits.clone()
    blocked[:, end] = torch.where(forbidden, -torch.inf, blocked[:, end])
    return blocked


def _stack(first: Prefix, second: Prefix) -> Prefix:
    """Two batches of prefixes as one, padded on the left to the same length."""
    size = max(first.states.shape[1], second.states.shape[1])
    parts = []
    for prefix in (first, second):
        room = size - prefix.states.shape[1]
        states = torch.nn.functional.pad(prefix.states, (0, 0, room, 0))
        parts.append(
            replace(prefix, states=states, mask=torch.nn.functional.pad(prefix.mask, (room, 0)))
        )
    return Prefix(
        torch.cat([part.states for part in parts]),
        torch.cat([part.mask for part in parts]),
        torch.cat([part.durations for part in parts]),
    )

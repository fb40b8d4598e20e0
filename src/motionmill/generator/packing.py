"""Samples of any length -> one row without padding between them, in which each sees only itself.

A sample is its text states, the state of the asked length where the model has one, and its tokens. Positions begin anew
in every sample, text sees itself in both directions, tokens see what is before them: what comes out is what each sample
gives alone. On a GPU attention skips what is masked by blocks (`flex_attention`); on a CPU it runs on the samples side
by side, padded, while all matrices see the packed row.

Shapes: S states of the pack, R samples, K text states of all samples, M predicted places, H heads, C channels a head.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.rnn import pad_sequence

from motionmill.generator.config import GeneratorConfig


class Sample(NamedTuple):
    """One motion with its text.

    Attributes:
        states: (P, E) text states.
        tokens: (N,) input tokens, and (N,) targets, which differ where inputs are corrupted.
        duration: asked length in tokens, 0 where none is asked.
        clip: id.
    """

    states: Tensor
    tokens: Tensor
    targets: Tensor
    duration: int
    clip: str


class Pack(NamedTuple):
    """A batch.

    Attributes:
        tokens: (S,) token of each place; pad where there is none.
        samples: (S,) number of the sample, -1 for padding behind the last one.
        positions: (S,) position in the sample.
        prefix: (S,) whether the place is text or asked length.
        text: (K, E) text states and text_places (K,) where they go.
        durations: (R,) asked lengths and duration_places (R,) where they go.
        predicting: (M,) places whose output predicts targets (M,).
        means: (R,) the rows of `text` that are the samples' first states, and lengths (R,) their tokens.
        clips: ids.
    """

    tokens: Tensor
    samples: Tensor
    positions: Tensor
    prefix: Tensor
    text: Tensor
    text_places: Tensor
    durations: Tensor
    duration_places: Tensor
    predicting: Tensor
    targets: Tensor
    means: Tensor
    lengths: Tensor
    clips: tuple[str, ...]


def sample_states(config: GeneratorConfig, num_text: int, num_tokens: int) -> int:
    """How many places of a pack a sample takes."""
    return num_text + int(config.duration_state) + num_tokens


def pack(samples: Sequence[Sample], config: GeneratorConfig, *, size: int | None = None) -> Pack:
    """Put samples one behind the other.

    Args:
        size: pad the pack to so many states, so that all packs have one shape.

    Raises:
        ValueError: they do not fit `size`.
    """
    extra = int(config.duration_state)
    lengths = [sample_states(config, len(s.states), len(s.tokens)) for s in samples]
    total = sum(lengths)
    if size is not None and total > size:
        raise ValueError(
            f"clip {samples[0].clip}: {total} states do not fit a pack of {size}; raise packing.states"
        )
    size = total if size is None else size
    tokens = torch.full((size,), config.pad)
    numbers = torch.full((size,), -1)
    positions = torch.zeros(size, dtype=torch.long)
    prefix = torch.zeros(size, dtype=torch.bool)
    text_places, duration_places, predicting, targets = [], [], [], []
    start = 0
    for number, (sample, length) in enumerate(zip(samples, lengths, strict=True)):
        texts, place = len(sample.states), start + len(sample.states) + extra
        tokens[place : start + length] = sample.tokens
        numbers[start : start + length] = number
        positions[start : start + length] = torch.arange(length)
        prefix[start:place] = True
        text_places.append(torch.arange(start, start + texts))
        duration_places.append(place - 1)
        predicting.append(torch.arange(place - 1, start + length))
        targets.append(F.pad(sample.targets, (0, 1), value=config.end))
        start += length
    counts = torch.tensor([len(sample.states) for sample in samples])
    return Pack(
        tokens,
        numbers,
        positions,
        prefix,
        torch.cat([sample.states for sample in samples]),
        torch.cat(text_places),
        torch.tensor([sample.duration for sample in samples]),
        torch.tensor(duration_places),
        torch.cat(predicting),
        torch.cat(targets),
        counts.cumsum(0) - counts,
        torch.tensor([len(sample.targets) for sample in samples]),
        tuple(sample.clip for sample in samples),
    )


class SideBySide:
    """Attention of a pack on samples padded side by side."""

    def __init__(self, batch: Pack, *, training: bool) -> None:
        """Args: training: take the plain kernel, which at these lengths is faster on a CPU."""
        self._training = training
        places = [
            (batch.samples == number).nonzero().flatten() for number in range(len(batch.durations))
        ]
        self._index = pad_sequence(places, batch_first=True, padding_value=0)
        counts = torch.tensor([len(row) for row in places])
        size = self._index.shape[1]
        self._real = torch.arange(size) < counts[:, None]
        seen = torch.ones(size, size, dtype=torch.bool).tril()
        prefix = batch.prefix[self._index] & self._real
        allowed = seen | (prefix[:, :, None] & prefix[:, None, :])
        allowed = (allowed & self._real[:, None, :]) | torch.eye(size, dtype=torch.bool)
        self._allowed = allowed.unsqueeze(1)

    def __call__(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(1, H, S, C) each -> (1, H, S, C)."""
        q, k, v = (x[0][:, self._index].transpose(0, 1) for x in (queries, keys, values))
        with sdpa_kernel(SDPBackend.MATH) if self._training else nullcontext():
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=self._allowed)
        result = torch.zeros_like(queries[0])
        rows = mixed.transpose(0, 1)[:, self._real]
        return result.index_copy(1, self._index[self._real], rows).unsqueeze(0)


class BlockSparse:
    """Attention of a pack that computes only blocks in which somebody sees somebody."""

    def __init__(self, batch: Pack) -> None:
        from torch.nn.attention.flex_attention import create_block_mask

        samples, positions, prefix = batch.samples, batch.positions, batch.prefix
        size = len(samples)

        def visible(_: Tensor, __: Tensor, i: Tensor, j: Tensor) -> Tensor:
            before = (positions[j] <= positions[i]) | (prefix[i] & prefix[j])
            padding = (samples[i] < 0) & (i == j)
            return ((samples[i] == samples[j]) & (samples[i] >= 0) & before) | padding

        self._mask: Any = create_block_mask(visible, None, None, size, size, samples.device)

    def __call__(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(1, H, S, C) each -> (1, H, S, C)."""
        mixed: Tensor = _flex(queries.device.type)(queries, keys, values, block_mask=self._mask)
        return mixed


Mixer = SideBySide | BlockSparse


def mixer(batch: Pack, *, training: bool) -> Mixer:
    """The attention of a pack on its device."""
    if batch.tokens.device.type == "cuda":
        return BlockSparse(batch)
    return SideBySide(batch, training=training)


@functools.cache
def _flex(kind: str) -> Any:
    """flex_attention; compiled on a GPU, without which it is slow."""
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention) if kind == "cuda" else flex_attention

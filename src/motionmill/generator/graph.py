"""The decode step of a model on a CUDA device as recorded graphs: one launch a token in place of some hundred.

Shapes: n rows in use, R rows of a graph (a power of two), V outputs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from motionmill.generator.cache import KeyValueCache
from motionmill.generator.model import Generator

_WARM_UPS = 3


class Recording(NamedTuple):
    """A graph with the tensors that it reads, (R,) tokens and places, and writes, (R, V) logits."""

    graph: torch.cuda.CUDAGraph
    tokens: Tensor
    places: Tensor
    logits: Tensor


class GraphStep:
    """`Generator.step` for one cache. A graph is recorded when a batch first needs its number of rows."""

    def __init__(self, model: Generator, cache: KeyValueCache) -> None:
        self._model, self.cache = model, cache
        self._recordings: dict[int, Recording] = {}

    @torch.inference_mode()
    def __call__(self, tokens: Tensor) -> Tensor:
        """One more token a row of the cache: (n,) tokens -> (n, V) logits of the next."""
        count = len(tokens)
        rows = min(1 << (count - 1).bit_length(), self.cache.num_rows)
        if rows not in self._recordings:
            self._recordings[rows] = self._record(rows)
        recording = self._recordings[rows]
        # Rows that are not in use compute what nobody reads, into slots that are written again before they are seen.
        recording.tokens[:count] = tokens
        recording.places[:count] = self.cache.places
        recording.graph.replay()
        self.cache.advance()
        return recording.logits[:count].clone()

    def _record(self, rows: int) -> Recording:
        device = self.cache.places.device
        tokens = torch.zeros(rows, dtype=torch.long, device=device)
        # The last slot is the one that no row has filled yet.
        places = torch.full((rows,), self.cache.num_slots - 1, device=device)
        side = torch.cuda.Stream(device)
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            for _ in range(_WARM_UPS):
                self._model.put(tokens, self.cache.fixed_slots(places))
        torch.cuda.current_stream(device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            logits = self._model.put(tokens, self.cache.fixed_slots(places))
        return Recording(graph, tokens, places, logits)

"""Inference engine: requests -> streams of tokens, many at once.

Requests join a running batch between two steps and leave it when they end. There is no thread: whoever waits for a
token of theirs moves all requests on by a step, so that any number of threads may wait and none computes in vain.

Shapes: R requests in the batch, P states, K history tokens, V outputs (codes and end).
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from motionmill.generator.cache import KeyValueCache
from motionmill.generator.config import SamplingConfig
from motionmill.generator.graph import GraphStep
from motionmill.generator.model import Generator, Prefix
from motionmill.generator.sample import draw
from motionmill.generator.text import pad_left

MIN_TOKENS = 5
_LIKELY_LENGTHS = SamplingConfig(temperature=1.0, top_p=0.9)


@dataclass(frozen=True, eq=False)
class Request:
    """One motion to make.

    Attributes:
        states: (P, E) text states.
        sampling: temperature, truncation, guidance.
        seed: a request's tokens depend on its own seed and condition, not on what runs beside it.
        duration: exactly so many new tokens; 0 where the motion ends by itself.
        min_tokens, max_tokens: where it may end and where it must; by default the model's longest motion.
        unconditional: (P', E) states of no text; needed when guidance is not 1.
        history: (K,) tokens of the motion that it goes on from.
    """

    states: Tensor
    sampling: SamplingConfig
    seed: int = 0
    duration: int = 0
    min_tokens: int = MIN_TOKENS
    max_tokens: int | None = None
    unconditional: Tensor | None = None
    history: Tensor | None = None


class Stream:
    """The tokens of a request as they come."""

    def __init__(self, engine: Engine, request: Request, number: int) -> None:
        self.id = number
        self._engine, self.request = engine, request
        self._tokens: list[int] = []
        self.done = False
        self._random = torch.Generator().manual_seed(request.seed)
        self._aim = 0
        self._rows: list[int] = []
        self._context = 0

    def __iter__(self) -> Iterator[int]:
        """Token by token, until the motion ends or is cancelled."""
        for place in itertools.count():
            if not self._has(place):
                return
            yield self._tokens[place]

    def _has(self, place: int) -> bool:
        """Whether there is a token at this place, now or later."""
        self._engine.run_until(lambda: self.done or len(self._tokens) > place)
        return len(self._tokens) > place

    def result(self) -> Tensor:
        """(N,) all new tokens, when the motion has ended."""
        self._engine.run_until(lambda: self.done)
        return torch.tensor(self._tokens, dtype=torch.long)

    @property
    def tokens(self) -> tuple[int, ...]:
        """What has come so far."""
        return tuple(self._tokens)

    @property
    def num_tokens(self) -> int:
        return len(self._tokens)

    def uniform(self) -> float:
        return float(torch.rand((), generator=self._random))


class Engine:
    """One model that serves many requests.

    A motion longer than the model's context goes on from its last tokens: when the context is full, `overlap` of it is
    kept as history and the rest forgotten.
    """

    def __init__(self, model: Generator, *, max_rows: int = 64, overlap: float = 0.5) -> None:
        """Args: max_rows: rows of the batch; a request with guidance takes two."""
        self.model, self._max_rows = model, max_rows
        config = model.config
        self.overlap = max(1, int(overlap * config.max_tokens))
        self._cache: KeyValueCache | None = None
        self._graphs: GraphStep | None = None
        self._waiting: deque[Stream] = deque()
        self._running: list[Stream] = []
        self._owners: list[tuple[Stream, int]] = []
        self._logits = torch.empty(0)
        self._numbers = itertools.count()
        self._lock = threading.RLock()

    @property
    def device(self) -> torch.device:
        return self.model.embedding.weight.device

    @property
    def _by_graph(self) -> bool:
        """Whether steps are recorded; a CUDA device would wait for each operation to be launched."""
        return self.device.type == "cuda"

    def submit(self, request: Request) -> Stream:
        """Queue a request; nothing is computed before somebody waits for tokens.

        Raises:
            ValueError: guidance without unconditional states, or a length that makes no sense.
        """
        if request.sampling.guidance != 1.0 and request.unconditional is None:
            raise ValueError(
                f"guidance {request.sampling.guidance} needs the unconditional states; give them or use guidance 1"
            )
        if request.duration < 0 or request.min_tokens < 0:
            raise ValueError(
                f"{request.duration} tokens, {request.min_tokens} at least; expected none below 0"
            )
        if request.max_tokens is not None and request.max_tokens < max(1, request.min_tokens):
            raise ValueError(
                f"{request.min_tokens} to {request.max_tokens} tokens; expected 1 or more at most, not below the least"
            )
        with self._lock:
            stream = Stream(self, request, next(self._numbers))
            self._waiting.append(stream)
        return stream

    @torch.inference_mode()
    def cancel(self, number: int) -> None:
        """End a request at once; its stream keeps the tokens that it has."""
        with self._lock:
            for stream in (*self._waiting, *self._running):
                if stream.id == number:
                    self._end(stream)

    def generate(self, requests: Sequence[Request]) -> list[Tensor]:
        """The tokens of many requests, (N,) each."""
        streams = [self.submit(request) for request in requests]
        return [stream.result() for stream in streams]

    def run_until(self, satisfied: Callable[[], bool]) -> None:
        """Step until a condition holds or there is no work; other threads get their turn between steps."""
        while not satisfied():
            with self._lock:
                if satisfied() or not (self._waiting or self._running):
                    return
                self.step()

    @torch.inference_mode()
    def step(self) -> None:
        """Let waiting requests in, draw one token for every request, and compute what comes after."""
        with self._lock:
            self._admit()
            if not self._running:
                return
            chosen = self._choose()
            going = []
            for stream, token in zip(list(self._running), chosen, strict=True):
                self._take(stream, token)
                if not stream.done:
                    going.append((stream, token))
            self._advance(dict(going))

    def _admit(self) -> None:
        joining: list[Stream] = []
        rows = len(self._owners)
        while self._waiting:
            need = 2 if self._waiting[0].request.sampling.guidance != 1.0 else 1
            if rows + need > max(2, self._max_rows):
                break
            rows += need
            joining.append(self._waiting.popleft())
        if not joining:
            return
        self._hint_lengths(joining)
        self._join(joining, [_history(stream.request)[-self.overlap :] for stream in joining])

    def _hint_lengths(self, streams: Sequence[Stream]) -> None:
        """A model with a length head first draws how long a free motion should be, and tells itself."""
        for stream in streams:
            stream._aim = stream.request.duration
        free = [stream for stream in streams if not stream.request.duration]
        if not (self.model.config.length_head and free):
            return
        logits = self.model.predict_length(self._prefix([s.request.states for s in free])).float()
        for row, stream in enumerate(free):
            longest = self.model.config.max_tokens
            logits[row, : min(max(1, stream.request.min_tokens), longest)] = -torch.inf
            logits[row, (stream.request.max_tokens or longest) + 1 :] = -torch.inf
        numbers = torch.tensor([stream.uniform() for stream in free], device=logits.device)
        lengths = draw(logits, [_LIKELY_LENGTHS] * len(free), numbers)
        for stream, length in zip(free, lengths.tolist(), strict=True):
            stream._aim = length

    def _join(self, streams: Sequence[Stream], histories: Sequence[Tensor]) -> None:
        """New rows for streams, and the logits of their next tokens; rows that begin alike are computed once."""
        start = len(self._owners)
        different: dict[tuple[int, int, tuple[int, ...]], int] = {}
        owners: list[tuple[Stream, int]] = []
        states: list[Tensor] = []
        past: list[Tensor] = []
        durations: list[int] = []
        sources: list[int] = []
        for stream, history in zip(streams, histories, strict=True):
            stream._rows, stream._context = [], len(history)
            aim = stream._aim
            if aim:  # the whole motion that the model sees, not only what is new
                aim = min(len(history) + aim - len(stream._tokens), self.model.config.max_tokens)
            aim = max(0, aim)
            for place, condition in enumerate(_conditions(stream.request)):
                stream._rows.append(start + len(owners))
                owners.append((stream, place))
                beginning = (id(condition), aim, tuple(history.tolist()))
                sources.append(different.setdefault(beginning, len(different)))
                if sources[-1] == len(states):
                    states.append(condition)
                    past.append(history)
                    durations.append(aim)
        prefix = self._prefix(states, durations)
        cache = self._room(prefix, start + len(owners))
        logits = self.model.prefill(prefix, cache, past)
        if len(states) < len(sources):
            cache.repeat(start, sources)
            logits = logits[sources]
        self._owners += owners
        self._logits = torch.cat((self._logits.to(logits), logits)) if start else logits
        self._running += [stream for stream in streams if stream not in self._running]

    def _room(self, prefix: Prefix, rows: int) -> KeyValueCache:
        """The cache with room for so many rows; it grows to powers of two, and for a text beyond the longest."""
        config, cache = self.model.config, self._cache
        longest = max(prefix.mask.shape[1], config.max_text)
        slots = longest + int(config.duration_state) + config.max_tokens
        if cache is None or cache.num_slots < slots or cache.num_rows < rows:
            rows = max(1 << (rows - 1).bit_length(), cache.num_rows if cache else 0)
            weight = self.model.embedding.weight
            grown = KeyValueCache(config, rows, slots, dtype=weight.dtype, device=weight.device)
            if cache is not None:
                grown.take(cache)
            self._cache = cache = grown
        return cache

    def _choose(self) -> list[int]:
        """A token for every running request."""
        config = self.model.config
        first = [stream._rows[0] for stream in self._running]
        logits = self._logits[first].float()
        if any(len(stream._rows) > 1 for stream in self._running):
            free = self._logits[[stream._rows[-1] for stream in self._running]].float()
            strength = [stream.request.sampling.guidance for stream in self._running]
            logits = free + logits.new_tensor(strength).unsqueeze(-1) * (logits - free)
        closed = [
            row
            for row, stream in enumerate(self._running)
            if stream.request.duration or len(stream._tokens) < stream.request.min_tokens
        ]
        logits[closed, config.end] = -torch.inf
        settings = [stream.request.sampling for stream in self._running]
        numbers = torch.tensor([stream.uniform() for stream in self._running], device=logits.device)
        tokens: list[int] = draw(logits, settings, numbers).tolist()
        return tokens

    def _take(self, stream: Stream, token: int) -> None:
        """Give a stream its token, or end it."""
        request = stream.request
        limit = request.duration or request.max_tokens or self.model.config.max_tokens
        if token == self.model.config.end:
            self._end(stream)
            return
        stream._tokens.append(token)
        stream._context += 1
        if len(stream._tokens) >= limit:
            self._end(stream)

    def _advance(self, tokens: dict[Stream, int]) -> None:
        """The logits that come after these tokens."""
        full = [s for s in tokens if s._context >= self.model.config.max_tokens]
        for stream in full:
            self._free(stream)
        if self._owners:
            row_tokens = [tokens[stream] for stream, _ in self._owners]
            self._logits = self._step(torch.tensor(row_tokens, device=self.device))
        if full:
            self._join(full, [self._tail(stream) for stream in full])

    def _step(self, tokens: Tensor) -> Tensor:
        """(n,) tokens, one a row of the cache -> (n, V) logits of the next."""
        assert self._cache is not None
        if not self._by_graph:
            return self.model.step(tokens, self._cache)
        if self._graphs is None or self._graphs.cache is not self._cache:
            self._graphs = GraphStep(self.model, self._cache)
        return self._graphs(tokens)

    def _tail(self, stream: Stream) -> Tensor:
        return torch.cat((_history(stream.request), torch.tensor(stream._tokens)))[-self.overlap :]

    def _end(self, stream: Stream) -> None:
        stream.done = True
        if stream in self._running:
            self._free(stream)
            self._running.remove(stream)
        elif stream in self._waiting:
            self._waiting.remove(stream)

    def _free(self, stream: Stream) -> None:
        """Give back the rows of a stream; the last rows move into their places."""
        assert self._cache is not None
        for row in sorted(stream._rows, reverse=True):
            last = len(self._owners) - 1
            self._cache.leave(row)
            if row != last:
                owner, place = self._owners[last]
                self._owners[row] = (owner, place)
                owner._rows[place] = row
                self._logits[row] = self._logits[last]
            self._owners.pop()
            self._logits = self._logits[:-1]
        stream._rows = []

    def _prefix(self, states: Sequence[Tensor], durations: Sequence[int] | None = None) -> Prefix:
        padded, mask = pad_left(states)
        asked = torch.tensor(list(durations) if durations else [0] * len(states))
        weight = self.model.text_projection.weight
        return Prefix(
            padded.to(weight.device, weight.dtype), mask.to(weight.device), asked.to(weight.device)
        )


def _conditions(request: Request) -> list[Tensor]:
    """The states of the text, and those of no text where guidance asks for them."""
    if request.sampling.guidance == 1.0:
        return [request.states]
    assert request.unconditional is not None
    return [request.states, request.unconditional]


def _history(request: Request) -> Tensor:
    return torch.empty(0, dtype=torch.long) if request.history is None else request.history.cpu()

"""Steps of fixed shape, which are what a CUDA graph records, equal steps of the shape that is needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, cast

import pytest
import torch
from torch import Tensor

from motionmill.generator import engine
from motionmill.generator.cache import KeyValueCache
from motionmill.generator.config import GeneratorConfig, SamplingConfig
from motionmill.generator.engine import Engine, Request
from motionmill.generator.graph import GraphStep, Recording
from motionmill.generator.model import Generator, Prefix
from motionmill.generator.text import pad_left

SMALL = GeneratorConfig(
    num_codes=50, num_layers=2, num_heads=2, width=32, text_width=16, max_tokens=20
)


def made() -> Generator:
    torch.manual_seed(0)
    return Generator(SMALL).eval()


@torch.inference_mode()
@pytest.mark.parametrize("lengths", [(4, 4, 4), (3, 7, 1)])
def test_fixed_slots(lengths: tuple[int, ...]) -> None:
    model = made()
    states, mask = pad_left([torch.randn(length, 16) for length in lengths])
    prefix = Prefix(states, mask, torch.zeros(3, dtype=torch.long))
    caches = [KeyValueCache(SMALL, 4, 40) for _ in range(2)]
    for cache in caches:
        model.prefill(prefix, cache)
    for _ in range(5):
        tokens = torch.randint(50, (3,))
        expected = model.step(tokens, caches[0])
        # A fourth row that is not in use, as where a graph has more rows than the batch.
        places = torch.cat((caches[1].places, torch.tensor([39])))
        slots = caches[1].fixed_slots(places)
        logits = model.put(torch.cat((tokens, tokens[:1])), slots)
        caches[1].advance()
        assert torch.allclose(logits[:3], expected, atol=1e-5)


def requests() -> list[Request]:
    """Of all lengths, with guidance and without."""
    torch.manual_seed(1)
    settings = [
        SamplingConfig(temperature=0.0, guidance=1.0),
        SamplingConfig(temperature=1.0, guidance=2.0),
    ]
    return [
        Request(
            torch.randn(2 + number, 16),
            settings[number % 2],
            seed=number,
            duration=5 + 4 * number,
            unconditional=torch.zeros(1, 16),
        )
        for number in range(9)
    ]


class Replayed:
    """In place of a CUDA graph: computes anew from the same tensors what a graph would."""

    def __init__(self, run: Callable[[], Tensor], logits: Tensor) -> None:
        self._run, self._logits = run, logits

    def replay(self) -> None:
        self._logits.copy_(self._run())


class GraphStepOnCpu(GraphStep):
    """All of a `GraphStep` but the recording."""

    made: ClassVar[list[GraphStepOnCpu]] = []

    def __init__(self, model: Generator, cache: KeyValueCache) -> None:
        super().__init__(model, cache)
        self.made.append(self)

    def _record(self, rows: int) -> Recording:
        tokens = torch.zeros(rows, dtype=torch.long)
        places = torch.full((rows,), self.cache.num_slots - 1)
        logits = torch.empty(rows, SMALL.vocabulary - 1)
        graph = Replayed(lambda: self._model.put(tokens, self.cache.fixed_slots(places)), logits)
        return Recording(cast(Any, graph), tokens, places, logits)


def test_replayed_steps_give_the_tokens_of_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the engine does with graphs, on any machine: requests of all lengths join and leave, the cache grows."""
    model = made()
    expected = Engine(model, max_rows=8).generate(requests())
    monkeypatch.setattr(engine, "GraphStep", GraphStepOnCpu)
    monkeypatch.setattr(Engine, "_by_graph", property(lambda self: True))
    GraphStepOnCpu.made.clear()
    replaying = Engine(model, max_rows=8)
    first, *others = requests()
    stream = iter(replaying.submit(first))
    tokens = [
        next(stream) for _ in range(2)
    ]  # one row first, so that the cache must grow for the others
    rows = replaying.generate(others)
    assert [*tokens, *stream] == expected[0].tolist()
    for row, other in zip(rows, expected[1:], strict=True):
        assert row.tolist() == other.tolist()
    assert len(GraphStepOnCpu.made) > 1
    assert max(max(step._recordings) for step in GraphStepOnCpu.made) == 8


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_graphs_give_the_tokens_of_the_cpu() -> None:
    """Requests of all lengths join and leave, so that several graphs are recorded and replayed in turn."""
    model = made()
    expected = Engine(model, max_rows=8).generate(requests())
    recording = Engine(model.to("cuda"), max_rows=8)
    for row, other in zip(recording.generate(requests()), expected, strict=True):
        assert row.tolist() == other.tolist()
    assert recording._graphs is not None

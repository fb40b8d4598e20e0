"""The engine: what runs beside a request changes nothing, requests join and leave, lengths are met, motions go on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from motionmill.generator.cache import KeyValueCache
from motionmill.generator.config import GeneratorConfig, SamplingConfig
from motionmill.generator.engine import Engine, Request
from motionmill.generator.model import Generator, Prefix

SMALL = GeneratorConfig(
    num_codes=50, num_layers=2, num_heads=2, width=32, text_width=16, max_tokens=20
)
FREE = SamplingConfig(guidance=1.0, temperature=1.0)


@pytest.fixture(scope="module")
def model() -> Generator:
    torch.manual_seed(0)
    return Generator(SMALL).eval()


def request(
    length: int = 3, *, seed: int = 0, sampling: SamplingConfig = FREE, **more: int
) -> Request:
    draws = torch.Generator().manual_seed(100 * length + seed)
    states = torch.randn(length, 16, generator=draws)
    nothing = torch.randn(2, 16, generator=torch.Generator().manual_seed(9))
    return Request(states, sampling, seed=seed, unconditional=nothing, **more)


def mixed() -> list[Request]:
    """Texts, lengths, settings and ends of all kinds."""
    settings = [
        FREE,
        SamplingConfig(guidance=2.0, temperature=0.7),
        SamplingConfig(guidance=1.0, temperature=0.0),
        SamplingConfig(guidance=3.0, temperature=1.0, top_k=5),
        SamplingConfig(guidance=1.0, temperature=1.3, top_p=0.8),
    ]
    return [
        request(2 + number % 7, seed=number, sampling=settings[number % 5], duration=number % 4 * 6)
        for number in range(14)
    ]


def naive(model: Generator, wanted: Request) -> list[int]:
    """The whole sequence anew for every token, one request at a time, as the reference does it; greedy."""
    engine = Engine(model)
    prefix = engine._prefix([wanted.states], [wanted.duration])
    tokens: list[int] = []
    with torch.no_grad():
        while len(tokens) < (wanted.duration or SMALL.max_tokens):
            logits = model(prefix, torch.tensor([tokens], dtype=torch.long))[0, -1]
            if wanted.duration or len(tokens) < wanted.min_tokens:
                logits[SMALL.end] = -torch.inf
            if (token := int(logits.argmax())) == SMALL.end:
                break
            tokens.append(token)
    return tokens


@pytest.mark.parametrize("duration", [0, 1, 13, 20])
def test_greedy_equals_the_naive_way(model: Generator, duration: int) -> None:
    greedy = SamplingConfig(guidance=1.0, temperature=0.0)
    wanted = request(5, sampling=greedy, duration=duration)
    assert Engine(model).submit(wanted).result().tolist() == naive(model, wanted)


@pytest.mark.parametrize("max_rows", [2, 5, 64])
def test_a_request_does_not_depend_on_the_batch(model: Generator, max_rows: int) -> None:
    alone = [Engine(model).submit(wanted).result() for wanted in mixed()]
    together = Engine(model, max_rows=max_rows).generate(mixed())
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one, other)
    assert len({tuple(row.tolist()) for row in alone}) > 10


def test_requests_that_begin_alike_are_read_once(
    model: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Candidates of one text, beside another text and the same text after other tokens."""
    guided = SamplingConfig(guidance=2.0, temperature=1.0)
    first, second = (request(4, seed=k, sampling=guided, duration=9) for k in (1, 2))
    second = replace(second, unconditional=first.unconditional)
    wanted = [replace(first, seed=seed) for seed in range(3)] + [second]
    wanted += [replace(first, history=torch.tensor([5, 6, 7]), seed=seed) for seed in (3, 4)]
    alone = [Engine(model).submit(each).result().tolist() for each in wanted]
    read: list[int] = []
    prefill = Generator.prefill

    def counted(self: Generator, prefix: Prefix, *more: Any) -> Tensor:
        read.append(len(prefix.states))
        return prefill(self, prefix, *more)

    monkeypatch.setattr(Generator, "prefill", counted)
    engine = Engine(model)
    running = engine.submit(request(5, sampling=guided, duration=12))
    engine.step()
    together = [stream.result().tolist() for stream in [engine.submit(each) for each in wanted]]
    assert together == alone
    assert read == [2, 5]  # two texts and no text, and one text and no text after tokens
    assert len(running.result()) == 12


def test_requests_join_a_running_batch(model: Generator) -> None:
    alone = [Engine(model).submit(wanted).result().tolist() for wanted in mixed()[:6]]
    engine = Engine(model)
    streams, made = [], []
    for wanted in mixed()[:6]:
        streams.append(engine.submit(wanted))
        made.append(iter(streams[-1]))
        heads = [next(stream, None) for stream in made[:1]]
        assert heads[0] is None or heads[0] in alone[0]
    assert [stream.result().tolist() for stream in streams] == alone


def test_threads_wait_side_by_side(model: Generator) -> None:
    alone = [Engine(model).submit(wanted).result().tolist() for wanted in mixed()]
    engine = Engine(model, max_rows=6)
    made: dict[int, list[int]] = {}

    def use(number: int) -> None:
        made[number] = list(engine.submit(mixed()[number]))

    threads = [threading.Thread(target=use, args=(number,)) for number in range(14)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [made[number] for number in range(14)] == alone


def test_lengths_are_met_and_seeds_matter(model: Generator) -> None:
    rows = Engine(model).generate([request(duration=n, seed=n) for n in (7, 20, 1)])
    assert [len(row) for row in rows] == [7, 20, 1]
    assert max(int(row.max()) for row in rows) < SMALL.num_codes
    states = request().states
    first, again, other = Engine(model).generate(
        [Request(states, FREE, seed=seed, duration=20) for seed in (1, 1, 2)]
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    some = Engine(model).generate([request(seed=n, min_tokens=3, max_tokens=6) for n in range(20)])
    assert {len(row) for row in some} <= {3, 4, 5, 6}


def test_motions_longer_than_the_context(model: Generator) -> None:
    long = Engine(model).submit(request(duration=73)).result()
    assert len(long) == 73
    short = Engine(model).submit(request(duration=20)).result()
    assert len(short) == 20
    both = Engine(model).generate([request(4, seed=5, duration=50), request(duration=73)])
    assert torch.equal(both[1], long)


def test_the_model_is_told_what_is_left(model: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, told = Engine(model), list[list[int]]()
    whole = engine._prefix

    def listen(states: list[Tensor], durations: list[int]) -> object:
        told.append(durations)
        return whole(states, durations)

    monkeypatch.setattr(engine, "_prefix", listen)
    assert len(engine.submit(request(duration=35)).result()) == 35
    assert told == [[20], [20], [15]]  # of the motion in sight, its history of 10 tokens included


def test_a_motion_goes_on(model: Generator) -> None:
    greedy = SamplingConfig(guidance=1.0, temperature=0.0)
    whole = Engine(model).submit(request(sampling=greedy, duration=16)).result()
    rest = Engine(model).submit(replace(request(sampling=greedy, duration=7), history=whole[:9]))
    assert torch.equal(rest.result(), whole[9:])


def test_cancelling(model: Generator) -> None:
    engine = Engine(model, max_rows=2)
    first, second, third = (engine.submit(request(seed=n, duration=20)) for n in range(3))
    tokens: Iterator[int] = iter(first)
    kept = [next(tokens) for _ in range(4)]
    engine.cancel(first.id)
    engine.cancel(third.id)
    assert first.result().tolist() == kept
    assert len(third.result()) == 0
    expected: Tensor = Engine(model).submit(request(seed=1, duration=20)).result()
    assert torch.equal(second.result(), expected)


def test_a_cancelled_request_is_not_in_the_next_step(
    model: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, rows = Engine(model), list[int]()
    step = model.step

    def listen(tokens: Tensor, cache: KeyValueCache) -> Tensor:
        rows.append(len(tokens))
        return step(tokens, cache)

    monkeypatch.setattr(model, "step", listen)
    guided = SamplingConfig(guidance=2.0)
    first = engine.submit(request(seed=1, duration=20))
    second = engine.submit(request(seed=2, duration=20, sampling=guided))
    kept = next(iter(second))
    engine.cancel(second.id)
    assert second.result().tolist() == [kept]
    engine.step()
    assert rows == [3, 1]
    assert len(first.result()) == 20


def test_least_and_most_tokens() -> None:
    torch.manual_seed(2)
    eager = Generator(SMALL).eval()
    with torch.no_grad():
        eager.norm.scale.zero_()  # every token is as likely as the end
        lazy = Generator(SMALL).eval()
        lazy.head.weight[SMALL.end] = 0.0
    greedy = SamplingConfig(temperature=0.0, guidance=1.0)
    bounds = [(0, 3), (4, 4), (9, 15), (25, 33)]
    wanted = [request(seed=n, min_tokens=a, max_tokens=b) for n, (a, b) in enumerate(bounds)]
    for row, (least, most) in zip(Engine(eager).generate(wanted), bounds, strict=True):
        assert least <= len(row) <= most
    long = request(sampling=greedy, min_tokens=30, max_tokens=33)  # beyond the context of 20
    assert 30 <= len(Engine(lazy).submit(long).result()) <= 33
    with pytest.raises(ValueError, match="not below the least"):
        Engine(eager).submit(request(min_tokens=8, max_tokens=7))


def test_a_length_head_only_hints() -> None:
    torch.manual_seed(1)
    hinting = Generator(SMALL.model_copy(update={"length_head": True})).eval()
    with torch.no_grad():
        hinting.length_output.bias[8] = 50.0  # it is sure of eight tokens
        hinting.head.weight[SMALL.end] = 0.0
    asked = Engine(hinting).generate([request(duration=7), request(duration=12, seed=1)])
    assert [len(row) for row in asked] == [7, 12]
    free = Engine(hinting).submit(request())
    assert torch.equal(free.result(), Engine(hinting).generate([request(), request(seed=1)])[0])
    assert free._aim == 8
    with pytest.raises(ValueError, match="duration_state"):
        GeneratorConfig(length_head=True, duration_state=False)


def test_requests_are_checked(model: Generator) -> None:
    guided = replace(request(sampling=SamplingConfig(guidance=2.0)), unconditional=None)
    with pytest.raises(ValueError, match="unconditional"):
        Engine(model).submit(guided)
    with pytest.raises(ValueError, match="none below 0"):
        Engine(model).submit(request(duration=-3))

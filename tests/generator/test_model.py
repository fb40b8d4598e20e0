"""The generator on its own: the cache changes nothing, batches change nothing, durations are met, official parity."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from motionmill.generator.cache import KeyValueCache
from motionmill.generator.config import GeneratorConfig
from motionmill.generator.model import Generator, Prefix
from motionmill.generator.text import pad_left

SMALL = GeneratorConfig(
    num_codes=50, num_layers=2, num_heads=2, width=32, text_width=16, max_tokens=20
)


@pytest.fixture(scope="module")
def model() -> Generator:
    torch.manual_seed(0)
    return Generator(SMALL).eval()


def prefix(*lengths: int, durations: list[int] | None = None, seed: int = 0) -> Prefix:
    draws = torch.Generator().manual_seed(seed)
    states, mask = pad_left([torch.randn(length, 16, generator=draws) for length in lengths])
    return Prefix(states, mask, torch.tensor(durations or [0] * len(lengths)))


@torch.no_grad()
def test_cached_steps_equal_one_pass(model: Generator) -> None:
    condition = prefix(3, 7)
    tokens = torch.randint(50, (2, 9))
    cache = KeyValueCache(SMALL, 2, 32)
    stepped = [model.prefill(condition, cache)]
    stepped += [model.step(tokens[:, index], cache) for index in range(9)]
    assert torch.allclose(torch.stack(stepped, 1), model(condition, tokens), atol=1e-5)


@torch.no_grad()
def test_history_is_as_good_as_steps(model: Generator) -> None:
    condition, tokens = prefix(3, 7), torch.randint(50, (2, 9))
    cache = KeyValueCache(SMALL, 4, 32)
    logits = model.prefill(condition, cache, [tokens[0], tokens[1, :4]])
    whole = model(condition, tokens)
    assert torch.allclose(logits, torch.stack((whole[0, 9], whole[1, 4])), atol=1e-5)
    after = model.step(tokens[:, 4], cache)
    assert torch.allclose(after[1], whole[1, 5], atol=1e-5)


@torch.no_grad()
def test_padding_does_not_matter(model: Generator) -> None:
    states = torch.randn(3, 16)
    tokens = torch.randint(50, (1, 5))
    alone = Prefix(states[None], torch.ones(1, 3, dtype=torch.bool), torch.tensor([0]))
    padded, mask = pad_left([states, torch.randn(8, 16)])
    beside = Prefix(padded, mask, torch.tensor([0, 4]))
    assert torch.allclose(model(alone, tokens)[0], model(beside, tokens.repeat(2, 1))[0], atol=1e-5)


@torch.no_grad()
def test_text_sees_itself_both_ways_and_motion_only_the_past(model: Generator) -> None:
    condition = prefix(4)
    tokens = torch.randint(50, (1, 6))
    changed = tokens.clone()
    changed[0, 3] = (changed[0, 3] + 1) % 50
    first, second = model(condition, tokens), model(condition, changed)
    assert torch.allclose(first[:, :4], second[:, :4], atol=1e-6)
    assert not torch.allclose(first[:, 4:], second[:, 4:])
    states = condition.states.clone()
    states[0, -1] += 1.0  # a later word changes what is made of the earlier ones
    assert not torch.allclose(model(replace(condition, states=states), tokens)[:, 0], first[:, 0])

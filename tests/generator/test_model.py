"""The generator on its own: the cache changes nothing, batches change nothing, durations are met, official parity."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from motionmill.generator.cache import KeyValueCache
from motionmill.generator.config import GeneratorConfig, SamplingConfig
from motionmill.generator.model import Generator, Prefix
from motionmill.generator.sample import draw, draw_lengths, sample
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


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_row_does_not_depend_on_the_batch(model: Generator, guidance: float) -> None:
    config = SamplingConfig(guidance=guidance, temperature=1.0)
    together, nothing = prefix(3, 7, 5), prefix(2, 2, 2, seed=9)
    rows = sample(model, together, config, [4, 5, 6], unconditional=nothing)
    for row in range(3):
        part = slice(row, row + 1)
        one = Prefix(together.states[part], together.mask[part], together.durations[part])
        none = Prefix(nothing.states[part], nothing.mask[part], nothing.durations[part])
        assert torch.equal(sample(model, one, config, [4 + row], unconditional=none)[0], rows[row])


def test_durations_are_met_and_seeds_matter(model: Generator) -> None:
    config = SamplingConfig(guidance=1.0, temperature=1.0)
    rows = sample(model, prefix(3, 3, 3, durations=[7, 20, 1]), config, [0, 1, 2])
    assert [len(row) for row in rows] == [7, 20, 1]
    assert max(int(row.max()) for row in rows) < SMALL.num_codes
    same = sample(model, prefix(3, durations=[20]), config, [1])[0]
    other = sample(model, prefix(3, durations=[20]), config, [2])[0]
    assert torch.equal(same, sample(model, prefix(3, durations=[20]), config, [1])[0])
    assert not torch.equal(same, other)


def test_a_length_head_only_hints() -> None:
    torch.manual_seed(1)
    hinting = Generator(SMALL.model_copy(update={"length_head": True})).eval()
    with torch.no_grad():
        hinting.length_output.bias[8] = 50.0  # it is sure of eight tokens
        hinting.head.weight[SMALL.end] = 0.0
    config = SamplingConfig(guidance=1.0, temperature=1.0)
    lengths = draw_lengths(hinting, prefix(3, 5), torch.tensor([0.1, 0.9]), 5)
    assert lengths.tolist() == [8, 8]
    asked = sample(hinting, prefix(3, 3, durations=[7, 12]), config, [0, 1])
    assert [len(row) for row in asked] == [7, 12]
    free = sample(hinting, prefix(3, 3), config, [0, 1])
    alone = sample(hinting, prefix(3), config, [0])
    assert torch.equal(free[0], alone[0])
    with pytest.raises(ValueError, match="duration_state"):
        GeneratorConfig(length_head=True, duration_state=False)


def test_guidance_needs_what_it_guides_away_from(model: Generator) -> None:
    with pytest.raises(ValueError, match="unconditional"):
        sample(model, prefix(3), SamplingConfig(guidance=2.0), [0])


def test_draw_follows_the_distribution() -> None:
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05])).expand(20_000, 4)
    uniform = torch.rand(20_000, generator=torch.Generator().manual_seed(0))

    def shares(**settings: float) -> Tensor:
        config = SamplingConfig.model_validate({"temperature": 1.0, **settings})
        return draw(logits, config, uniform).bincount(minlength=4) / 20_000

    assert torch.allclose(shares(), torch.tensor([0.5, 0.3, 0.15, 0.05]), atol=0.02)
    assert torch.allclose(shares(top_k=2), torch.tensor([0.625, 0.375, 0, 0]), atol=0.02)
    assert torch.allclose(shares(top_p=0.7), torch.tensor([0.625, 0.375, 0, 0]), atol=0.02)
    assert shares(temperature=0.0)[0] == 1.0

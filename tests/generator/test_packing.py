"""Packing: samples in one row come out as each alone, forwards and backwards, by either way of attention."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from motionmill.generator import model as models
from motionmill.generator.config import GeneratorConfig
from motionmill.generator.model import Generator, Prefix
from motionmill.generator.packing import BlockSparse, Sample, pack
from motionmill.training.device import move

CONFIG = GeneratorConfig(
    num_codes=50, num_layers=2, num_heads=2, width=32, text_width=12, max_tokens=20
)


def samples(config: GeneratorConfig) -> list[Sample]:
    draw = torch.Generator().manual_seed(0)
    made = []
    for texts, length, duration in ((5, 9, 0), (1, 20, 20), (11, 1, 1), (3, 14, 0)):
        states = torch.randn(texts, config.text_width, generator=draw)
        tokens = torch.randint(config.num_codes, (length,), generator=draw)
        made.append(Sample(states, tokens, tokens, duration, "clip"))
    return made


def alone(model: Generator, sample: Sample) -> Tensor:
    mask = torch.ones(1, len(sample.states), dtype=torch.bool)
    prefix = Prefix(sample.states[None], mask, torch.tensor([sample.duration]))
    return model(prefix, sample.tokens[None])[0]


@pytest.mark.parametrize("duration_state", [True, False])
def test_a_pack_is_as_good_as_its_samples(duration_state: bool) -> None:
    config = CONFIG.model_copy(update={"duration_state": duration_state})
    torch.manual_seed(0)
    model = Generator(config)
    chosen = samples(config)
    expected = torch.cat([alone(model, sample) for sample in chosen])
    weights = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    (expected * weights).sum().backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()

    batch = pack(chosen, config, size=128)
    assert int((batch.samples < 0).sum()) > 0  # there is padding
    made = model.packed(batch)
    assert (made - expected).abs().max() < 1e-5
    (made * weights).sum().backward()
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert (parameter.grad - gradient).abs().max() < 1e-4
    ends = torch.tensor([len(sample.tokens) for sample in chosen]).cumsum(0) + torch.arange(4)
    assert bool((batch.targets[ends] == config.end).all())


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_the_gpus_way_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its block mask and attention, run on a CPU without a kernel."""
    model = Generator(CONFIG).eval()
    batch = pack(samples(CONFIG), CONFIG, size=128)
    expected = model.packed(batch)
    monkeypatch.setattr(models, "mixer", lambda batch, training: BlockSparse(batch))
    assert (model.packed(batch) - expected).abs().max() < 1e-5


@pytest.mark.gpu
def test_a_pack_on_a_gpu() -> None:
    config = CONFIG.model_copy(update={"width": 128})
    model = Generator(config)
    batch = pack(samples(config), config, size=256)
    expected = model.packed(batch)
    expected.square().mean().backward()
    gradient = model.blocks[0].attention.output.weight.grad.clone()
    model.zero_grad()
    device = torch.device("cuda")
    made = model.to(device).packed(move(batch, device))
    made.square().mean().backward()
    assert (made.cpu() - expected).abs().max() < 1e-4
    difference = model.blocks[0].attention.output.weight.grad.cpu() - gradient
    assert difference.abs().max() < 1e-4


def test_a_sample_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"raise packing\.states"):
        pack(samples(CONFIG)[:1], CONFIG, size=10)

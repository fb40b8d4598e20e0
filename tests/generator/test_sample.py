"""Sampling: the distribution that is asked for, whatever is drawn beside it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from motionmill.generator import sample
from motionmill.generator.config import SamplingConfig
from motionmill.generator.sample import draw


def test_draws_follow_the_distribution() -> None:
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05])).repeat(20_000, 1)
    uniform = torch.rand(20_000, generator=torch.Generator().manual_seed(0))

    def shares(**settings: float) -> Tensor:
        config = SamplingConfig.model_validate({"temperature": 1.0, **settings})
        return draw(logits, [config] * len(logits), uniform).bincount(minlength=4) / 20_000

    assert torch.allclose(shares(), torch.tensor([0.5, 0.3, 0.15, 0.05]), atol=0.02)
    assert torch.allclose(shares(top_k=2), torch.tensor([0.625, 0.375, 0, 0]), atol=0.02)
    assert torch.allclose(shares(top_p=0.7), torch.tensor([0.625, 0.375, 0, 0]), atol=0.02)
    both = shares(
        top_k=3, top_p=0.9
    )  # of the three likeliest, 0.526 and 0.842 lie before the others
    assert torch.allclose(both, torch.tensor([0.526, 0.316, 0.158, 0]), atol=0.02)
    assert shares(temperature=0.0)[0] == 1.0


def test_the_likeliest_are_enough_for_top_p(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking at the likeliest tokens first, and at all where they do not hold enough, changes no draw."""
    draws = torch.Generator().manual_seed(1)
    narrow = 4.0 * torch.randn(40, 300, generator=draws)
    wide = 0.1 * torch.randn(40, 300, generator=draws)
    logits, uniform = torch.cat((narrow, wide)), torch.rand(80, generator=draws)
    settings = [SamplingConfig(temperature=1.0, top_p=0.9)] * 80
    expected = draw(logits, settings, uniform)
    monkeypatch.setattr(sample, "_LIKELIEST", 100)
    assert torch.equal(draw(logits, settings, uniform), expected)


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    draws = torch.Generator().manual_seed(2)
    logits, uniform = torch.randn(12, 500, generator=draws), torch.rand(12, generator=draws)
    kinds = [
        SamplingConfig(temperature=0.0),
        SamplingConfig(temperature=1.0),
        SamplingConfig(temperature=0.8, top_k=40),
        SamplingConfig(temperature=1.2, top_p=0.7),
    ]
    settings = [kinds[row % 4] for row in range(12)]
    together = draw(logits, settings, uniform)
    for row, config in enumerate(settings):
        alone = draw(logits[row : row + 1], [config], uniform[row : row + 1])
        assert together[row] == alone[0]


def test_lengths_are_checked() -> None:
    changed = SamplingConfig(min_seconds=2.0).changed({"max_seconds": 3.0, "top_k": None})
    assert (changed.min_seconds, changed.max_seconds) == (2.0, 3.0)
    with pytest.raises(ValueError, match="min_seconds 5 above max_seconds 3"):
        changed.changed({"min_seconds": 5.0})
    for values in ({"min_seconds": -1.0}, {"max_seconds": 0.0}, {"max_seconds": 1e4}):
        with pytest.raises(ValueError, match="sampling"):
            SamplingConfig().changed(values)

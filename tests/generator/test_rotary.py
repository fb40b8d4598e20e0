"""Rotary positions equal the official ones, in all of a prefix and motion and at any single place."""

from __future__ import annotations

from pathlib import Path

import torch

from motionmill.generator.config import official_config
from motionmill.generator.rotary import rotary_table, rotate


def test_the_official_table_and_turns(shared: Path) -> None:
    case = torch.load(shared / "fixtures" / "rope.pt", weights_only=True)
    config = official_config(2, 2, 200)  # 100 channels a head, as in 3B
    table = rotary_table(config, torch.arange(len(case["cos"])))
    cosines, sines = table.flatten(1, -2).unbind(1)
    assert torch.allclose(cosines[:, ::2], case["cos"], atol=1e-6)
    assert torch.allclose(sines[:, 1::2], case["sin"], atol=1e-6)
    assert torch.equal(sines[:, ::2], -sines[:, 1::2])
    heads = case["x"].transpose(1, 2).unsqueeze(2)  # (B, H, S, C) -> (B, S, 1, H, C)
    turned = rotate(heads, rotary_table(config, case["pos"])).squeeze(2).transpose(1, 2)
    assert torch.allclose(turned, case["y"], atol=1e-6)

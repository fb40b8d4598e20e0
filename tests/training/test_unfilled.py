"""Models without memory: the same parameters by name and shape, and PyTorch's compiler stays where it is."""

from __future__ import annotations

import os
import subprocess
import sys

import torch

from motionmill.generator.config import GeneratorConfig
from motionmill.generator.model import Generator
from motionmill.training.unfilled import unfilled

CONFIG = GeneratorConfig(num_codes=30, num_layers=2, num_heads=2, width=16, length_head=True)


def test_the_same_parameters_without_memory() -> None:
    before = torch.get_rng_state()
    with unfilled():
        made = Generator(CONFIG)
    assert torch.equal(torch.get_rng_state(), before)
    there = {name: (value.shape, value.dtype) for name, value in made.state_dict().items()}
    real = Generator(CONFIG)
    assert there == {name: (value.shape, value.dtype) for name, value in real.state_dict().items()}
    assert all(parameter.is_meta for parameter in made.parameters())
    assert float(real.head.weight.detach().std()) > 0  # outside the context they are drawn


def test_generating_loads_no_compiler() -> None:
    code = (
        "import sys, motionmill; motionmill.TextToMotion.from_pretrained('mini')('a person walks', seconds=1);"
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"

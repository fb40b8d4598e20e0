"""What training takes, before it is spent: the largest presets on the meta device, the plan's words, its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from motionmill.cli import main
from motionmill.config import load_recipe
from motionmill.generator.config import PRESETS, GeneratorConfig, GeneratorRunConfig, preset
from motionmill.generator.model import Generator
from motionmill.generator.plan import Lengths, lengths_of, plan
from motionmill.generator.size import num_parameters
from tests.data.test_loader import make_dataset

LENGTHS = Lengths(40.0, 20.0, 15_000_000)
ROOT = Path(__file__).resolve().parents[2]


def sizes() -> list[GeneratorConfig]:
    own = GeneratorConfig(length_head=True)
    return [
        own,
        own.model_copy(update={"duration_state": False, "length_head": False}),
        *map(preset, PRESETS),
    ]


@pytest.mark.parametrize("config", sizes(), ids=["own", "bare", *PRESETS])
def test_parameters_are_those_of_the_model(config: GeneratorConfig) -> None:
    with torch.device("meta"):
        model = Generator(config)
    assert num_parameters(config) == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("size", ["44m", "111m", "343m", "775m", "1b", "3b", "7b", "13b"])
def test_every_size_has_a_recipe(size: str) -> None:
    config = load_recipe(GeneratorRunConfig, f"generator-{size}").model
    layers, heads, width = PRESETS[size.upper()]
    assert (config.num_layers, config.num_heads, config.width) == (layers, heads, width)


@pytest.mark.parametrize(
    ("size", "state_gib"), [("7b", 7.82e9 * 16 / 2**30), ("13b", 13.35e9 * 16 / 2**30)]
)
def test_state_is_shared_out(size: str, state_gib: float) -> None:
    config = load_recipe(GeneratorRunConfig, f"generator-{size}")
    plans = [plan(config, gpus=gpus, gpu_memory_gib=80, lengths=LENGTHS) for gpus in (8, 64)]
    for made in plans:
        state = made.memory.state
        own = state.parameters + state.gradients + state.optimizer
        assert own * made.gpus / 2**30 == pytest.approx(state_gib, rel=0.01)
        assert made.fits
    assert plans[1].hours == pytest.approx(plans[0].hours / 8)
    # Ragged: 20 states of 2048 numbers a caption, not 150.
    assert plans[0].text_bytes == pytest.approx(15e6 * 20 * 2048 * 2, rel=0.01)
    assert plans[0].padded_text_bytes == pytest.approx(9.2e12, rel=0.01)


def test_the_command_says_what_does_not_fit(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "plan", "--recipe", "generator-7b", "--gpus", "8"]
    assert main([*words, "--gpu-memory", "80"]) == 0
    said = capsys.readouterr().out
    assert "7,819,116,544" in said
    assert "one copy of the model over 8" in said
    assert "fits" in said
    assert main([*words, "--gpu-memory", "16"]) == 0
    said = capsys.readouterr().out
    assert "DOES NOT FIT" in said
    assert "--packing.states" in said
    assert main([*words[:-1], "6"]) == 2
    assert "multiple of 6" in capsys.readouterr().err


def test_lengths_of_a_data_set(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data")
    counted = lengths_of(data, max_text=64)
    assert counted.captions == 13
    assert 5 < counted.mean_tokens < 6
    assert 6 < counted.mean_text < 10


@pytest.mark.slow
@pytest.mark.parametrize("case", range(4))
def test_memory_is_what_is_measured(case: int) -> None:
    """Peak resident memory of a training step in a process of its own, within a tenth."""
    code = f"import sys; sys.path.insert(0, 'benchmarks'); from bench_training import *; print(measured_memory({case}))"
    made = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    ratio = float(made.stdout.split("'formula / measured': ")[1].rstrip("}\n"))
    assert 0.9 < ratio < 1.1

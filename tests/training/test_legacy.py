"""The recipes that train as the paper's code does: schedules, losses, optimiser."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from motionmill.config import load_recipe, recipe_names
from motionmill.generator.config import GeneratorRunConfig
from motionmill.motion.features import Normalizer
from motionmill.tokenizer.config import TokenizerRunConfig
from motionmill.tokenizer.task import TokenizerTask, Window, reconstruction_losses
from motionmill.training.optim import learning_rate


def test_the_generators_schedule(shared: Path) -> None:
    path = shared / "fixtures/data_and_schedule.pt"
    case = torch.load(path, weights_only=True)["schedule"]
    config = load_recipe(GeneratorRunConfig, "generator-legacy").training
    assert config.steps == case["total_iter"]
    rates = [learning_rate(int(step), config) for step in case["iters"]]
    assert rates == pytest.approx(case["lr_used_at_iter"].tolist(), rel=1e-9, abs=1e-15)
    assert (config.betas, config.epsilon, config.weight_decay) == ((0.9, 0.999), 1e-6, 1e-6)
    assert (config.decay, config.clip_norm, config.ema_decay) == ("all", None, None)


def test_the_tokenizers_schedule() -> None:
    config = load_recipe(TokenizerRunConfig, "tokenizer-legacy").training
    assert learning_rate(0, config) == pytest.approx(5e-5 * 2 / 48_001)
    assert learning_rate(48_000, config) == 5e-5
    assert learning_rate(347_999, config) == 5e-5
    assert learning_rate(348_000, config) == pytest.approx(2.5e-6)


def test_the_tokenizers_loss(shared: Path) -> None:
    """Of the recipe's weights and the recorded reconstruction losses comes the recorded total."""
    case = torch.load(shared / "fixtures/tokenizer_train_step.pt", weights_only=True)
    config = load_recipe(TokenizerRunConfig, "tokenizer-legacy")
    weights = config.losses.at_step(0)
    used = {name: weight for name, weight in weights.items() if weight}
    assert used == {"all": 1.0, "positions": 0.5}
    total = case["losses"]["recons"] + 0.5 * case["losses"]["vel"]
    assert total == pytest.approx(case["total"], rel=1e-6)

    torch.manual_seed(0)
    target = case["x"]
    made = target + 0.1 * torch.randn_like(target)
    normalizer = Normalizer(torch.zeros(272), torch.ones(272))
    window = Window(target, torch.ones(target.shape[:2], dtype=torch.bool), 0)
    values = reconstruction_losses(made, target, window, normalizer)
    smooth = torch.nn.functional.smooth_l1_loss
    expected = smooth(made, target) + 0.5 * smooth(made[..., 8:74], target[..., 8:74])
    ours = values["all"] + 0.5 * values["positions"]
    assert float(ours) == pytest.approx(float(expected), rel=1e-5)


def test_windows_of_two_micro_batches_add_up() -> None:
    """Every term of the tokenizer's loss counts by what it is a mean over."""
    from motionmill.tokenizer.config import (
        TokenizerConfig,
        TokenizerDataConfig,
        TokenizerLossConfig,
    )

    draw = torch.Generator().manual_seed(0)
    clips = [torch.randn(length, 272, generator=draw) for length in (20, 40, 12, 30)]
    normalizer = Normalizer(torch.zeros(272), torch.ones(272))
    task = TokenizerTask(
        TokenizerConfig(width=16, code_width=8, levels=(5, 5), depth=1),
        TokenizerDataConfig(window_frames=32, batch_size=2),
        TokenizerLossConfig(position_change=0.5, position_acceleration=0.5, ramp_steps=1),
        clips,
        [],
        normalizer=normalizer,
    )
    parts = [next(task.batches(index)) for index in (3, 4)]
    both = Window(*(torch.cat(pair) for pair in zip(*(p[:2] for p in parts), strict=True)), 4)
    facts = [task.facts(part) for part in (*parts, both)]
    losses = [task.loss(part).parts for part in (*parts, both)]
    for kind, count in facts[2].counts.items():
        shares = [fact.counts[kind] / count for fact in facts[:2]]
        assert sum(shares) == pytest.approx(1.0)
        added = sum(
            share * float(loss[kind].detach()) for share, loss in zip(shares, losses, strict=False)
        )
        assert added == pytest.approx(float(losses[2][kind].detach()), rel=1e-4), kind


def test_an_unknown_key_in_a_recipe_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("training: {step: 5}\n", encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"unknown key training\.step; did you mean training\.steps"
    ):
        load_recipe(GeneratorRunConfig, path)


@pytest.mark.parametrize(
    "name", [name for name in recipe_names() if name.startswith(("generator", "smoke-g"))]
)
def test_generator_recipes_are_sound(name: str) -> None:
    load_recipe(GeneratorRunConfig, name)


@pytest.mark.parametrize(
    "name", [name for name in recipe_names() if name.startswith(("tokenizer", "smoke-t"))]
)
def test_tokenizer_recipes_are_sound(name: str) -> None:
    load_recipe(TokenizerRunConfig, name)

"""Optimiser: AdamW with decay on matrices only, linear warm-up and a cosine that ends where the run ends."""

from __future__ import annotations

import math

import torch
from torch import nn

from motionmill.training.config import TrainingConfig


def build_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW over the trainable parameters; vectors (norms, biases) are not decayed."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, foreach=True)


def learning_rate(step: int, config: TrainingConfig) -> float:
    """The rate used for step `step` (the first is 0)."""
    if config.schedule == "official":
        return config.learning_rate * _official_share(step, config)
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    cosine = (1 + math.cos(math.pi * min(1.0, progress))) / 2
    return config.learning_rate * (
        config.final_lr_fraction + (1 - config.final_lr_fraction) * cosine
    )


def _official_share(step: int, config: TrainingConfig) -> float:
    """The share of the peak rate in the paper's generator training, its quirks included.

    The first step has rate 0; the cosine after the warm-up is as long as nine tenths of the whole run, so that it
    reaches 0 before the end where the warm-up is shorter than a tenth, and rises again.
    """
    if step < config.warmup_steps:
        return step / config.warmup_steps
    length = config.steps - config.steps // 10
    return (1 + math.cos(math.pi * (step - config.warmup_steps) / length)) / 2

"""Optimiser: AdamW with decay groups, and the learning rate of every step."""

from __future__ import annotations

import math

import torch
from torch import nn

from motionmill.training.config import TrainingConfig


def build_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW over the trainable parameters; vectors (norms, biases) are decayed only where `decay` is "all"."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    vectors = config.weight_decay if config.decay == "all" else 0.0
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": vectors},
    ]
    return torch.optim.AdamW(
        groups, lr=config.learning_rate, betas=config.betas, eps=config.epsilon, fused=True
    )


def learning_rate(step: int, config: TrainingConfig) -> float:
    """The rate used for step `step` (the first is 0)."""
    if config.schedule in ("cosine", "wsd") and step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    return config.learning_rate * _share(step, config)


def _share(step: int, config: TrainingConfig) -> float:
    """The share of the peak rate after the warm-up, or in a schedule that has its own."""
    if config.schedule == "official":
        return _official_share(step, config)
    if config.schedule == "milestones":
        return _milestone_share(step, config)
    final = config.final_lr_fraction
    if config.schedule == "wsd":
        length = max(1, round(config.decay_fraction * config.steps))
        left = max(0, config.steps - step)
        return final + (1 - final) * min(1.0, left / length)
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return final + (1 - final) * (1 + math.cos(math.pi * min(1.0, progress))) / 2


def _official_share(step: int, config: TrainingConfig) -> float:
    """The paper's generator training, its quirks included.

    The first step has rate 0; the cosine after the warm-up is as long as nine tenths of the whole run, so that it
    reaches 0 before the end where the warm-up is shorter than a tenth, and rises again.
    """
    if step < config.warmup_steps:
        return step / config.warmup_steps
    length = config.steps - config.steps // 10
    return (1 + math.cos(math.pi * (step - config.warmup_steps) / length)) / 2


def _milestone_share(step: int, config: TrainingConfig) -> float:
    """The paper's tokenizer training: its warm-up begins at the second of `warmup_steps + 1` parts."""
    if step < config.warmup_steps:
        return (step + 2) / (config.warmup_steps + 1)
    passed = sum(step >= milestone for milestone in config.milestones)
    return config.milestone_factor**passed

"""How a model is trained; torch-free, so that the command line can show it at once."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from motionmill.config import Config


class TrainingConfig(Config):
    """Optimiser, schedule, precision and the rhythm of logs, evaluations and checkpoints.

    The learning rate rises linearly over `warmup_steps`, then falls by a cosine to `final_lr_fraction` of its peak
    exactly at `steps`. With the schedule "official" it is that of the paper's code; see `training.optim`.
    """

    steps: int = Field(10_000, gt=0)
    learning_rate: float = Field(6e-4, gt=0)
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = Field(0.0, ge=0)
    schedule: Literal["cosine", "official"] = "cosine"
    warmup_steps: int = Field(100, ge=0)
    final_lr_fraction: float = Field(0.02, ge=0, le=1)
    clip_norm: float = Field(1.0, gt=0)
    ema_decay: float | None = Field(None, gt=0, lt=1)
    precision: Literal["bf16", "fp32"] = "bf16"
    seed: int = 0
    threads: int | None = Field(None, gt=0)
    log_every: int = Field(20, gt=0)
    evaluate_every: int = Field(1000, gt=0)
    checkpoint_seconds: float = Field(120.0, gt=0)
    keep_checkpoints: int = Field(2, gt=0)

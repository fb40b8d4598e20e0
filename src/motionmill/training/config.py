"""How a model is trained; torch-free, so that the command line can show it at once."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from motionmill.config import Config


class ParallelConfig(Config):
    """How a model is spread over processes and kept small; see `training.parallel`.

    With several processes every parameter is sharded over groups of `shard` processes and copied between the groups;
    None is one group of all of them.
    """

    shard: int | None = Field(None, gt=0, description="processes that share one copy of the model")
    checkpoint_activations: bool = Field(
        False, description="compute each block again in the backward pass instead of keeping it"
    )
    compile: bool = Field(False, description="compile each block; the first step takes longer")


class TrainingConfig(Config):
    """Optimiser, schedule, precision and the rhythm of logs, evaluations, pictures and checkpoints.

    A step adds up `micro_batches` batches of the task, over all processes together; their number is a multiple of the
    number of processes, and the same numbers come out whatever that is.

    Schedules, after a linear warm-up: "cosine" falls to `final_lr_fraction` of the peak exactly at `steps`; "wsd" stays
    at the peak and falls by a straight line to that fraction in the last `decay_fraction` of the steps; "milestones"
    is multiplied by `milestone_factor` at each milestone, and "official" is that of the paper's generator.

    Precision: bf16 computes in bfloat16 with float32 master weights and reductions; auto is bf16 on a GPU and fp32 on
    a CPU.
    """

    steps: int = Field(10_000, gt=0)
    micro_batches: int = Field(1, gt=0)
    learning_rate: float = Field(6e-4, gt=0)
    betas: tuple[float, float] = (0.9, 0.99)
    epsilon: float = Field(1e-8, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    decay: Literal["matrices", "all"] = "matrices"
    schedule: Literal["cosine", "wsd", "milestones", "official"] = "cosine"
    warmup_steps: int = Field(100, ge=0)
    final_lr_fraction: float = Field(0.02, ge=0, le=1)
    decay_fraction: float = Field(0.2, ge=0, le=1)
    milestones: tuple[int, ...] = ()
    milestone_factor: float = Field(0.05, gt=0)
    clip_norm: float | None = Field(1.0, gt=0)
    ema_decay: float | None = Field(None, gt=0, lt=1)
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    parallel: ParallelConfig = ParallelConfig()
    non_finite: Literal["stop", "skip"] = "stop"
    prefetch: int = Field(0, ge=0, le=64, description="batches that a thread prepares ahead")
    seed: int = 0
    threads: int | None = Field(None, gt=0)
    log_every: int = Field(20, gt=0)
    evaluate_every: int = Field(1000, gt=0)
    samples_every: int | None = Field(None, gt=0, description="steps between contact sheets")
    samples: int = Field(4, gt=0, description="rows of a contact sheet")
    checkpoint_seconds: float = Field(120.0, gt=0)
    keep_checkpoints: int = Field(2, gt=0)

    @model_validator(mode="after")
    def _check(self) -> TrainingConfig:
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones {self.milestones}; expected rising steps")
        return self

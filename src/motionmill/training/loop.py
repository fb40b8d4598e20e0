"""The training loop: a task's batches -> a trained model, with logs, evaluations and checkpoints.

It knows no data format and no text: the task supplies the model, the batch of a step, and the loss. The batch of step
k depends on k alone, so a run that was killed goes on as if it had not been.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

from motionmill.training.checkpoint import load_checkpoint, save_checkpoint
from motionmill.training.config import TrainingConfig
from motionmill.training.optim import build_optimizer, learning_rate
from motionmill.training.progress import progress_bar
from motionmill.training.tracking import MetricsLog


class Task(Protocol):
    """What is trained."""

    @property
    def model(self) -> nn.Module:
        """The module to train."""

    def batches(self, cursor: int) -> Iterator[Any]:
        """The batches of steps cursor, cursor + 1, ..., without end."""

    def loss(self, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The scalar to minimise and named parts of it for the log."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Numbers on held-out data."""


def train(
    task: Task,
    config: TrainingConfig,
    folder: Path,
    *,
    device: torch.device | None = None,
    tensorboard: bool = False,
) -> nn.Module:
    """Train `task.model` in `folder`, from its newest checkpoint if it has one.

    Returns:
        The trained model (its moving average where the config asks for one), in evaluation mode.

    Raises:
        FloatingPointError: the loss is not finite.
    """
    device = device or torch.device("cpu")
    folder.mkdir(parents=True, exist_ok=True)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    with torch.random.fork_rng(), progress_bar("training") as progress:
        torch.manual_seed(config.seed)
        run = _Run(task, config, folder, device)
        with MetricsLog(folder, tensorboard=tensorboard) as log:
            for values in run.steps():
                progress(run.step, config.steps)
                if values:
                    log.write(run.step, values)
    return run.result.eval()


class _Run:
    """The state of a run and its step."""

    def __init__(
        self, task: Task, config: TrainingConfig, folder: Path, device: torch.device
    ) -> None:
        self.task, self.config, self.folder, self.device = task, config, folder, device
        self.model = task.model.to(device).train()
        self.average = copy.deepcopy(self.model) if config.ema_decay else None
        self.optimizer = build_optimizer(self.model, config)
        self.step = 0
        self.last_loss = math.nan
        state = self._state()
        step = load_checkpoint(folder, state)
        if step is not None:
            self.step = step
            set_state_dict(
                self.model,
                self.optimizer,
                model_state_dict=state["model"],
                optim_state_dict=state["optimizer"],
            )
            if self.average is not None:
                self.average.load_state_dict(state["average"])
            torch.set_rng_state(state["rng"])

    @property
    def result(self) -> nn.Module:
        return self.average if self.average is not None else self.model

    def steps(self) -> Iterator[dict[str, float]]:
        """Run to the end; yields what is to be logged after each step (often nothing)."""
        saved_at = started = time.monotonic()
        since = self.step
        batches = self.task.batches(self.step)
        while self.step < self.config.steps:
            values = self._advance(next(batches))
            logged: dict[str, float] = {}
            if self.step % self.config.log_every == 0 or self.step == self.config.steps:
                logged = {f"train/{name}": float(value) for name, value in values.items()}
                self.last_loss = logged["train/loss"]
                if not math.isfinite(self.last_loss):
                    raise FloatingPointError(
                        f"step {self.step}: the loss is {self.last_loss}; lower the learning rate"
                    )
                now = time.monotonic()
                logged["steps_per_second"] = (self.step - since) / max(1e-9, now - started)
                started, since = now, self.step
            done = self.step == self.config.steps
            if done or self.step % self.config.evaluate_every == 0:
                self.result.eval()
                numbers = self.task.evaluate(self.result)
                logged.update({f"held_out/{name}": value for name, value in numbers.items()})
                self.model.train()
                started, since = time.monotonic(), self.step
            if done or time.monotonic() - saved_at > self.config.checkpoint_seconds:
                save_checkpoint(
                    self.folder, self.step, self._state(), keep=self.config.keep_checkpoints
                )
                saved_at = time.monotonic()
            yield logged

    def _advance(self, batch: Any) -> dict[str, Tensor]:
        rate = learning_rate(self.step, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"
        ):
            loss, values = self.task.loss(batch)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=False)
        self.step += 1
        if self.average is not None and self.config.ema_decay:
            decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
            with torch.no_grad():
                for mean, now in zip(
                    self.average.parameters(), self.model.parameters(), strict=True
                ):
                    mean.lerp_(now, 1 - decay)
        return {"loss": loss.detach(), "gradient_norm": norm, **values}

    def _state(self) -> dict[str, Any]:
        model, optimizer = get_state_dict(self.model, self.optimizer)
        state: dict[str, Any] = {
            "model": model,
            "optimizer": optimizer,
            "rng": torch.get_rng_state(),
        }
        if self.average is not None:
            state["average"] = self.average.state_dict()
        return state

"""The training loop: a task's batches -> a trained model, with logs, evaluations, pictures and checkpoints.

It knows no data format and no text: the task supplies those (see `training.task`). Batch k depends on k alone, so a run
that was killed goes on as if it had not been, on the same or another number of processes.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

from motionmill.training.average import Average
from motionmill.training.checkpoint import Checkpoints
from motionmill.training.config import TrainingConfig
from motionmill.training.optim import build_optimizer, learning_rate
from motionmill.training.parallel import gathered, parallelize, skeleton_of
from motionmill.training.prefetch import Prefetched
from motionmill.training.processes import Processes, processes
from motionmill.training.progress import progress_bar
from motionmill.training.speed import Stopwatch, memory_gib, peak_flops
from motionmill.training.step import Gradients, compute_type, gradients
from motionmill.training.stopping import Stop, stop_on_signals
from motionmill.training.task import Facts, Task
from motionmill.training.tracking import MetricsLog

_MAX_SKIPPED = 100  # steps in a row


def train(
    task: Task,
    config: TrainingConfig,
    folder: Path,
    *,
    device: torch.device | None = None,
    tensorboard: bool = False,
) -> nn.Module:
    """Train `task.model` in `folder`, from its newest checkpoint if it has one, with all processes of torchrun.

    Returns:
        The trained model (its moving average where the config asks for one), in evaluation mode. Of several processes
        the main one has it, on the CPU; that of the others has no parameters.

    Raises:
        FloatingPointError: the loss or the gradient is not finite.
        ValueError: micro-batches that cannot be spread evenly, a batch that does not fit the memory, a folder with a
            checkpoint of another model.
        KeyboardInterrupt: asked to stop by a signal; the last step is saved.
        OSError: the last checkpoint cannot be written.
        ProcessLostError: another process is gone.
    """
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    with processes(device) as mine, torch.random.fork_rng(), progress_bar("training") as progress:
        if config.micro_batches % mine.count:
            raise ValueError(
                f"training.micro_batches = {config.micro_batches}: {mine.count} processes are to share them; "
                f"it has to be a multiple of {mine.count}"
            )
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(config.seed)
        run = _Run(task, config, folder, mine)
        with _log(run, tensorboard) as log, stop_on_signals(alone=mine.count == 1) as stop:
            for values in run.steps(stop):
                progress(run.step, config.steps)
                if values and log is not None:
                    log.write(run.step, values)
                if log is not None and run.picture is not None:
                    log.picture(run.step, run.picture)
        return run.result().eval()


@contextmanager
def _log(run: _Run, tensorboard: bool) -> Iterator[MetricsLog | None]:
    if run.processes.main:
        with MetricsLog(run.folder, step=run.step, tensorboard=tensorboard) as log:
            yield log
    else:
        yield None


class _Run:
    """The state of a run and its step."""

    def __init__(
        self, task: Task, config: TrainingConfig, folder: Path, processes: Processes
    ) -> None:
        self.task, self.config, self.folder, self.processes = task, config, folder, processes
        self._compute = compute_type(config, processes.device)
        self._skeleton = skeleton_of(task.model) if processes.together else None
        self.model = parallelize(task.model, config.parallel, processes, compute=self._compute)
        self.model.train()
        self.average = Average(self.model, config.ema_decay) if config.ema_decay else None
        self.optimizer = build_optimizer(self.model, config)
        self.checkpoints = Checkpoints(folder, processes, keep=config.keep_checkpoints)
        self.step = 0
        self.skipped = 0
        self.picture: Path | None = None
        self._skipped_in_a_row = 0
        self._random = _random_state(processes.device)
        state = self._state()
        step = self.checkpoints.load(state)
        if step is not None:
            self._take(step, state)

    def steps(self, stop: Stop | None = None) -> Iterator[dict[str, float]]:
        """Run to the end, or until asked to stop; yields what is to be logged after each step (often nothing)."""
        config = self.config
        stop = stop or Stop()
        share = config.micro_batches // self.processes.count
        first = self.step * config.micro_batches + self.processes.index
        batches = Prefetched(
            self.task.batches(first, self.processes.count), config.prefetch * share
        )
        kinds = peak_flops(self.processes.device, self._compute)
        peak = None if kinds is None else kinds * self.processes.count
        watch = Stopwatch()
        saved_at = time.monotonic()
        try:
            while self.step < config.steps:
                made = self._advance([next(batches) for _ in range(share)], watch)
                done = self.step == config.steps
                logged: dict[str, float] = {}
                if made is not None and (self.step % config.log_every == 0 or done):
                    logged = self._numbers(made, watch.numbers(batches.waited_seconds, peak))
                    watch = Stopwatch(waited_before=batches.waited_seconds)
                if done or self.step % config.evaluate_every == 0:
                    logged.update(self._evaluated())
                    watch = Stopwatch(waited_before=batches.waited_seconds)
                self.picture = None
                if config.samples_every and (done or self.step % config.samples_every == 0):
                    self._draw()
                    watch = Stopwatch(waited_before=batches.waited_seconds)
                asked = stop.asked
                due = asked or time.monotonic() - saved_at > config.checkpoint_seconds
                saving = done or self.processes.agreed(due)
                if saving:
                    self.checkpoints.save(self.step, self._state())
                    saved_at = time.monotonic()
                yield logged
                if saving and not done and self.processes.agreed(asked):
                    self.checkpoints.finish(strict=True)
                    raise KeyboardInterrupt
            self.checkpoints.finish(strict=True)
        finally:
            batches.close()
            self.checkpoints.finish()

    def result(self) -> nn.Module:
        """The trained model, with the average's values where there is one."""
        if self.average is not None:
            self.average.copy_into_model()
        if self._skeleton is None:
            return self.model
        return gathered(self.model, self._skeleton, self.processes)

    def _advance(self, batches: list[Any], watch: Stopwatch) -> Gradients | None:
        """One step; returns what it computed, or None where it was skipped."""
        facts = [self.task.facts(batch) for batch in batches]
        self._random = _random_state(self.processes.device)
        started = time.perf_counter()
        made = gradients(
            self.task,
            self.model,
            self.config,
            self.processes,
            batches,
            facts,
            first_index=self.step * self.config.micro_batches + self.processes.index,
        )
        finite = math.isfinite(made.loss) and math.isfinite(made.norm)
        if finite:
            rate = learning_rate(self.step, self.config)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.step()
            self._skipped_in_a_row = 0
        else:
            self._not_finite(made, facts)
        self.optimizer.zero_grad(set_to_none=self.processes.together)
        watch.computing_seconds += time.perf_counter() - started
        watch.steps += 1
        watch.items += made.items
        watch.flops += made.flops
        self.step += 1
        self._random = _random_state(self.processes.device)
        if self.average is not None and finite:
            self.average.update(self.step)
        return made if finite else None

    def _not_finite(self, made: Gradients, facts: list[Facts]) -> None:
        """Say which clips a step that makes no sense is of; stop there, or let it be skipped."""
        clips = self.processes.gathered([clip for fact in facts for clip in fact.clips])
        self.skipped += 1
        self._skipped_in_a_row += 1
        skip = self.config.non_finite == "skip" and self._skipped_in_a_row < _MAX_SKIPPED
        path = self.folder / "non_finite.jsonl"
        if self.processes.main:
            row = {"step": self.step + 1, "loss": str(made.loss), "gradient_norm": str(made.norm)}
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**row, "clips": clips}) + "\n")
        if skip:
            return
        self.optimizer.zero_grad(set_to_none=self.processes.together)
        self.checkpoints.save(self.step, self._state())
        self.checkpoints.finish()
        some = ", ".join(clips[:3]) + (f" and {len(clips) - 3} more" if len(clips) > 3 else "")
        raise FloatingPointError(
            f"step {self.step + 1}: the loss is {made.loss:g}, the norm of the gradient {made.norm:g}; clips of the "
            f"batch: {some or 'unknown'} ({path}); the state before it is saved: lower the learning rate, look at "
            "the clips, or give --training.non-finite skip"
        )

    def _numbers(self, made: Gradients, speeds: dict[str, float]) -> dict[str, float]:
        """What is logged of a step."""
        names = sorted(made.values)
        stacked = torch.stack([made.values[name].detach().float().cpu() for name in names])
        values = self._summed(stacked)
        left = (self.config.steps - self.step) / max(1e-9, speeds["steps_per_second"])
        return {
            "train/loss": made.loss,
            "train/gradient_norm": made.norm,
            **{f"train/{name}": value for name, value in zip(names, values, strict=True)},
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            **speeds,
            "memory_gib": memory_gib(self.processes.device),
            "seconds_left": left,
            **({"skipped": float(self.skipped)} if self.skipped else {}),
        }

    def _summed(self, values: Tensor) -> list[float]:
        numbers: list[float] = values.tolist()
        return self.processes.sums(numbers)

    def _evaluated(self) -> dict[str, float]:
        with self._resting():
            numbers = self.task.evaluate(self.model)
        return {f"held_out/{name}": value for name, value in numbers.items()}

    def _draw(self) -> None:
        """Samples of this step as a picture; every process computes them, the main one keeps them."""
        folder = self.folder / "samples"
        with self._resting(), tempfile.TemporaryDirectory() as elsewhere:
            if self.processes.main:
                folder.mkdir(exist_ok=True)
                self.picture = folder / f"step-{self.step:08d}.png"
            path = self.picture or Path(elsewhere) / "samples.png"
            self.task.render(self.model, self.config.samples, path)

    @contextmanager
    def _resting(self) -> Iterator[None]:
        """The model as it would be released, and random numbers that training does not see."""
        average = self.average.in_place() if self.average is not None else nullcontext()
        with average, torch.random.fork_rng():
            self.model.eval()
            yield
            self.model.train()

    def _state(self) -> dict[str, Any]:
        model, optimizer = get_state_dict(self.model, self.optimizer)
        state: dict[str, Any] = {"model": model, "optimizer": optimizer, **self._random}
        if self.average is not None:
            state["average"] = self.average.values
        return state

    def _take(self, step: int, state: dict[str, Any]) -> None:
        """Go on from a state that was read."""
        self.step = step
        set_state_dict(
            self.model,
            self.optimizer,
            model_state_dict=state["model"],
            optim_state_dict=state["optimizer"],
        )
        torch.set_rng_state(state["rng"])
        if "cuda_rng" in state:
            torch.cuda.set_rng_state(state["cuda_rng"], self.processes.device)


def _random_state(device: torch.device) -> dict[str, Tensor]:
    state = {"rng": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda_rng"] = torch.cuda.get_rng_state(device)
    return state

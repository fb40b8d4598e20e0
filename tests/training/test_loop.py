"""Training: a killed run goes on as if it had not been, schedules end where they should, weights are checked."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from motionmill.tokenizer.config import TokenizerConfig
from motionmill.tokenizer.model import Tokenizer
from motionmill.training.checkpoint import list_checkpoints
from motionmill.training.config import TrainingConfig
from motionmill.training.loop import train
from motionmill.training.optim import build_optimizer, learning_rate
from motionmill.training.task import Facts, Loss
from motionmill.training.weights import check_sums, load_into, save_weights, write_sums

CONFIG = TrainingConfig(steps=60, log_every=5, evaluate_every=30, precision="fp32", ema_decay=0.9)


class Sum:
    """Learns to add four numbers, with dropout, so that the random state matters."""

    def __init__(self, seconds_a_step: float = 0.0) -> None:
        self.model: nn.Module = nn.Sequential(
            nn.Linear(4, 16), nn.Dropout(0.3), nn.ReLU(), nn.Linear(16, 1)
        )
        draw = torch.Generator().manual_seed(0)
        for parameter in self.model.parameters():
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=draw)
        self._seconds = seconds_a_step

    def batches(self, cursor: int, stride: int = 1) -> Iterator[Tensor]:
        for index in itertools.count(cursor, stride):
            time.sleep(self._seconds)
            yield torch.randn(16, 4, generator=torch.Generator().manual_seed(index))

    def facts(self, batch: Tensor) -> Facts:
        return Facts({"rows": float(len(batch))}, ("a", "b", "c", "d"), 1e6)

    def loss(self, batch: Tensor) -> Loss:
        error = (self.model(batch).squeeze(-1) - batch.sum(-1)).square().mean()
        return Loss({"rows": error}, {"error": error.detach()})

    def render(self, model: nn.Module, count: int, path: Path) -> None:
        Image.new("RGB", (8, 8)).save(path)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return {"weight": float(next(model.parameters()).detach().sum())}


def run_and_say(folder: Path) -> None:
    """The child process of `test_asked_to_stop`; it says when it has begun."""

    class Speaking(Sum):
        steps = 0

        def loss(self, batch: Tensor) -> Loss:
            self.steps += 1
            print("a step", flush=True)
            time.sleep(0 if self.steps < 5 else 0.5)  # then the signal has to come, on any machine
            return super().loss(batch)

    train(Speaking(), CONFIG, folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.skipif(sys.platform == "win32", reason="has no such signals for other processes")
def test_asked_to_stop(number: signal.Signals, tmp_path: Path) -> None:
    """A signal ends the run after the step, saved; no checkpoint was due, and nothing is lost."""
    code = f"from tests.training.test_loop import *; run_and_say(Path({str(tmp_path / 'asked')!r}))"
    root = Path(__file__).resolve().parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'src'}"},
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    for _ in range(5):
        child.stdout.readline()
    child.send_signal(number)
    _, said = child.communicate(timeout=120)
    assert "this step is finished and saved" in said
    assert "KeyboardInterrupt" in said
    [(step, _)] = list_checkpoints(tmp_path / "asked")
    assert 5 <= step < CONFIG.steps
    resumed = train(Sum(), CONFIG, tmp_path / "asked")
    whole = train(Sum(), CONFIG, tmp_path / "whole")
    for first, second in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(first, second)


def run_until_killed(folder: Path) -> None:
    """The child process of `test_a_killed_run_goes_on_exactly`."""
    slow = CONFIG.model_copy(update={"checkpoint_seconds": 0.05})
    train(Sum(seconds_a_step=0.5), slow, folder)


def test_a_killed_run_goes_on_exactly(tmp_path: Path) -> None:
    whole = train(Sum(), CONFIG, tmp_path / "whole")
    code = f"from tests.training.test_loop import *; run_until_killed(Path({str(tmp_path / 'killed')!r}))"
    root = Path(__file__).resolve().parents[2]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{root}{os.pathsep}{root / 'src'}",
        "OMP_NUM_THREADS": "1",
    }
    child = subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=root)
    deadline = time.monotonic() + 120
    while len(list_checkpoints(tmp_path / "killed")) < 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    found = list_checkpoints(tmp_path / "killed")
    assert found
    assert found[-1][0] < CONFIG.steps
    resumed = train(Sum(), CONFIG, tmp_path / "killed")
    for first, second in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(first, second)
    rows = [
        json.loads(line)
        for line in (tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()
    ]
    assert rows[-1]["step"] == CONFIG.steps
    assert "held_out/weight" in rows[-1]


def test_old_checkpoints_go(tmp_path: Path) -> None:
    often = CONFIG.model_copy(update={"steps": 5, "checkpoint_seconds": 1e-9})
    train(Sum(), often, tmp_path)
    assert [step for step, _ in list_checkpoints(tmp_path)] == [4, 5]


def test_the_rate_ends_where_it_should() -> None:
    config = TrainingConfig(steps=1000, learning_rate=1.0, warmup_steps=100, final_lr_fraction=0.1)
    assert learning_rate(0, config) == pytest.approx(0.01)
    assert learning_rate(99, config) == pytest.approx(1.0)
    rates = [learning_rate(step, config) for step in range(100, 1001)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0.1)


def test_stays_at_the_peak_and_falls_at_the_end() -> None:
    config = TrainingConfig(
        steps=100,
        learning_rate=1.0,
        warmup_steps=10,
        schedule="wsd",
        decay_fraction=0.2,
        final_lr_fraction=0.1,
    )
    rates = [learning_rate(step, config) for step in range(101)]
    assert rates[9:81] == pytest.approx([1.0] * 72)
    assert rates[90] == pytest.approx(0.55)
    assert rates[100] == pytest.approx(0.1)


def test_the_papers_tokenizer_schedule() -> None:
    """lr (i + 1) / (W + 1) for i = 1 ... W - 1, then the peak, then a twentieth of it."""
    config = TrainingConfig(
        steps=1000, learning_rate=1.0, warmup_steps=48, schedule="milestones", milestones=(348,)
    )
    assert [learning_rate(i - 1, config) for i in (1, 47)] == pytest.approx([2 / 49, 48 / 49])
    assert learning_rate(347, config) == 1.0
    assert learning_rate(348, config) == pytest.approx(0.05)


def test_decay_groups() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
    config = TrainingConfig(weight_decay=0.1)
    decays = [group["weight_decay"] for group in build_optimizer(model, config).param_groups]
    assert decays == [0.1, 0.0]
    everything = config.model_copy(update={"decay": "all"})
    decays = [group["weight_decay"] for group in build_optimizer(model, everything).param_groups]
    assert decays == [0.1, 0.1]


def test_logs_say_what_there_is_to_know(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"samples_every": 30})
    train(Sum(), config, tmp_path, tensorboard=True)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    names = {"train/loss", "train/error", "train/gradient_norm", "learning_rate"}
    names |= {"steps_per_second", "tokens_per_second", "mfu", "data_wait", "overhead"}
    assert names | {"memory_gib", "seconds_left", "step", "time"} <= rows[0].keys()
    assert rows[0]["learning_rate"] == pytest.approx(learning_rate(4, CONFIG))
    assert rows[-1]["seconds_left"] == 0
    assert [path.name for path in sorted((tmp_path / "samples").iterdir())] == [
        "step-00000030.png",
        "step-00000060.png",
    ]
    assert list((tmp_path / "tensorboard").iterdir())


def test_a_diverging_run_says_so(tmp_path: Path) -> None:
    task = Sum()
    next(task.model.parameters()).data.fill_(torch.inf)
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        train(task, CONFIG, tmp_path)


class Poisoned(Sum):
    """Batch 7 has a number that is none."""

    def batches(self, cursor: int, stride: int = 1) -> Iterator[Tensor]:
        for index, batch in enumerate(super().batches(cursor, stride), cursor):
            yield batch * torch.nan if index == 7 else batch


def test_a_batch_that_makes_no_sense_is_named(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match=r"step 8: .* clips of the batch: a, b, c and 1"):
        train(Poisoned(), CONFIG, tmp_path)
    assert [step for step, _ in list_checkpoints(tmp_path)] == [7]
    row = json.loads((tmp_path / "non_finite.jsonl").read_text())
    assert row["step"] == 8
    assert row["clips"] == ["a", "b", "c", "d"]
    # The state before it is whole: without the poison the run ends as if it had never been.
    whole = train(Sum(), CONFIG, tmp_path / "whole")
    healed = train(Sum(), CONFIG, tmp_path)
    for first, second in zip(whole.parameters(), healed.parameters(), strict=True):
        assert torch.equal(first, second)


def test_a_batch_that_makes_no_sense_is_skipped_where_asked(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"non_finite": "skip"})
    model = train(Poisoned(), config, tmp_path)
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    last = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["skipped"] == 1


def test_a_batch_that_does_not_fit_names_the_knob(tmp_path: Path) -> None:
    class Large(Sum):
        def loss(self, batch: Tensor) -> Loss:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.20 GiB")

    with pytest.raises(ValueError, match=r"16 rows does not fit .*3\.20 GiB.*data\.batch_size"):
        train(Large(), CONFIG, tmp_path)


def test_prefetched_batches_are_the_same(tmp_path: Path) -> None:
    plain = train(Sum(), CONFIG, tmp_path / "plain")
    ahead = train(Sum(), CONFIG.model_copy(update={"prefetch": 3}), tmp_path / "ahead")
    for first, second in zip(plain.parameters(), ahead.parameters(), strict=True):
        assert torch.equal(first, second)

    class Broken(Sum):
        def batches(self, cursor: int, stride: int = 1) -> Iterator[Tensor]:
            raise ValueError("clip 7 is damaged")
            yield torch.empty(0)

    with pytest.raises(ValueError, match="clip 7"):
        train(Broken(), CONFIG.model_copy(update={"prefetch": 1}), tmp_path / "broken")


def test_damaged_weights_are_noticed(tmp_path: Path) -> None:
    config = TokenizerConfig(width=32, code_width=32, levels=(5, 5))
    model = Tokenizer(config)
    save_weights(model, config, tmp_path, dtype=torch.float16)
    write_sums(tmp_path)
    check_sums(tmp_path)
    again = Tokenizer(config)
    load_into(again, tmp_path)
    assert torch.equal(again.project_in.weight, model.project_in.weight.half().float())

    other = Tokenizer(config.model_copy(update={"width": 64}))
    with pytest.raises(ValueError, match="does not fit"):
        load_into(other, tmp_path)
    path = tmp_path / "model.safetensors"
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(bytes(damaged))
    with pytest.raises(ValueError, match="damaged"):
        check_sums(tmp_path)
    path.write_bytes(b"\x10")
    with pytest.raises(ValueError, match="damaged"):
        load_into(again, tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="not complete"):
        check_sums(tmp_path)

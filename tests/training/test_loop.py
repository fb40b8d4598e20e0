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
from torch import Tensor, nn

from motionmill.tokenizer.config import TokenizerConfig
from motionmill.tokenizer.model import Tokenizer
from motionmill.training.checkpoint import list_checkpoints
from motionmill.training.config import TrainingConfig
from motionmill.training.loop import train
from motionmill.training.optim import learning_rate
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
        path.write_bytes(b"picture")

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return {"weight": float(next(model.parameters()).detach().sum())}


def run_until_killed(folder: Path) -> None:
    """The child process of `test_a_killed_run_goes_on_exactly`."""
    slow = CONFIG.model_copy(update={"checkpoint_seconds": 0.05})
    train(Sum(seconds_a_step=0.05), slow, folder)


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
    deadline = time.monotonic() + 60
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
    train(Sum(), CONFIG.model_copy(update={"checkpoint_seconds": 1e-9}), tmp_path)
    assert [step for step, _ in list_checkpoints(tmp_path)] == [59, 60]


def test_the_rate_ends_where_it_should() -> None:
    config = TrainingConfig(steps=1000, learning_rate=1.0, warmup_steps=100, final_lr_fraction=0.1)
    assert learning_rate(0, config) == pytest.approx(0.01)
    assert learning_rate(99, config) == pytest.approx(1.0)
    rates = [learning_rate(step, config) for step in range(100, 1001)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0.1)


def test_a_diverging_run_says_so(tmp_path: Path) -> None:
    task = Sum()
    next(task.model.parameters()).data.fill_(torch.inf)
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        train(task, CONFIG, tmp_path)


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

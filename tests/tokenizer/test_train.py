"""The tokenizer's training on streamed shards: little is in memory, the numbers are the same, kills change nothing."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from motionmill.data.loader import ShardedClips
from motionmill.data.order import EpochOrder
from motionmill.tokenizer.config import TokenizerRunConfig
from motionmill.tokenizer.encode import STATISTICS_NAME
from motionmill.tokenizer.task import TokenizerTask
from motionmill.tokenizer.train import normalizer_of, train_tokenizer
from motionmill.training.checkpoint import list_checkpoints
from tests.data.test_loader import make_dataset

ROOT = Path(__file__).resolve().parents[2]
STEPS = 40


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "dataset")


def config(gib: float, *, micro_batches: int = 1) -> TokenizerRunConfig:
    return TokenizerRunConfig.model_validate(
        {
            "model": {"width": 16, "code_width": 8, "levels": (5, 5), "depth": 1},
            "data": {
                "window_frames": 16,
                "batch_size": 4,
                "stream": True,
                "stream_gib": gib,
            },
            "training": {
                "steps": STEPS,
                "micro_batches": micro_batches,
                "learning_rate": 5e-3,
                "warmup_steps": 2,
                "log_every": 1,
                "evaluate_every": 20,
                "checkpoint_seconds": 0.02,
                "ema_decay": 0.9,
            },
        }
    )


def losses(run: Path, name: str = "train/loss") -> list[float]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [row[name] for row in map(json.loads, lines) if name in row]


@pytest.mark.parametrize("gib", [1e-9, 1.0])
def test_it_learns_from_shards_read_by_range(gib: float, dataset: Path, tmp_path: Path) -> None:
    """Also with room for no more than one row group."""
    train_tokenizer(config(gib), dataset, tmp_path / "run")
    assert len(losses(tmp_path / "run")) == STEPS
    errors = losses(tmp_path / "run", "train/all")  # the whole loss rises, as terms grow in
    assert sum(errors[-10:]) < sum(errors[:10])
    report = json.loads((tmp_path / "run/report.json").read_text(encoding="utf-8"))
    assert report == {}  # this data set holds out no test clips


def test_the_normaliser_is_of_the_data_sets_statistics(dataset: Path, tmp_path: Path) -> None:
    """Where they are of the same frames; a data set without them is read once."""
    train_tokenizer(config(1.0), dataset, tmp_path / "read")
    clips = ShardedClips(dataset, "train")
    own = {"mean": torch.full((272,), 0.5), "std": torch.full((272,), 2.0)}
    for frames, used in ((int(clips.frames.sum()), True), (7, False)):
        save_file(own, dataset / "statistics.safetensors", {"train_frames": str(frames)})
        run = tmp_path / str(frames)
        train_tokenizer(config(1.0), dataset, run)
        stored = [load_file(x / STATISTICS_NAME) for x in (run, tmp_path / "read")]
        assert torch.equal(stored[0]["mean"], own["mean"].to(stored[0]["mean"])) == used
        assert torch.equal(stored[0]["mean"], stored[1]["mean"]) != used


def test_any_number_of_processes_takes_the_same_clips(dataset: Path) -> None:
    """Batches of two processes, in turn, are those of one: also from the middle of a run on."""
    clips = ShardedClips(dataset, "train")
    settings = config(1.0)
    task = TokenizerTask(
        settings.model,
        settings.data,
        settings.losses,
        clips,
        [],
        normalizer=normalizer_of(clips),
        order=EpochOrder(clips.group_sizes, window=2, seed=3),
        name=clips.name,
        micro_batches=2,
    )
    one = [batch.clips for batch in islice(task.batches(6), 12)]
    pair = [[batch.clips for batch in islice(task.batches(6 + r, 2), 6)] for r in range(2)]
    assert [clips for both in zip(*pair, strict=True) for clips in both] == one
    first_epoch = [name for batch in islice(task.batches(0), 9) for name in batch.clips]
    assert sorted(first_epoch[:9]) == sorted(clips.name(row) for row in range(len(clips)))


@pytest.mark.slow
def test_kills_at_random_steps_change_nothing(dataset: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train_tokenizer(config(1.0), dataset, whole)
    code = (
        "import sys, time; from pathlib import Path\n"
        "from tests.tokenizer.test_train import config\n"
        "from motionmill.tokenizer.task import TokenizerTask\n"
        "from motionmill.tokenizer.train import train_tokenizer\n"
        "plain = TokenizerTask._batch\n"
        "def slow(task, number):\n"
        "    time.sleep(0.1)\n"
        "    return plain(task, number)\n"
        "TokenizerTask._batch = slow\n"
        "train_tokenizer(config(1.0), Path(sys.argv[1]), Path(sys.argv[2]))\n"
    )
    path = f"{ROOT}{os.pathsep}{ROOT / 'src'}"
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    draw = random.Random()
    for _ in range(2):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(dataset), str(killed)], env=environment, cwd=ROOT
        )
        before = max((step for step, _ in list_checkpoints(killed)), default=0)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and child.poll() is None:
            if any(step > before for step, _ in list_checkpoints(killed)):
                break
            time.sleep(0.01)
        time.sleep(draw.uniform(0.0, 1.0))
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        assert list_checkpoints(killed)[-1][0] < STEPS
    train_tokenizer(config(1.0), dataset, killed)
    assert losses(killed) == losses(whole)  # to the last bit
    one, other = (load_file(run / "tokenizer/model.safetensors") for run in (whole, killed))
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name

"""Checkpoints: the newest sound one is found, damage is named, a full disk costs nothing that was there."""

from __future__ import annotations

import logging
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn

from motionmill.training.checkpoint import Checkpoints, list_checkpoints
from motionmill.training.loop import train
from motionmill.training.processes import Processes
from tests.training.test_loop import CONFIG, Sum

ALONE = Processes(0, 1, torch.device("cpu"))


def state(value: float, size: int = 1000) -> dict[str, object]:
    return {"model": {"weight": torch.full((size,), value)}, "rng": torch.get_rng_state()}


def saved(folder: Path, *steps: int) -> Checkpoints:
    checkpoints = Checkpoints(folder, ALONE, keep=5)
    for step in steps:
        checkpoints.save(step, state(float(step)))
    checkpoints.finish(strict=True)
    return checkpoints


def test_what_is_saved_is_what_was_there_when_it_was_asked_for(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, ALONE, keep=2)
    for step in (1, 2, 3):
        values = state(float(step), 1 << 16)
        checkpoints.save(step, values)
        values["model"]["weight"].zero_()  # type: ignore[index]
    checkpoints.finish(strict=True)
    assert [step for step, _ in list_checkpoints(tmp_path)] == [2, 3]
    empty = state(0.0, 1 << 16)
    assert checkpoints.load(empty) == 3
    assert bool((empty["model"]["weight"] == 3).all())  # type: ignore[index]


@pytest.mark.parametrize("harm", ["byte", "cut", "missing", "metadata"])
def test_a_damaged_one_is_named_and_the_one_before_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    checkpoints = saved(tmp_path, 1, 2)
    newest = tmp_path / "step-00000002"
    path = newest / (".metadata" if harm == "metadata" else "__0_0.distcp")
    data = bytearray(path.read_bytes())
    if harm == "missing":
        path.unlink()
    elif harm == "cut":
        path.write_bytes(data[:-10])
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
    empty = state(0.0)
    with caplog.at_level(logging.WARNING, logger="motionmill.training.checkpoint"):
        assert checkpoints.load(empty) == 1
    assert f"{newest} is damaged ({path.name}" in caplog.text
    assert bool((empty["model"]["weight"] == 1).all())  # type: ignore[index]


def test_all_damaged_is_an_error(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 1)
    (tmp_path / "step-00000001/__0_0.distcp").write_bytes(b"")
    with pytest.raises(ValueError, match="all its checkpoints are damaged"):
        checkpoints.load(state(0.0))


def test_half_of_one_is_none(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 1)
    (tmp_path / "step-00000001").rename(tmp_path / ".partial-00000002")
    assert checkpoints.load(state(0.0)) is None


def test_the_run_folder_of_another_model(tmp_path: Path) -> None:
    train(Sum(), CONFIG.model_copy(update={"steps": 2}), tmp_path)
    other = Sum()
    other.model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
    with pytest.raises(ValueError, match=r"another model: 0\.bias is \(16,\) there and \(32,\)"):
        train(other, CONFIG, tmp_path)


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """No file may grow beyond some bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_one_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = Checkpoints(tmp_path, ALONE, keep=2)
    checkpoints.save(1, state(1.0, 1 << 16))
    checkpoints.finish(strict=True)
    with full_disk(1 << 14):
        checkpoints.save(2, state(2.0, 1 << 16))
        checkpoints.finish()  # training goes on
    assert "could not be written" in caplog.text
    assert "step-00000001" in caplog.text
    with full_disk(1 << 14):
        checkpoints.save(3, state(3.0, 1 << 16))
        with pytest.raises(OSError, match="make room"):
            checkpoints.finish(strict=True)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    empty = state(0.0, 1 << 16)
    assert checkpoints.load(empty) == 1

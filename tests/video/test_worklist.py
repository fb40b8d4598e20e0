"""A work list for another estimator: clips and boxes written, results taken back, bad results said."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_to_axis_angle
from motionmill.motion.skeleton import adult_skeleton
from motionmill.video.camera import CameraPath
from motionmill.video.config import PoseConfig
from motionmill.video.worklist import (
    PENDING,
    WorkList,
    gather,
    pending,
    read_work,
    results_of,
    run_command,
)
from tests.motions import wandering
from tests.video.filmed import SIZE, film

CONFIG = PoseConfig(clean=False)
NAME = "a video: 1"


@pytest.fixture
def motion() -> Motion:
    return wandering(3, 40, fps=24.0, bend=0.1)


def asked(folder: Path, motion: Motion):  # type: ignore[no-untyped-def]
    frames, track, turns = film(motion, shift=1.5)
    estimate = WorkList(folder, NAME, CONFIG).estimate(frames, track, CameraPath(turns))
    gather(folder)
    return estimate


def test_work_is_written_once_and_can_be_read_by_others(tmp_path: Path, motion: Motion) -> None:
    import av

    for _ in range(2):
        estimate = asked(tmp_path, motion)
        assert estimate.motion is None
        assert estimate.flags == (PENDING,)
        assert str(estimate.failure) == "pose: pending 0, threshold 1"
    [item] = read_work(tmp_path)
    assert pending(tmp_path) == [item["id"]] == ["a_video_1-15c63125.0-39.0"]
    assert (item["fps"], item["frames"]) == (30, 49)
    with av.open(str(tmp_path / item["clip"])) as container:
        pictures = list(container.decode(video=0))
    assert (len(pictures), pictures[0].width, pictures[0].height) == (49, *SIZE)
    arrays = np.load(tmp_path / item["boxes"], allow_pickle=False)
    assert arrays["boxes"].shape == (49, 4)
    assert arrays["seconds"][[0, -1]] == pytest.approx([1.5, 1.5 + 48 / 30])
    assert (arrays["boxes"][:, 2:] > arrays["boxes"][:, :2]).all()


def give_result(folder: Path, frames: int) -> Motion:
    """Writes SMPL parameters as GVHMR does; returns the motion."""
    motion = wandering(3, frames, bend=0.1)
    axis_angle = matrix_to_axis_angle(motion.rotations).float().numpy()
    [item] = read_work(folder)
    np.savez(
        folder / item["result"],
        global_orient=axis_angle[:, 0],
        body_pose=axis_angle[:, 1:].reshape(frames, -1),
        transl=motion.root.float().numpy(),
    )
    return motion


def test_a_result_becomes_the_motion(tmp_path: Path, motion: Motion) -> None:
    asked(tmp_path, motion)
    given = give_result(tmp_path, 49)
    assert pending(tmp_path) == []
    assert [name for name, size, _ in results_of(tmp_path, NAME) if size > 100] == [
        "a_video_1-15c63125.0-39.0.npz"
    ]
    assert results_of(tmp_path, "a video_ 1") == []
    estimate = asked(tmp_path, motion)
    assert estimate.failure is None
    assert estimate.motion is not None
    assert estimate.motion.skeleton is adult_skeleton()
    assert torch.allclose(estimate.motion.rotations, given.rotations, atol=1e-4)
    drift = (estimate.motion.root - given.root)[:, [0, 2]]
    assert float((drift - drift[0]).abs().max()) < 1e-3


def test_results_that_do_not_fit_are_failures(tmp_path: Path, motion: Motion) -> None:
    asked(tmp_path, motion)
    give_result(tmp_path, 20)
    failure = asked(tmp_path, motion).failure
    assert failure is not None
    assert (failure.reason, failure.value, failure.threshold) == ("result_frames", 20, 49)
    [item] = read_work(tmp_path)
    (tmp_path / item["result"]).write_bytes(b"no archive")
    failure = asked(tmp_path, motion).failure
    assert failure is not None
    assert failure.reason == "result_readable"


def test_a_damaged_list_is_said(tmp_path: Path) -> None:
    assert read_work(tmp_path) == []
    (tmp_path / "work.jsonl").write_text('{"id": "a"}\n{"id"\n')
    with pytest.raises(ValueError, match="line 2: not JSON"):
        read_work(tmp_path)
    (tmp_path / "work.jsonl").write_text("[]\n")
    with pytest.raises(ValueError, match="an object with an id"):
        read_work(tmp_path)


def test_another_estimator_is_started_by_us(tmp_path: Path) -> None:
    script = tmp_path / "estimate it.py"
    script.write_text("import sys; open(sys.argv[1] + '/done', 'w').write(sys.argv[2])")
    run_command(f"{sys.executable} '{script}' {{folder}} {{list}}", tmp_path)
    assert (tmp_path / "done").read_text() == str(tmp_path / "work.jsonl")
    with pytest.raises(ValueError, match="exit code 3: no GPU"):
        run_command(f"{sys.executable} -c \"import sys; print('no GPU'); sys.exit(3)\"", tmp_path)
    with pytest.raises(ValueError, match="cannot be started"):
        run_command("/no/such/estimator", tmp_path)
    with pytest.raises(ValueError, match="empty"):
        run_command(" ", tmp_path)

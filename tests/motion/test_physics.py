"""Physics measures: known values on made motions, sensible ones on real motion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from motionmill.formats import packed
from motionmill.motion import physics
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import retarget
from motionmill.motion.skeleton import Skeleton, adult_skeleton


def standing(frames: int = 60, *, fps: float = 30.0, up: float = 0.0) -> Motion:
    skeleton = adult_skeleton()
    rotations = torch.eye(3, dtype=torch.float64).expand(frames, 22, 3, 3)
    root = torch.zeros(frames, 3, dtype=torch.float64)
    root[:, 1] = skeleton.standing_root_height + up
    return Motion(rotations, root, fps, skeleton)


def moved(motion: Motion, shifts: torch.Tensor) -> Motion:
    return replace(motion, root=motion.root + shifts)


def along_z(values: torch.Tensor) -> torch.Tensor:
    zero = torch.zeros_like(values)
    return torch.stack((zero, zero, values), dim=-1)


def upwards(values: torch.Tensor) -> torch.Tensor:
    zero = torch.zeros_like(values)
    return torch.stack((zero, values, zero), dim=-1)


@pytest.fixture(scope="module")
def walk(shared: Path) -> Motion:
    clips = packed.read_folder(shared / "data" / "bandai")
    clip = next(clip for clip in clips if clip.id == "dataset-2_walk_masculine_019")
    return retarget(clip.motion())


def test_standing_still_is_perfect() -> None:
    motion = standing()
    assert physics.standing_heights(motion.skeleton).tolist() == pytest.approx(
        [0.075, 0.075, 0.02, 0.02]
    )
    assert physics.floor(motion) == pytest.approx(0, abs=1e-12)
    assert physics.contacts(motion).all()
    assert physics.foot_slide(motion) == 0
    assert physics.floating(motion) == 0
    assert physics.penetration(motion) == pytest.approx(0, abs=1e-9)
    assert physics.jitter(motion) == 0


@pytest.mark.parametrize("height", [-0.3, 0.1, 2.0])
def test_floor_follows_the_height(height: float) -> None:
    assert physics.floor(standing(up=height)) == pytest.approx(height)


def test_floor_is_not_moved_by_flight_or_by_a_few_low_frames() -> None:
    up = torch.zeros(100, dtype=torch.float64)
    up[20:60], up[60:63] = 0.4, -0.06
    assert physics.floor(moved(standing(100), upwards(up))) == pytest.approx(0)


def test_floor_under_a_lying_person() -> None:
    motion = standing()
    back = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=torch.float64)  # face up
    rotations = motion.rotations.clone()
    rotations[:, 0] = back
    root = motion.root * 0 + torch.tensor([0.0, 0.1, 0.0], dtype=torch.float64)
    assert physics.floor(replace(motion, rotations=rotations, root=root)) == pytest.approx(
        0, abs=0.05
    )


@pytest.mark.parametrize("fps", [15.0, 30.0, 120.0])
def test_foot_slide_of_a_standing_person_pulled_along(fps: float) -> None:
    times = torch.arange(60, dtype=torch.float64) / fps
    motion = moved(standing(60, fps=fps), along_z(0.09 * times))  # 3 mm a frame at 30 fps
    assert physics.foot_slide(motion) == pytest.approx(3)


def test_foot_slide_weights_fall_with_height_and_can_come_from_the_clean_clip() -> None:
    feet = torch.zeros(2, 2, 3, dtype=torch.float64)
    feet[1, 0, 0], feet[1, 1, 0] = 0.010, 0.020
    heights = torch.tensor([0.0, 0.0125], dtype=torch.float64).expand(2, 2)
    high = 2 - 2**0.5
    expected = (10 + 20 * high) / (1 + high)
    assert float(physics.foot_slide_of(feet, heights)) == pytest.approx(expected)

    times = torch.arange(60, dtype=torch.float64)
    noisy = moved(standing(), along_z(0.003 * times) + upwards(torch.full((60,), 0.2).double()))
    assert physics.foot_slide(noisy) == 0
    assert physics.foot_slide(noisy, weights_from=standing()) == pytest.approx(3)
    with pytest.raises(ValueError, match="59 frames"):
        physics.foot_slide(noisy, weights_from=standing(59))


def test_floating_is_neither_touching_nor_falling() -> None:
    assert physics.floating(standing(up=0.05)) == 100
    assert physics.floating(standing(up=0.02)) == 0
    times = torch.arange(15, dtype=torch.float64) / 30
    jump = moved(standing(15, up=0.1), upwards(2.4 * times - 9.81 / 2 * times**2))
    assert physics.floating(jump) == 0


def test_penetration_is_the_depth_where_there_is_any() -> None:
    up = torch.zeros(60, dtype=torch.float64)
    up[:10], up[10:] = -0.02, 0.01
    assert physics.penetration(moved(standing(), upwards(up))) == pytest.approx(20)


def test_jitter_of_a_cubic_path() -> None:
    times = torch.arange(60, dtype=torch.float64) / 30
    assert physics.jitter(moved(standing(), along_z(2 * times**3))) == pytest.approx(0.12)


def test_contacts_need_low_and_slow() -> None:
    times = torch.arange(60, dtype=torch.float64) / 30
    assert not physics.contacts(moved(standing(), along_z(1.0 * times))).any()
    assert physics.contacts(moved(standing(), along_z(0.1 * times))).all()
    assert not physics.contacts(standing(up=0.06)).any()


def test_a_skeleton_without_feet_is_refused() -> None:
    skeleton = Skeleton(("a", "b"), (-1, 0), torch.tensor([[0.0, 0, 0], [0, 1, 0]]))
    motion = Motion(torch.eye(3).expand(5, 2, 3, 3), torch.zeros(5, 3), 30, skeleton)
    with pytest.raises(ValueError, match="left_ankle"):
        physics.contacts(motion)


def test_a_real_walk(walk: Motion) -> None:
    walk = walk.transformed(torch.eye(3), torch.tensor([0.0, -physics.floor(walk), 0.0]))
    assert physics.floating(walk) < 1
    assert physics.penetration(walk) < 6
    assert 0.3 < physics.jitter(walk) < 3
    assert 5 < physics.foot_slide(walk) < 25
    contacts = physics.contacts(walk)
    on_the_floor = (contacts[:, 0] | contacts[:, 2]) | (contacts[:, 1] | contacts[:, 3])
    assert on_the_floor.double().mean() > 0.9
    assert not contacts.all(dim=1).any() or contacts.all(dim=1).double().mean() < 0.2

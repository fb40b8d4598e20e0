"""Rigs whose zero pose is no T-pose and whose axes nobody wrote down: by a T-pose in the clip, or by the movement."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from motionmill.formats import packed
from motionmill.motion import rigs
from motionmill.motion.calibrate import rig_of
from motionmill.motion.motion import Motion, concatenate
from motionmill.motion.retarget import retarget
from motionmill.motion.rotations import matrix_from_axis_angle, matrix_to_axis_angle
from motionmill.motion.skeleton import Skeleton, adult_skeleton
from motionmill.motion.transfer import bone_direction_error


@pytest.fixture(scope="module")
def walk(shared: Path) -> Motion:
    clips = packed.read_folder(shared / "data" / "bandai")
    clip = next(clip for clip in clips if clip.id == "dataset-2_walk_active_001")
    return retarget(clip.motion()[:150], correct=False)


def with_random_axes(motion: Motion, seed: int = 0) -> Motion:
    """The same motion on a rig each of whose joints has axes of its own, and so no T-pose at zero."""
    turns = torch.randn(22, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    rest = matrix_from_axis_angle(2 * turns)
    above = torch.stack(
        [torch.eye(3).double(), *(rest[parent] for parent in motion.skeleton.parents[1:])]
    )
    offsets = (above.mT @ motion.skeleton.offsets[..., None])[..., 0]
    skeleton = Skeleton(motion.skeleton.names, motion.skeleton.parents, offsets)
    return Motion(above.mT @ motion.rotations @ rest, motion.root, motion.fps, skeleton)


def t_pose(like: Motion) -> Motion:
    rotations = torch.eye(3, dtype=torch.float64).expand(1, 22, 3, 3)
    return replace(like, rotations=rotations, root=like.root[:1])


def test_the_tables_do_not_know_it(walk: Motion) -> None:
    assert rigs.known_rig(with_random_axes(walk).skeleton) is None
    with pytest.raises(ValueError, match="zero pose is no T-pose"):
        rigs.recognise(with_random_axes(walk).skeleton)


def test_a_t_pose_in_the_clip_tells_everything(walk: Motion) -> None:
    motion = concatenate([t_pose(walk), walk])
    result = retarget(with_random_axes(motion), correct=False)
    torch.testing.assert_close(
        result.world_rotations(), motion.world_rotations(), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_without_one_the_movement_tells_most(walk: Motion, seed: int) -> None:
    source = with_random_axes(walk, seed)
    result = retarget(source, correct=False)
    assert bone_direction_error(source, result) < 4
    away = (result.joints() - walk.joints()).norm(dim=-1).mean(dim=0)
    assert float(away.mean()) < 0.03
    turn = matrix_to_axis_angle(result.world_rotations().mT @ walk.world_rotations()).norm(dim=-1)
    limbs = [1, 2, 4, 5, 16, 17, 18, 19]
    assert float(turn[:, limbs].mean()) < 0.35  # where the hinges are, within 20 degrees


def test_a_world_whose_up_axis_is_z(walk: Motion) -> None:
    lay = matrix_from_axis_angle(torch.tensor([torch.pi / 2, 0, 0], dtype=torch.float64))
    source = with_random_axes(walk)
    laid = retarget(source.transformed(lay, torch.zeros(3)), correct=False)
    torch.testing.assert_close(
        laid.joints(), retarget(source, correct=False).joints(), atol=1e-6, rtol=0
    )


def test_what_does_not_move_cannot_be_told(walk: Motion) -> None:
    still = replace(
        walk, rotations=walk.rotations[:1].expand(60, 22, 3, 3), root=walk.root[:1].expand(60, 3)
    )
    straight = t_pose(walk).rotations.clone()
    straight[:, 16] = matrix_from_axis_angle(torch.tensor([0, 0, -1.4]).double())
    arms_down = replace(still, rotations=straight.expand(60, 22, 3, 3))
    with pytest.raises(ValueError, match="hardly bends"):
        rig_of(with_random_axes(arms_down))


def test_known_rigs_stay_what_they_are(walk: Motion) -> None:
    assert rig_of(walk).name == rigs.recognise(adult_skeleton()).name == "smpl"

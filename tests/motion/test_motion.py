"""Motion and Skeleton: kinematics, resampling, mirror, joining, what is refused."""

from __future__ import annotations

import pytest
import torch

from motionmill.motion.motion import Motion, concatenate
from motionmill.motion.rotations import heading, yaw_matrix
from motionmill.motion.skeleton import (
    SMPL_22_NAMES,
    Skeleton,
    adult_skeleton,
    local_to_world_rotations,
    world_to_local_rotations,
)
from tests.motion.test_features import random_motion


def test_the_adult_stands_on_the_floor_and_is_1_70_m_tall() -> None:
    skeleton = adult_skeleton()
    joints = skeleton.rest_joints + torch.tensor([0.0, skeleton.standing_root_height, 0.0])
    assert joints[:, 1].min() == pytest.approx(skeleton.foot_joint_height)
    head = joints[skeleton.index("head"), 1]
    assert 1.45 < head < 1.60  # the joint at the base of the skull; 0.15 to 0.2 m of head above it
    assert joints[skeleton.index("left_wrist"), 0] > 0.6  # left is +X
    assert joints[skeleton.index("left_foot"), 2] > 0.1  # toes forward, +Z


def test_rest_pose_by_kinematics() -> None:
    skeleton = adult_skeleton()
    joints, world = skeleton.forward_kinematics(torch.eye(3).expand(22, 3, 3), torch.zeros(3))
    assert torch.allclose(joints.double(), skeleton.rest_joints, atol=1e-6)
    assert torch.equal(world, torch.eye(3).expand(22, 3, 3))


def test_local_and_world_rotations_are_inverse() -> None:
    motion = random_motion(0)
    world = local_to_world_rotations(motion.rotations, motion.skeleton.parents)
    assert torch.allclose(world, motion.world_rotations())
    back = world_to_local_rotations(world, motion.skeleton.parents)
    assert (back - motion.rotations).abs().max() < 1e-12


def test_bones_keep_their_length() -> None:
    motion = random_motion(1)
    joints = motion.joints()
    for joint, parent in enumerate(motion.skeleton.parents):
        if parent >= 0:
            length = (joints[:, joint] - joints[:, parent]).norm(dim=-1)
            assert torch.allclose(length, motion.skeleton.offsets[joint].norm().expand(len(motion)))


def test_resampling_keeps_what_is_on_both_grids() -> None:
    motion = random_motion(2, frames=61)
    fast = motion.resample(60)
    assert len(fast) == 121
    assert fast.seconds == pytest.approx(motion.seconds, abs=1 / 30)
    assert (fast.rotations[::2] - motion.rotations).abs().max() < 1e-9
    assert (fast.root[::2] - motion.root).abs().max() < 1e-12
    assert len(motion.resample(20)) == 41


def test_mirror_twice_is_nothing_and_sides_change() -> None:
    motion = random_motion(3)
    mirrored = motion.mirror()
    assert (mirrored.mirror().rotations - motion.rotations).abs().max() < 1e-12
    left, right = SMPL_22_NAMES.index("left_wrist"), SMPL_22_NAMES.index("right_wrist")
    flipped = motion.joints()[:, right] * torch.tensor([-1.0, 1.0, 1.0])
    assert (mirrored.joints()[:, left] - flipped).abs().max() < 1e-9


def test_face_forward_starts_at_the_origin() -> None:
    motion = random_motion(4).face_forward()
    assert motion.root[0, [0, 2]].abs().max() < 1e-12
    assert abs(float(heading(motion.rotations[0, 0]))) < 1e-12


def test_concatenation_is_seamless() -> None:
    first, second = random_motion(5), random_motion(6)
    both = concatenate([first, second])
    assert len(both) == len(first) + len(second)
    seam = len(first)
    assert (both.root[seam, [0, 2]] - both.root[seam - 1, [0, 2]]).abs().max() < 1e-12
    assert float(heading(both.rotations[seam, 0])) == pytest.approx(
        float(heading(both.rotations[seam - 1, 0])), abs=1e-9
    )
    with pytest.raises(ValueError, match="resample or retarget"):
        concatenate([first, second.resample(60)])
    with pytest.raises(ValueError, match="no motions"):
        concatenate([])


def test_a_moved_motion_moves_rigidly() -> None:
    motion = random_motion(7)
    turn, shift = (
        yaw_matrix(torch.tensor(0.8, dtype=torch.float64)),
        torch.tensor([1.0, 2.0, 3.0]).double(),
    )
    moved = motion.transformed(turn, shift)
    assert (moved.joints() - (motion.joints() @ turn.T + shift)).abs().max() < 1e-9


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Motion(torch.eye(3).expand(4, 22, 3, 3), torch.zeros(5, 3))
    with pytest.raises(ValueError, match="no frames"):
        Motion(torch.zeros(0, 22, 3, 3), torch.zeros(0, 3))
    with pytest.raises(ValueError, match="frames per second"):
        Motion(torch.eye(3).expand(4, 22, 3, 3), torch.zeros(4, 3), fps=0)
    with pytest.raises(ValueError, match="parent must come before"):
        Skeleton(("a", "b"), (1, -1), torch.zeros(2, 3))
    with pytest.raises(ValueError, match="no joint 'tail'"):
        adult_skeleton().index("tail")

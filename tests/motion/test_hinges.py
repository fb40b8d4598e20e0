"""Knees and elbows: the sign of their bend, and elbows that are turned the right way round."""

from __future__ import annotations

import math

import pytest
import torch

from motionmill.motion.hinges import bends, with_forward_elbows
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_axis_angle
from motionmill.motion.skeleton import world_to_local_rotations

HINGES = {4: (1.0, 0, 0), 5: (1.0, 0, 0), 18: (0, -1.0, 0), 19: (0, 1.0, 0)}


def bent(angle: float) -> Motion:
    """Knees and elbows bent forwards by an angle, radians; one frame."""
    turns = torch.zeros(1, 22, 3, dtype=torch.float64)
    for joint, axis in HINGES.items():
        turns[0, joint] = angle * torch.tensor(axis)
    return Motion(matrix_from_axis_angle(turns), torch.zeros(1, 3, dtype=torch.float64))


def elbows_of(motion: Motion) -> Motion:
    world = with_forward_elbows(motion.world_rotations(), motion.skeleton)
    local = world_to_local_rotations(world, motion.skeleton.parents)
    return Motion(local, motion.root, motion.fps, motion.skeleton)


@pytest.mark.parametrize("angle", [-0.6, -0.1, 0.3, 2.0])
def test_bends_are_signed(angle: float) -> None:
    found = bends(bent(angle))[0]
    torch.testing.assert_close(found[2:], torch.full((2,), angle).double(), atol=1e-9, rtol=0)
    torch.testing.assert_close(found[:2], torch.full((2,), angle).double(), atol=0.03, rtol=0)


def test_elbows_that_bend_forwards_are_left_alone() -> None:
    motion = bent(0.7)
    torch.testing.assert_close(elbows_of(motion).rotations, motion.rotations, atol=1e-12, rtol=0)


def test_an_elbow_stretched_too_far_is_straightened() -> None:
    motion = bent(-0.1)
    result = elbows_of(motion)
    assert float(bends(result)[0, 2:].min()) > -1e-9
    moved = (result.joints() - motion.joints()).norm(dim=-1)
    assert float(moved.max()) == pytest.approx(2 * 0.25 * math.sin(0.05), rel=1e-3)  # the wrists


def test_an_upper_arm_that_is_twisted_is_turned_and_no_bone_moves() -> None:
    motion = bent(-1.2)
    result = elbows_of(motion)
    assert float(bends(result)[0, 2:].min()) > 0
    torch.testing.assert_close(result.joints(), motion.joints(), atol=1e-9, rtol=0)

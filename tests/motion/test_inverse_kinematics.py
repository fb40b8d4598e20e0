"""Joint positions -> rotations: every joint is reached, knees and elbows bend about their hinge."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from motionmill.formats import bvh
from motionmill.motion.inverse_kinematics import on_adult, solve
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import retarget
from motionmill.motion.rotations import matrix_from_axis_angle
from motionmill.motion.skeleton import adult_skeleton
from tests.motions import angle_degrees, wandering


@pytest.mark.parametrize("seed", range(6))
def test_every_joint_is_reached(seed: int) -> None:
    motion = wandering(seed, bend=0.5)
    solution = solve(motion.joints(), 30.0)
    assert float(solution.residual.max()) < 1e-6
    assert solution.residual.shape == (24, 22)
    lengths = solution.motion.skeleton.offsets.norm(dim=-1)
    torch.testing.assert_close(lengths, adult_skeleton().offsets.norm(dim=-1), atol=1e-6, rtol=0)


def test_bones_of_another_length_are_measured() -> None:
    motion = wandering(1)
    solution = solve(1.1 * motion.joints(), 25.0, name="tall")
    assert float(solution.residual.max()) < 1e-6
    tall = solution.motion.skeleton
    assert tall.leg_length == pytest.approx(1.1 * adult_skeleton().leg_length)
    assert tall.foot_joint_height == pytest.approx(1.1 * adult_skeleton().foot_joint_height)
    assert (solution.motion.fps, solution.motion.name) == (25.0, "tall")
    small = on_adult(solution.motion)
    assert small.skeleton is adult_skeleton()
    torch.testing.assert_close(small.root, motion.root, atol=1e-6, rtol=0)


def test_positions_that_no_skeleton_has_leave_a_residual() -> None:
    joints = wandering(2).joints()
    joints[::2, 20] += torch.tensor([0.0, 0.08, 0.0])  # a forearm that changes its length
    solution = solve(joints, 30.0)
    assert 0.005 < float(solution.residual.max()) < 0.1
    assert "mm" in str(solution)


@pytest.mark.parametrize(("joint", "child", "axis"), [(1, 4, 0), (16, 18, 1)])
def test_bent_limbs_turn_about_their_hinge(joint: int, child: int, axis: int) -> None:
    """A thigh, or an upper arm, turned about itself is seen by where the bent knee, or elbow, points."""
    turns = torch.zeros(20, 22, 3, dtype=torch.float64)
    bone = adult_skeleton().offsets[child]
    turns[:, joint] = 0.9 * bone / bone.norm()  # about itself
    turns[:, child, axis] = 1.2 if axis == 0 else -1.2
    motion = Motion(matrix_from_axis_angle(turns), torch.zeros(20, 3, dtype=torch.float64))
    found = solve(motion.joints(), 30.0).motion
    wrong = angle_degrees(found.world_rotations(), motion.world_rotations())
    assert float(wrong[:, [joint, child]].max()) < 2.0


def test_a_straight_limb_keeps_the_turn_of_when_it_was_bent() -> None:
    turns = torch.zeros(21, 22, 3, dtype=torch.float64)
    turns[:, 1, 1] = 0.6
    turns[:, 4, 0] = torch.linspace(
        1.0, -1.0, 21, dtype=torch.float64
    ).abs()  # straight in the middle
    motion = Motion(matrix_from_axis_angle(turns), torch.zeros(21, 3, dtype=torch.float64))
    found = solve(motion.joints(), 30.0).motion.world_rotations()
    assert float(angle_degrees(found, motion.world_rotations())[:, 1].max()) < 8.0


def test_real_motion_gets_its_rotations_back(shared: Path) -> None:
    source = shared / "data/originals/bandai/dataset-1_bow_active_001.bvh"
    motion = retarget(bvh.load(source))
    solution = solve(motion.joints(), motion.fps)
    assert float(solution.residual.max()) < 1e-4
    wrong = angle_degrees(solution.motion.world_rotations(), motion.world_rotations()).mean(dim=0)
    body = [0, 1, 2, 3, 4, 5, 6, 9, 12, 16, 17]
    assert float(wrong[body].max()) < 7.0


def test_what_is_no_person_is_refused() -> None:
    with pytest.raises(ValueError, match=r"positions \(3, 21, 3\); expected \(T, 22, 3\)"):
        solve(torch.zeros(3, 21, 3), 30.0)
    with pytest.raises(ValueError, match="left_hip has no length"):
        solve(torch.zeros(3, 22, 3), 30.0)
    with pytest.raises(ValueError, match="not finite"):
        solve(torch.full((3, 22, 3), torch.nan), 30.0)

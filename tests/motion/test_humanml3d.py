"""HumanML3D's 263 numbers: round trips of positions, and every block by its definition."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motionmill.motion import humanml3d
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import yaw_matrix
from motionmill.motion.skeleton import Skeleton
from tests.motions import wandering


def started(joints: torch.Tensor) -> torch.Tensor:
    """The clip as HumanML3D places it: on the floor, over the origin, facing +Z by hips and shoulders."""
    across = joints[0, 1] - joints[0, 2] + joints[0, 16] - joints[0, 17]
    angle = math.atan2(-float(across[2]), float(across[0]))
    start = torch.stack((joints[0, 0, 0], joints[..., 1].min(), joints[0, 0, 2]))
    return (joints - start) @ yaw_matrix(torch.tensor(-angle, dtype=torch.float64)).T


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), frames=st.integers(2, 60))
def test_positions_come_back(seed: int, frames: int) -> None:
    joints = wandering(seed, frames, fps=20.0).joints()
    features = humanml3d.from_joints(joints)
    assert features.shape == (frames - 1, 263)
    torch.testing.assert_close(
        humanml3d.to_joints(features), started(joints)[:-1], atol=1e-9, rtol=0
    )


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_motion_comes_back_with_its_positions(seed: int) -> None:
    motion = wandering(seed, 30, fps=20.0)
    solution = humanml3d.to_motion(humanml3d.from_motion(motion), name="x")
    back = solution.motion
    assert (back.fps, back.name, len(back)) == (20.0, "x", 29)
    sole = torch.tensor([0.0, back.skeleton.foot_joint_height, 0.0])
    difference = (back.joints() - sole - started(motion.joints())[:-1]).norm(dim=-1)
    assert float(difference.max()) < 1e-4
    assert float(back.joints()[..., 1].min()) >= back.skeleton.foot_joint_height - 1e-4


def test_each_block_means_what_it_says() -> None:
    """A T-pose that goes one metre a second along its facing +X and turns to its left all the time."""
    frames, turn = 200, 0.02
    skeleton = wandering(0).skeleton
    angle = math.pi / 2 + turn * torch.arange(frames, dtype=torch.float64)
    rotations = torch.eye(3, dtype=torch.float64).repeat(frames, 22, 1, 1)
    rotations[:, 0] = yaw_matrix(angle)
    step = 0.05 * torch.stack((torch.sin(angle), torch.zeros(frames), torch.cos(angle)), dim=-1)
    root = torch.cumsum(step, dim=0) + torch.tensor([5.0, 0.95, -3.0])
    features = humanml3d.from_motion(Motion(rotations, root, 20.0, skeleton))
    row = features[100]  # away from the ends, where the smoothed facing lags
    assert float(row[0]) == pytest.approx(-turn / 2, abs=1e-6)  # to the left
    torch.testing.assert_close(
        row[1:3], torch.tensor([0.0, 0.05], dtype=torch.float64), atol=1e-3, rtol=0
    )
    rest = skeleton.rest_joints - skeleton.rest_joints[:, 1].min() * torch.tensor([0, 1, 0])
    assert float(row[3]) == pytest.approx(float(rest[0, 1]), abs=1e-9)
    torch.testing.assert_close(row[4:67].view(21, 3), rest[1:], atol=1e-3, rtol=0)
    velocity = row[193:259].view(22, 3)
    assert float(velocity[0, 2]) == pytest.approx(0.05, abs=1e-3)
    columns = features[0, 67:193].view(21, 2, 3)
    hip, knee = (
        torch.stack((*columns[joint - 1], torch.linalg.cross(*columns[joint - 1])), dim=1)
        for joint in (1, 4)
    )  # in the first frame nothing is turned: the thigh points down, as in HumanML3D's rest pose
    torch.testing.assert_close(hip @ knee, torch.eye(3, dtype=torch.float64), atol=1e-6, rtol=0)
    assert features[:, 259:].unique().tolist() == [0.0]


def test_feet_that_rest_are_in_contact() -> None:
    motion = wandering(3, 30, fps=20.0)
    joints = motion.joints()[:1].repeat(30, 1, 1)
    joints[15:, [8, 11], 0] += torch.linspace(0.06, 0.9, 15)[:, None]  # the right foot slides
    contacts = humanml3d.from_joints(joints)[:, 259:]
    assert contacts[:, :2].min() == 1.0  # left ankle and foot
    assert contacts[:14, 2:].min() == 1.0
    assert contacts[14:, 2:].max() == 0.0


def test_other_rates_are_resampled_and_other_skeletons_refused() -> None:
    assert len(humanml3d.from_motion(wandering(1, 61, fps=30.0))) == 40
    stick = Skeleton(("a", "b"), (-1, 0), torch.zeros(2, 3))
    with pytest.raises(ValueError, match="22 SMPL joints; this skeleton has 2"):
        humanml3d.from_motion(
            Motion(torch.eye(3).repeat(3, 2, 1, 1), torch.zeros(3, 3), 20.0, stick)
        )
    with pytest.raises(ValueError, match="two frames or more"):
        humanml3d.from_motion(wandering(1, 1))

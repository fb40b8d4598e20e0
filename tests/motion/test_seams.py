"""Seams: a jerk between two parts becomes calm, nothing else changes, and calm seams stay as they are."""

from __future__ import annotations

from dataclasses import replace

import torch

from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_axis_angle
from motionmill.motion.seams import joined, velocity_jumps
from motionmill.motion.skeleton import adult_skeleton

SEAM = 60


def swaying(num_frames: int = 120) -> Motion:
    """A standing person who sways; arms swing."""
    skeleton = adult_skeleton()
    time = torch.arange(num_frames, dtype=torch.float64) / 30
    turns = torch.zeros(num_frames, skeleton.num_joints, 3, dtype=torch.float64)
    for name, size, pace in (("left_shoulder", 0.4, 5.0), ("spine1", 0.1, 3.0)):
        turns[:, skeleton.index(name), 0] = size * torch.sin(pace * time)
    root = torch.zeros(num_frames, 3, dtype=torch.float64)
    root[:, 1] = skeleton.standing_root_height
    return Motion(matrix_from_axis_angle(turns), root)


def with_jerk(motion: Motion) -> Motion:
    """From the seam on it goes forward, at once at 2 m/s, and holds the spine another way."""
    root = motion.root.clone()
    root[SEAM:, 2] += 2.0 * torch.arange(1, len(root) - SEAM + 1) / motion.fps
    turn = torch.zeros(3, dtype=torch.float64)
    turn[0] = 0.3
    rotations = motion.rotations.clone()
    rotations[SEAM:, motion.skeleton.index("spine2")] = matrix_from_axis_angle(turn)
    return replace(motion, root=root, rotations=rotations)


def test_a_jerk_becomes_calm_and_the_rest_stays() -> None:
    motion = with_jerk(swaying())
    before = velocity_jumps(motion)
    made = joined(motion, [SEAM])
    after = velocity_jumps(made)
    assert before[SEAM] > 5 * before.mean()
    assert after[SEAM] < before[SEAM] / 5
    far = torch.cat((torch.arange(SEAM - 30), torch.arange(SEAM + 30, len(motion))))
    assert torch.equal(made.root[far], motion.root[far])
    assert torch.equal(made.rotations[far], motion.rotations[far])
    eye = torch.eye(3, dtype=torch.float64).expand_as(made.rotations)
    assert torch.allclose(made.rotations @ made.rotations.mT, eye, atol=1e-9)


def test_calm_seams_and_single_parts_stay_as_they_are() -> None:
    motion = swaying()
    assert joined(motion, []) is motion
    assert joined(motion, [SEAM]).root.equal(motion.root)
    assert joined(motion, [SEAM]).rotations.equal(motion.rotations)


def test_seams_at_the_ends_and_short_parts() -> None:
    motion = with_jerk(swaying())
    made = joined(motion, [1, 4, SEAM, SEAM + 4, len(motion) - 1])
    assert len(made) == len(motion)
    assert made.root.isfinite().all()
    assert made.rotations.isfinite().all()
    short = motion[slice(SEAM - 4, SEAM + 4)]
    assert len(joined(short, [4])) == 8

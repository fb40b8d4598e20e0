"""A motion -> a few lines that say what it is: skeleton, length, path, feet."""

from __future__ import annotations

import math

import torch

from motionmill.motion import physics
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import heading
from motionmill.motion.skeleton import SMPL_22_NAMES


def report(motion: Motion) -> str:
    """Lines for a person to read. The feet are measured on SMPL-22 skeletons only."""
    path = motion.root[:, [0, 2]]
    travelled = torch.diff(path, dim=0).norm(dim=-1).sum()
    turn = torch.diff(heading(motion.rotations[:, 0]))
    turn = torch.remainder(turn + math.pi, 2 * math.pi) - math.pi
    heights = motion.joints()[..., 1]
    rows = [
        ("name", motion.name or "-"),
        ("frames", f"{len(motion)} at {motion.fps:g} fps, {motion.seconds:.2f} s"),
        ("skeleton", f"{motion.skeleton.num_joints} joints, {_kind(motion)}"),
        (
            "path",
            f"{float(travelled):.2f} m, ends {float((path[-1] - path[0]).norm()):.2f} m from its start",
        ),
        ("turn", f"{math.degrees(float(turn.sum())):+.0f} degrees (left is positive)"),
        ("heights", f"{float(heights.min()):.2f} to {float(heights.max()):.2f} m"),
    ]
    if motion.skeleton.names == SMPL_22_NAMES:
        rows += [
            (
                "foot slide",
                f"{physics.foot_slide(motion):.2f} mm a frame where feet touch the floor",
            ),
            ("floating", f"{physics.floating(motion):.1f} % of frames"),
            ("jitter", f"{physics.jitter(motion):.2f} x 100 m/s^3"),
        ]
    return "\n".join(f"{name:<12}{text}" for name, text in rows)


def _kind(motion: Motion) -> str:
    names = motion.skeleton.names
    return "SMPL-22 order" if names == SMPL_22_NAMES else f"{names[0]} ... {names[-1]}"

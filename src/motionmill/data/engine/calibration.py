"""Finds the calibration poses (T-poses) that recordings start and end with.

Shapes: T frames, J = 22 joints, metres, Y up. Thresholds are for our adult skeleton at 30 fps.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

_PELVIS: Final = 0
_ANKLES, _SHOULDERS, _WRISTS = (7, 8), (16, 17), (20, 21)
_STILL: Final = 0.01  # metres a frame that the pelvis may move
_GAP: Final = 6  # frames between two moments of the same pose


def in_t_pose(joints: Tensor) -> Tensor:
    """(T, 22, 3) joints -> (T,) whether the person stands still with both arms stretched sideways."""
    arms = joints[:, _WRISTS] - joints[:, _SHOULDERS]
    level = (arms[..., 1].abs() < 0.12).all(dim=1) & (arms.norm(dim=-1) > 0.45).all(dim=1)
    opposite = torch.cosine_similarity(arms[:, 0], arms[:, 1], dim=-1) < -0.85
    legs = joints[:, _PELVIS, 1] - joints[:, _ANKLES, 1].amin(dim=1) > 0.75
    step = torch.diff(joints[:, _PELVIS], dim=0, prepend=joints[:1, _PELVIS]).norm(dim=-1)
    return level & opposite & legs & (step < _STILL)


def between_t_poses(joints: Tensor) -> tuple[int, int]:
    """The frames (start, stop) of a take without the calibration poses that it starts and ends with."""
    pose = in_t_pose(joints)
    start = _leading(pose)
    return start, max(start, len(pose) - _leading(pose.flip(0)))


def _leading(pose: Tensor) -> int:
    """Length of the pose held from the start, over short gaps."""
    end, gap = 0, 3
    while pose[end : end + gap].any():
        end += int(pose[end : end + gap].nonzero().max()) + 1
        gap = _GAP
    return end

"""Knees and elbows: how far they are bent and which way; elbows bent backwards -> bent as elbows do.

Shapes: T frames, J joints, 4 hinges (left knee, right knee, left elbow, right elbow). World: Y up, metres.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_axis_angle, rotation_between
from motionmill.motion.skeleton import Skeleton

# Of each hinge: joints above, at and below it, and the axis of the joint above about which it bends forwards.
_HINGES: Final = (
    ("left_hip", "left_knee", "left_ankle", (1.0, 0.0, 0.0)),
    ("right_hip", "right_knee", "right_ankle", (1.0, 0.0, 0.0)),
    ("left_shoulder", "left_elbow", "left_wrist", (0.0, -1.0, 0.0)),
    ("right_shoulder", "right_elbow", "right_wrist", (0.0, 1.0, 0.0)),
)
_STRAIGHTENED: Final = (
    0.35  # an elbow bent backwards by less than about this is straightened, radians
)
_WIDEST: Final = (
    1.4  # radians between an elbow's bend and its hinge from which the upper arm is twisted
)


def bends(motion: Motion) -> Tensor:
    """(T, 4) by how much knees and elbows are bent, radians; below 0 where they are bent backwards.

    A bend is a vector, axis times angle; what counts is its part along the joint's hinge.
    """
    joints, world = motion.skeleton.forward_kinematics(motion.rotations, motion.root)
    return bends_of(joints, world, motion.skeleton)


def bends_of(joints: Tensor, world: Tensor, skeleton: Skeleton) -> Tensor:
    """Bends from joint positions (T, J, 3) and world rotations (T, J, 3, 3)."""
    found = []
    for start, middle, end, axis in _HINGES:
        first, second, third = (skeleton.index(name) for name in (start, middle, end))
        upper, lower = joints[:, second] - joints[:, first], joints[:, third] - joints[:, second]
        hinge = _across(world[:, first] @ world.new_tensor(axis), upper)
        found.append((_bend(upper, lower) * hinge).sum(dim=-1))
    return torch.stack(found, dim=1)


def with_forward_elbows(world: Tensor, skeleton: Skeleton) -> Tensor:
    """World rotations (T, J, 3, 3) of an SMPL-22 skeleton -> the same with elbows that bend forwards only.

    A little bent backwards is an arm stretched too far: it is straightened. More is an upper arm whose twist is not
    known: it is twisted, and no bone moves.
    """
    world = world.clone()
    for start, middle, end, axis in _HINGES[2:]:
        shoulder, elbow, wrist = (skeleton.index(name) for name in (start, middle, end))
        upper = world[:, shoulder] @ skeleton.offsets[elbow].to(world)
        lower = world[:, elbow] @ skeleton.offsets[wrist].to(world)
        hinge = _across(world[:, shoulder] @ world.new_tensor(axis), upper)
        bend = _bend(upper, lower)
        angle = torch.linalg.vector_norm(bend, dim=-1, keepdim=True)
        along = F.normalize(upper, dim=-1)
        apart = torch.atan2(
            (torch.linalg.cross(hinge, bend) * along).sum(-1, keepdim=True),
            (hinge * bend).sum(-1, keepdim=True),
        )
        share = ((angle - _STRAIGHTENED / 2) / (_STRAIGHTENED / 2)).clamp(0, 1)
        excess = (apart.abs() - _WIDEST).clamp(min=0) * apart.sign() * share
        world[:, shoulder] = matrix_from_axis_angle(along * excess) @ world[:, shoulder]
        hinge = (matrix_from_axis_angle(along * excess) @ hinge[..., None])[..., 0]
        backwards = (bend * hinge).sum(-1, keepdim=True).clamp(max=0)
        straight = bend - backwards * hinge
        turn = torch.linalg.vector_norm(straight, dim=-1, keepdim=True)
        axis_now = straight / turn.clamp(min=1e-12)
        towards = torch.cos(turn) * along + torch.sin(turn) * torch.linalg.cross(axis_now, along)
        change = rotation_between(lower, torch.where(backwards < 0, towards, lower))
        for joint in (elbow, wrist):
            world[:, joint] = change @ world[:, joint]
    return world


def _bend(upper: Tensor, lower: Tensor) -> Tensor:
    """(T, 3) axis times angle from one bone's direction to the next one's."""
    sine = torch.linalg.cross(F.normalize(upper, dim=-1), F.normalize(lower, dim=-1))
    length = torch.linalg.vector_norm(sine, dim=-1)
    cosine = (F.normalize(upper, dim=-1) * F.normalize(lower, dim=-1)).sum(dim=-1)
    return F.normalize(sine, dim=-1) * torch.atan2(length, cosine)[:, None]


def _across(axis: Tensor, bone: Tensor) -> Tensor:
    """(T, 3) unit axes made perpendicular to the bones."""
    along = F.normalize(bone, dim=-1)
    return F.normalize(axis - (axis * along).sum(dim=-1, keepdim=True) * along, dim=-1)

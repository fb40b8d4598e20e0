"""HumanML3D's 263 numbers a frame <-> joint positions and Motion.

Shapes: T frames, J = 22 SMPL joints. Per frame, at 20 fps, with velocities to the frame after it (a clip of T + 1
frames gives T rows); "facing" is a yaw that hips and shoulders give, smoothed over time, 0 in the first frame:
    0        half the turn about Y that undoes the one to the next frame (negative: to the left), radians
    1:3      root velocity (x, z), metres a frame, in the facing of the next frame
    3        root height, metres; the lowest joint of the clip is at 0
    4:67     positions of joints 1 to 21 without facing and root x, z
    67:193   rotations of joints 1 to 21 as 6D (two columns), from HumanML3D's own inverse kinematics
    193:259  velocities of the 22 joints, metres a frame, in the facing of this frame
    259:263  whether left ankle, left foot, right ankle, right foot move less than the square root of 0.002 m

Source: C. Guo et al., "Generating Diverse and Natural 3D Human Motions from Text", 2022, and their data processing.
Two habits of that processing are kept, because the numbers depend on them: inside the inverse kinematics the
across-hips vector has the opposite sign of the across-shoulders one, and the arms are chained to the facing, not to the
chest.

What 263 numbers cannot hold: the twist of bones about themselves (wrists, feet, head), the frame rate of the source,
the place and facing of the start, and anything over 20 fps. `to_motion` gets rotations by inverse kinematics.
"""

from __future__ import annotations

import itertools
import math
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from motionmill.motion.inverse_kinematics import Solution, solve
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import rotation_between, yaw_matrix
from motionmill.motion.skeleton import SMPL_22_PARENTS

NUM_FEATURES: Final = 263
HUMANML3D_FPS: Final = 20.0
CONTACT_THRESHOLD: Final = 0.002  # square of how far a foot joint moves in a frame, square metres
LOST: Final = (
    "263 numbers a frame keep joint positions at 20 fps; the twist of wrists, feet and head, the place and facing of "
    "the start, and the proportions' rest pose are lost"
)
_NUM_JOINTS: Final = 22
_POSITIONS: Final = slice(4, 67)
_LEFT_FEET, _RIGHT_FEET = (7, 10), (8, 11)
_CHAINS = (
    (0, 2, 5, 8, 11),
    (0, 1, 4, 7, 10),
    (0, 3, 6, 9, 12, 15),
    (9, 14, 17, 19, 21),
    (9, 13, 16, 18, 20),
)
_REST = (  # direction of the bone that ends in each joint, as HumanML3D has it: arms down
    "  ", "+X", "-X", "+Y", "-Y", "-Y", "+Y", "-Y", "-Y", "+Y", "+Z", "+Z", "+Y", "+X", "-X", "+Z", "-Y", "-Y", "-Y",
    "-Y", "-Y", "-Y",
)  # fmt: skip
_SMOOTHING = 20.0  # sigma of the facing's Gaussian, frames; it reaches 4 sigma, ends repeated


def from_motion(motion: Motion) -> Tensor:
    """A Motion -> (T, 263), one row less than it has frames at 20 fps.

    Raises:
        ValueError: not SMPL-22, or less than two frames at 20 fps.
    """
    if motion.skeleton.parents != SMPL_22_PARENTS:
        raise ValueError(
            f"HumanML3D's features need the 22 SMPL joints; this skeleton has {motion.skeleton.num_joints}: retarget"
        )
    return from_joints(motion.resample(HUMANML3D_FPS).joints())


def from_joints(joints: Tensor) -> Tensor:
    """(T, 22, 3) world positions at 20 fps, metres -> (T - 1, 263)."""
    if joints.ndim != 3 or joints.shape[1:] != (_NUM_JOINTS, 3) or len(joints) < 2:
        raise ValueError(
            f"joints {tuple(joints.shape)}; expected (T, 22, 3) with two frames or more"
        )
    joints = _started(joints.double())
    facing = _facing(joints)
    step = torch.diff(joints, dim=0)
    turn = facing[1:] @ facing[:-1].transpose(-1, -2)
    half_turn = torch.atan2(turn[:, 0, 2], turn[:, 2, 2]) / 2
    root_velocity = (facing[1:] @ step[:, 0, :, None])[:, [0, 2], 0]
    centred = joints - joints[:, :1] * joints.new_tensor([1.0, 0.0, 1.0])
    local = torch.einsum("tij,tkj->tki", facing, centred)
    velocity = torch.einsum("tij,tkj->tki", facing[:-1], step)
    moved = step.square().sum(-1)
    contacts = (moved[:, [*_LEFT_FEET, *_RIGHT_FEET]] < CONTACT_THRESHOLD).to(joints)
    return torch.cat(
        (
            half_turn[:, None],
            root_velocity,
            local[:-1, 0, 1:2],
            local[:-1, 1:].flatten(1),
            _rotations(joints, facing)[:-1, 1:, :, :2].transpose(-1, -2).flatten(1),
            velocity.flatten(1),
            contacts,
        ),
        dim=1,
    )


def to_joints(features: Tensor) -> Tensor:
    """(T, 263) -> (T, 22, 3) world positions, metres, starting at x = z = 0 and facing +Z."""
    features = features.double()
    angle = torch.cumsum(F.pad(features[:-1, 0], (1, 0)), dim=0) * 2
    back = yaw_matrix(-angle)  # from the facing of a frame to the world
    velocity = F.pad(features[:-1, 1:3], (0, 0, 1, 0))
    velocity = torch.stack((velocity[:, 0], torch.zeros_like(angle), velocity[:, 1]), dim=-1)
    path = torch.cumsum((back @ velocity[..., None])[..., 0], dim=0)
    local = features[:, _POSITIONS].unflatten(1, (_NUM_JOINTS - 1, 3))
    body = torch.einsum("tij,tkj->tki", back, local) + path[:, None]
    root = torch.stack((path[:, 0], features[:, 3], path[:, 2]), dim=-1)
    return torch.cat((root[:, None], body), dim=1)


def to_motion(features: Tensor, *, name: str = "") -> Solution:
    """(T, 263) -> a Motion at 20 fps by inverse kinematics, on bones of the lengths in it, soles on the floor."""
    solution = solve(to_joints(features), HUMANML3D_FPS, name=name)
    motion = solution.motion
    lift = motion.root.new_tensor([0.0, motion.skeleton.foot_joint_height, 0.0])
    return Solution(
        Motion(motion.rotations, motion.root + lift, motion.fps, motion.skeleton, name),
        solution.residual,
    )


def _started(joints: Tensor) -> Tensor:
    """The clip on the floor, its root at x = z = 0 and facing +Z in the first frame."""
    start = torch.stack((joints[0, 0, 0], joints[..., 1].min(), joints[0, 0, 2]))
    across = (joints[0, 2] - joints[0, 1]) + (joints[0, 17] - joints[0, 16])
    forward = torch.linalg.cross(across.new_tensor([0.0, 1.0, 0.0]), across)
    turn = rotation_between(forward, forward.new_tensor([0.0, 0.0, 1.0]))
    return (joints - start) @ turn.T


def _facing(joints: Tensor) -> Tensor:
    """(T, 3, 3): the yaw that turns each frame to face +Z."""
    across = (joints[:, 1] - joints[:, 2]) + (joints[:, 17] - joints[:, 16])
    across = F.normalize(across, dim=-1, eps=1e-9)
    forward = torch.linalg.cross(across.new_tensor([0.0, 1.0, 0.0]).expand_as(across), across)
    forward = _smoothed(forward)
    angle = torch.atan2(forward[:, 0], forward[:, 2])
    angle = torch.cat((torch.zeros_like(angle[:1]), angle[1:]))
    return yaw_matrix(-angle)


def _smoothed(values: Tensor) -> Tensor:
    """(T, C) under the Gaussian of `_SMOOTHING`, the first and last values repeated."""
    reach = math.ceil(4 * _SMOOTHING)
    steps = torch.arange(-reach, reach + 1, dtype=values.dtype)
    kernel = torch.exp(-0.5 * (steps / _SMOOTHING) ** 2)
    padded = torch.cat((values[:1].expand(reach, -1), values, values[-1:].expand(reach, -1)))
    return F.conv1d(padded.T[:, None], (kernel / kernel.sum())[None, None])[:, 0].T


def _rotations(joints: Tensor, facing: Tensor) -> Tensor:
    """(T, 22, 3, 3) of HumanML3D's inverse kinematics: each bone's smallest turn from its rest direction."""
    result = torch.eye(3, dtype=joints.dtype).repeat(len(joints), _NUM_JOINTS, 1, 1)
    result[:, 0] = facing
    for chain in _CHAINS:
        above = facing
        for parent, joint in itertools.pairwise(chain):
            rest = joints.new_zeros(3)
            rest["XYZ".index(_REST[joint][1])] = 1.0 if _REST[joint][0] == "+" else -1.0
            bone = joints[:, joint] - joints[:, parent]
            turned = rotation_between(rest.expand_as(bone), bone)
            result[:, joint] = above.transpose(-1, -2) @ turned
            above = turned
    return result

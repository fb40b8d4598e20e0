"""What is known of people who stand, against what landmarks get wrong: knees that seem bent towards the camera, soles
that seem to point down, a picture whose vertical is not the world's.

Shapes: T frames, 33 landmarks, J = 22 joints. World: metres, x to the right of the picture, Y up, z towards the camera.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from motionmill.motion.rotations import rotation_between, slerp
from motionmill.motion.skeleton import (
    SMPL_22_NAMES,
    SMPL_22_PARENTS,
    adult_skeleton,
    local_to_world_rotations,
    world_to_local_rotations,
)
from motionmill.video.landmark_filter import Array
from motionmill.video.landmarks import LANDMARKS

_MOST_LEAN: Final = 0.45  # largest correction of gravity, radians
_STRAIGHT: Final = (
    0.9  # cosine between thigh and shin, and between trunk and legs, of somebody who stands
)
_FEWEST_STANDING: Final = 0.1  # share of frames
_EXTENDED: Final = 0.95  # of a leg's longest extension in the picture
_LONGEST: Final = 0.9  # share of frames in which a leg is shorter than what is taken as its longest
_LEAST_LEG: Final = (
    1.25  # of the trunk (shoulders to hips): legs that never seem so long are never stretched
)
_LEAST_BEND: Final = 0.015  # of a knee before the line from hip to ankle, metres
_LEVELLED: Final = (
    0.5,
    0.9,
)  # angle of a resting sole to the floor: levelled below, left alone above, radians


def with_straight_legs(world: Array) -> Array:
    """Landmarks (T, 33, 3) whose legs, where they are stretched in the picture, are stretched in depth too.

    The depth of knees and ankles has a bias along the way that a body faces: legs of somebody who stands and faces the
    camera come out bent. The bias is measured over the frames in which a leg has its full length in the picture,
    and taken away in all.
    """
    points = {name: world[:, index] for index, name in enumerate(LANDMARKS)}
    trunk = (
        points["left_shoulder"]
        + points["right_shoulder"]
        - points["left_hip"]
        - points["right_hip"]
    ) / 2
    across = points["left_hip"] - points["right_hip"]
    facing = np.cross(across, trunk)
    towards = facing[:, 2] / np.maximum(
        np.linalg.norm(facing, axis=1), 1e-9
    )  # cosine to the camera
    tall = float(np.median(np.linalg.norm(trunk, axis=1)))
    straight = world.copy()
    for side in ("left", "right"):
        hip, knee, ankle = (points[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
        extent = np.linalg.norm((ankle - hip)[:, :2], axis=1)
        longest = float(np.quantile(extent, _LONGEST))
        stretched = extent > _EXTENDED * longest
        if longest < _LEAST_LEG * tall:
            continue
        # Where the knee would be on the line from hip to ankle, at the height where it is seen.
        share = np.sum((knee - hip)[:, :2] * (ankle - hip)[:, :2], axis=1) / np.maximum(
            extent**2, 1e-9
        )
        off = knee[:, 2] - hip[:, 2] - share * (ankle - hip)[:, 2]
        weight = stretched * towards
        bias = float((weight * off).sum() / ((weight * towards).sum() + 0.02 * len(off)))
        straight[:, LANDMARKS.index(f"{side}_knee"), 2] -= bias * towards
    return _with_forward_knees(straight, across)


def _with_forward_knees(world: Array, across: Array) -> Array:
    """Landmarks whose knees are at least a little before the line from hip to ankle.

    Args:
        world: (T, 33, 3).
        across: (T, 3) from the right hip to the left one.
    """
    bent = world.copy()
    across = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    for side in ("left", "right"):
        hip, knee, ankle = (LANDMARKS.index(f"{side}_{name}") for name in ("hip", "knee", "ankle"))
        leg = world[:, ankle] - world[:, hip]
        leg = leg / np.maximum(np.linalg.norm(leg, axis=1, keepdims=True), 1e-9)
        front = np.cross(leg, across)  # short where the leg is stretched out sideways
        before = np.sum((world[:, knee] - world[:, hip]) * front, axis=1)
        lacking = np.maximum(_LEAST_BEND - before, 0)
        bent[:, knee] += lacking[:, None] * front
    return bent


def gravity(joints: Tensor) -> tuple[Tensor, bool]:
    """The rotation (3, 3) after which people who stand are upright, and whether enough of them stand to tell.

    Args:
        joints: (T, 22, 3) Y roughly up.
    """
    joint = adult_skeleton().index
    hips = joints[:, [joint("left_hip"), joint("right_hip")]]
    knees = joints[:, [joint("left_knee"), joint("right_knee")]]
    ankles = joints[:, [joint("left_ankle"), joint("right_ankle")]]
    thighs, shins = F.normalize(hips - knees, dim=-1), F.normalize(knees - ankles, dim=-1)
    straight = (thighs * shins).sum(-1)
    bearing = ankles[torch.arange(len(joints)), straight.argmax(dim=1)]  # of the straighter leg
    neck = joints[:, joint("neck")]
    trunk = F.normalize(neck - joints[:, 0], dim=-1)
    leg = F.normalize(joints[:, 0] - bearing, dim=-1)
    standing = (straight.amax(dim=1) > _STRAIGHT) & ((trunk * leg).sum(-1) > _STRAIGHT)
    identity = torch.eye(3, dtype=joints.dtype)
    if float(standing.double().mean()) < _FEWEST_STANDING:
        return identity, False
    axis = F.normalize(0.6 * joints[:, 0] + 0.4 * neck - ankles.mean(dim=1), dim=-1)
    up = F.normalize(axis[standing].median(dim=0).values, dim=-1)
    if float(torch.arccos(up[1].clamp(-1, 1))) > _MOST_LEAN:
        return identity, False
    return rotation_between(up[None], up.new_tensor([[0.0, 1.0, 0.0]]))[0], True


def level_feet(rotations: Tensor, rest: Tensor) -> Tensor:
    """Local rotations (T, 22, 3, 3) whose feet are level where they rest.

    Args:
        rotations: local.
        rest: (T, 2) how much the left and the right foot rest, 0..1.
    """
    world = local_to_world_rotations(rotations, SMPL_22_PARENTS).clone()
    up = world.new_tensor([0.0, 1.0, 0.0])
    for column, side in enumerate(("left", "right")):
        ankle, foot = (SMPL_22_NAMES.index(f"{side}_{name}") for name in ("ankle", "foot"))
        tilted = world[:, ankle, :, 1]
        level = rotation_between(tilted, up.expand_as(tilted)) @ world[:, ankle]
        angle = torch.arccos(tilted[:, 1].clamp(-1, 1))
        share = ((_LEVELLED[1] - angle) / (_LEVELLED[1] - _LEVELLED[0])).clamp(0, 1)
        turned = slerp(world[:, ankle], level, share * rest[:, column])
        world[:, ankle] = world[:, foot] = turned
    return world_to_local_rotations(world, SMPL_22_PARENTS)

"""Landmarks in space -> rotations of our skeleton: bone directions, and turns about bones from planes of the body.

Shapes: T frames, 33 landmarks (`landmarks.LANDMARKS`), J = 22 joints. World: metres, x to the right of the picture, Y
up, z towards the camera; a person who faces the camera upright has the axes of our rest pose.

Hips and shoulders give the frames of pelvis and chest; limbs take the directions between landmarks on bones of constant
length; elbows and knees bend about their hinges (`motion.inverse_kinematics`). Face, palms and soles, planes of their
own, turn the head, the hands with the forearms, and the feet.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from motionmill.motion.inverse_kinematics import solve
from motionmill.motion.rotations import (
    matrix_from_axis_angle,
    matrix_to_axis_angle,
    matrix_to_quaternion,
    rotation_between,
    slerp,
)
from motionmill.motion.skeleton import (
    SMPL_22_NAMES,
    SMPL_22_PARENTS,
    adult_skeleton,
    world_to_local_rotations,
)
from motionmill.video.landmarks import LANDMARKS

_MOST_HEAD: Final = 1.2  # turn of the head against the chest, radians
_MOST_HAND: Final = 1.4  # of a hand against its forearm
_MOST_FOOT: Final = 1.2  # of a foot against its shin
_NOSE_BELOW: Final = 0.25  # angle by which the nose is lower than the ears on a level head, radians
_PALM_SEEN: Final = (
    0.5,
    0.8,
)  # visibility of a hand from which its palm is believed a little, and wholly
_LIMBS: Final = (  # joint, its parent, landmarks between which it lies
    ("knee", "hip", "hip", "knee"),
    ("ankle", "knee", "knee", "ankle"),
    ("elbow", "shoulder", "shoulder", "elbow"),
    ("wrist", "elbow", "elbow", "wrist"),
)


def lift(world: Tensor, visibility: Tensor, fps: float) -> Tensor:
    """Local rotations of the adult skeleton.

    Args:
        world: (T, 33, 3) landmarks, float64.
        visibility: (T, 33) 0..1.
        fps: frames per second.

    Returns:
        (T, 22, 3, 3) parent-relative rotations, the root's in the frame of the landmarks.
    """
    points = {name: world[:, index] for index, name in enumerate(LANDMARKS)}
    pelvis, chest = _trunk(points)
    head = _head(points, chest)
    positions = _positions(points, pelvis, chest, head)
    solution = solve(positions, fps)
    turns = list(solution.motion.world_rotations().unbind(dim=1))
    joint = {name: index for index, name in enumerate(SMPL_22_NAMES)}
    turns[joint["head"]] = head
    turns[joint["neck"]] = slerp(chest, head, chest.new_tensor([0.5]).expand(len(chest)))
    for side in ("left", "right"):
        elbow, wrist = joint[f"{side}_elbow"], joint[f"{side}_wrist"]
        seen = visibility[:, [LANDMARKS.index(f"{side}_{name}") for name in ("index", "pinky")]]
        turns[elbow], turns[wrist] = _hand(points, side, turns[elbow], seen.amin(dim=1))
        shin = turns[joint[f"{side}_knee"]]
        turns[joint[f"{side}_ankle"]] = foot = _foot(points, side, shin)
        turns[joint[f"{side}_foot"]] = foot
    return world_to_local_rotations(torch.stack(turns, dim=1), SMPL_22_PARENTS)


def _trunk(points: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """World rotations (T, 3, 3) of pelvis and chest."""
    hips = (points["left_hip"] + points["right_hip"]) / 2
    shoulders = (points["left_shoulder"] + points["right_shoulder"]) / 2
    up = F.normalize(shoulders - hips, dim=-1)
    pelvis = _frame(x=points["left_hip"] - points["right_hip"], y=up, keep="x")
    chest = _frame(x=points["left_shoulder"] - points["right_shoulder"], y=up, keep="y")
    rest = adult_skeleton().rest_joints.to(up)
    middles = [
        rest[[SMPL_22_NAMES.index(f"{side}_{name}") for side in ("left", "right")]].mean(dim=0)
        for name in ("hip", "shoulder")
    ]
    # In the rest pose the line from hips to shoulders leans back a little.
    upright = rotation_between(middles[1] - middles[0], up.new_tensor([0.0, 1.0, 0.0]))
    return pelvis @ upright, chest @ upright


def _head(points: dict[str, Tensor], chest: Tensor) -> Tensor:
    """World rotation of the head: ears, eyes, mouth and nose."""
    ears = (points["left_ear"] + points["right_ear"]) / 2
    eyes = (points["left_eye"] + points["right_eye"]) / 2
    mouth = (points["mouth_left"] + points["mouth_right"]) / 2
    across = F.normalize(points["left_ear"] - points["right_ear"], dim=-1)
    by_face = torch.linalg.cross(across, F.normalize(eyes - mouth, dim=-1))
    nose = F.normalize(points["nose"] - ears, dim=-1)
    by_nose = (matrix_from_axis_angle(-_NOSE_BELOW * across) @ nose[..., None])[..., 0]
    head = _frame(x=across, z=by_face + by_nose, keep="x")
    return chest @ _limited(chest.mT @ head, _MOST_HEAD)


def _positions(points: dict[str, Tensor], pelvis: Tensor, chest: Tensor, head: Tensor) -> Tensor:
    """(T, 22, 3) joints of the adult skeleton in the pose of the landmarks, the pelvis at the origin."""
    skeleton = adult_skeleton()
    offsets = dict(zip(SMPL_22_NAMES, skeleton.offsets.to(pelvis), strict=True))
    third = pelvis.new_tensor([1 / 3]).expand(len(pelvis))
    half = pelvis.new_tensor([0.5]).expand(len(pelvis))
    places = {"pelvis": torch.zeros_like(pelvis[:, 0])}

    def put(name: str, parent: str, rotation: Tensor) -> None:
        places[name] = places[parent] + rotation @ offsets[name]

    put("spine1", "pelvis", pelvis)
    put("spine2", "spine1", slerp(pelvis, chest, third))
    put("spine3", "spine2", slerp(pelvis, chest, 2 * third))
    put("neck", "spine3", chest)
    put("head", "neck", slerp(chest, head, half))
    for side in ("left", "right"):
        put(f"{side}_hip", "pelvis", pelvis)
        put(f"{side}_collar", "spine3", chest)
        put(f"{side}_shoulder", f"{side}_collar", chest)
        for name, parent, start, end in _LIMBS:
            bone = F.normalize(points[f"{side}_{end}"] - points[f"{side}_{start}"], dim=-1)
            length = offsets[f"{side}_{name}"].norm()
            places[f"{side}_{name}"] = places[f"{side}_{parent}"] + length * bone
        sole = F.normalize(points[f"{side}_foot_index"] - points[f"{side}_heel"], dim=-1)
        shin = F.normalize(points[f"{side}_ankle"] - points[f"{side}_knee"], dim=-1)
        down = F.normalize(shin - (shin * sole).sum(-1, keepdim=True) * sole, dim=-1)
        foot = offsets[f"{side}_foot"]
        places[f"{side}_foot"] = places[f"{side}_ankle"] + foot[2] * sole - foot[1] * down
    return torch.stack([places[name] for name in SMPL_22_NAMES], dim=1)


def _hand(
    points: dict[str, Tensor], side: str, elbow: Tensor, seen: Tensor
) -> tuple[Tensor, Tensor]:
    """World rotations of elbow and wrist: half of the palm's turn about the forearm is the forearm's own."""
    fingers = (points[f"{side}_index"] + points[f"{side}_pinky"]) / 2 - points[f"{side}_wrist"]
    outwards = 1.0 if side == "left" else -1.0
    across = points[f"{side}_index"] - points[f"{side}_pinky"]
    hand = _frame(x=outwards * fingers, z=across, keep="x")
    belief = ((seen - _PALM_SEEN[0]) / (_PALM_SEEN[1] - _PALM_SEEN[0])).clamp(0, 1)
    turn = _limited(elbow.mT @ hand, _MOST_HAND, belief)
    quaternion = matrix_to_quaternion(turn)
    twist = 2 * torch.atan2(quaternion[..., 0], quaternion[..., 3])
    twist = torch.remainder(twist + torch.pi, 2 * torch.pi) - torch.pi
    axis = torch.zeros_like(fingers)
    axis[:, 0] = twist / 2
    return elbow @ matrix_from_axis_angle(axis), elbow @ turn


def _foot(points: dict[str, Tensor], side: str, shin: Tensor) -> Tensor:
    """World rotation of an ankle: the sole from heel to toes, level with the knee's hinge."""
    sole = points[f"{side}_foot_index"] - points[f"{side}_heel"]
    foot = _frame(x=shin[:, :, 0], z=sole, keep="z")
    return shin @ _limited(shin.mT @ foot, _MOST_FOOT)


def _frame(*, x: Tensor, y: Tensor | None = None, z: Tensor | None = None, keep: str) -> Tensor:
    """(T, 3, 3) right-handed axes from two directions (T, 3), of which the one named `keep` stays as it is."""
    if y is None:
        assert z is not None
        if keep == "x":
            x = F.normalize(x, dim=-1)
            y = F.normalize(torch.linalg.cross(z, x), dim=-1)
        else:
            y = F.normalize(torch.linalg.cross(z, x), dim=-1)
            x = torch.linalg.cross(y, F.normalize(z, dim=-1))
        return torch.stack((x, y, torch.linalg.cross(x, y)), dim=-1)
    z = F.normalize(torch.linalg.cross(x, y), dim=-1)
    if keep == "x":
        x = F.normalize(x, dim=-1)
        return torch.stack((x, torch.linalg.cross(z, x), z), dim=-1)
    y = F.normalize(y, dim=-1)
    return torch.stack((torch.linalg.cross(y, z), y, z), dim=-1)


def _limited(turn: Tensor, most: float, belief: Tensor | None = None) -> Tensor:
    """Rotations (T, 3, 3) by at most so many radians; with a belief (T,) that share of them."""
    vector = matrix_to_axis_angle(turn)
    angle = vector.norm(dim=-1, keepdim=True).clamp(min=1e-9)
    # Towards the limit a turn is held back softly; the half turn, whose axis is not defined, comes to nothing.
    flipped = ((torch.pi - angle) / 0.5).clamp(0, 1)
    goal = most * torch.tanh(angle / most) * flipped
    if belief is not None:
        goal = goal * belief[:, None]
    return matrix_from_axis_angle(vector / angle * goal)

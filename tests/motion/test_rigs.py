"""Recognition of rigs by joint names and rest pose."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from motionmill.motion import rigs
from motionmill.motion.rotations import yaw_matrix
from motionmill.motion.skeleton import Skeleton, adult_skeleton

MIXAMO = {
    "pelvis": "Hips", "spine1": "Spine", "spine2": "Spine1", "spine3": "Spine2", "neck": "Neck", "head": "Head",
    "collar": "Shoulder", "shoulder": "Arm", "elbow": "ForeArm", "wrist": "Hand", "hip": "UpLeg", "knee": "Leg",
    "ankle": "Foot", "foot": "ToeBase",
}  # fmt: skip


def renamed(prefix: str = "") -> Skeleton:
    names = []
    for name in adult_skeleton().names:
        side, _, part = name.rpartition("_")
        names.append(prefix + side.capitalize() + MIXAMO[part])
    return replace(adult_skeleton(), names=tuple(names))


@pytest.mark.parametrize(
    "prefix", ["", "mixamorig:", "mixamorig12:", "Character1_", "Armature|Root:"]
)
def test_names_are_recognised_with_any_prefix(prefix: str) -> None:
    rig = rigs.recognise(renamed(prefix))
    assert rig.name == "mixamo"
    assert rig.joints["left_elbow"] == adult_skeleton().index("left_elbow")
    assert rig.spine == (3, 6, 9)


def test_biped_names_are_recognised() -> None:
    parts = {
        "pelvis": "Pelvis", "spine1": "Spine", "spine2": "Spine1", "spine3": "Spine2", "neck": "Neck", "head": "Head",
        "collar": "Clavicle", "shoulder": "UpperArm", "elbow": "Forearm", "wrist": "Hand", "hip": "Thigh",
        "knee": "Calf", "ankle": "Foot", "foot": "Toe0",
    }  # fmt: skip
    sides = {"left": "L ", "right": "R ", "": ""}
    split = [name.rpartition("_") for name in adult_skeleton().names]
    names = tuple(f"Bip01 {sides[side]}{parts[part]}" for side, _, part in split)
    rig = rigs.recognise(replace(adult_skeleton(), names=names))
    assert (rig.name, rig.spine, len(rig.joints)) == ("biped", (3, 6, 9), 19)


def test_our_own_skeleton_is_recognised() -> None:
    rig = rigs.recognise(adult_skeleton())
    assert rig.name == "smpl"
    assert rigs.leg_length(rig, adult_skeleton()) == pytest.approx(adult_skeleton().leg_length)
    torch.testing.assert_close(rig.rest, torch.eye(3, dtype=torch.float64).expand(22, 3, 3))


@pytest.mark.parametrize("angle", [0.0, 1.5707963, -1.5707963, 3.14159265])
def test_the_rest_pose_may_face_anywhere(angle: float) -> None:
    turn = yaw_matrix(torch.tensor(angle, dtype=torch.float64))
    skeleton = replace(adult_skeleton(), offsets=adult_skeleton().offsets @ turn.T)
    rest = rigs.recognise(skeleton).rest
    torch.testing.assert_close(rest[0] @ turn, torch.eye(3, dtype=torch.float64), atol=1e-6, rtol=0)


def test_a_z_up_rest_pose_stands_along_z() -> None:
    z_up = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]], dtype=torch.float64)
    skeleton = replace(adult_skeleton(), offsets=adult_skeleton().offsets @ z_up.T)
    assert rigs.recognise(skeleton).up.tolist() == [0, 0, 1]


def test_unknown_names_say_what_is_missing() -> None:
    names = tuple("x" + name if "knee" in name else name for name in adult_skeleton().names)
    parents = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 12, 12, 12, 12, 12, 12)  # no arms
    skeleton = replace(adult_skeleton(), names=names, parents=parents)
    with pytest.raises(ValueError, match="closest to smpl, which lacks left_knee, right_knee"):
        rigs.recognise(skeleton)


def test_a_zero_pose_that_is_no_person_is_refused() -> None:
    along_x = adult_skeleton().offsets.norm(dim=-1)[:, None] * torch.tensor([1.0, 0, 0])
    with pytest.raises(ValueError, match="zero pose is no T-pose"):
        rigs.recognise(replace(adult_skeleton(), offsets=along_x))

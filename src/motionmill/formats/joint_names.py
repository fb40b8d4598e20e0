"""SMPL-22 joint names -> what other tools call the same joints: Mixamo, the Unreal mannequin, Unity's humanoid."""

from __future__ import annotations

from motionmill.motion.skeleton import SMPL_22_NAMES, Skeleton

_TRUNK = ("pelvis", "spine1", "spine2", "spine3", "neck", "head")
_LIMBS = ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist")

# For each preset the trunk's names, the limbs' names with "?" for the side, and what "?" is on the left and right.
_PRESETS = {
    "mixamo": (
        tuple(f"mixamorig:{name}" for name in ("Hips", "Spine", "Spine1", "Spine2", "Neck", "Head")),
        tuple(
            f"mixamorig:?{name}"
            for name in ("UpLeg", "Leg", "Foot", "ToeBase", "Shoulder", "Arm", "ForeArm", "Hand")
        ),
        ("Left", "Right"),
    ),
    "unreal": (
        ("pelvis", "spine_01", "spine_02", "spine_03", "neck_01", "head"),
        (
            "thigh_?", "calf_?", "foot_?", "ball_?", "clavicle_?", "upperarm_?", "lowerarm_?", "hand_?",
        ),
        ("l", "r"),
    ),
    "unity": (
        ("Hips", "Spine", "Chest", "UpperChest", "Neck", "Head"),
        (
            "?UpperLeg", "?LowerLeg", "?Foot", "?Toes", "?Shoulder", "?UpperArm", "?LowerArm", "?Hand",
        ),
        ("Left", "Right"),
    ),
}  # fmt: skip
PRESETS = ("smpl", *_PRESETS)


def joint_names(skeleton: Skeleton, preset: str = "smpl") -> tuple[str, ...]:
    """The names of a skeleton's joints under a preset, in the skeleton's order; "smpl" leaves them as they are.

    Raises:
        ValueError: unknown preset, or one for SMPL-22 on another skeleton.
    """
    if preset == "smpl":
        return skeleton.names
    if preset not in _PRESETS:
        raise ValueError(f"joint names {preset!r}; expected one of {', '.join(PRESETS)}")
    if skeleton.names != SMPL_22_NAMES:
        raise ValueError(
            f"joint names {preset!r} are for SMPL-22; this skeleton has {skeleton.num_joints} joints "
            f"({', '.join(skeleton.names[:4])} ...): retarget the motion first"
        )
    trunk, limbs, sides = _PRESETS[preset]
    known = dict(zip(_TRUNK, trunk, strict=True))
    for smpl, name in zip(_LIMBS, limbs, strict=True):
        for side, letter in zip(("left", "right"), sides, strict=True):
            known[f"{side}_{smpl}"] = name.replace("?", letter)
    return tuple(known[name] for name in SMPL_22_NAMES)

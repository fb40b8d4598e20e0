"""Joint names of a skeleton -> which of them are the SMPL-22 joints, and the axes of rigs whose zero pose is no T-pose.

A rig is recognised by its joint names and by its rest pose alone, so that a stranger's file needs no option.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from motionmill.motion.skeleton import SMPL_22_NAMES, Skeleton

SIDES = ("left", "right")
REQUIRED = (
    "pelvis", *(f"{side}_{part}" for side in SIDES for part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist"))
)  # fmt: skip


@dataclass(frozen=True)
class Naming:
    """How a family of rigs names its joints, after `_plain`; "?" stands for the letter or word of the side.

    Attributes:
        name: of the family.
        sides: what "?" becomes for left and right.
        joints: SMPL-22 part (pelvis, neck, head, hip, knee, ... without side) -> accepted names, the best first.
        spine: joints between pelvis and neck, from below; any of them may be missing.
    """

    name: str
    sides: tuple[str, str]
    joints: Mapping[str, tuple[str, ...]]
    spine: tuple[str, ...]


@dataclass(frozen=True)
class Rig:
    """A recognised skeleton.

    Attributes:
        name: of the rig or of the family of its names.
        joints: SMPL-22 name -> joint index; the spine is in `spine`. Collars, feet, neck and head may be missing.
        spine: indices of the joints between pelvis and neck, from below.
        rest: (J, 3, 3) world rotation of each joint in a T-pose that faces +Z.
        standing: whether the zero pose itself stands like a T-pose.
        foot_drop: how far the bone from ankle to foot joint points down when the foot is flat, radians; None where
            the foot is flat in the rest pose.
    """

    name: str
    joints: Mapping[str, int]
    spine: tuple[int, ...]
    rest: Tensor
    standing: bool = True
    foot_drop: float | None = None


@dataclass(frozen=True)
class _Axes:
    """Where local X, Y and Z point in the T-pose, for a rig whose zero pose is none: "+Y -X +Z" for each part of the body."""

    name: str
    parts: Mapping[str, str]
    foot_drop_degrees: float | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


_MIXAMO = {
    "pelvis": ("hips",),
    "neck": ("neck",),
    "head": ("head",),
    "collar": ("?shoulder", "?shoulder1"),
    "shoulder": ("?arm",),
    "elbow": ("?forearm",),
    "wrist": ("?hand",),
    "hip": ("?upleg",),
    "knee": ("?leg",),
    "ankle": ("?foot",),
    "foot": ("?toebase", "?toe", "?toes"),
}

NAMINGS = (
    Naming(
        "smpl",
        ("left", "right"),
        {
            part: (part if part in SMPL_22_NAMES else f"?{part}",)
            for part in ("pelvis", "neck", "head", "collar", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "foot")
        },
        ("spine1", "spine2", "spine3"),
    ),
    Naming(
        "mixamo", ("left", "right"), _MIXAMO, ("lowerback", "spine", "chest", "spine1", "spine2", "spine3")
    ),
    Naming(
        "asf",
        ("l", "r"),
        {
            "pelvis": ("root",), "neck": ("lowerneck",), "head": ("head",), "collar": ("?clavicle",),
            "shoulder": ("?humerus",), "elbow": ("?radius",), "wrist": ("?wrist",), "hip": ("?femur",),
            "knee": ("?tibia",), "ankle": ("?foot",), "foot": ("?toes",),
        },
        ("lowerback", "upperback", "thorax"),
    ),
    Naming(
        "bandai",
        ("l", "r"),
        {
            "pelvis": ("hips",), "neck": ("neck",), "head": ("head",), "collar": ("shoulder?",),
            "shoulder": ("upperarm?",), "elbow": ("lowerarm?",), "wrist": ("wrist?", "hand?"), "hip": ("upperleg?",),
            "knee": ("lowerleg?",), "ankle": ("foot?",), "foot": ("toes?",),
        },
        ("spine", "chest"),
    ),
    Naming(
        "motionbuilder",
        ("left", "right"),
        {
            "pelvis": ("hips",), "neck": ("lowerneck", "neck"), "head": ("head",), "collar": ("?collar",),
            "shoulder": ("?shoulder",), "elbow": ("?elbow",), "wrist": ("?wrist",), "hip": ("?hip",),
            "knee": ("?knee",), "ankle": ("?ankle",), "foot": ("?toe",),
        },
        ("lowerback", "chest", "chest2", "chest3", "chest4"),
    ),
    Naming(
        "deepmimic",
        ("left", "right"),
        {
            "pelvis": ("root",), "neck": ("neck",), "shoulder": ("?shoulder",), "elbow": ("?elbow",),
            "wrist": ("?wrist",), "hip": ("?hip",), "knee": ("?knee",), "ankle": ("?ankle",),
        },
        ("chest",),
    ),
    Naming(
        "poser",
        ("l", "r"),
        {
            "pelvis": ("hip",), "neck": ("neck",), "head": ("head",), "collar": ("?collar",),
            "shoulder": ("?shldr",), "elbow": ("?forearm",), "wrist": ("?hand",), "hip": ("?thigh",),
            "knee": ("?shin",), "ankle": ("?foot",), "foot": ("?toe",),
        },
        ("abdomen", "chest"),
    ),
    Naming(
        "unreal",
        ("l", "r"),
        {
            "pelvis": ("pelvis",), "neck": ("neck01",), "head": ("head",), "collar": ("clavicle?",),
            "shoulder": ("upperarm?",), "elbow": ("lowerarm?",), "wrist": ("hand?",), "hip": ("thigh?",),
            "knee": ("calf?",), "ankle": ("foot?",), "foot": ("ball?",),
        },
        ("spine01", "spine02", "spine03"),
    ),
    Naming(
        "rigify",
        ("l", "r"),
        {
            "pelvis": ("hips", "spine"), "neck": ("neck",), "head": ("head",), "collar": ("shoulder?",),
            "shoulder": ("upperarm?",), "elbow": ("forearm?",), "wrist": ("hand?",), "hip": ("thigh?",),
            "knee": ("shin?",), "ankle": ("foot?",), "foot": ("toe?",),
        },
        ("spine001", "spine002", "spine003"),
    ),
)  # fmt: skip

# Rigs whose bones run along one local axis: where local X, Y and Z point in a T-pose that faces +Z with the left on +X.
# Bone axes come from the offsets, twists from the hinge axes of knees and elbows over real clips.
_AXES = (
    _Axes(
        "bandai",
        {
            "pelvis": "+Y -X +Z", "trunk": "+Y +Z +X", "left_arm": "+X +Y +Z", "right_arm": "+X -Y -Z",
            "left_leg": "-Y +X +Z", "right_leg": "+Y +X -Z", "left_foot": "+Z +X +Y", "right_foot": "-Z +X -Y",
        },
        foot_drop_degrees=39.6,
    ),
    _Axes(
        "snu_basket",
        {
            "pelvis": "+Y +Z +X", "trunk": "+Y +Z +X", "left_arm": "+X +Z -Y", "right_arm": "-X +Z +Y",
            "left_leg": "-Y +Z -X", "right_leg": "-Y +Z -X", "left_foot": "-Y +Z -X", "right_foot": "-Y +Z -X",
        },
    ),
    _Axes(
        "snu_martial_arts",
        {
            "pelvis": "+Y -Z -X", "trunk": "+Y -Z -X", "left_arm": "+X -Z +Y", "right_arm": "+X +Z -Y",
            "left_leg": "+Y -Z -X", "right_leg": "-Y +Z -X", "left_foot": "+Y -Z -X", "right_foot": "-Y +Z -X",
        },
    ),
    _Axes(
        "rokoko",
        {
            "pelvis": "+X +Y +Z", "trunk": "+Y -X +Z", "left_arm": "+X +Y +Z", "right_arm": "-X -Y +Z",
            "left_leg": "-Y +X +Z", "right_leg": "-Y +X +Z", "left_foot": "-Y +X +Z", "right_foot": "-Y +X +Z",
        },
    ),
)  # fmt: skip


def recognise(skeleton: Skeleton) -> Rig:
    """The rig of a skeleton.

    Raises:
        ValueError: unknown joint names (the message lists what is missing), or a rest pose that is no person.
    """
    plain = _plain_names(skeleton.names)
    found = [(naming, _match(naming, plain)) for naming in NAMINGS]
    complete = [
        (naming, joints) for naming, joints in found if all(part in joints for part in REQUIRED)
    ]
    if not complete:
        naming, joints = max(found, key=lambda item: len(item[1]))
        missing = [part for part in REQUIRED if part not in joints]
        raise ValueError(
            f"skeleton with joints {', '.join(skeleton.names[:6])}, ...: unknown rig; the names come closest to "
            f"{naming.name}, which lacks {', '.join(missing)}"
        )
    for naming, joints in complete:
        spine = tuple(plain[name] for name in naming.spine if name in plain)
        turn = body_axes(skeleton.rest_joints, joints)
        if turn is not None:
            rest = turn.expand(skeleton.num_joints, 3, 3)
            return Rig(naming.name, *_with_neck(skeleton.rest_joints, joints, spine), rest)
        for axes in _AXES:
            rest = _rest_rotations(axes, skeleton, joints, spine)
            turn = body_axes(_pose(skeleton, rest), joints)
            if turn is not None and torch.allclose(turn, torch.eye(3, dtype=turn.dtype), atol=0.2):
                drop = axes.foot_drop_degrees
                radians = None if drop is None else float(torch.deg2rad(torch.tensor(drop)))
                return Rig(axes.name, joints, spine, rest, standing=False, foot_drop=radians)
    raise ValueError(
        f"skeleton with joints {', '.join(skeleton.names[:6])}, ...: the zero pose is no T-pose and the axes of this rig "
        "are not known; export it with a T-pose as the rest pose"
    )


def body_axes(positions: Tensor, joints: Mapping[str, int]) -> Tensor | None:
    """The rotation that turns a pose to face +Z upright, from its hips, knees and shoulders; None where it is not standing.

    Args:
        positions: (J, 3).
        joints: SMPL-22 name -> index.

    Returns:
        (3, 3) with entries 0 and ±1 where the pose stands along the coordinate axes within 15 degrees, so that a slightly
        leaning rest pose keeps its lean.
    """
    hips = [positions[joints[f"{side}_hip"]] for side in SIDES]
    knees = [positions[joints[f"{side}_knee"]] for side in SIDES]
    ankles = [positions[joints[f"{side}_ankle"]] for side in SIDES]
    shoulders = [positions[joints[f"{side}_shoulder"]] for side in SIDES]
    trunk = F.normalize(sum(shoulders) - sum(hips), dim=0)  # type: ignore[arg-type]
    legs = [F.normalize(hip - knee, dim=0) for hip, knee in zip(hips, knees, strict=True)]
    shins = [F.normalize(knee - ankle, dim=0) for knee, ankle in zip(knees, ankles, strict=True)]
    left = F.normalize(hips[0] - hips[1], dim=0)
    if min(float(trunk @ bone) for bone in (*legs, *shins)) < 0.7 or abs(float(trunk @ left)) > 0.5:
        return None
    if float(left @ F.normalize(shoulders[0] - shoulders[1], dim=0)) < 0.7:
        return None
    left = F.normalize(left - (left @ trunk) * trunk, dim=0)
    turn = torch.stack((left, trunk, torch.linalg.cross(left, trunk)))
    snapped = turn.round()
    return snapped if float((turn - snapped).norm(dim=-1).max()) < 0.26 else turn


def _with_neck(
    rest: Tensor, joints: dict[str, int], spine: tuple[int, ...]
) -> tuple[dict[str, int], tuple[int, ...]]:
    """The last spine joint serves as the missing neck of a rig where it lies between the shoulders."""
    if "neck" in joints or len(spine) < 2:
        return joints, spine
    shoulders = rest[[joints[f"{side}_shoulder"] for side in SIDES]].mean(dim=0)
    if float((rest[spine[-1]] - shoulders).norm()) > 0.15 * float(
        (rest[joints["pelvis"]] - shoulders).norm()
    ):
        return joints, spine
    return joints | {"neck": spine[-1]}, spine[:-1]


def _plain_names(names: Sequence[str]) -> dict[str, int]:
    """Names without name space, prefix, case and separators -> index; the first of equal ones counts."""
    plain: dict[str, int] = {}
    for index, name in enumerate(names):
        short = name.rsplit(":", 1)[-1]
        short = re.sub(
            r"^(mixamorig\d*|character\d*_|def-|bip\d*_?)", "", short, flags=re.IGNORECASE
        )
        plain.setdefault(re.sub(r"[^a-z0-9]", "", short.lower()), index)
    return plain


def _match(naming: Naming, plain: Mapping[str, int]) -> dict[str, int]:
    """SMPL-22 name -> index of the joints that are there, without the spine."""
    joints: dict[str, int] = {}
    for part, candidates in naming.joints.items():
        for side, letter in zip(SIDES, naming.sides, strict=True):
            smpl = part if part in SMPL_22_NAMES else f"{side}_{part}"
            for candidate in candidates:
                if (name := candidate.replace("?", letter)) in plain and smpl not in joints:
                    joints[smpl] = plain[name]
    return joints


def _rest_rotations(
    axes: _Axes, skeleton: Skeleton, joints: Mapping[str, int], spine: Sequence[int]
) -> Tensor:
    """(J, 3, 3) world rotations of the T-pose; joints that are not mapped follow their parent."""
    part_of = {joints[name]: _part(name) for name in joints} | dict.fromkeys(spine, "trunk")
    rest: list[Tensor] = []
    for joint, parent in enumerate(skeleton.parents):
        if joint in part_of:
            rest.append(_axes_matrix(axes.parts[part_of[joint]]))
        else:
            rest.append(rest[parent] if parent >= 0 else torch.eye(3, dtype=torch.float64))
    return torch.stack(rest)


def _part(smpl: str) -> str:
    side, _, joint = smpl.rpartition("_")
    if joint in ("collar", "shoulder", "elbow", "wrist"):
        return f"{side}_arm"
    if joint in ("hip", "knee"):
        return f"{side}_leg"
    if joint in ("ankle", "foot"):
        return f"{side}_foot"
    return "pelvis" if joint == "pelvis" else "trunk"


def _axes_matrix(axes: str) -> Tensor:
    """ "+Y -X +Z" -> the matrix whose columns are +Y, -X and +Z."""
    matrix = torch.zeros(3, 3, dtype=torch.float64)
    for column, axis in enumerate(axes.split()):
        matrix["XYZ".index(axis[1]), column] = -1.0 if axis[0] == "-" else 1.0
    return matrix


def _pose(skeleton: Skeleton, rest: Tensor) -> Tensor:
    """(J, 3) joint positions with the given world rotations and the root at the origin."""
    positions: list[Tensor] = []
    for parent, offset in zip(skeleton.parents, skeleton.offsets, strict=True):
        positions.append(offset if parent < 0 else positions[parent] + rest[parent] @ offset)
    return torch.stack(positions)

"""A skeleton -> which of its joints are the SMPL-22 joints, and its pose that corresponds to our rest pose.

A rig is recognised by its joint names or by its bones, and by its rest pose, so that a stranger's file needs no option;
a joint map (`joint_map.py`) overrides what is found.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from motionmill.motion import topology
from motionmill.motion.joint_map import JointMap
from motionmill.motion.joint_map import applied as joint_map_applied
from motionmill.motion.rig_tables import AXES, NAMINGS, NEUTRAL, SIDES, Naming
from motionmill.motion.rotations import matrix_from_euler
from motionmill.motion.skeleton import SMPL_22_NAMES, Skeleton

REQUIRED = (
    "pelvis", *(f"{side}_{part}" for side in SIDES for part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist"))
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Rig:
    """A recognised skeleton.

    Attributes:
        name: of the rig or of the family of its names.
        joints: SMPL-22 name -> joint index; the spine is in `spine`. Collars, feet, neck and head may be missing.
        spine: indices of the joints between pelvis and neck, from below.
        rest: (J, 3, 3) world rotation of each joint in the pose that corresponds to our rest pose: facing +Z, arms out,
            elbows bending forward, head level, feet flat.
        up: (3,) direction from hips to head in the zero pose.
        reasons: SMPL-22 name -> why this joint was taken for it.
    """

    name: str
    joints: Mapping[str, int]
    spine: tuple[int, ...]
    rest: Tensor
    up: Tensor
    reasons: Mapping[str, str] = field(default_factory=dict)


def recognise(skeleton: Skeleton, joint_map: JointMap | None = None) -> Rig:
    """The rig of a skeleton: by the names of its joints, else by how its bones hang together.

    Args:
        skeleton: any.
        joint_map: SMPL-22 names (and "spine") -> names of joints, which override what is found.

    Raises:
        ValueError: it cannot be mapped (the message lists what is missing), or its rest pose is no person.
    """
    rig = known_rig(skeleton, joint_map)
    if rig is None:
        raise ValueError(
            f"skeleton with joints {', '.join(skeleton.names[:6])}, ...: the zero pose is no T-pose and the axes of "
            "this rig are not known; export it with a T-pose as the rest pose"
        )
    return rig


def known_rig(skeleton: Skeleton, joint_map: JointMap | None = None) -> Rig | None:
    """The rig of a skeleton whose zero pose stands or whose axes are in the tables, else None.

    Args:
        skeleton: any.
        joint_map: as for `recognise`.

    Raises:
        ValueError: it cannot be mapped; the message lists what is missing.
    """
    return _known_rig(skeleton, tuple(sorted((joint_map or {}).items())))


@functools.lru_cache(maxsize=256)
def _known_rig(
    skeleton: Skeleton, joint_map: tuple[tuple[str, tuple[str, ...]], ...]
) -> Rig | None:
    points = skeleton.rest_joints.double()
    for found in mapped(skeleton, dict(joint_map)):
        turn = body_axes(points, found.joints)
        if turn is not None:
            rest = turn.repeat(skeleton.num_joints, 1, 1)
            joints, spine = _with_neck(points, found.joints, found.spine)
            return _neutral(replace(found, joints=joints, spine=spine, rest=rest, up=turn[1]))
        for name, axes in AXES.items():
            rest = _rest_rotations(axes, skeleton, found.joints, found.spine)
            turn = body_axes(pose(skeleton, rest), found.joints)
            if turn is not None and torch.allclose(turn, torch.eye(3, dtype=turn.dtype), atol=0.2):
                up = torch.tensor([0.0, 1.0, 0.0], dtype=rest.dtype)
                return _neutral(replace(found, name=name, rest=rest, up=up))
    return None


def mapped(skeleton: Skeleton, joint_map: JointMap | None = None) -> list[Rig]:
    """What the joints may be, the likeliest first: rigs without `rest` and `up`, complete otherwise.

    Args:
        skeleton: any.
        joint_map: as for `recognise`.

    Raises:
        ValueError: parts that are needed are missing from all; the message lists those of the closest.
    """
    candidates = _candidates(skeleton)
    if joint_map:
        candidates = [_overridden(candidate, joint_map, skeleton) for candidate in candidates]
    complete = [found for found in candidates if not _missing(found)]
    if not complete:
        best = min(candidates, key=lambda found: len(_missing(found)))
        raise ValueError(
            f"skeleton with joints {', '.join(skeleton.names[:6])}, ...: unknown rig; the names come closest to "
            f"{best.name}, which lacks {', '.join(_missing(best))}; a joint map can name them"
        )
    return complete


def _candidates(skeleton: Skeleton) -> list[Rig]:
    """What the skeleton may be, the surest first; those that are tried by names may be incomplete."""
    plain = _plain_names(skeleton.names)
    nothing = torch.zeros(0)
    result = []
    for naming in NAMINGS:
        if plain.keys() >= set(naming.has) and not plain.keys() & set(naming.lacks):
            joints = _match(naming, plain)
            spine = tuple(plain[name] for name in naming.spine if name in plain)
            reasons = dict.fromkeys(joints, f"name, as in {naming.name} rigs")
            result.append(Rig(naming.name, joints, spine, nothing, nothing, reasons))
    result.sort(key=lambda found: len(_missing(found)) > 0)
    known = bool(result) and not _missing(result[0])
    anatomy = None if known else topology.find(skeleton)
    if anatomy is not None:
        reasons = {part: f"bones: {why}" for part, why in anatomy.reasons.items()}
        result.append(
            Rig("unknown names", anatomy.joints, anatomy.spine, nothing, nothing, reasons)
        )
    return result


def _overridden(found: Rig, joint_map: JointMap, skeleton: Skeleton) -> Rig:
    joints, spine = joint_map_applied(joint_map, skeleton, found.joints, found.spine)
    reasons = {**found.reasons, **dict.fromkeys(joint_map, "joint map")}
    return replace(found, joints=joints, spine=spine, reasons=reasons)


def _missing(found: Rig) -> list[str]:
    return [part for part in REQUIRED if part not in found.joints]


def body_axes(positions: Tensor, joints: Mapping[str, int]) -> Tensor | None:
    """The rotation that turns a pose to face +Z upright, from hips, legs and shoulders; None where it does not stand.

    Args:
        positions: (J, 3).
        joints: SMPL-22 name -> index.

    Returns:
        (3, 3) with entries 0 and ±1 where the pose stands along the coordinate axes within 15 degrees, so that a
        slightly leaning rest pose keeps its lean.
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
    rest: Tensor, joints: Mapping[str, int], spine: tuple[int, ...]
) -> tuple[Mapping[str, int], tuple[int, ...]]:
    """The last spine joint serves as the missing neck of a rig where it lies between the shoulders."""
    if "neck" in joints or len(spine) < 2:
        return joints, spine
    shoulders = rest[[joints[f"{side}_shoulder"] for side in SIDES]].mean(dim=0)
    trunk = float((rest[joints["pelvis"]] - shoulders).norm())
    if float((rest[spine[-1]] - shoulders).norm()) > 0.15 * trunk:
        return joints, spine
    return {**joints, "neck": spine[-1]}, spine[:-1]


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


# Parts whose axes are those of a larger one unless they are listed themselves.
_WITHIN = {"neck": "trunk", "head": "trunk"} | {
    f"{side}_{part}": f"{side}_{larger}"
    for side in SIDES
    for part, larger in (("collar", "arm"), ("hand", "arm"), ("toe", "foot"))
}


def _neutral(rig: Rig) -> Rig:
    """The rig with its rest pose turned from its T-pose to the relaxed stand of `NEUTRAL`."""
    rest = rig.rest.clone()
    for smpl, joint in rig.joints.items():
        part = _part(smpl).removeprefix("left_").removeprefix("right_")
        if part in NEUTRAL.get(rig.name, {}):
            pitch, yaw, roll = NEUTRAL[rig.name][part]
            mirror = -1.0 if smpl.startswith("right_") else 1.0
            rest[joint] = _turn(mirror * yaw, pitch, mirror * roll) @ rest[joint]
    return replace(rig, rest=rest)


@functools.cache
def _turn(yaw: float, pitch: float, roll: float) -> Tensor:
    """(3, 3) turn by degrees about Z, then X, then Y of the world."""
    angles = torch.deg2rad(torch.tensor([yaw, pitch, roll], dtype=torch.float64))
    return matrix_from_euler("YXZ", angles)


def _rest_rotations(
    axes: Mapping[str, str], skeleton: Skeleton, joints: Mapping[str, int], spine: Sequence[int]
) -> Tensor:
    """(J, 3, 3) world rotations of the T-pose; joints that are not mapped follow their parent."""
    part_of = {joints[name]: _part(name) for name in joints} | dict.fromkeys(spine, "trunk")
    rest: list[Tensor] = []
    for joint, parent in enumerate(skeleton.parents):
        if joint in part_of:
            part = part_of[joint]
            rest.append(_axes_matrix(axes.get(part, axes.get(_WITHIN.get(part, ""), "+X +Y +Z"))))
        else:
            rest.append(rest[parent] if parent >= 0 else torch.eye(3, dtype=torch.float64))
    return torch.stack(rest)


def _part(smpl: str) -> str:
    """The part of `AXES` and `NEUTRAL` that an SMPL-22 joint belongs to."""
    side, _, joint = smpl.rpartition("_")
    groups = {"collar": "collar", "shoulder": "arm", "elbow": "arm", "wrist": "hand", "hip": "leg", "knee": "leg",
              "ankle": "foot", "foot": "toe"}  # fmt: skip
    if joint in groups:
        return f"{side}_{groups[joint]}"
    return smpl if smpl in ("pelvis", "neck", "head") else "trunk"


def _axes_matrix(axes: str) -> Tensor:
    """ "+Y -X +Z" -> the matrix whose columns are +Y, -X and +Z."""
    matrix = torch.zeros(3, 3, dtype=torch.float64)
    for column, axis in enumerate(axes.split()):
        matrix["XYZ".index(axis[1]), column] = -1.0 if axis[0] == "-" else 1.0
    return matrix


def pose(skeleton: Skeleton, rest: Tensor) -> Tensor:
    """(J, 3) joint positions with the given world rotations and the root at the origin."""
    positions: list[Tensor] = []
    for parent, offset in zip(skeleton.parents, skeleton.offsets.to(rest), strict=True):
        positions.append(offset if parent < 0 else positions[parent] + rest[parent] @ offset)
    return torch.stack(positions)


def leg_length(rig: Rig, skeleton: Skeleton) -> float:
    """Thigh plus shin, mean of both sides, in the unit of the skeleton."""
    rest = pose(skeleton, rig.rest)
    total = 0.0
    for side in SIDES:
        hip, knee, ankle = (rest[rig.joints[f"{side}_{part}"]] for part in ("hip", "knee", "ankle"))
        total += float((hip - knee).norm() + (knee - ankle).norm())
    return total / 2

"""A motion -> its rig, also where the file's zero pose is no T-pose: from a T-pose in the clip, or from how it moves.

Shapes: T frames, J joints. World: Y up or Z up. A joint's rest rotation R turns with the body: in every frame the
joint's world rotation is the body part's own rotation since the T-pose times R. Where the T-pose is nowhere to be seen,
the parts' rotations come from the joint positions (bones, and the axes about which knees and elbows bend), and R is
the rotation that fits all frames best.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from motionmill.motion.joint_map import JointMap
from motionmill.motion.motion import Motion
from motionmill.motion.rig_tables import SIDES
from motionmill.motion.rigs import Rig, body_axes, known_rig, mapped
from motionmill.motion.rotations import nearest_rotation
from motionmill.motion.skeleton import Skeleton

_MOST_FRAMES: Final = 2000  # that are looked at
_LEAST_BEND: Final = 0.2  # sine of the bend from which a limb shows its hinge
_LEAST_BENT: Final = 5  # frames in which it must
_LEAST_FIT: Final = 0.9  # mean cosine-like agreement of the frames on a rest rotation


def rig_of(motion: Motion, joint_map: JointMap | None = None) -> Rig:
    """The rig of a motion's skeleton; where its zero pose is no T-pose and its axes are unknown, by the motion.

    Args:
        motion: on any skeleton.
        joint_map: as for `rigs.recognise`.

    Raises:
        ValueError: unknown joints, or neither zero pose nor clip shows how the joints are turned.
    """
    rig = known_rig(motion.skeleton, joint_map)
    if rig is None:
        step = max(1, len(motion) // _MOST_FRAMES)
        positions, world = motion.skeleton.forward_kinematics(
            motion.rotations[::step].double(), motion.root[::step].double()
        )
        choices = mapped(motion.skeleton, joint_map)
        rig = _from_t_pose(choices, positions, world) or _from_movement(
            choices[0], motion.skeleton, positions, world
        )
    return rig


def _from_t_pose(choices: list[Rig], positions: Tensor, world: Tensor) -> Rig | None:
    """The rig by the frame that is closest to a T-pose; None where none is close."""
    for choice in choices:
        score = _likeness(positions, choice.joints)
        frame = int(score.argmax())
        turn = body_axes(positions[frame], choice.joints)
        if float(score[frame]) > 0.93 and turn is not None:
            return replace(choice, rest=turn @ world[frame], up=turn[1])
    return None


def _likeness(positions: Tensor, joints: Mapping[str, int]) -> Tensor:
    """(T,) how much the frames are like a T-pose: the smallest cosine between a limb and where it should point."""
    trunk, left = _trunk(positions, joints)
    cosines = []
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        for start, end, wanted in (
            ("shoulder", "elbow", sign * left),
            ("elbow", "wrist", sign * left),
            ("hip", "knee", -trunk),
            ("knee", "ankle", -trunk),
        ):
            bone = positions[:, joints[f"{side}_{end}"]] - positions[:, joints[f"{side}_{start}"]]
            cosines.append((F.normalize(bone, dim=-1) * wanted).sum(dim=-1))
    return torch.stack(cosines).amin(dim=0)


def _trunk(positions: Tensor, joints: Mapping[str, int]) -> tuple[Tensor, Tensor]:
    """(T, 3) unit vectors up the trunk and to its left."""
    hips, shoulders = (
        positions[:, [joints[f"{side}_{part}"] for side in SIDES]] for part in ("hip", "shoulder")
    )
    up = F.normalize(shoulders.mean(dim=1) - hips.mean(dim=1), dim=-1)
    return up, _perpendicular(shoulders[:, 0] - shoulders[:, 1], up)


def _from_movement(
    choice: Rig,
    skeleton: Skeleton,
    positions: Tensor,
    world: Tensor,
) -> Rig:
    """The rig by the rotation of each part since the T-pose, read from the positions."""
    joints, spine = choice.joints, choice.spine
    frames, weights = _part_rotations(positions, joints)
    rest: list[Tensor] = []
    part_of = {joint: smpl for smpl, joint in joints.items()} | dict.fromkeys(spine, "chest")
    for joint, parent in enumerate(skeleton.parents):
        smpl = part_of.get(joint)
        if smpl is None or smpl not in frames:
            # It follows its parent as it does on the average.
            above = torch.eye(3, dtype=world.dtype) if parent < 0 else rest[parent]
            local = world[:, joint] if parent < 0 else world[:, parent].mT @ world[:, joint]
            rest.append(above @ nearest_rotation(local.mean(dim=0)))
            continue
        weight = weights[smpl]
        if int((weight > 0).sum()) < min(_LEAST_BENT, len(positions)):
            raise ValueError(_unclear(skeleton, f"{smpl} hardly bends in this clip"))
        mean = (weight[:, None, None] * (frames[smpl].mT @ world[:, joint])).sum(0) / weight.sum()
        if float(torch.linalg.svdvals(mean).mean()) < _LEAST_FIT and "foot" not in smpl:
            raise ValueError(_unclear(skeleton, f"{smpl} turns against its bones"))
        rest.append(nearest_rotation(mean))
    up, _ = _trunk(positions, joints)
    return replace(choice, rest=torch.stack(rest), up=_snapped(up.mean(dim=0)))


def _unclear(skeleton: Skeleton, problem: str) -> str:
    return (
        f"skeleton with joints {', '.join(skeleton.names[:6])}, ...: the zero pose is no T-pose, no frame of the clip "
        f"is one, and {problem}; export it with a T-pose as the rest pose"
    )


def _part_rotations(
    positions: Tensor, joints: Mapping[str, int]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """SMPL-22 name, or "chest" -> (T, 3, 3) rotations since the T-pose, and -> (T,) how far to trust them."""
    up, left = _trunk(positions, joints)
    hips = positions[:, joints["left_hip"]] - positions[:, joints["right_hip"]]
    chest = _axes(left, up)
    everywhere = torch.ones_like(up[:, 0])
    frames = {
        "chest": chest,
        "neck": chest,
        "head": chest,
        "pelvis": _axes(_perpendicular(hips, up), up),
    }
    weights = dict.fromkeys(frames, everywhere)
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        place = {part: positions[:, joints[f"{side}_{part}"]]
                 for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")}  # fmt: skip
        thigh, shin = place["knee"] - place["hip"], place["ankle"] - place["knee"]
        axis, bent = _hinge(thigh, shin)
        frames[f"{side}_hip"] = _axes(axis, _perpendicular(-thigh, axis))
        frames[f"{side}_knee"] = frames[f"{side}_ankle"] = _axes(axis, _perpendicular(-shin, axis))
        upper, lower = place["elbow"] - place["shoulder"], place["wrist"] - place["elbow"]
        turn, flexed = _hinge(upper, lower)
        frames[f"{side}_shoulder"] = _axes(_perpendicular(sign * upper, turn), -sign * turn)
        frames[f"{side}_elbow"] = _axes(_perpendicular(sign * lower, turn), -sign * turn)
        frames[f"{side}_wrist"] = frames[f"{side}_elbow"]
        frames[f"{side}_collar"] = chest
        weights |= {f"{side}_{part}": bent for part in ("hip", "knee", "ankle")}
        weights |= {f"{side}_{part}": flexed for part in ("shoulder", "elbow", "wrist")}
        weights[f"{side}_collar"] = everywhere
        flat, still = _flat_foot(positions, joints, side, axis, _snapped(up.mean(dim=0)))
        frames |= {f"{side}_ankle": flat, f"{side}_foot": flat}
        weights |= {f"{side}_ankle": still, f"{side}_foot": still}
    return frames, weights


def _flat_foot(
    positions: Tensor, joints: Mapping[str, int], side: str, knee_axis: Tensor, up: Tensor
) -> tuple[Tensor, Tensor]:
    """(T, 3, 3) rotation of a foot that stands flat, and (T,) whether it does: low and slow."""
    ankle = positions[:, joints[f"{side}_ankle"]]
    toe = joints.get(f"{side}_foot")
    ahead = torch.linalg.cross(knee_axis, up.expand_as(knee_axis))
    if toe is not None:
        ahead = positions[:, toe] - ankle
    upwards = up.expand_as(ahead)
    frames = _axes(torch.linalg.cross(upwards, _perpendicular(ahead, upwards)), upwards)
    height = ankle @ up
    speed = torch.linalg.vector_norm(torch.diff(ankle, dim=0, prepend=ankle[:1]), dim=-1)
    low = height <= height.quantile(0.4)
    return frames, (low & (speed <= speed[low].quantile(0.6))).to(height)


def _hinge(upper: Tensor, lower: Tensor) -> tuple[Tensor, Tensor]:
    """(T, 3) unit axes about which a limb is bent and (T,) how clear they are: 0 where it is straight."""
    sine = torch.linalg.cross(F.normalize(upper, dim=-1), F.normalize(lower, dim=-1))
    return F.normalize(sine, dim=-1), (torch.linalg.vector_norm(sine, dim=-1) - _LEAST_BEND).clamp(
        min=0
    )


def _axes(left: Tensor, up: Tensor) -> Tensor:
    """(T, 3, 3) rotations that turn X to `left` and Y to `up`, perpendicular unit vectors."""
    return torch.stack((left, up, torch.linalg.cross(left, up)), dim=-1)


def _perpendicular(vectors: Tensor, to: Tensor) -> Tensor:
    """(T, 3) unit vectors: what of `vectors` is perpendicular to the unit vectors `to`."""
    return F.normalize(vectors - (vectors * to).sum(dim=-1, keepdim=True) * to, dim=-1)


def _snapped(direction: Tensor) -> Tensor:
    """The coordinate axis that is closest to a direction."""
    axis = torch.zeros_like(direction)
    largest = int(direction.abs().argmax())
    axis[largest] = direction[largest].sign()
    return axis

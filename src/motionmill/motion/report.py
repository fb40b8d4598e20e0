"""A motion -> a few lines that say what it is: skeleton, person, length, path, floor, feet, which joints are whose."""

from __future__ import annotations

import math

import torch

from motionmill.motion import physics
from motionmill.motion.calibrate import rig_of
from motionmill.motion.joint_map import JointMap
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import retarget
from motionmill.motion.rigs import Rig, leg_length
from motionmill.motion.rotations import heading
from motionmill.motion.skeleton import SMPL_22_NAMES, Skeleton, adult_skeleton

_ADULT_HEIGHT = 1.70  # of our skeleton, metres
_MIN_SECONDS = 0.1  # shorter motions are not measured


def report(motion: Motion, joint_map: JointMap | None = None) -> str:
    """Lines for a person to read. Feet are measured on SMPL-22, to which other rigs are carried over first.

    Args:
        motion: on any skeleton.
        joint_map: which joints are SMPL's, where that is not told from names and bones.
    """
    rows = [
        ("name", motion.name or "-"),
        ("frames", f"{len(motion)} at {motion.fps:g} fps, {motion.seconds:.2f} s"),
    ]
    try:
        rig = rig_of(motion, joint_map)
    except ValueError as error:
        kind = f"{motion.skeleton.names[0]} ... {motion.skeleton.names[-1]}"
        rows += [("skeleton", f"{motion.skeleton.num_joints} joints, {kind}"), *_path(motion)]
        return _lines([*rows, ("rig", " ".join(str(error).split()))])
    own = motion.skeleton.names == SMPL_22_NAMES
    kind = "SMPL-22 order" if own else f"a rig of the family {rig.name}"
    leg = leg_length(rig, motion.skeleton)
    tall = _ADULT_HEIGHT * leg / adult_skeleton().leg_length
    rows += [
        ("skeleton", f"{motion.skeleton.num_joints} joints, {kind}"),
        ("person", f"legs {leg:.2f} m (thigh and shin), so about {tall:.2f} m tall"),
        *_path(motion),
        ("floor", f"at {_floor(motion):+.3f} m"),
    ]
    if motion.seconds >= _MIN_SECONDS:
        rows += _measures(motion if own else retarget(motion, joint_map=joint_map))
    return _lines(rows) + ("" if own else "\n" + joint_map_report(rig, motion.skeleton))


def joint_map_report(rig: Rig, skeleton: Skeleton) -> str:
    """Which joint of a skeleton was taken for which of SMPL's, and why, one a line."""
    taken = dict(rig.joints) | {f"spine{order}": joint for order, joint in enumerate(rig.spine, 1)}
    width = max(len(skeleton.names[joint]) for joint in taken.values())
    lines = ["joints"]
    for name in (*SMPL_22_NAMES, *(extra for extra in taken if extra not in SMPL_22_NAMES)):
        if name in taken:
            spine = "between pelvis and neck"
            reason = rig.reasons.get(name, spine if name.startswith("spine") else "next to it")
            lines.append(f"  {name:<15}<- {skeleton.names[taken[name]]:<{width}}  {reason}")
        else:
            lines.append(f"  {name:<15}<- {'-':<{width}}  not in this rig")
    rest = [name for joint, name in enumerate(skeleton.names) if joint not in taken.values()]
    if rest:
        more = f" and {len(rest) - 12} more" if len(rest) > 12 else ""
        lines.append(f"  not used: {', '.join(rest[:12])}{more}")
    return "\n".join(lines)


def _path(motion: Motion) -> list[tuple[str, str]]:
    path = motion.root[:, [0, 2]]
    travelled = torch.diff(path, dim=0).norm(dim=-1).sum()
    turn = torch.diff(heading(motion.rotations[:, 0]))
    turn = torch.remainder(turn + math.pi, 2 * math.pi) - math.pi
    heights = motion.joints()[..., 1]
    ends = float((path[-1] - path[0]).norm())
    return [
        ("path", f"{float(travelled):.2f} m, ends {ends:.2f} m from its start"),
        ("turn", f"{math.degrees(float(turn.sum())):+.0f} degrees (left is positive)"),
        ("heights", f"{float(heights.min()):.2f} to {float(heights.max()):.2f} m"),
    ]


def _floor(motion: Motion) -> float:
    """Height of the floor: under the soles for SMPL-22, else of the lowest joint in the lowest twentieth of frames."""
    if motion.skeleton.names == SMPL_22_NAMES:
        return physics.floor(motion)
    return float(torch.quantile(motion.joints()[..., 1].amin(dim=1), 0.05))


def _measures(motion: Motion) -> list[tuple[str, str]]:
    contact = 100 * float(physics.contacts(motion).any(dim=1).double().mean())
    return [
        ("contacts", f"a foot rests in {contact:.0f} % of frames"),
        ("foot slide", f"{physics.foot_slide(motion):.2f} mm a frame where feet touch the floor"),
        ("floating", f"{physics.floating(motion):.1f} % of frames"),
        ("penetration", f"{physics.penetration(motion):.1f} mm"),
        ("jitter", f"{physics.jitter(motion):.2f} x 100 m/s^3"),
    ]


def _lines(rows: list[tuple[str, str]]) -> str:
    return "\n".join(f"{name:<12}{text}" for name, text in rows)

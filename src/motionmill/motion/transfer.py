"""A motion and its retargeted result -> how well it was carried over, in numbers; many of them -> a table.

Shapes: T frames, J joints. Angles in degrees, lengths in metres unless said.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from motionmill.motion import physics
from motionmill.motion.calibrate import rig_of
from motionmill.motion.hinges import bends
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import level, retarget, upright
from motionmill.motion.rig_tables import SIDES
from motionmill.motion.rigs import Rig, leg_length, pose

MOST_BONE_ERROR: Final = 4.0  # degrees, mean over the bones
MOST_SLIDE_RATIO: Final = 1.1  # of the result's foot slide to the source's
MOST_PENETRATION: Final = 10.0  # mm, mean
MOST_BACKWARDS: Final = 1.0  # degrees; less is a straight limb
_LIMBS: Final = (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))


@dataclass(frozen=True)
class Transfer:
    """How well one clip was carried over.

    Attributes:
        name: of the clip.
        rig: that was recognised.
        frames: of the source.
        bone_error: mean angle between matching bones, collars left out, degrees.
        sole_error: the same with feet compared by their soles, see `bone_direction_errors`.
        slide: foot slide of the result, mm per frame, over the foot joints that both have.
        source_slide: the same of the source scaled to the result's size, with the same weights.
        penetration: mm, mean over the frames in which a foot is in the floor.
        backwards: most by which a knee or elbow is bent backwards, degrees; 0 where none is.
        source_backwards: the same of the rotations as they were transferred, before the correction.
    """

    name: str
    rig: str
    frames: int
    bone_error: float
    sole_error: float
    slide: float
    source_slide: float
    penetration: float
    backwards: float
    source_backwards: float


def transfer(motion: Motion) -> Transfer:
    """Retargets a motion to our skeleton and measures the result.

    Raises:
        ValueError: unknown rig.
    """
    result = retarget(motion)
    slide, source_slide = foot_slides(motion, result)
    return Transfer(
        name=motion.name,
        rig=rig_of(motion).name,
        frames=len(motion),
        bone_error=bone_direction_error(motion, result),
        sole_error=bone_direction_error(motion, result, soles=True),
        slide=slide,
        source_slide=source_slide,
        penetration=physics.penetration(result),
        backwards=_backwards(result),
        source_backwards=_backwards(retarget(motion, correct=False)),
    )


def table(groups: Mapping[str, Sequence[Transfer]]) -> str:
    """A row a group: means over its clips, the worst clip, and what is not as asked."""
    width = max([len(name) for name in groups] + [10])
    head = (
        f"{'':<{width}}{'clips':>6}{'bones deg':>10}{'worst':>7}{'by soles':>9}{'worst':>7}"
        f"{'slide mm':>9}{'source':>8}{'ratio':>7}"
        f"{'floor mm':>9}{'worst':>7}{'bent back':>10}{'before':>8}"
    )
    return "\n".join([head, *(_row(name, width, rows) for name, rows in groups.items() if rows)])


def _row(name: str, width: int, rows: Sequence[Transfer]) -> str:
    error, soles, slide, source, depth = (
        _mean(getattr(row, field) for row in rows)
        for field in ("bone_error", "sole_error", "slide", "source_slide", "penetration")
    )
    ratio = slide / source if source > 0 else 1.0
    backwards = max(row.backwards for row in rows)
    values = {
        f"bones over {MOST_BONE_ERROR:g}{', ok by soles' * (soles <= MOST_BONE_ERROR)}": error
        > MOST_BONE_ERROR,
        f"slide over {MOST_SLIDE_RATIO:g}": ratio > MOST_SLIDE_RATIO,
        f"floor over {MOST_PENETRATION:g}": depth > MOST_PENETRATION,
        "bent backwards": backwards > MOST_BACKWARDS,
    }
    failed = [text for text, wrong in values.items() if wrong]
    return (
        f"{name:<{width}}{len(rows):>6}{error:>10.2f}{max(row.bone_error for row in rows):>7.2f}"
        f"{soles:>9.2f}{max(row.sole_error for row in rows):>7.2f}"
        f"{slide:>9.2f}{source:>8.2f}{ratio:>7.2f}{depth:>9.1f}{max(row.penetration for row in rows):>7.1f}"
        f"{backwards:>10.1f}{max(row.source_backwards for row in rows):>8.1f}"
        f"  {'; '.join(failed) or 'ok'}"
    )


def foot_slides(source: Motion, result: Motion) -> tuple[float, float]:
    """Foot slide of the result and of the source scaled to its size, mm per frame, with the result's weights."""
    rig = rig_of(source)
    names = [name for name in physics.FOOT_JOINTS if name in rig.joints]
    columns = [physics.FOOT_JOINTS.index(name) for name in names]
    result = result.resample(physics.MEASURE_FPS)
    weights = physics.foot_heights(result)[:, columns]
    ours = result.joints()[:, [result.skeleton.index(name) for name in names]]
    ratio = result.skeleton.leg_length / leg_length(rig, source.skeleton)
    scaled = upright(source).resample(physics.MEASURE_FPS).joints() * ratio
    theirs = scaled[:, [rig.joints[name] for name in names]].to(ours)
    return (
        float(physics.foot_slide_of(ours, weights)),
        float(physics.foot_slide_of(theirs, weights)),
    )


def bone_direction_error(source: Motion, result: Motion, *, soles: bool = False) -> float:
    """Mean angle between the bones of a motion and of its retargeted result, degrees.

    Collars are left out of the mean: where the clavicle begins differs from rig to rig, so that the same posture has
    another direction. `bone_direction_errors` tells theirs too, and what `soles` means.
    """
    errors = bone_direction_errors(source, result, soles=soles)
    return _mean(error for name, error in errors.items() if not name.endswith("_collar"))


def bone_direction_errors(
    source: Motion, result: Motion, *, soles: bool = False
) -> dict[str, float]:
    """Mean angle in degrees between matching bones: limbs, feet, collars, neck, and the trunk from hips to shoulders.

    Args:
        source: on any rig.
        result: the same, retargeted.
        soles: whether feet are compared by their soles: by the line from ankle to ball turned with the foot by the
            constant angle that makes it level where the rig's feet are flat. How steep the line is under a flat foot is
            anatomy, by which feet that stand alike differ.

    Raises:
        ValueError: unknown rig, or motions of different length.
    """
    if len(source) != len(result):
        raise ValueError(
            f"{len(source)} and {len(result)} frames; expected motions of the same length"
        )
    theirs = _bones(rig_of(source), upright(source), soles=soles)
    ours = _bones(rig_of(result), result, soles=soles)
    return {
        name: float(torch.rad2deg(_angle(theirs[name], ours[name]).mean()))
        for name in ours
        if name in theirs
    }


def _backwards(motion: Motion) -> float:
    return float(torch.rad2deg(-bends(motion).min()).clamp(min=0))


def _bones(rig: Rig, motion: Motion, *, soles: bool) -> dict[str, Tensor]:
    """Name -> (T, 3) vectors along the bones that exist."""
    positions, world = motion.skeleton.forward_kinematics(
        motion.rotations.double(), motion.root.double()
    )
    point = {name: positions[:, index] for name, index in rig.joints.items()}
    hips = (point["left_hip"] + point["right_hip"]) / 2
    shoulders = (point["left_shoulder"] + point["right_shoulder"]) / 2
    bones = {"trunk": shoulders - hips}
    if "neck" in point and "head" in point:
        bones["neck"] = point["head"] - point["neck"]
    rest = pose(motion.skeleton, rig.rest)
    for side in SIDES:
        for start, end in (*_LIMBS, ("collar", "shoulder"), ("ankle", "foot")):
            if f"{side}_{start}" in point and f"{side}_{end}" in point:
                bones[f"{side}_{start}"] = point[f"{side}_{end}"] - point[f"{side}_{start}"]
        if soles and f"{side}_foot" in point:
            ankle = rig.joints[f"{side}_ankle"]
            sole = level(rest[rig.joints[f"{side}_foot"]] - rest[ankle])
            if sole is not None:
                bones[f"{side}_ankle"] = world[:, ankle] @ rig.rest[ankle].T @ sole
    return bones


def _angle(first: Tensor, second: Tensor) -> Tensor:
    """(..., 3) vectors -> (...) angle between them, radians."""
    return torch.atan2(torch.linalg.cross(first, second).norm(dim=-1), (first * second).sum(-1))


def _mean(values: Iterable[float]) -> float:
    return statistics.fmean(values)

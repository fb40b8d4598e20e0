"""A motion -> measurements of its transitions and its movement -> whether it is kept, and where a take falls apart.

Stages 5 and 6 of the data engine. Measuring knows no threshold, so that thresholds can change later without it.
Shapes: T frames, J = 22 joints; all at 30 fps. Definitions of the physical measures: `motion.physics`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from motionmill.data.describing.kinematics import Kinematics, kinematics
from motionmill.data.quality_config import MotionFilterConfig, TransitionConfig
from motionmill.motion import physics
from motionmill.motion.hinges import bends_of
from motionmill.motion.motion import Motion
from motionmill.motion.skeleton import SMPL_22_NAMES, Skeleton

FPS: Final = physics.MEASURE_FPS
_STILL_SPEED: Final = 0.05  # metres a second; slower than this a joint is still
_FROZEN_STEP: Final = 5e-5  # metres a frame; captured bodies never move less, held poses do
_DEEP: Final = 0.05  # metres under the floor that no sole of a shoe explains

# Degrees by which a joint may be turned from the rest pose (a T-pose), past what bodies and our sound clips show.
# Shoulders and elbows have none: an arm that is turned and bent comes to any angle from a T-pose.
_JOINT_LIMITS: Final[Mapping[str, float]] = {
    "hip": 150.0,
    "knee": 165.0,
    "ankle": 80.0,
    "foot": 75.0,
    "spine1": 80.0,
    "spine2": 60.0,
    "spine3": 90.0,
    "neck": 80.0,
    "head": 110.0,
    "collar": 85.0,
    "shoulder": 180.0,
    "elbow": 180.0,
    "wrist": 125.0,
}


def measurements(motion: Motion | Kinematics) -> dict[str, float]:
    """All that stages 5 and 6 measure: `transition_measurements` and `motion_measurements`.

    Raises:
        ValueError: the skeleton is not SMPL-22.
    """
    known = _known(motion)
    return transition_measurements(known) | motion_measurements(known)


def transition_measurements(motion: Motion | Kinematics) -> dict[str, float]:
    """What changes most between two frames (stage 5).

    `turn_degrees.JOINT`: the paper's axis-angle change of a joint's world rotation, the greatest of the clip;
    `joint_turn_degrees`, `root_turn_degrees`: of all joints, of the pelvis; `root_speed`: metres a second;
    `joint_flip_degrees`, `root_flip_degrees`, `root_jump_metres`: by how much the greatest change is more than the
    median of the five around it: fast movement takes several frames, a flip or a teleport takes one.

    Raises:
        ValueError: the skeleton is not SMPL-22.
    """
    known = _known(motion)
    return _transitions(known.joints, known.world)


def motion_measurements(motion: Motion | Kinematics) -> dict[str, float]:
    """How the clip moves (stage 6), over its own floor (`physics.floor`), because features have no other.

    `frames`; `floor_metres`, that floor's height; `jitter` (100 m/s^3) and `jitter_peak`, its greatest mean over a
    third of a second; `foot_slide_mm` a frame; `floating_percent`; `penetration_mm` and `deep_percent` of frames with a
    foot 5 cm under the floor; `frozen_seconds`, the longest time in which no joint moves at all; `still_percent` of
    frames in which none moves faster than 5 cm/s; `extent_metres`, how far the joint that moves most gets from its
    middle place; `hinge_degrees` by which a knee or elbow is bent backwards in a twentieth of the frames;
    `over_limit_percent` of frames with a joint beyond what a body can.

    Raises:
        ValueError: the skeleton is not SMPL-22.
    """
    known = _known(motion)
    return _movement(known.motion, known.joints, known.world)


def _known(motion: Motion | Kinematics) -> Kinematics:
    return motion if isinstance(motion, Kinematics) else kinematics(motion)


# Stage, measurement, whether the limit is the least allowed, field of its config, reason.
LIMITS: Final = (
    ("transition", "root_speed", False, "max_root_speed", "the root moves faster than people do"),
    ("transition", "root_jump_metres", False, "max_root_jump_metres", "the root teleports"),
    ("transition", "root_turn_degrees", False, "max_root_turn_degrees", "the root turns over"),
    ("transition", "root_flip_degrees", False, "max_root_flip_degrees", "the root flips"),
    ("transition", "joint_turn_degrees", False, "max_joint_turn_degrees", "a joint turns over"),
    ("transition", "joint_flip_degrees", False, "max_joint_flip_degrees", "a joint flips"),
    ("motion", "frames", True, "min_frames", "too short"),
    ("motion", "frames", False, "max_frames", "too long"),
    ("motion", "jitter", False, "max_jitter", "jerky"),
    ("motion", "jitter_peak", False, "max_jitter_peak", "jerky for a moment"),
    ("motion", "foot_slide_mm", False, "max_foot_slide_mm", "the feet slide"),
    ("motion", "floating_percent", False, "max_floating_percent", "floats over the floor"),
    ("motion", "penetration_mm", False, "max_penetration_mm", "the feet sink into the floor"),
    ("motion", "deep_percent", False, "max_deep_percent", "the feet are under the floor"),
    ("motion", "frozen_seconds", False, "max_frozen_seconds", "frozen for a time"),
    ("motion", "still_percent", False, "max_still_percent", "stands still"),
    ("motion", "extent_metres", True, "min_extent_metres", "does not move"),
    ("motion", "hinge_degrees", False, "max_hinge_degrees", "a knee or elbow bends backwards"),
    ("motion", "over_limit_percent", False, "max_over_limit_percent", "a joint is dislocated"),
)


def first_failure(
    measured: Mapping[str, float], transition: TransitionConfig, motion: MotionFilterConfig
) -> tuple[str, str, float, float] | None:
    """The first limit that measurements break, in the order of `LIMITS`.

    Returns:
        Stage, reason, measured value, limit; None for a sound clip. A value that is not a number breaks its limit.
    """
    for stage, name, least, field, reason in LIMITS:
        value = measured[name]
        limit = float(getattr(transition if stage == "transition" else motion, field))
        if not (value >= limit if least else value <= limit):
            return stage, reason, value, limit
    return None


def breaks(motion: Motion | Kinematics, config: TransitionConfig) -> list[int]:
    """Frames of a motion at 30 fps that do not follow from the frame before: a take falls apart there.

    The parts between breaks pass the transition filter, but for parts of four frames or less, in which flips have no
    neighbours.
    """
    known = _known(motion)
    joints, world = known.joints, known.world
    if len(joints) < 2:
        return []
    angles = turns(world)
    flips = beyond_neighbours(angles)
    steps = torch.diff(joints[:, 0], dim=0).norm(dim=-1)
    broken = (
        (steps * FPS > config.max_root_speed)
        | (beyond_neighbours(steps) > config.max_root_jump_metres)
        | (angles[:, 0] > config.max_root_turn_degrees)
        | (flips[:, 0] > config.max_root_flip_degrees)
        | (angles > config.max_joint_turn_degrees).any(dim=1)
        | (flips > config.max_joint_flip_degrees).any(dim=1)
    )
    return [int(frame) + 1 for frame in broken.nonzero().flatten().tolist()]


def turns(world: Tensor) -> Tensor:
    """World rotations (T, J, 3, 3) -> (T - 1, J) degrees from each frame to the next: the angle of the axis-angle."""
    trace = (world[1:] * world[:-1]).flatten(-2).sum(dim=-1)
    return torch.rad2deg(torch.acos(((trace - 1) / 2).clamp(-1, 1)))


def beyond_neighbours(changes: Tensor) -> Tensor:
    """(T, ...) changes -> (T, ...) by how much each is more than the median of the five around it; 0 under five."""
    if len(changes) < 5:
        return torch.zeros_like(changes)
    padded = torch.cat((changes[2:3], changes[3:4], changes, changes[-4:-3], changes[-3:-2]))
    return changes - _median_of_five(*(padded[at : at + len(changes)] for at in range(5)))


def _median_of_five(a: Tensor, b: Tensor, c: Tensor, d: Tensor, e: Tensor) -> Tensor:
    """Elementwise; by exchanges, which over whole arrays are faster than sorting each five."""
    a, b = torch.minimum(a, b), torch.maximum(a, b)
    c, d = torch.minimum(c, d), torch.maximum(c, d)
    low, high = torch.maximum(a, c), torch.minimum(b, d)  # what is left when least and greatest go
    return torch.maximum(torch.minimum(low, high), torch.minimum(torch.maximum(low, high), e))


def _transitions(joints: Tensor, world: Tensor) -> dict[str, float]:
    if len(joints) < 2:
        zero = ("root_speed", "root_jump_metres", "root_turn_degrees", "root_flip_degrees")
        names = (*zero, "joint_turn_degrees", "joint_flip_degrees")
        return dict.fromkeys((*names, *(f"turn_degrees.{name}" for name in SMPL_22_NAMES)), 0.0)
    angles = turns(world)
    flips = beyond_neighbours(angles).amax(dim=0)
    steps = torch.diff(joints[:, 0], dim=0).norm(dim=-1)
    greatest = angles.amax(dim=0).tolist()
    return {
        "root_speed": FPS * float(steps.max()),
        "root_jump_metres": float(beyond_neighbours(steps).max()),
        "root_turn_degrees": greatest[0],
        "root_flip_degrees": float(flips[0]),
        "joint_turn_degrees": max(greatest),
        "joint_flip_degrees": float(flips.max()),
        **{
            f"turn_degrees.{name}": turn for name, turn in zip(SMPL_22_NAMES, greatest, strict=True)
        },
    }


def _movement(motion: Motion, joints: Tensor, world: Tensor) -> dict[str, float]:
    skeleton = motion.skeleton
    floor = physics.floor_under(physics.clearances(joints, skeleton))
    joints = joints - joints.new_tensor([0.0, floor, 0.0])
    feet = joints[:, physics.foot_indices(skeleton)]
    heights = feet[..., 1] - physics.standing_heights(skeleton).to(feet)
    return {
        "frames": float(len(joints)),
        "floor_metres": floor,
        **_jerk(joints),
        "foot_slide_mm": float(physics.foot_slide_of(feet, heights)) if len(feet) > 1 else 0.0,
        "floating_percent": physics.floating_of(joints, skeleton),
        "penetration_mm": physics.penetration_of(heights),
        "deep_percent": 100 * float((heights.amin(dim=-1) < -_DEEP).double().mean()),
        **_stillness(joints),
        **_limits(motion.rotations, joints, world, skeleton),
    }


def _jerk(joints: Tensor) -> dict[str, float]:
    if len(joints) < 4:
        return {"jitter": 0.0, "jitter_peak": 0.0}
    each = torch.diff(joints, n=3, dim=0).norm(dim=-1).mean(dim=-1) * FPS**3 / 100
    window = min(10, len(each))
    return {
        "jitter": float(each.mean()),
        "jitter_peak": float(each.unfold(0, window, 1).mean(dim=-1).max()),
    }


def _stillness(joints: Tensor) -> dict[str, float]:
    if len(joints) < 2:
        return {"frozen_seconds": 0.0, "still_percent": 100.0, "extent_metres": 0.0}
    step = torch.diff(joints, dim=0).norm(dim=-1).amax(dim=-1)
    away = (joints - joints.median(dim=0).values).norm(dim=-1)
    return {
        "frozen_seconds": _longest_run(step < _FROZEN_STEP) / FPS,
        "still_percent": 100 * float((step * FPS < _STILL_SPEED).double().mean()),
        "extent_metres": float(away.max()),
    }


def _longest_run(condition: Tensor) -> int:
    """(T,) -> how many frames on end it holds at most."""
    best = current = 0
    for value in condition.tolist():
        current = current + 1 if value else 0
        best = max(best, current)
    return best


def _limits(
    rotations: Tensor, joints: Tensor, world: Tensor, skeleton: Skeleton
) -> dict[str, float]:
    bent = bends_of(joints, world, skeleton).amin(dim=-1)
    trace = rotations[:, 1:].diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    limits = [_JOINT_LIMITS[name.split("_")[-1]] for name in skeleton.names[1:]]
    least = 1 + 2 * torch.cos(
        torch.deg2rad(trace.new_tensor(limits))
    )  # a trace falls as the angle grows
    over = (trace < least - 1e-6).any(dim=-1)
    return {
        "hinge_degrees": math.degrees(max(0.0, -float(bent.quantile(0.05)))),
        "over_limit_percent": 100 * float(over.double().mean()),
    }

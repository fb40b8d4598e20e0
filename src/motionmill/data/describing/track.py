"""A motion -> the curves that a description is read from: places seen from the body, headings, paces, leans.

Shapes: T frames at 30 fps, J = 22 joints. Everything is in metres of an adult of 1.70 m, radians and seconds; heights
are over the floor under the clip. Body frame: x to the person's left, y up, z ahead, at the pelvis' place on the floor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motionmill.data.describing.kinematics import Kinematics, kinematics
from motionmill.motion.motion import Motion
from motionmill.motion.skeleton import adult_skeleton

Curve = NDArray[np.float64]

FPS: Final = 30.0
PELVIS, SPINE3, NECK, HEAD = 0, 9, 12, 15
HIPS, KNEES, ANKLES, TOES = (1, 2), (4, 5), (7, 8), (10, 11)
SHOULDERS, ELBOWS, WRISTS = (16, 17), (18, 19), (20, 21)
ANKLE_HEIGHT, TOE_HEIGHT, PELVIS_HEIGHT = 0.075, 0.02, 0.955  # of our standing adult, metres

_HAND: Final = 0.16  # metres from the wrist to the fingertips
_SWAY_FRAMES: Final = (
    21  # the pelvis turns to and fro with every step: a heading is averaged over 0.7 s
)


@dataclass(frozen=True, eq=False)
class Track:
    """The curves of a clip.

    Attributes:
        scale: real metres a metre of these curves.
        joints: (T, J, 3) in a world that the person faces +Z of at the start, floor at y = 0.
        own: (T, J, 3) in the body frame of each moment.
        tips: (T, 2, 3) the left and the right fingertips in the body frame: hands wave by the wrist too.
        heading: (T,) where the pelvis points, sway averaged out, unwrapped, 0 at the start, left positive.
        pace: (T, 3) velocity of the pelvis in the body frame, metres a second, averaged over 0.4 s.
        lean: (T,) of the line from the pelvis to the neck, forward, degrees.
        tilt: (T,) of the same line, to the left, degrees.
        upright: (T,) its cosine to the vertical.
        chest_turn, head_turn: (T,) yaw of the chest against the pelvis and of the head against the chest, degrees.
        nod: (T,) pitch of the head against the chest, degrees, down positive.
        belly: (T,) how far the front of the pelvis points up: 1 on the back, -1 on the stomach.
        feet: (T, 2) height of the lower of ankle and toes over its height in standing.
    """

    scale: float
    joints: Curve
    own: Curve
    tips: Curve
    heading: Curve
    pace: Curve
    lean: Curve
    tilt: Curve
    upright: Curve
    chest_turn: Curve
    head_turn: Curve
    nod: Curve
    belly: Curve
    feet: Curve

    def __len__(self) -> int:
        return len(self.joints)

    @property
    def seconds(self) -> float:
        return len(self) / FPS

    def path(self, start: int, stop: int) -> float:
        """Way of the pelvis over the floor, real metres."""
        steps = np.diff(self.joints[start:stop:3, PELVIS][:, [0, 2]], axis=0)
        return float(np.hypot(steps[:, 0], steps[:, 1]).sum()) * self.scale

    def displacement(self, start: int, stop: int) -> tuple[float, float]:
        """Net way (left, ahead) summed in the body frame of every moment, metres."""
        moved = self.pace[start:stop].sum(axis=0) / FPS
        return float(moved[0]), float(moved[2])


def track(motion: Motion | Kinematics) -> Track:
    """The curves of a motion.

    Raises:
        ValueError: a skeleton that is not SMPL-22, or values that are not finite.
    """
    if isinstance(motion, Motion):
        known = kinematics(
            replace(motion, rotations=motion.rotations.double(), root=motion.root.double())
        )
    else:
        known = motion
    motion, positions, rotations = known.motion, known.joints.double(), known.world.double()
    joints: Curve = np.ascontiguousarray(positions.numpy())
    if not np.isfinite(joints).all():
        raise ValueError(
            "describe: the motion has values that are no finite numbers; leave such frames out"
        )
    turned: Curve = rotations[:, [PELVIS, SPINE3, HEAD]].numpy()
    scale = motion.skeleton.leg_length / adult_skeleton().leg_length
    joints = joints / scale
    joints[..., 1] -= _floor(joints)
    heading = smooth(_heading(turned[:, 0]), _SWAY_FRAMES)
    hands = rotations[:, list(WRISTS)].numpy() @ np.array([[_HAND], [0.0], [0.0]])
    hands[:, 1] *= -1
    points = np.concatenate((joints, joints[:, list(WRISTS)] + hands[..., 0]), axis=1)
    points = _seen_from(points, np.full(len(joints), heading[0]))
    heading = heading - heading[0]
    own = _seen_from(points - points[:, :1] * np.array([1.0, 0.0, 1.0]), heading)
    joints, own, tips = points[:, :22], own[:, :22], own[:, 22:]
    steps = np.gradient(joints[:, PELVIS], axis=0) * FPS if len(joints) > 1 else joints[:, 0] * 0
    trunk = own[:, NECK] - own[:, PELVIS]
    return Track(
        scale=scale,
        joints=joints,
        own=own,
        tips=tips,
        heading=heading,
        pace=_seen_from(smooth(steps, 13)[:, None], heading)[:, 0],
        lean=np.degrees(np.arctan2(trunk[:, 2], trunk[:, 1])),
        tilt=np.degrees(np.arctan2(trunk[:, 0], trunk[:, 1])),
        upright=trunk[:, 1] / np.linalg.norm(trunk, axis=-1),
        chest_turn=_yaw_between(turned[:, 0], turned[:, 1]),
        head_turn=_yaw_between(turned[:, 1], turned[:, 2]),
        nod=_pitch_between(turned[:, 1], turned[:, 2]),
        belly=turned[:, 0, 1, 2],
        feet=np.minimum(
            joints[:, list(ANKLES), 1] - ANKLE_HEIGHT, joints[:, list(TOES), 1] - TOE_HEIGHT
        ),
    )


def smooth(curve: Curve, width: int) -> Curve:
    """Moving average over frames, ends held: (T, ...) -> (T, ...)."""
    half = width // 2
    before, after = np.repeat(curve[:1], half + 1, axis=0), np.repeat(curve[-1:], half, axis=0)
    total = np.cumsum(np.concatenate((before, curve, after)), axis=0)
    averaged: Curve = (total[width:] - total[:-width]) / width
    return averaged


def spans(held: NDArray[np.bool_], *, shortest: float, gap: float = 0.0) -> list[tuple[int, int]]:
    """Frame ranges in which a condition holds: gaps of up to `gap` seconds are bridged, short ranges left out."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], held, [False])).astype(np.int8)))
    found: list[tuple[int, int]] = []
    for start, stop in edges.reshape(-1, 2).tolist():
        if found and start - found[-1][1] <= gap * FPS:
            found[-1] = (found[-1][0], stop)
        else:
            found.append((start, stop))
    return [(start, stop) for start, stop in found if stop - start >= shortest * FPS]


def swings(curve: Curve, size: float) -> list[int]:
    """Frames where a curve turns after a way of at least `size`: from its first frame over all turns to its last."""
    values = curve.tolist()
    low = high = 0
    turns, rising = [0], 0
    for frame, value in enumerate(values):
        if value > values[high]:
            high = frame
        if value < values[low]:
            low = frame
        if rising >= 0 and values[high] - value > size:
            if rising:
                turns.append(high)
            rising, low, high = -1, frame, frame
        elif rising <= 0 and value - values[low] > size:
            if rising:
                turns.append(low)
            rising, low, high = 1, frame, frame
    return [*turns, len(values) - 1]


def _floor(joints: Curve) -> float:
    """Height of the floor: the lowest foot, but for a few frames that sink in."""
    feet = np.minimum(
        joints[:, list(ANKLES), 1].min(axis=1) - ANKLE_HEIGHT,
        joints[:, list(TOES), 1].min(axis=1) - TOE_HEIGHT,
    )
    body = joints[:, [PELVIS, HEAD, *HIPS, *KNEES, *ELBOWS, *WRISTS], 1].min(axis=1) - 0.04
    return float(np.quantile(np.minimum(feet, body), 0.03))


def _heading(rotations: Curve) -> Curve:
    """(T, 3, 3) pelvis rotations -> (T,) yaw, unwrapped; held where the pelvis lies or stands on its head."""
    angle = np.arctan2(rotations[:, 0, 2], rotations[:, 2, 2])
    step = np.remainder(np.diff(angle) + math.pi, 2 * math.pi) - math.pi
    upright = rotations[:, 1, 1] > 0.4
    step = np.where(upright[1:] & upright[:-1], step, 0.0)
    return angle[0] + np.concatenate(([0.0], np.cumsum(step)))


def _seen_from(points: Curve, heading: Curve) -> Curve:
    """(T, N, 3) points turned into the frame of a heading."""
    cos, sin = np.cos(heading)[:, None], np.sin(heading)[:, None]
    x, z = points[..., 0], points[..., 2]
    return np.stack((cos * x - sin * z, points[..., 1], sin * x + cos * z), axis=-1)


def _yaw_between(below: Curve, above: Curve) -> Curve:
    """Yaw of one frame of rotations in another, degrees: (T, 3, 3) twice -> (T,)."""
    ahead = np.einsum("tji,tj->ti", below, above[:, :, 2])
    return np.degrees(np.arctan2(ahead[:, 0], ahead[:, 2]))


def _pitch_between(below: Curve, above: Curve) -> Curve:
    """Pitch of one frame of rotations in another, down positive, degrees."""
    ahead = np.einsum("tji,tj->ti", below, above[:, :, 2])
    return np.degrees(np.arctan2(-ahead[:, 1], np.hypot(ahead[:, 0], ahead[:, 2])))

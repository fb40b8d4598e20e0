"""A motion -> the directions that it shows (travel, turn, hand, foot), measured on its joints, without any classifier.

Shapes: T frames, J joints. World: Y up, metres; heading is the yaw of the pelvis, positive to the left of the person.
The thresholds were set on labelled motion capture, on the skeleton of an adult; each says what it separates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from motionmill.motion.motion import Motion
from motionmill.motion.rotations import heading, yaw_matrix

ALLOWED: Mapping[str, tuple[str, ...]] = {
    "travel": ("forward", "backward", "left", "right"),
    "turn": ("left", "right"),
    "hand": ("left", "right", "both"),
    "foot": ("left", "right"),
}

_MIN_TRAVEL_METRES = 0.3
_MIN_SIDEWAYS_DEGREES = 8.0  # straight walks stay within 6 (99 %), walks to a side start at 8
_MIN_TURN_DEGREES = 30.0  # straight walks stay within 20 (95 %)
_MIN_HAND_METRES = 0.45  # how far a hand that acts gets from where it hangs: 0.49 in a low wave
_MIN_HAND_HEIGHT_METRES = 0.2  # of the wrist over the pelvis: 0.22 in the lowest wave
_MIN_FOOT_METRES = 1.2  # swing and lift of the foot that kicks: 1.4 in a short kick, 1.0 in a walk
_ONE_SIDE = 0.9  # one side acts if the other does at most this share: in a boxer's guard 0.86, both hands raised 0.95


@dataclass(frozen=True)
class Directions:
    """What was measured.

    Attributes:
        forward_metres: path along the person's own facing, summed over the clip; negative is backward.
        left_metres: path to the person's own left; negative is to the right.
        turn_degrees: change of heading from the first to the last frame, whole turns counted; left is positive.
        hands_metres: for the left and the right hand, the farthest it gets from hanging by the side, plus the range of
            its reach to the front (which tells a punch from a guard).
        hands_away_metres: the first of these two parts alone.
        hands_height_metres: highest place of either wrist over the pelvis.
        feet_metres: for the left and the right ankle, its range of movement around the pelvis plus its lift.
    """

    forward_metres: float
    left_metres: float
    turn_degrees: float
    hands_metres: tuple[float, float]
    hands_away_metres: tuple[float, float]
    hands_height_metres: tuple[float, float]
    feet_metres: tuple[float, float]

    @property
    def travel_degrees(self) -> float:
        """Direction of the path: 0 forward, 90 to the left, -90 to the right, 180 backward."""
        return math.degrees(math.atan2(self.left_metres, self.forward_metres))

    def shown(self) -> dict[str, frozenset[str]]:
        """The directions that the motion shows, by kind; a walk straight to one side shows two of travel."""
        return {
            "travel": frozenset(self._travel()),
            "turn": frozenset(self._turn()),
            "hand": frozenset(self._hand()),
            "foot": frozenset(self._foot()),
        }

    def _travel(self) -> set[str]:
        if math.hypot(self.forward_metres, self.left_metres) < _MIN_TRAVEL_METRES:
            return set()
        angle = self.travel_degrees
        shown = set()
        if abs(angle) <= 45:
            shown.add("forward")
        if abs(angle) >= 135:
            shown.add("backward")
        if _MIN_SIDEWAYS_DEGREES <= abs(angle) <= 180 - _MIN_SIDEWAYS_DEGREES:
            shown.add("left" if angle > 0 else "right")
        return shown

    def _turn(self) -> set[str]:
        if abs(self.turn_degrees) < _MIN_TURN_DEGREES:
            return set()
        return {"left" if self.turn_degrees > 0 else "right"}

    def _hand(self) -> set[str]:
        side = _side(self.hands_metres)
        acts = [
            away >= _MIN_HAND_METRES and height >= _MIN_HAND_HEIGHT_METRES
            for away, height in zip(self.hands_away_metres, self.hands_height_metres, strict=True)
        ]
        if side == "both":
            return {side} if all(acts) else set()
        return {side} if acts[("left", "right").index(side)] else set()

    def _foot(self) -> set[str]:
        side = _side(self.feet_metres)
        return {side} if side != "both" and max(self.feet_metres) >= _MIN_FOOT_METRES else set()


def follows(motion: Motion, expected: Mapping[str, str]) -> bool:
    """Whether a motion shows every direction that its prompt asks for.

    Args:
        motion: on an SMPL-22 skeleton of an adult's size.
        expected: for example {"turn": "left"}; kinds and values as in `ALLOWED`.

    Raises:
        ValueError: an unknown kind or value, or no expectation at all.
    """
    check_expected(expected)
    shown = measure(motion).shown()
    return all(value in shown[kind] for kind, value in expected.items())


def check_expected(expected: Mapping[str, str]) -> None:
    """Raises ValueError unless kinds and values are those of `ALLOWED` and there is at least one."""
    if not expected:
        raise ValueError(f"no expected direction; give one of {', '.join(ALLOWED)}")
    for kind, value in expected.items():
        if kind not in ALLOWED:
            raise ValueError(f"expected direction {kind!r}; the kinds are {', '.join(ALLOWED)}")
        if value not in ALLOWED[kind]:
            raise ValueError(
                f"expected direction {kind}: {value!r}; allowed are {', '.join(ALLOWED[kind])}"
            )


def measure(motion: Motion) -> Directions:
    """Measures travel, turn, hands and feet of a motion on an SMPL-22 skeleton; times play no role, only places."""
    motion = motion.face_forward()
    joints, world = motion.skeleton.forward_kinematics(motion.rotations, motion.root)
    angle = heading(world[:, motion.skeleton.index("pelvis")])
    unturn = yaw_matrix(-angle)
    chest_unturn = yaw_matrix(-heading(world[:, motion.skeleton.index("spine3")]))
    path = (unturn[:-1] @ torch.diff(joints[:, 0], dim=0)[..., None])[..., 0].sum(dim=0)
    hands = [_hand_use(motion, joints, chest_unturn, side) for side in ("left", "right")]
    feet = [_foot_use(motion, joints, unturn, side) for side in ("left", "right")]
    return Directions(
        forward_metres=float(path[2]),
        left_metres=float(path[0]),
        turn_degrees=math.degrees(_net_turn(angle)),
        hands_metres=(hands[0][0] + hands[0][1], hands[1][0] + hands[1][1]),
        hands_away_metres=(hands[0][0], hands[1][0]),
        hands_height_metres=(hands[0][2], hands[1][2]),
        feet_metres=(feet[0], feet[1]),
    )


def _net_turn(angle: Tensor) -> float:
    """(T,) headings -> last minus first, each step taken the short way round, radians."""
    steps = torch.diff(angle)
    return float(torch.atan2(torch.sin(steps), torch.cos(steps)).sum())


def _hand_use(
    motion: Motion, joints: Tensor, chest_unturn: Tensor, side: str
) -> tuple[float, float, float]:
    """Farthest from hanging, range of reach to the front of the chest, greatest height over the pelvis; metres."""
    index = motion.skeleton.index
    shoulder, wrist = joints[:, index(f"{side}_shoulder")], joints[:, index(f"{side}_wrist")]
    offsets = motion.skeleton.offsets
    arm = offsets[[index(f"{side}_elbow"), index(f"{side}_wrist")]].norm(dim=-1).sum()
    hanging = shoulder - joints.new_tensor([0.0, float(arm), 0.0])
    front = (chest_unturn @ (wrist - shoulder)[..., None])[:, 2, 0]
    height = wrist[:, 1] - joints[:, index("pelvis"), 1]
    away = (wrist - hanging).norm(dim=-1)
    return float(away.max()), _range(front), float(height.max())


def _foot_use(motion: Motion, joints: Tensor, unturn: Tensor, side: str) -> float:
    """Range of an ankle's places around the pelvis, seen along the heading, plus its lift; metres."""
    ankle = joints[:, motion.skeleton.index(f"{side}_ankle")]
    around = (unturn @ (ankle - joints[:, 0])[..., None])[..., 0]
    swing = (around.amax(dim=0) - around.amin(dim=0)).norm()
    return float(swing) + _range(ankle[:, 1])


def _range(values: Tensor) -> float:
    return float(values.max() - values.min())


def _side(use: tuple[float, float]) -> str:
    """Which of left and right does clearly more, or "both"."""
    left, right = use
    if min(left, right) > _ONE_SIDE * max(left, right):
        return "both"
    return "left" if left > right else "right"

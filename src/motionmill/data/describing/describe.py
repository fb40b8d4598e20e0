"""Motion -> facts by geometry: directions, turns, hands, feet, posture; and whether a caption contradicts them.

Shapes: T frames, J = 22 joints. All directions are those of the person: forward is +Z and left is +X of the heading
frame of the first frame. Thresholds are metres, seconds and degrees on our adult skeleton (1.70 m), tuned on
real clips.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor

from motionmill.motion.motion import Motion
from motionmill.motion.rotations import heading, yaw_matrix

Side = Literal["left", "right", "both", "none"]
Direction = Literal["forward", "backward", "left", "right", "place", "none"]

_FPS: Final = 30.0
_PELVIS, _SPINE3, _HEAD = 0, 9, 15
_ANKLES, _FEET, _SHOULDERS, _WRISTS = (7, 8), (10, 11), (16, 17), (20, 21)

_TRAVEL: Final = 0.5  # metres of net way that count as going somewhere
_TURN: Final = 40.0  # degrees of net turn that count as turning
_NO_TURN: Final = 12.0  # degrees of turn below which a clip does not turn
_RAISED: Final = -0.06  # metres of the wrist over the shoulder from which a hand counts as raised
_WAVE_SWINGS: Final = 3  # changes of direction of a lifted wrist that make a wave
_WAVE_SIZE: Final = 0.05  # metres of wrist way between two changes of direction
_ONE_SIDED: Final = 1.8  # how much more one hand or foot must move to be the one that acts
_USED: Final = 0.35  # metres from hanging beside the hip that a used hand comes
_STIRS: Final = 0.12  # metres that a hand or foot must move about to act
_STAYS: Final = 0.3  # metres of way below which steps are steps in place
_KICK_HEIGHT: Final = 0.35  # metres over the floor that an ankle must rise to kick, beyond standing
_FLIGHT: Final = 0.10  # metres that both feet must be over the floor to jump
_FLIGHT_SECONDS: Final = 0.1
_RUN_SPEED, _WALK_SPEED = 2.0, 0.25  # metres a second
_LOW: Final = (
    ("lie", 0.30),
    ("sit", 0.60),
    ("crouch", 0.82),
)  # pelvis height as a share of standing


@dataclass(frozen=True)
class Facts:
    """What was measured on a clip.

    Attributes:
        seconds: length.
        path: way of the pelvis over the floor, metres.
        forward, left: net displacement in the heading frame of frame 0, metres.
        body_forward, body_left: way along and across the heading of the moment, summed, metres.
        speed: mean speed over the floor, metres a second.
        turn: net turn in degrees, left positive, several rounds add up.
        turn_left, turn_right: greatest turn to each side in the course of the clip, degrees, both positive.
        raised: which hands come up to the shoulder or higher.
        waving: which raised hands swing to and fro.
        used_hands: which hands come away from hanging at the side.
        active_hand, active_foot: which hand or foot moves most relative to the body; "both" when alike,
            "none" when still.
        kicking_foot: which foot is lifted high; "none" when none is.
        posture: lowest position held: stand, crouch, sit (or squat), lie.
        jumps: whether both feet leave the floor clearly.
        steps: touch-downs of a foot.
    """

    seconds: float
    path: float
    forward: float
    left: float
    body_forward: float
    body_left: float
    speed: float
    turn: float
    turn_left: float
    turn_right: float
    raised: Side
    waving: Side
    used_hands: Side
    active_hand: Side
    active_foot: Side
    kicking_foot: Side
    posture: Literal["stand", "crouch", "sit", "lie"]
    jumps: bool
    steps: int

    @property
    def gait(self) -> Literal["stand", "walk", "run"]:
        """Speed class of the whole clip."""
        if self.speed < _WALK_SPEED or abs(self.path) < _TRAVEL:
            return "stand"
        return "run" if self.speed > _RUN_SPEED else "walk"

    @property
    def travel(self) -> Direction:
        """Where the body goes, seen from itself.

        "place" for steps on the spot; "none" when it stands, lies, or goes in no clear direction.
        """
        if self.posture == "lie":
            return "none"
        if self.path < _STAYS:
            return "place" if self.steps > 1 and self.active_foot != "none" else "none"
        turning = abs(self.turn) > _TURN
        ahead, aside = (self.body_forward, self.body_left) if turning else (self.forward, self.left)
        if math.hypot(ahead, aside) < _TRAVEL:
            return "none"
        angle = math.degrees(math.atan2(aside, ahead))
        if abs(angle) < 20:
            return "forward"
        if abs(angle) > 155:
            return "backward"
        if 55 < abs(angle) < 125:
            return "left" if angle > 0 else "right"
        return "none"

    @property
    def turning(self) -> Literal["left", "right", "none"]:
        """The side that the body turns to by over 40 degrees, if it turns to one side only."""
        left, right = self.turn_left > _TURN, self.turn_right > _TURN
        if left == right:
            return "none"
        return "left" if left else "right"

    def clause(self, kind: str) -> str | None:
        """What may be said of `travel`, `turn`, `hand`, `foot` or `speed`; None where nothing is clear."""
        foot = self.kicking_foot if self.kicking_foot in ("left", "right") else self.active_foot
        said: str = {
            "travel": self.travel if abs(self.turn) < 60 else "none",
            "turn": self.turning,
            "hand": self.active_hand,
            "foot": foot if foot != "both" else "none",
            "speed": self._pace,
        }[kind]
        return None if said == "none" else said

    @property
    def _pace(self) -> str:
        if self.gait == "stand":
            return "none"
        return "slow" if self.speed < 0.75 else "fast" if self.speed > 1.9 else "none"


def facts(motion: Motion) -> Facts:
    """Measure a motion on an SMPL-22 skeleton of adult size."""
    motion = motion.resample(_FPS).face_forward()
    return measure(motion.joints().double(), motion.rotations[:, 0].double())


def measure(joints: Tensor, root_rotations: Tensor) -> Facts:
    """Facts from joints and pelvis rotations.

    Args:
        joints: (T, 22, 3) world positions, metres, 30 fps, facing +Z in frame 0.
        root_rotations: (T, 3, 3) world rotations of the pelvis.
    """
    floor = joints[..., 1].amin()
    joints = joints - joints.new_tensor([0.0, 1.0, 0.0]) * floor
    seconds = len(joints) / _FPS
    angles = _headings(root_rotations)
    steps = torch.diff(_smooth(joints[:, _PELVIS]), dim=0)
    own = torch.einsum("tij,tj->ti", yaw_matrix(-angles)[1:], steps).sum(dim=0)
    way = joints[-1, _PELVIS] - joints[0, _PELVIS]
    path = float(steps[:, [0, 2]].norm(dim=-1).sum())
    body = torch.einsum("tij,tkj->tki", yaw_matrix(-angles), joints - joints[:, :1])
    raised, waving = _raised_hands(joints, body)
    used = _used_hands(body)
    return Facts(
        seconds=seconds,
        path=path,
        forward=float(way[2]),
        left=float(way[0]),
        body_forward=float(own[2]),
        body_left=float(own[0]),
        speed=path / seconds,
        turn=math.degrees(float(angles[-1] - angles[0])),
        turn_left=_greatest_rise(angles),
        turn_right=_greatest_rise(-angles),
        raised=raised,
        waving=waving,
        used_hands=used,
        active_hand=_busier(*(_activity(body[:, wrist]) for wrist in _WRISTS), or_else=used),
        active_foot=_busier(*(_activity(body[:, ankle]) for ankle in _ANKLES), or_else="none"),
        kicking_foot=_kicking_foot(joints),
        posture=_posture(joints),
        jumps=_jumps(joints),
        steps=sum(_touch_downs(joints[:, foot]) for foot in _FEET),
    )


def _headings(rotations: Tensor) -> Tensor:
    """(T, 3, 3) pelvis rotations -> (T,) heading, unwrapped; held where the pelvis lies or stands on its head."""
    angle = heading(rotations)
    step = torch.remainder(torch.diff(angle) + math.pi, 2 * math.pi) - math.pi
    upright = rotations[:, 1, 1] > 0.4
    step = torch.where(upright[1:] & upright[:-1], step, torch.zeros_like(step))
    return torch.cat((angle[:1] * 0, torch.cumsum(step, dim=0))) + angle[:1]


def _greatest_rise(angles: Tensor) -> float:
    """How far a heading curve climbs from a low to a later high, degrees; the sway of steps is averaged out."""
    level = _smooth(angles[:, None], width=21)[:, 0]
    return math.degrees(float((level - level.cummin(dim=0).values).max()))


def _smooth(path: Tensor, width: int = 9) -> Tensor:
    """Moving average over frames, ends held: (T, 3) -> (T, 3)."""
    padded = torch.cat((path[:1].expand(width // 2, -1), path, path[-1:].expand(width // 2, -1)))
    return padded.unfold(0, width, 1).mean(dim=-1)


def _held(condition: Tensor, seconds: float) -> bool:
    """Whether a condition holds for some time on end."""
    need = max(1, min(len(condition), round(seconds * _FPS)))
    return bool(condition.unfold(0, need, 1).all(dim=-1).any())


def _sided(left: bool, right: bool) -> Side:
    return "both" if left and right else "left" if left else "right" if right else "none"


def _raised_hands(joints: Tensor, body: Tensor) -> tuple[Side, Side]:
    raised, waving = [], []
    for wrist, shoulder in zip(_WRISTS, _SHOULDERS, strict=True):
        up = joints[:, wrist, 1] - joints[:, shoulder, 1] > _RAISED
        raised.append(_held(up, 0.15))
        lifted = joints[:, wrist, 1] - joints[:, shoulder, 1] > _RAISED - 0.2
        waving.append(
            raised[-1]
            and max(_swings(body[lifted, wrist, axis]) for axis in (0, 2)) >= _WAVE_SWINGS
        )
    return _sided(*raised), _sided(*waving)


def _swings(way: Tensor) -> int:
    """How often a coordinate changes direction after a way of at least `_WAVE_SIZE`."""
    count, extreme, sign = 0, None, 0
    for value in way.tolist():
        if extreme is None or sign * (value - extreme) > 0:
            extreme = value
        elif abs(value - extreme) > _WAVE_SIZE:
            count += sign != 0
            sign, extreme = (1 if value > extreme else -1), value
    return count


def _activity(point: Tensor) -> float:
    """How much a point of the body frame moves: (T, 3) -> range times top speed, 0 for less than `_STIRS` metres."""
    if len(point) < 2:
        return 0.0
    span = (point - point.median(dim=0).values).norm(dim=-1).quantile(0.95)
    speed = torch.diff(point, dim=0).norm(dim=-1).quantile(0.98) * _FPS
    return float(span * speed) if span > _STIRS else 0.0


def _busier(left: float, right: float, *, or_else: Side) -> Side:
    if left == right == 0:
        return or_else
    if left > _ONE_SIDED * right:
        return "left"
    return "right" if right > _ONE_SIDED * left else "both"


def _used_hands(body: Tensor) -> Side:
    """Which hands do something: come far from where a hand hangs, half a metre under the shoulder."""
    reach = []
    for wrist, shoulder in zip(_WRISTS, _SHOULDERS, strict=True):
        away = body[:, wrist] - body[:, shoulder] - body.new_tensor([0.0, -0.5, 0.0])
        reach.append(float(away.norm(dim=-1).quantile(0.95)))
    left, right = (r > _USED and r > max(reach) / 1.6 for r in reach)
    return _sided(left, right)


def _kicking_foot(joints: Tensor) -> Side:
    rise = [float(joints[:, ankle, 1].quantile(0.98)) - 0.1 for ankle in _ANKLES]
    if max(rise) < _KICK_HEIGHT:
        return "none"
    return "both" if min(rise) > 0.7 * max(rise) else "left" if rise[0] > rise[1] else "right"


def _posture(joints: Tensor) -> Literal["stand", "crouch", "sit", "lie"]:
    height = joints[:, _PELVIS, 1] / 0.955
    for name, share in _LOW:
        if _held(height < share, 0.2):
            return name  # type: ignore[return-value]
    return "stand"


def _jumps(joints: Tensor) -> bool:
    lowest = joints[:, [*_ANKLES, *_FEET], 1] - joints.new_tensor([0.075, 0.075, 0.02, 0.02])
    return _held(lowest.amin(dim=1) > _FLIGHT, _FLIGHT_SECONDS)


def _touch_downs(foot: Tensor) -> int:
    """How often a foot comes to rest after moving: (T, 3) -> count."""
    speed = torch.diff(foot, dim=0).norm(dim=-1) * _FPS
    moving, count = False, 0
    for value in speed.tolist():
        if value > 0.8:
            moving = True
        elif value < 0.3 and moving:
            moving, count = False, count + 1
    return count


_HAND: Final = (
    r"(?:\w+ )?(?:hands?|arms?|fists?|jabs?|hooks?|uppercuts?|straights?|wave|handed|punch(?:es)?)"
)
_FOOT: Final = r"(?:\w+ )?(?:foot|feet|legs?|knee|kicks?)"
_GOES: Final = r"\b(?:walk|run|jog|step|stroll|mov|go|sprint|dash|march|dribbl|crawl|rush|rac|trot|dodg|hop|jump)"
_WALKS: Final = r"\b(?:walk|run|jog|stroll|sprint|dash|march|crawl|trot|strafe|jump|leap|hop)"
_TURNS: Final = (
    r"\b(?:turn|curv|veer|corner|rotat|pivot|spin|bend\b|bear|around|fac(?:e|ing)|180|90)"
)


_DIRECTED: Final = re.compile(
    r"\b(?:left|right|both|forwards?|ahead|straight|backwards?|back|reverse|retreat\w*)\b|\b(?:left|right)ward",
    re.IGNORECASE,
)


def names_direction(caption: str) -> bool:
    """Whether a caption has a word that `contradicts` may hold against a motion."""
    return _DIRECTED.search(caption) is not None


def contradicts(caption: str, facts: Facts) -> str | None:
    """Why a caption cannot be true of a motion, or None.

    Only sides and directions are judged: hands, feet, turns and ways that the words name and the motion clearly does
    not show. A motion too small to tell contradicts nothing.
    """
    text = caption.lower()
    return _wrong_way(text, facts) or _wrong_turn(text, facts) or _wrong_limb(text, facts)


def _wrong_way(text: str, facts: Facts) -> str | None:
    if not re.search(_GOES, text):
        return None
    ahead = facts.body_forward
    far = max(_TRAVEL, 0.4 * facts.path)
    forward = re.search(r"\b(?:forwards?|ahead|straight)\b", text)
    backward = re.search(r"\b(?:backwards?|back|in reverse|retreat\w*)\b", text)
    if forward and not backward and ahead < -far:
        return f"says forward, goes {-ahead:.1f} m backward"
    if backward and not forward and ahead > far and facts.turn_left + facts.turn_right < 60:
        return f"says backward, goes {ahead:.1f} m forward"
    to = re.search(r"\b(?:to|towards?) (?:\w+ )?(left|right)\b|\b(left|right)ward", text)
    if to and not re.search(_TURNS, text):
        side = to[1] or to[2]
        aside = facts.left if side == "left" else -facts.left
        if aside < -max(0.3, 0.1 * facts.path):
            return f"says to the {side}, goes {-aside:.1f} m to the other side"
    if facts.path < _STAYS and facts.seconds > 0.6 and re.search(_WALKS, text):
        named = forward or backward or to
        if named:
            return f"says {named[0]}, stays in place"
    return None


def _wrong_turn(text: str, facts: Facts) -> str | None:
    if not re.search(_TURNS, text):
        return None
    sides = set(re.findall(rf"\b(left|right)\b(?![ -]{_HAND}|[ -]{_FOOT})", text))
    if len(sides) != 1:
        return None
    side = sides.pop()
    named, other = facts.turn_left, facts.turn_right
    named, other = (named, other) if side == "left" else (other, named)
    if named < _TURN < other:
        return f"says {side}, turns {other:.0f} degrees to the other side"
    if named < _NO_TURN:
        return f"says {side}, turns {named:.0f} degrees that way"
    return None


def _wrong_limb(text: str, facts: Facts) -> str | None:
    for words, shown, used in (
        (_HAND, facts.active_hand, facts.used_hands),
        (_FOOT, facts.kicking_foot, facts.kicking_foot),
    ):
        sides = set(re.findall(rf"\b(left|right)[ -]{words}\b", text))
        moves = used if shown == "both" else shown
        if len(sides) == 1 and moves in ("left", "right") and moves not in sides:
            return f"says {sides.pop()}, the {moves} one moves"
        if re.search(rf"\bboth (?:of \w+ )?{words}\b", text) and used in ("left", "right"):
            return f"says both, only the {used} one moves"
    return None

"""A motion and where its feet should be -> the motion with its feet there: two-bone inverse kinematics.

Shapes: T frames, J joints, 2 legs (left, right), 4 foot joints as in `physics.FOOT_JOINTS`. World: Y up, metres.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from motionmill.motion import physics
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_axis_angle, rotation_between
from motionmill.motion.skeleton import Skeleton
from motionmill.motion.smoothing import highest, low_pass, ramp

_CHUNK: Final = (
    4096  # frames whose joints are computed at once, so that long motions need no more memory
)
_PARTS: Final = ("hip", "knee", "ankle", "foot")
_LONGEST_REACH: Final = 0.9985  # of thigh plus shin: straighter no leg gets
_SLACK: Final = 0.001  # metres before that at which it begins to resist
_LEAST_BEND: Final = 0.01  # of a knee, so that its axis is clear, radians
_SLIGHT_BEND: Final = 0.03  # a knee bent less than about this is straight, radians
_DEEPEST: Final = 0.08  # most by which the root sinks so that held feet are reached, metres


@dataclass(frozen=True, eq=False)
class Legs:
    """Both legs of a motion in the world, with knees that bend as knees do.

    Attributes:
        motion: that they were taken from.
        world: (T, 2, 4, 3, 3) world rotations of hips, knees, ankles and feet.
        above: (T, 3, 3) world rotation of the joint that the legs hang from.
        hips: (T, 2, 3) positions.
        ankles: (T, 2, 3) positions.
        toes: (T, 2, 3) positions of the balls of the feet.
        thigh: (T, 2, 3) from hip to knee.
        shin: (T, 2, 3) from knee to ankle, after bends that no knee can make were taken out.
        axis: (T, 2, 3) unit axes about which the knees bend.
        unbent: (T, 2, 3, 3) the rotations by which such bends were taken out.
        clearance: (T,) height of the lowest part of the whole body, see `physics.clearances`.
    """

    motion: Motion
    world: Tensor
    above: Tensor
    hips: Tensor
    ankles: Tensor
    toes: Tensor
    thigh: Tensor
    shin: Tensor
    axis: Tensor
    unbent: Tensor
    clearance: Tensor

    @property
    def feet(self) -> Tensor:
        """(T, 4, 3) positions of the foot joints."""
        return torch.cat((self.ankles, self.toes), dim=1)

    def moved(self, height: Tensor) -> Legs:
        """The same higher by so many metres: one number, or (T,)."""
        up = F.pad(height.expand(len(self.hips))[:, None], (1, 1))
        motion = replace(self.motion, root=self.motion.root + up)
        places = {name: getattr(self, name) + up[:, None] for name in ("hips", "ankles", "toes")}
        return replace(self, motion=motion, clearance=self.clearance + height, **places)


def feet_of(motion: Motion) -> tuple[Tensor, Tensor]:
    """(T, 4, 3) positions of the foot joints and (T, 4) their heights over the standing heights, metres.

    Raises:
        ValueError: a skeleton without the legs of SMPL-22.
    """
    skeleton, rotations = motion.skeleton, motion.rotations
    hips, knees, ankles, toes = _pairs(skeleton)
    offset = skeleton.offsets.to(rotations)[..., None]  # (J, 3, 1)
    # From the feet up, a column for the ankle and one for the toes, in the axes of the joint above.
    ends = torch.cat(
        (
            torch.zeros_like(offset[toes]).expand(len(motion), -1, -1, -1),
            rotations[:, ankles] @ offset[toes],
        ),
        -1,
    )
    ends = offset[ankles] + ends
    ends = offset[knees] + rotations[:, knees] @ ends
    ends = offset[hips] + rotations[:, hips] @ ends
    joint = skeleton.parents[hips[0]]
    while joint >= 0:
        ends = rotations[:, joint, None] @ ends
        ends = ends + (offset[joint] if joint else motion.root[:, None, :, None])
        joint = skeleton.parents[joint]
    feet = ends.permute(0, 3, 1, 2).flatten(1, 2)
    return feet, feet[..., 1] - physics.standing_heights(skeleton).to(feet)


def legs_of(motion: Motion) -> Legs:
    """The legs of a motion.

    Raises:
        ValueError: a skeleton without the legs of SMPL-22.
    """
    pairs = _pairs(motion.skeleton)
    indices = [
        index for pair in zip(*pairs, strict=True) for index in pair
    ]  # a leg after the other
    root = motion.skeleton.parents[pairs[0][0]]
    joints, rotations, above, clearance = [], [], [], []
    for at in range(0, len(motion), _CHUNK):
        part = motion[at : at + _CHUNK]
        positions, world = motion.skeleton.forward_kinematics(part.rotations, part.root)
        joints.append(positions[:, indices])
        rotations.append(world[:, indices])
        above.append(world[:, root])
        clearance.append(physics.clearances(positions, motion.skeleton))
    places = torch.cat(joints).unflatten(1, (2, 4))
    world = torch.cat(rotations).unflatten(1, (2, 4))
    hips, knees, ankles, toes = places.unbind(dim=2)
    thigh, shin = knees - hips, ankles - knees
    axis, straightened = _knee_hinges(world[:, :, 0], thigh, shin)
    unbent = rotation_between(shin, straightened)
    return Legs(
        motion, world, torch.cat(above), hips, ankles, toes, thigh, straightened, axis, unbent,
        torch.cat(clearance),
    )  # fmt: skip


def with_feet(legs: Legs, ankles: Tensor, toes: Tensor, held: Tensor) -> Motion:
    """The motion whose ankles and toes are at these places, as far as the legs reach.

    The root follows what both feet do, smoothly, and sinks a little where a held foot would be out of reach.

    Args:
        legs: of the motion.
        ankles: (T, 2, 3) metres.
        toes: (T, 2, 3), a foot's length from the ankles.
        held: (T, 4) in 0..1, how surely a foot joint rests on the floor.
    """
    motion, scale = legs.motion, legs.motion.fps / 30
    shift = low_pass((ankles - legs.ankles).mean(dim=1), 2.0 * scale)
    reach = _LONGEST_REACH * (_length(legs.thigh) + _length(legs.shin))
    leg_held = torch.maximum(held[:, :2], held[:, 2:])
    down = _lowering(ankles - legs.hips - shift[:, None], reach, leg_held, scale)
    shift = torch.cat((shift[:, :1], shift[:, 1:2] - down[:, None], shift[:, 2:]), dim=1)
    leg, bend = _two_bones(legs, ankles - legs.hips - shift[:, None], reach)
    turn = rotation_between(legs.toes - legs.ankles, toes - ankles)

    hip, knee, ankle, foot = legs.world.unbind(dim=2)
    hip, knee = leg @ hip, leg @ bend @ legs.unbent @ knee
    ankle, foot = turn @ ankle, turn @ foot
    local = torch.cat(
        (legs.above[:, None].mT @ hip, hip.mT @ knee, knee.mT @ ankle, ankle.mT @ foot), dim=1
    )
    rotations = motion.rotations.clone()
    rotations[:, [index for pair in _pairs(motion.skeleton) for index in pair]] = local
    return replace(motion, root=motion.root + shift, rotations=rotations)


@functools.lru_cache(maxsize=64)
def _pairs(skeleton: Skeleton) -> tuple[list[int], ...]:
    """Indices of left and right hip, knee, ankle and foot, each the child of the one before."""
    sides = ("left", "right")
    pairs = tuple([skeleton.index(f"{side}_{part}") for side in sides] for part in _PARTS)
    parents = [[skeleton.parents[joint] for joint in pair] for pair in pairs]
    if len(set(parents[0])) > 1 or parents[0][0] < 0 or parents[1:] != list(pairs[:-1]):
        raise ValueError(
            f"skeleton with joints {', '.join(skeleton.names[:6])}, ...: its legs are no chains hip, knee, ankle, foot "
            "from one joint, as SMPL-22's are; retarget the motion first"
        )
    return pairs


def _lowering(targets: Tensor, reach: Tensor, held: Tensor, scale: float) -> Tensor:
    """(T,) by how much the root must sink, smoothly, so that held ankles (T, 2, 3 from the hips) are within reach."""
    across = _length(targets[..., [0, 2]])
    needed = -targets[..., 1] - ((reach - _SLACK) ** 2 - across**2).clamp(min=0).sqrt()
    needed = (needed.clamp(0, _DEEPEST) * held).amax(dim=1)
    return low_pass(highest(needed[:, None], round(5 * scale)), 2.5 * scale)[:, 0]


def _knee_hinges(rotations: Tensor, thigh: Tensor, shin: Tensor) -> tuple[Tensor, Tensor]:
    """The axes about which the knees bend, and where the shins are when bends that no knee can make are taken out.

    The bend is a vector, axis times angle; its part along the thigh's x axis is made positive (a knee never bends
    backwards), parts across it are made smaller in nearly straight legs, both smoothly, so that the axis stays clear.

    Args:
        rotations: (T, 2, 3, 3) world rotations of the hips.
        thigh: (T, 2, 3) from hip to knee, metres.
        shin: (T, 2, 3) from knee to ankle.

    Returns:
        (T, 2, 3) unit axes in the world and (T, 2, 3) shins.
    """
    along = F.normalize(thigh, dim=-1)
    sine = torch.linalg.cross(along, shin)
    angle = torch.atan2(_length(sine), (along * shin).sum(-1))
    bend = F.normalize(sine, dim=-1) * angle[..., None]
    hinge = rotations[..., 0] - (rotations[..., 0] * along).sum(-1, keepdim=True) * along
    hinge = F.normalize(hinge, dim=-1)
    forwards = (bend * hinge).sum(-1, keepdim=True)
    across = bend - forwards * hinge
    square = (bend**2).sum(-1, keepdim=True)
    across = across * square / (square + (2 * _SLIGHT_BEND) ** 2)
    forwards = _LEAST_BEND + ramp(forwards - _LEAST_BEND, _SLIGHT_BEND)
    bend = forwards * hinge + across
    angle, axis = _length(bend)[..., None], F.normalize(bend, dim=-1)
    direction = torch.cos(angle) * along + torch.sin(angle) * torch.linalg.cross(axis, along)
    return axis, direction * _length(shin)[..., None]


def _two_bones(legs: Legs, targets: Tensor, reach: Tensor) -> tuple[Tensor, Tensor]:
    """World rotations (T, 2, 3, 3) of the whole leg and, before it, of the shin, so that the ankle meets its target.

    The leg turns by the smallest rotation, so that the knee keeps its side.

    Args:
        legs: as they are.
        targets: (T, 2, 3) from hip to the ankle's target.
        reach: (T, 2) longest distance from hip to ankle.
    """
    thigh, shin = legs.thigh, legs.shin
    upper, lower = _length(thigh), _length(shin)
    distance = reach - ramp(reach - _length(targets), _SLACK)
    distance = torch.maximum(distance, (upper - lower).abs() + 0.1 * upper)
    cosine = (distance**2 - upper**2 - lower**2) / (2 * upper * lower)
    bend = torch.acos(cosine.clamp(-1, 1)) - torch.acos(
        ((thigh * shin).sum(-1) / (upper * lower)).clamp(-1, 1)
    )
    knee = matrix_from_axis_angle(legs.axis * bend[..., None])
    return rotation_between(thigh + (knee @ shin[..., None])[..., 0], targets), knee


def _length(vectors: Tensor) -> Tensor:
    return torch.linalg.vector_norm(vectors, dim=-1)

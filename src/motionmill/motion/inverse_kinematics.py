"""Positions of the 22 SMPL joints over time -> rotations, on a skeleton with the bones that the positions show.

Shapes: T frames, J = 22 joints. Everything is closed-form and done for all frames at once.

Positions say where bones point, not how they are turned about themselves. Where a joint carries several bones (pelvis,
chest) its rotation is the best fit to all of them. Else a bone is swung the shortest way from its parent, and turned
about itself as little as possible; thighs and upper arms are turned so that knees and elbows bend about their hinge,
as far as they are bent. What ends in no further joint (head, hands, toes) keeps the direction of what carries it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from motionmill.motion.motion import Motion
from motionmill.motion.rotations import (
    matrix_from_axis_angle,
    nearest_rotation,
    rotation_between,
    slerp,
)
from motionmill.motion.skeleton import (
    SMPL_22_NAMES,
    SMPL_22_PARENTS,
    Skeleton,
    adult_skeleton,
    world_to_local_rotations,
)

_PELVIS, _CHEST = 0, 9
_SPINE = (3, 6)
_RIGID = {_PELVIS: (1, 2, 3), _CHEST: (12, 13, 14)}  # joints that carry several bones, and these
_CHAINS = ((12, 15), (13, 16, 18, 20), (14, 17, 19, 21), (1, 4, 7, 10), (2, 5, 8, 11))
_HINGES = {  # joint turned about its bone by the bend of the next: the local axis of that bend
    1: (1.0, 0.0, 0.0),
    2: (1.0, 0.0, 0.0),
    16: (0.0, -1.0, 0.0),
    17: (0.0, 1.0, 0.0),
}
_BENT = (0.15, 0.40)  # sine of the bend from which its plane is believed a little, and wholly
_HELD_SECONDS = 0.25  # how far in time the turn of a bent limb is held on to while it is straight
_UNTURNED = 0.02  # weight of no turn at all, for limbs that are never bent


@dataclass(frozen=True, eq=False)
class Solution:
    """A motion and how far its joints are from the positions that were asked for.

    Attributes:
        motion: on the measured skeleton.
        residual: (T, 22) metres.
    """

    motion: Motion
    residual: Tensor

    def __str__(self) -> str:
        mean, most = 1000 * float(self.residual.mean()), 1000 * float(self.residual.max())
        return f"joints reached within {mean:.1f} mm on average, {most:.1f} mm at most"


def solve(positions: Tensor, fps: float, *, name: str = "") -> Solution:
    """Positions -> Motion.

    Args:
        positions: (T, 22, 3) world positions in SMPL-22 order, metres, Y up.
        fps: frames per second.
        name: what the clip shows.

    Raises:
        ValueError: other shapes, values that are not finite, or a bone without length.
    """
    joints = len(SMPL_22_NAMES)
    if positions.ndim != 3 or positions.shape[1:] != (joints, 3) or not len(positions):
        raise ValueError(f"positions {tuple(positions.shape)}; expected (T, {joints}, 3)")
    if not positions.isfinite().all():
        raise ValueError("positions have values that are not finite")
    positions = positions.double()
    parents = [max(parent, 0) for parent in SMPL_22_PARENTS]
    bones = positions - positions[:, parents]
    lengths = bones.norm(dim=-1).median(dim=0).values
    if float(lengths[1:].min()) < 1e-6:
        short = SMPL_22_NAMES[1 + int(lengths[1:].argmin())]
        raise ValueError(f"positions: the bone that ends in {short} has no length")
    directions = F.normalize(bones, dim=-1, eps=1e-9)
    rest = adult_skeleton().offsets.clone()
    rest = F.normalize(rest, dim=-1) * lengths[:, None]
    world: dict[int, Tensor] = {}
    for joint, children in _RIGID.items():
        world[joint], rest = _rigid(rest, bones, joint, list(children))
    _solve_spine(world, rest, directions)
    for chain in _CHAINS:
        _solve_chain(world, rest, directions, chain, fps)
    rotations = torch.stack([world[joint] for joint in range(joints)], dim=1)
    scale = float(lengths[[4, 5, 7, 8]].sum()) / 2 / adult_skeleton().leg_length
    height = adult_skeleton().foot_joint_height * scale
    skeleton = Skeleton(SMPL_22_NAMES, SMPL_22_PARENTS, rest, height)
    local = world_to_local_rotations(rotations, SMPL_22_PARENTS)
    motion = Motion(local, positions[:, 0], fps, skeleton, name)
    return Solution(motion, (motion.joints() - positions).norm(dim=-1))


def on_adult(motion: Motion) -> Motion:
    """A motion of SMPL-22 joints with bones of any length on our own skeleton, the root path scaled by leg length."""
    scale = adult_skeleton().leg_length / motion.skeleton.leg_length
    return replace(motion, root=motion.root * scale, skeleton=adult_skeleton())


def _rigid(rest: Tensor, bones: Tensor, joint: int, children: list[int]) -> tuple[Tensor, Tensor]:
    """World rotations (T, 3, 3) of a joint that carries several bones, and the rest offsets with theirs measured.

    The first fit is to the directions of our own skeleton, so that the rest pose keeps its meaning; then the offsets
    are measured in the joint's frame, and the fit is repeated with them.
    """
    goal = F.normalize(bones[:, children], dim=-1, eps=1e-9)
    start = F.normalize(rest[children], dim=-1)
    rotations = nearest_rotation(torch.einsum("tci,cj->tij", goal, start))
    rest = rest.clone()
    for _ in range(3):
        local = rotations.transpose(-1, -2)[:, None] @ bones[:, children, :, None]
        rest[children] = local[..., 0].median(dim=0).values
        rotations = nearest_rotation(
            torch.einsum("tci,cj->tij", bones[:, children], rest[children])
        )
    return rotations, rest


def _solve_spine(world: dict[int, Tensor], rest: Tensor, directions: Tensor) -> None:
    """The joints between pelvis and chest share the turn between them, and point along their bones."""
    for order, joint in enumerate(_SPINE, 1):
        share = rest.new_full((1,), order / (len(_SPINE) + 1))
        between = slerp(world[_PELVIS], world[_CHEST], share)
        child = SMPL_22_PARENTS.index(joint)
        world[joint] = _swung(between, rest[child], directions[:, child])


def _solve_chain(
    world: dict[int, Tensor], rest: Tensor, directions: Tensor, chain: tuple[int, ...], fps: float
) -> None:
    """The joints of a limb, from the body outwards."""
    for place, joint in enumerate(chain):
        above = world[SMPL_22_PARENTS[joint]]
        if place + 1 == len(chain):
            world[joint] = above
            continue
        child = chain[place + 1]
        rotation = _swung(above, rest[child], directions[:, child])
        if joint in _HINGES:
            bend = torch.linalg.cross(directions[:, child], directions[:, chain[place + 2]])
            hinge = rest.new_tensor(_HINGES[joint])
            rotation = _turned(rotation, directions[:, child], rotation @ hinge, bend, fps)
        world[joint] = rotation


def _swung(rotation: Tensor, rest: Tensor, direction: Tensor) -> Tensor:
    """(T, 3, 3) rotations swung the shortest way, so that the rest bone (3,) points along directions (T, 3)."""
    return rotation_between(rotation @ F.normalize(rest, dim=-1), direction) @ rotation


def _turned(rotation: Tensor, axis: Tensor, hinge: Tensor, bend: Tensor, fps: float) -> Tensor:
    """Rotations turned about their bone `axis` (T, 3) until the `hinge` (T, 3) is the axis of the `bend` (T, 3)."""
    hinge = hinge - (hinge * axis).sum(-1, keepdim=True) * axis
    sine = (axis * torch.linalg.cross(hinge, bend)).sum(-1)
    angle = torch.atan2(sine, (hinge * bend).sum(-1))
    belief = ((bend.norm(dim=-1) - _BENT[0]) / (_BENT[1] - _BENT[0])).clamp(0, 1)
    turn = torch.polar(belief, angle)
    held = _smoothed(turn, _HELD_SECONDS * fps)
    angle = torch.angle(belief * turn + (1 - belief) * held + _UNTURNED)
    return matrix_from_axis_angle(axis * angle[:, None]) @ rotation


def _smoothed(values: Tensor, sigma: float) -> Tensor:
    """(T,) complex numbers under a Gaussian of a width in frames."""
    reach = max(1, min(math.ceil(3 * sigma), 1000))
    steps = torch.arange(-reach, reach + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (steps / max(sigma, 1e-3)) ** 2)
    kernel = (kernel / kernel.sum())[None, None]
    parts = torch.view_as_real(values).T[:, None]
    smooth = F.conv1d(F.pad(parts, (reach, reach)), kernel)[:, 0]
    return torch.view_as_complex(smooth.T.contiguous())

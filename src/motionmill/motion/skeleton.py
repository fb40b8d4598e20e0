"""Skeleton: joint names, parents and rest offsets -> world joint positions by forward kinematics.

Shapes: T frames, J joints. World: Y up, right-handed, metres; a person in the rest pose faces +Z with the left on +X.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from motionmill.motion.frames_last import parts, placed, product

SMPL_22_NAMES = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle",
    "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
)  # fmt: skip
SMPL_22_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)

# Our own proportions of a 1.70 m adult in T-pose (metres, from the parent joint): hip joints at 52 % of the height,
# the foot joint is the ball of the foot. Not derived from any body model.
_ADULT_OFFSETS = (
    (0.0, 0.0, 0.0),
    (0.085, -0.070, 0.0),
    (-0.085, -0.070, 0.0),
    (0.0, 0.105, -0.010),
    (0.0, -0.395, 0.0),
    (0.0, -0.395, 0.0),
    (0.0, 0.125, 0.0),
    (0.0, -0.400, -0.010),
    (0.0, -0.400, -0.010),
    (0.0, 0.070, 0.005),
    (0.0, -0.055, 0.135),
    (0.0, -0.055, 0.135),
    (0.0, 0.205, -0.015),
    (0.070, 0.120, -0.010),
    (-0.070, 0.120, -0.010),
    (0.0, 0.085, 0.030),
    (0.115, 0.0, -0.005),
    (-0.115, 0.0, -0.005),
    (0.270, 0.0, 0.0),
    (-0.270, 0.0, 0.0),
    (0.250, 0.0, 0.0),
    (-0.250, 0.0, 0.0),
)
_ADULT_FOOT_JOINT_HEIGHT = 0.020


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A tree of joints with a rest pose.

    Attributes:
        names: one name a joint, parents before children.
        parents: index of each joint's parent, -1 for the root.
        offsets: (J, 3) rest position of each joint relative to its parent, metres; the root's is zero.
        foot_joint_height: height of the lowest joint over the soles when standing in the rest pose, metres.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: Tensor
    foot_joint_height: float = 0.0

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.parents) == len(self.offsets):
            raise ValueError(
                f"skeleton: {len(self.names)} names, {len(self.parents)} parents and {len(self.offsets)} offsets; "
                "expected the same number of each"
            )
        if any(parent >= child for child, parent in enumerate(self.parents)):
            raise ValueError("skeleton: a parent must come before its children")
        if not self.parents or self.parents[0] != -1 or min(self.parents[1:], default=0) < 0:
            raise ValueError("skeleton: expected one root, the first joint, with parent -1")

    @property
    def num_joints(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Index of a joint. Raises ValueError for an unknown name."""
        if name not in self.names:
            raise ValueError(f"no joint {name!r} in the skeleton; it has {', '.join(self.names)}")
        return self.names.index(name)

    def children(self, joint: int) -> list[int]:
        """Indices of the joints that hang on a joint."""
        return [child for child, parent in enumerate(self.parents) if parent == joint]

    def depth_first(self) -> list[int]:
        """All joints from the root down, each followed by everything below it: the order of files that nest them."""
        order: list[int] = []
        waiting = [0]
        while waiting:
            order.append(waiting.pop())
            waiting += reversed(self.children(order[-1]))
        return order

    @functools.cached_property
    def rest_joints(self) -> Tensor:
        """(J, 3) joint positions in the rest pose with the root at the origin, metres."""
        positions: list[Tensor] = []
        with torch.inference_mode(False):  # it is kept, also for those who want gradients
            for parent, offset in zip(self.parents, self.offsets, strict=True):
                positions.append(offset if parent < 0 else positions[parent] + offset)
            return torch.stack(positions)

    @functools.cached_property
    def standing_root_height(self) -> float:
        """Height of the root over the soles in the rest pose, metres."""
        return float(-self.rest_joints[:, 1].min()) + self.foot_joint_height

    @functools.cached_property
    def leg_length(self) -> float:
        """Length of thigh plus shin, mean of both sides, metres: the unit by which root paths are scaled."""
        indices = [
            self.index(name) for name in ("left_knee", "left_ankle", "right_knee", "right_ankle")
        ]
        return float(self.offsets[indices].norm(dim=-1).sum()) / 2

    def forward_kinematics(self, rotations: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
        """Local rotations and root path to the world.

        Args:
            rotations: (..., J, 3, 3) parent-relative rotation matrices.
            root: (..., 3) world position of the root joint, metres.

        Returns:
            (..., J, 3) world joint positions in metres and (..., J, 3, 3) world rotations.
        """
        count = rotations.shape[:-3].numel()
        joints = rotations.new_empty(count, 3 * self.num_joints)
        world = rotations.new_empty(count, 9 * self.num_joints)
        for part, local, start in self._frames_last(rotations, root):
            positions, turns = self.chain(local, start)
            joints[part] = torch.stack(positions).flatten(0, 1).t()
            world[part] = torch.stack(turns).flatten(0, 2).t()
        return joints.view(*rotations.shape[:-2], 3), world.view(rotations.shape)

    def joint_positions(self, rotations: Tensor, root: Tensor) -> Tensor:
        """The first of what `forward_kinematics` returns, in less time: (..., J, 3) world positions, metres."""
        joints = rotations.new_empty(rotations.shape[:-3].numel(), 3 * self.num_joints)
        for part, local, start in self._frames_last(rotations, root):
            positions, _ = self.chain(local, start, ends=False)
            joints[part] = torch.stack(positions).flatten(0, 1).t()
        return joints.view(*rotations.shape[:-2], 3)

    def chain(
        self, local: Tensor, root: Tensor, *, ends: bool = True
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Forward kinematics with the frames as the last axis.

        Args:
            local: (J, 3, 3, N) parent-relative rotations.
            root: (3, N) world positions of the root joint, metres.
            ends: whether the joints that nothing hangs on are turned too, of which no position depends.

        Returns:
            Of each joint its (3, N) world positions, metres, and its (3, 3, N) world rotations; without `ends` those
            of an end are its parent's.
        """
        offsets = self.offsets.to(local)
        positions, world = [root], [local[0]]
        for joint, parent in enumerate(self.parents[1:], start=1):
            above = world[parent]
            turned = ends or joint in self.parents
            world.append(product(above, local[joint]) if turned else above)
            positions.append(placed(above, offsets[joint], positions[parent]))
        return positions, world

    def _frames_last(
        self, rotations: Tensor, root: Tensor
    ) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Some of the N frames at a time: their (J, 3, 3, n) local rotations and (3, n) root positions."""
        frames = rotations.reshape(-1, self.num_joints, 3, 3)
        paths = root.to(rotations).reshape(-1, 3)
        for part in parts(frames):
            yield part, frames[part].movedim(0, -1).contiguous(), paths[part].t().contiguous()


def local_to_world_rotations(rotations: Tensor, parents: tuple[int, ...]) -> Tensor:
    """(..., J, 3, 3) parent-relative rotations -> (..., J, 3, 3) world rotations."""
    world: list[Tensor] = []
    for joint, parent in enumerate(parents):
        local = rotations[..., joint, :, :]
        world.append(local if parent < 0 else world[parent] @ local)
    return torch.stack(world, dim=-3)


def world_to_local_rotations(rotations: Tensor, parents: tuple[int, ...]) -> Tensor:
    """(..., J, 3, 3) world rotations -> (..., J, 3, 3) parent-relative rotations."""
    above = torch.stack(
        [
            torch.eye(3, dtype=rotations.dtype, device=rotations.device).expand(
                (*rotations.shape[:-3], 3, 3)
            )
            if parent < 0
            else rotations[..., parent, :, :]
            for parent in parents
        ],
        dim=-3,
    )
    return above.transpose(-1, -2) @ rotations


@functools.cache
def adult_skeleton() -> Skeleton:
    """Our own skeleton: SMPL-22 joint order, a 1.70 m adult, T-pose facing +Z."""
    with torch.inference_mode(False):  # it is kept, also for those who want gradients
        offsets = torch.tensor(_ADULT_OFFSETS, dtype=torch.float64)
    return Skeleton(SMPL_22_NAMES, SMPL_22_PARENTS, offsets, _ADULT_FOOT_JOINT_HEIGHT)


MIRROR_PAIRS = ((1, 2), (4, 5), (7, 8), (10, 11), (13, 14), (16, 17), (18, 19), (20, 21))


@functools.cache
def mirror_permutation() -> tuple[int, ...]:
    """For each SMPL-22 joint the index of its mirror image."""
    order = list(range(len(SMPL_22_NAMES)))
    for left, right in MIRROR_PAIRS:
        order[left], order[right] = right, left
    return tuple(order)

"""Features: Motion <-> the 272 numbers a frame that the models see.

Shapes: T frames, J = 22 joints, F = 272. Per frame, at 30 fps:
    0:2      root velocity (x, z), metres a frame, in the heading frame of the previous frame
    2:8      heading change since the previous frame, as 6D
    8:74     22 joint positions, heading and root x, z removed, height over the clip's lowest joint, metres
    74:140   difference of 8:74 to the previous frame
    140:272  22 parent-relative rotations as 6D, the root's without heading
Source: MotionMillion's 272-dimensional representation. Two ways out: `to_joints` (positions, as the reference recovers
them) and `to_motion` (rotations on a skeleton of ours, no inverse kinematics).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from motionmill.motion.frames_last import (
    orthonormal_rows,
    parts,
    placed,
    product,
    running_product,
)
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import heading, matrix_from_6d, matrix_to_6d, yaw_matrix
from motionmill.motion.skeleton import Skeleton, adult_skeleton, mirror_permutation

NUM_FEATURES: Final = 272
FEATURES_FPS: Final = 30.0
ROOT_VELOCITY: Final = slice(0, 2)
HEADING: Final = slice(2, 8)
POSITIONS: Final = slice(8, 74)
VELOCITIES: Final = slice(74, 140)
ROTATIONS: Final = slice(140, 272)
BLOCKS: Final = (ROOT_VELOCITY, HEADING, POSITIONS, VELOCITIES, ROTATIONS)
_NUM_JOINTS: Final = 22


def from_motion(motion: Motion) -> Tensor:
    """A Motion -> (T, 272) features at 30 fps, in the motion's precision.

    Raises:
        ValueError: the skeleton is not SMPL-22.
    """
    if motion.skeleton.num_joints != _NUM_JOINTS:
        raise ValueError(
            f"features need the 22 SMPL joints; this skeleton has {motion.skeleton.num_joints}: retarget"
        )
    motion = motion.resample(FEATURES_FPS).face_forward()
    return from_joints(motion.joints(), motion.rotations)


def from_joints(joints: Tensor, rotations: Tensor) -> Tensor:
    """Joint positions and rotations -> features.

    Args:
        joints: (T, 22, 3) world positions, metres, 30 fps; the clip should face +Z in frame 0.
        rotations: (T, 22, 3, 3) parent-relative rotations, the root's in the world.

    Returns:
        (T, 272).
    """
    positions = joints - torch.stack((joints[0, 0, 0], joints[..., 1].min(), joints[0, 0, 2]))
    angle = heading(rotations[:, 0])
    unturn = yaw_matrix(-angle)  # A_t
    previous = torch.cat((unturn[:1], unturn[:-1]))
    step = torch.diff(positions[:, 0], dim=0, prepend=positions[:1, 0])
    root_velocity = torch.einsum("tij,tj->ti", previous, step)[:, [0, 2]]
    turn = yaw_matrix(-torch.diff(angle, prepend=angle[:1]))

    centred = positions - positions[:, :1] * positions.new_tensor([1.0, 0.0, 1.0])
    local = torch.einsum("tij,tkj->tki", unturn, centred)
    velocity = torch.diff(local, dim=0, prepend=local[:1])
    unturned = torch.cat(((unturn @ rotations[:, 0])[:, None], rotations[:, 1:]), dim=1)
    return torch.cat(
        (
            root_velocity,
            matrix_to_6d(turn),
            local.flatten(1),
            velocity.flatten(1),
            matrix_to_6d(unturned).flatten(1),
        ),
        dim=1,
    )


def to_joints(features: Tensor) -> Tensor:
    """Position route: (..., T, 272) features -> (..., T, 22, 3) world joints, metres; exact also for noisy 6D."""
    turns = _headings(features).transpose(0, 1)
    path = _path(features, turns)
    frames = features.reshape(-1, NUM_FEATURES)
    joints = frames.new_empty(len(frames), 3 * _NUM_JOINTS)
    for part in parts(frames):
        local = frames[part, POSITIONS].t().contiguous()
        coordinates = local.unflatten(0, (_NUM_JOINTS, 1, 3)).unbind(2)
        joints[part] = placed(turns[..., part], coordinates, path[:, part]).flatten(0, 1).t()
    return joints.view(*features.shape[:-1], _NUM_JOINTS, 3)


def to_rotations(features: Tensor) -> tuple[Tensor, Tensor]:
    """Rotation route as the reference recovers it.

    Returns:
        (..., T, 22, 3, 3) parent-relative rotations, the root's in the world, and (..., T, 3) pelvis positions in
        metres, height over the clip's lowest joint.
    """
    frames = features.reshape(-1, NUM_FEATURES)
    rotations = frames.new_empty(len(frames), 9 * _NUM_JOINTS)
    root = frames.new_empty(len(frames), 3)
    for part, local, path in _rotation_route(features):
        rotations[part] = local.flatten(0, 2).t()
        root[part] = path.t()
    leading = features.shape[:-1]
    return rotations.view(*leading, _NUM_JOINTS, 3, 3), root.view(*leading, 3)


def to_joints_by_rotations(features: Tensor, skeleton: Skeleton | None = None) -> Tensor:
    """Rotation route to joints: (..., T, 272) features -> (..., T, 22, 3) world joints on a skeleton, metres.

    What `Skeleton.joint_positions` makes of `to_rotations`, without the rotations in between.

    Raises:
        ValueError: the skeleton is not SMPL-22.
    """
    skeleton = skeleton or adult_skeleton()
    if skeleton.num_joints != _NUM_JOINTS:
        raise ValueError(
            f"features have the 22 SMPL joints; this skeleton has {skeleton.num_joints}"
        )
    joints = features.new_empty(features.shape[:-1].numel(), 3 * _NUM_JOINTS)
    for part, local, path in _rotation_route(features):
        positions, _ = skeleton.chain(local, path, ends=False)
        joints[part] = torch.stack(positions).flatten(0, 1).t()
    return joints.view(*features.shape[:-1], _NUM_JOINTS, 3)


def to_motion(
    features: Tensor,
    skeleton: Skeleton | None = None,
    *,
    name: str = "",
    leg: Tensor | None = None,
) -> Motion:
    """Rotation route on a skeleton of ours: (T, 272) features -> Motion at 30 fps.

    The heading is a pure yaw (decoded features never tilt the world), the root path is scaled by leg length when the
    features were made on another body, and the lowest joint of the clip stands where a foot joint stands.

    Args:
        leg: leg length of the body that the features were made on, metres; measured on them where it is not given.
    """
    skeleton = skeleton or adult_skeleton()
    increments = matrix_from_6d(features[..., HEADING])
    unturn = yaw_matrix(torch.cumsum(heading(increments), dim=-1))
    rotations = matrix_from_6d(features[..., ROTATIONS].unflatten(-1, (_NUM_JOINTS, 6)))
    rotations[..., 0, :, :] = unturn.transpose(-1, -2) @ rotations[..., 0, :, :]
    root = recover_root(features, unturn)
    height = features[..., POSITIONS.start + 1]
    scale = skeleton.leg_length / (leg_length(features) if leg is None else leg)
    root = torch.stack((root[..., 0], height, root[..., 2]), dim=-1) * scale
    root = root + root.new_tensor([0.0, skeleton.foot_joint_height, 0.0])
    return Motion(rotations, root, FEATURES_FPS, skeleton, name)


def leg_length(features: Tensor) -> Tensor:
    """Thigh plus shin of the body that the positions show, median over frames, metres: (..., T, 272) -> ()."""
    local = features[..., POSITIONS].unflatten(-1, (_NUM_JOINTS, 3))
    bones = local[..., [4, 7, 5, 8], :] - local[..., [1, 4, 2, 5], :]
    return bones.norm(dim=-1).sum(-1).median() / 2


def recover_headings(features: Tensor) -> Tensor:
    """(..., T, 272) -> (..., T, 3, 3): A_t, the product D_t ... D_1 D_0 of the heading changes."""
    return _headings(features).movedim(-1, 0).reshape(*features.shape[:-1], 3, 3)


def recover_root(features: Tensor, unturn: Tensor) -> Tensor:
    """Root path on the floor: (..., T, 272) and A_t (..., T, 3, 3) -> (..., T, 3) metres, y = 0."""
    turns = unturn.flatten(0, -3).permute(2, 1, 0)
    return _path(features, turns).t().reshape(*features.shape[:-1], 3)


def _headings(features: Tensor) -> Tensor:
    """(..., T, 272) -> (3, 3, N): A_t, for the N frames of all clips, one clip after the other."""
    clips = features.unsqueeze(0).flatten(0, -3)
    changes = clips[..., HEADING].permute(1, 2, 0).contiguous()
    return running_product(orthonormal_rows(changes)).permute(1, 2, 3, 0).flatten(2)


def _path(features: Tensor, turns: Tensor) -> Tensor:
    """(..., T, 272) and the transposes of A_t (3, 3, N) -> (3, N) path on the floor, y = 0."""
    x, z = features.unsqueeze(0).flatten(0, -3)[..., ROOT_VELOCITY].unbind(-1)
    before = turns.unflatten(-1, x.shape)[..., :-1]
    across = before[0, 0] * x[..., 1:] + before[0, 2] * z[..., 1:]
    ahead = before[2, 0] * x[..., 1:] + before[2, 2] * z[..., 1:]
    x, z = torch.cat((x[..., :1], across), dim=-1), torch.cat((z[..., :1], ahead), dim=-1)
    return torch.stack((x, torch.zeros_like(x), z)).cumsum(dim=-1).flatten(1)


def _rotation_route(features: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Some of the N frames at a time: their (22, 3, 3, n) local rotations and (3, n) pelvis positions."""
    turns = _headings(features).transpose(0, 1)
    path = _path(features, turns)
    frames = features.reshape(-1, NUM_FEATURES)
    path[1] = frames[:, POSITIONS.start + 1]
    for part in parts(frames):
        sixd = frames[part, ROTATIONS].t().contiguous()
        local = orthonormal_rows(sixd.unflatten(0, (_NUM_JOINTS, 6)))
        local[0] = product(turns[..., part], local[0])
        yield part, local, path[:, part]


def mirror(features: Tensor) -> Tensor:
    """Left and right exchanged: a signed permutation of (..., 272)."""
    order = list(mirror_permutation())
    flip = features.new_tensor([-1.0, 1.0, 1.0])
    flip_6d = features.new_tensor([1.0, -1.0, -1.0, -1.0, 1.0, 1.0])
    positions = features[..., POSITIONS].unflatten(-1, (_NUM_JOINTS, 3))[..., order, :] * flip
    velocities = features[..., VELOCITIES].unflatten(-1, (_NUM_JOINTS, 3))[..., order, :] * flip
    rotations = features[..., ROTATIONS].unflatten(-1, (_NUM_JOINTS, 6))[..., order, :] * flip_6d
    return torch.cat(
        (
            features[..., ROOT_VELOCITY] * features.new_tensor([-1.0, 1.0]),
            features[..., HEADING] * flip_6d,
            positions.flatten(-2),
            velocities.flatten(-2),
            rotations.flatten(-2),
        ),
        dim=-1,
    )


@dataclass(frozen=True, eq=False)
class Normalizer:
    """Features <-> zero-mean features of about unit scale.

    Attributes:
        mean: (272,) float64.
        std: (272,) float64, equal inside each of the five blocks.
    """

    mean: Tensor
    std: Tensor

    @classmethod
    def fit(cls, mean: Tensor, std: Tensor) -> Normalizer:
        """From the mean and standard deviation of each number: a block's std is the mean over the block."""
        blocks = [std[block].mean().expand(block.stop - block.start) for block in BLOCKS]
        return cls(mean.double(), torch.cat(blocks).double())

    def normalize(self, features: Tensor) -> Tensor:
        """(..., 272) -> (..., 272) float32, computed in float64 as the reference does."""
        return (
            (features.double() - self.mean.to(features.device)) / self.std.to(features.device)
        ).float()

    def denormalize(self, normalized: Tensor) -> Tensor:
        """(..., 272) -> (..., 272) float64."""
        return normalized.double() * self.std.to(normalized.device) + self.mean.to(
            normalized.device
        )

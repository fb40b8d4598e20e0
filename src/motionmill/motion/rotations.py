"""Rotations: 6D, matrices, quaternions (xyzw), axis-angle, Euler angles, yaw; each to the others.

Shapes: `...` any leading axes; matrices (..., 3, 3) act on column vectors; angles in radians.
"""

from __future__ import annotations

import roma
import torch
import torch.nn.functional as F
from torch import Tensor


def matrix_to_6d(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 6): the first two ROWS, row-major (the 272 representation's convention)."""
    return matrix[..., :2, :].flatten(-2)


def matrix_from_6d(sixd: Tensor) -> Tensor:
    """(..., 6) -> (..., 3, 3) by Gram-Schmidt; the three vectors become the ROWS. Need not be orthonormal."""
    first, second = sixd[..., :3], sixd[..., 3:]
    b1 = F.normalize(first, dim=-1, eps=1e-12)
    b2 = F.normalize(second - (b1 * second).sum(-1, keepdim=True) * b1, dim=-1, eps=1e-12)
    return torch.stack((b1, b2, torch.linalg.cross(b1, b2)), dim=-2)


def yaw_matrix(angle: Tensor) -> Tensor:
    """(...) angle about +Y -> (..., 3, 3). A positive angle turns +Z towards +X (to the left of a person)."""
    cos, sin = torch.cos(angle), torch.sin(angle)
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    rows = (cos, zero, sin, zero, one, zero, -sin, zero, cos)
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def heading(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (...): the yaw of where local +Z points, atan2(x, z)."""
    return torch.atan2(matrix[..., 0, 2], matrix[..., 2, 2])


def matrix_to_quaternion(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 4) unit quaternions, xyzw."""
    return roma.rotmat_to_unitquat(matrix)


def matrix_from_quaternion(quaternion: Tensor) -> Tensor:
    """(..., 4) xyzw, any length but zero -> (..., 3, 3)."""
    return roma.unitquat_to_rotmat(F.normalize(quaternion, dim=-1))


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 3) axis times angle, radians."""
    return roma.rotmat_to_rotvec(matrix)


def matrix_from_axis_angle(axis_angle: Tensor) -> Tensor:
    """(..., 3) axis times angle, radians -> (..., 3, 3)."""
    return roma.rotvec_to_rotmat(axis_angle)


def matrix_from_euler(order: str, angles: Tensor) -> Tensor:
    """Intrinsic Euler angles: (..., len(order)) radians -> (..., 3, 3).

    Args:
        order: axes in the order in which they are applied to the moving frame, for example "ZXY" as in BVH.
        angles: one angle for each letter of `order`.
    """
    result = torch.eye(3, dtype=angles.dtype, device=angles.device).expand(
        (*angles.shape[:-1], 3, 3)
    )
    for axis, angle in zip(order, angles.unbind(-1), strict=True):
        result = result @ _axis_matrix(axis, angle)
    return result


def matrix_to_euler(order: str, matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 3) intrinsic Euler angles in radians, for three different axes such as "ZYX"."""
    i, j, k = ("XYZ".index(axis) for axis in order)
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    middle = torch.asin((sign * matrix[..., i, k]).clamp(-1.0, 1.0))
    first = torch.atan2(-sign * matrix[..., j, k], matrix[..., k, k])
    last = torch.atan2(-sign * matrix[..., i, j], matrix[..., i, i])
    locked = (
        matrix[..., i, k].abs() > 1.0 - 1e-12
    )  # gimbal lock: only the sum or difference is defined
    first = torch.where(locked, torch.atan2(sign * matrix[..., k, j], matrix[..., j, j]), first)
    last = torch.where(locked, torch.zeros_like(last), last)
    return torch.stack((first, middle, last), dim=-1)


def slerp(start: Tensor, end: Tensor, weight: Tensor) -> Tensor:
    """Matrices (..., 3, 3) between `start` (weight 0) and `end` (weight 1) along the shorter arc.

    Args:
        weight: (...) in [0, 1].
    """
    turn = roma.rotmat_to_rotvec(start.transpose(-1, -2) @ end)
    return start @ roma.rotvec_to_rotmat(turn * weight.unsqueeze(-1))


def rotation_between(start: Tensor, end: Tensor) -> Tensor:
    """The smallest rotation that turns direction `start` (..., 3) into direction `end` (..., 3)."""
    start, end = F.normalize(start, dim=-1), F.normalize(end, dim=-1)
    cosine = (start * end).sum(-1)[..., None, None]
    sine = torch.linalg.cross(start, end)  # axis times sine
    x, y, z = sine.unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), dim=-1).unflatten(-1, (3, 3))
    identity = torch.eye(3, dtype=start.dtype, device=start.device)
    opposite = cosine < -1 + 1e-7
    result = identity + skew + skew @ skew / torch.where(opposite, 1.0, 1 + cosine)
    if not bool(opposite.any()):
        return result
    helper = torch.where(
        start[..., :1].abs() < 0.9, start.new_tensor([1.0, 0, 0]), start.new_tensor([0, 1.0, 0])
    )
    axis = F.normalize(torch.linalg.cross(start, helper), dim=-1)  # half a turn about any such axis
    return torch.where(opposite, 2 * axis[..., None] * axis[..., None, :] - identity, result)


def _axis_matrix(axis: str, angle: Tensor) -> Tensor:
    if axis not in ("X", "Y", "Z"):
        raise ValueError(f"unknown rotation axis {axis!r}; expected X, Y or Z")
    vector = angle.new_zeros(3)
    vector["XYZ".index(axis)] = 1.0
    return roma.rotvec_to_rotmat(vector * angle.unsqueeze(-1))

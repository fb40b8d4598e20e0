"""Rotations: 6D, matrices, quaternions (xyzw), axis-angle, Euler angles, yaw; each to the others.

Shapes: `...` any leading axes; matrices (..., 3, 3) act on column vectors; angles in radians.
"""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from motionmill.motion.frames_last import orthonormal_rows


def matrix_to_6d(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 6): the first two ROWS, row-major (the 272 representation's convention)."""
    return matrix[..., :2, :].flatten(-2)


def matrix_from_6d(sixd: Tensor) -> Tensor:
    """(..., 6) -> (..., 3, 3) by Gram-Schmidt; the three vectors become the ROWS. Need not be orthonormal."""
    rows = orthonormal_rows(sixd.reshape(-1, 6).t().contiguous())
    return rows.movedim(-1, 0).reshape(*sixd.shape[:-1], 3, 3)


def yaw_matrix(angle: Tensor) -> Tensor:
    """(...) angle about +Y -> (..., 3, 3). A positive angle turns +Z towards +X (to the left of a person)."""
    cos, sin = torch.cos(angle), torch.sin(angle)
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    rows = (cos, zero, sin, zero, one, zero, -sin, zero, cos)
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def heading(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (...): the yaw of where local +Z points, atan2(x, z)."""
    return torch.atan2(matrix[..., 0, 2], matrix[..., 2, 2])


def up_axis(up: Tensor) -> str:
    """The axis of a world, of those that files have as up, that a direction (3,) is closest to: "Y", "-Y" or "Z"."""
    scores = {"Y": float(up[1]), "-Y": -float(up[1]), "Z": float(up[2])}
    return max(scores, key=lambda name: scores[name])


def y_up(axis: str) -> Tensor:
    """(3, 3) float64 rotation of a world in which `axis` ("Y", "-Y", "Z") is up to one in which Y is; X stays."""
    rows = {
        "Y": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        "-Y": ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0)),
        "Z": ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)),
    }
    return torch.tensor(rows[axis], dtype=torch.float64)


def matrix_to_quaternion(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 4) unit quaternions, xyzw.

    4 q q^T is linear in the matrix; its row with the largest element on the diagonal is the quaternion, up to its
    length, without cancellation (S. Shepperd, "Quaternion from Rotation Matrix", 1978).
    """
    a, b, c, d, e, f, g, h, i = matrix.flatten(-2).unbind(-1)
    products = (
        (1 + a - e - i, b + d, c + g, h - f),
        (b + d, 1 + e - a - i, f + h, c - g),
        (c + g, f + h, 1 + i - a - e, d - b),
        (h - f, c - g, d - b, 1 + a + e + i),
    )
    rows = torch.stack([torch.stack(row, dim=-1) for row in products], dim=-2)
    largest = rows.diagonal(dim1=-2, dim2=-1).argmax(dim=-1)
    row = rows.gather(-2, largest[..., None, None].expand(*largest.shape, 1, 4)).squeeze(-2)
    return F.normalize(row, dim=-1)


def matrix_from_quaternion(quaternion: Tensor) -> Tensor:
    """(..., 4) xyzw, any length but zero -> (..., 3, 3)."""
    x, y, z, w = F.normalize(quaternion, dim=-1).unbind(-1)
    xx, yy, zz = 2 * x * x, 2 * y * y, 2 * z * z
    xy, xz, yz = 2 * x * y, 2 * x * z, 2 * y * z
    xw, yw, zw = 2 * x * w, 2 * y * w, 2 * z * w
    rows = (
        1 - yy - zz, xy - zw, xz + yw,
        xy + zw, 1 - xx - zz, yz - xw,
        xz - yw, yz + xw, 1 - xx - yy,
    )  # fmt: skip
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 3) axis times angle, radians; the angle is at most pi."""
    quaternion = matrix_to_quaternion(matrix)
    quaternion = torch.where(quaternion[..., 3:] < 0, -quaternion, quaternion)
    x, y, z, w = quaternion.unbind(-1)
    sine = _length(x, y, z)  # of half the angle, never nothing
    return quaternion[..., :3] * (2 * torch.atan2(sine, w) / sine)[..., None]


def matrix_from_axis_angle(axis_angle: Tensor) -> Tensor:
    """(..., 3) axis times angle, radians -> (..., 3, 3)."""
    half = _length(*axis_angle.unbind(-1)).unsqueeze(-1) / 2
    axis = axis_angle * torch.sinc(half / math.pi) / 2  # times the sine of half the angle
    return matrix_from_quaternion(torch.cat((axis, torch.cos(half)), dim=-1))


def nearest_rotation(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 3, 3): the rotation R with the least |R - matrix| (Procrustes, reflections left out)."""
    left, _, right = torch.linalg.svd(matrix)
    sign = torch.linalg.det(left @ right).sign()
    last = left[..., :, 2:] * sign[..., None, None]
    return torch.cat((left[..., :, :2], last), dim=-1) @ right


def matrix_from_euler(order: str, angles: Tensor) -> Tensor:
    """Intrinsic Euler angles: (..., len(order)) radians -> (..., 3, 3).

    Args:
        order: axes in the order in which they are applied to the moving frame, for example "ZXY" as in BVH.
        angles: one angle for each letter of `order`.
    """
    if len(order) != angles.shape[-1]:
        raise ValueError(f"{angles.shape[-1]} angles for the axes {order!r}; expected one for each")
    turns = [
        _axis_matrix(axis, angle) for axis, angle in zip(order, angles.unbind(-1), strict=True)
    ]
    identity = torch.eye(3, dtype=angles.dtype, device=angles.device)
    return (
        functools.reduce(torch.matmul, turns, identity)
        if turns
        else identity.expand((*angles.shape[:-1], 3, 3))
    )


def matrix_to_euler(order: str, matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 3) intrinsic Euler angles in radians, for three different axes such as "ZYX".

    Exact everywhere, gimbal lock included: the last two angles are what is left of the matrix without the first turn.
    """
    first, _ = _first_angle(order, matrix)
    return _angles_after(order, matrix, first)


def euler_curves(order: str, matrix: Tensor) -> Tensor:
    """(T, ..., 3, 3) rotations over time -> (T, ..., 3) intrinsic Euler angles without jumps from frame to frame.

    Of the two triples that mean a rotation, the one nearer to the frame before is taken, and whole turns are added to
    stay near; in gimbal lock, where only the sum or difference of two angles is defined, the first stands still.

    Args:
        order: three different axes in the order in which they are applied to the moving frame, for example "ZXY".
        matrix: (T, ..., 3, 3).
    """
    first, free = _first_angle(order, matrix)
    frame = torch.arange(len(matrix), device=matrix.device).reshape(-1, *[1] * (first.ndim - 1))
    last_defined = torch.where(free, 0, frame).cummax(dim=0).values
    angles = _angles_after(order, matrix, first.gather(0, last_defined))
    other = torch.stack(
        (angles[..., 0] + math.pi, math.pi - angles[..., 1], angles[..., 2] + math.pi), dim=-1
    )
    # The two triples of a frame are as far from each other's successors as from their own, whichever was taken before.
    stay = _wrapped(angles[1:] - angles[:-1]).abs().sum(-1)
    change = _wrapped(other[1:] - angles[:-1]).abs().sum(-1)
    changed = torch.zeros_like(first, dtype=torch.int64)
    changed[1:] = (change < stay).long().cumsum(dim=0) % 2
    chosen = torch.where((changed == 1).unsqueeze(-1), other, angles)
    steps = _wrapped(chosen[1:] - chosen[:-1])
    return torch.cat((chosen[:1], chosen[:1] + steps.cumsum(dim=0)))


def slerp(start: Tensor, end: Tensor, weight: Tensor) -> Tensor:
    """Matrices (..., 3, 3) between `start` (weight 0) and `end` (weight 1) along the shorter arc.

    Args:
        weight: (...) in [0, 1].
    """
    turn = matrix_to_axis_angle(start.transpose(-1, -2) @ end)
    return start @ matrix_from_axis_angle(turn * weight.unsqueeze(-1))


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


def _axes(order: str) -> tuple[int, int, int, float]:
    """Indices of the three axes, and 1 where they follow each other as X, Y, Z do, else -1."""
    i, j, k = ("XYZ".index(axis) for axis in order)
    return i, j, k, 1.0 if (j - i) % 3 == 1 else -1.0


def _first_angle(order: str, matrix: Tensor) -> tuple[Tensor, Tensor]:
    """The first of the Euler angles (...), and where it may be any (...): in gimbal lock, within rounding."""
    _, j, k, sign = _axes(order)
    across, along = -sign * matrix[..., j, k], matrix[..., k, k]
    return torch.atan2(across, along), torch.hypot(across, along) < 1e-6


def _angles_after(order: str, matrix: Tensor, first: Tensor) -> Tensor:
    """(..., 3) the Euler angles whose first is given."""
    i, j, k, sign = _axes(order)
    cos, sin = torch.cos(first).unsqueeze(-1), sign * torch.sin(first).unsqueeze(-1)
    row_j = cos * matrix[..., j, :] + sin * matrix[..., k, :]
    row_k = cos * matrix[..., k, :] - sin * matrix[..., j, :]
    middle = torch.atan2(sign * matrix[..., i, k], row_k[..., k])
    last = torch.atan2(sign * row_j[..., i], row_j[..., j])
    return torch.stack((first, middle, last), dim=-1)


def _wrapped(angle: Tensor) -> Tensor:
    """The same angle in [-pi, pi)."""
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi


def _axis_matrix(axis: str, angle: Tensor) -> Tensor:
    if axis not in ("X", "Y", "Z"):
        raise ValueError(f"unknown rotation axis {axis!r}; expected X, Y or Z")
    cos, sin = torch.cos(angle), torch.sin(angle)
    i, j, k = {"X": (0, 1, 2), "Y": (1, 2, 0), "Z": (2, 0, 1)}[axis]
    matrix = angle.new_zeros((*angle.shape, 3, 3))
    matrix[..., i, i] = 1.0
    matrix[..., j, j] = matrix[..., k, k] = cos
    matrix[..., k, j] = sin
    matrix[..., j, k] = -sin
    return matrix


def _length(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """sqrt(x^2 + y^2 + z^2), at least 1e-12."""
    return (x * x + y * y + z * z).clamp(min=1e-24).sqrt()

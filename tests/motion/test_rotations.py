"""Rotations: every representation to the others, against scipy, also at the awkward angles."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from motionmill.motion import rotations

VECTORS = st.lists(st.floats(-3.1, 3.1), min_size=3, max_size=3)


@given(VECTORS, st.sampled_from(["XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX"]))
@settings(max_examples=60, deadline=None)
def test_euler_is_scipys(angles: list[float], order: str) -> None:
    ours = rotations.matrix_from_euler(order, torch.tensor(angles, dtype=torch.float64))
    assert np.abs(ours.numpy() - Rotation.from_euler(order, angles).as_matrix()).max() < 1e-12
    back = rotations.matrix_from_euler(order, rotations.matrix_to_euler(order, ours))
    assert (back - ours).abs().max() < 1e-7


@pytest.mark.parametrize("order", ["XYZ", "ZXY", "ZYX"])
@pytest.mark.parametrize("middle", [np.pi / 2, -np.pi / 2])
def test_euler_at_the_gimbal_lock(order: str, middle: float) -> None:
    matrix = rotations.matrix_from_euler(
        order, torch.tensor([0.4, middle, -1.1], dtype=torch.float64)
    )
    back = rotations.matrix_from_euler(order, rotations.matrix_to_euler(order, matrix))
    assert (back - matrix).abs().max() < 1e-7


@pytest.mark.parametrize("order", ["XYZ", "ZXY", "ZYX"])
def test_euler_near_the_gimbal_lock_in_single_precision(order: str) -> None:
    """Rounding to float32 may cost 1e-6 of an angle, not the 4e-4 of an arc sine near 1."""
    middle = np.pi / 2 + torch.tensor([0.0, 1e-7, -1e-6, 1e-5, -1e-4, 1e-3, -1e-2])
    angles = torch.stack((torch.full((7,), 0.4), middle, torch.full((7,), -1.1)), dim=-1)
    matrix = rotations.matrix_from_euler(order, angles.double()).float().double()
    back = rotations.matrix_from_euler(order, rotations.matrix_to_euler(order, matrix))
    assert (back - matrix).abs().max() < 1e-6


@given(st.integers(0, 10**6), st.sampled_from(["XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX"]))
@settings(max_examples=40, deadline=None)
def test_euler_curves_mean_the_rotations_and_do_not_jump(seed: int, order: str) -> None:
    """Turns of many times 360 degrees, the middle axis through both poles."""
    generator = torch.Generator().manual_seed(seed)
    speed = 30 * torch.randn(1, 4, 3, generator=generator, dtype=torch.float64)
    angles = torch.linspace(0, 1, 400, dtype=torch.float64)[:, None, None] * speed
    matrix = rotations.matrix_from_euler(order, angles)
    curves = rotations.euler_curves(order, matrix)
    assert (rotations.matrix_from_euler(order, curves) - matrix).abs().max() < 1e-9
    assert (curves[1:] - curves[:-1] - (angles[1:] - angles[:-1])).abs().max() < 1e-9


def test_euler_curves_stand_still_in_the_gimbal_lock() -> None:
    """A joint that turns up to the pole, waits there and comes back keeps its first angle."""
    middle = torch.cat((torch.linspace(1.4, np.pi / 2, 9), torch.full((5,), np.pi / 2)))
    middle = torch.cat((middle, middle.flip(0))).double()
    angles = torch.stack((torch.full_like(middle, 0.7), middle, torch.full_like(middle, 2.0)), -1)
    curves = rotations.euler_curves("ZYX", rotations.matrix_from_euler("ZYX", angles))
    assert (curves - angles).abs().max() < 1e-6


@given(VECTORS)
@settings(max_examples=60, deadline=None)
def test_sixd_quaternion_and_axis_angle_round_trips(vector: list[float]) -> None:
    matrix = rotations.matrix_from_axis_angle(torch.tensor(vector, dtype=torch.float64))
    for there, back in (
        (rotations.matrix_to_6d, rotations.matrix_from_6d),
        (rotations.matrix_to_quaternion, rotations.matrix_from_quaternion),
        (rotations.matrix_to_axis_angle, rotations.matrix_from_axis_angle),
    ):
        assert (back(there(matrix)) - matrix).abs().max() < 1e-7


AWKWARD = [
    [0.0, 0.0, 0.0],
    [1e-13, -1e-14, 0.0],
    [1e-7, 2e-7, -1e-7],
    [np.pi, 0.0, 0.0],
    [0.0, -np.pi + 1e-9, 0.0],
    [1.8, 1.8, 1.8],
    [2.0, -2.0, 1.0],
]


@pytest.mark.parametrize("vector", [*AWKWARD, [0.3, -0.2, 0.9], [-1.1, 2.0, 0.4]])
def test_quaternions_and_axis_angles_are_scipys(vector: list[float]) -> None:
    """No turn, hardly any, half turns about each axis and a slanted one; signs may differ."""
    rotation = Rotation.from_rotvec(vector)
    matrix = torch.from_numpy(rotation.as_matrix())
    ours = rotations.matrix_from_axis_angle(torch.tensor(vector, dtype=torch.float64))
    assert np.abs(ours.numpy() - rotation.as_matrix()).max() < 1e-15
    quaternion = rotations.matrix_to_quaternion(matrix)
    away = min(np.abs(sign * quaternion.numpy() - rotation.as_quat()).max() for sign in (1.0, -1.0))
    assert away < 1e-15
    back = rotations.matrix_from_quaternion(-3 * quaternion)
    assert np.abs(back.numpy() - rotation.as_matrix()).max() < 1e-15
    angle = rotations.matrix_to_axis_angle(matrix)
    assert angle.norm() <= np.pi + 1e-15
    assert np.abs(Rotation.from_rotvec(angle).as_matrix() - rotation.as_matrix()).max() < 1e-15
    single = rotations.matrix_from_axis_angle(rotations.matrix_to_axis_angle(matrix.float()))
    assert np.abs(single.numpy() - rotation.as_matrix()).max() < 1e-6


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_the_nearest_rotation(seed: int) -> None:
    """A rotation, though the matrix may mirror, and none of many others is nearer."""
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    nearest = rotations.nearest_rotation(matrix)
    assert (nearest @ nearest.T - torch.eye(3)).abs().max() < 1e-14
    assert torch.linalg.det(nearest) == pytest.approx(1.0)
    near = torch.randn(200, 3, generator=generator, dtype=torch.float64) * 0.1
    far = torch.randn(200, 3, generator=generator, dtype=torch.float64) * 3
    others = nearest @ rotations.matrix_from_axis_angle(torch.cat((near, far)))
    least = (nearest - matrix).norm()
    assert ((others - matrix).flatten(1).norm(dim=1) >= least - 1e-12).all()
    turned = rotations.nearest_rotation(3 * nearest)
    assert (turned - nearest).abs().max() < 1e-14


def test_sixd_holds_the_first_two_rows() -> None:
    matrix = rotations.matrix_from_axis_angle(torch.tensor([0.3, -0.2, 0.9]))
    assert torch.equal(rotations.matrix_to_6d(matrix), matrix[:2].flatten())


def test_yaw_turns_forward_to_the_left() -> None:
    forward = torch.tensor([0.0, 0.0, 1.0])
    turned = rotations.yaw_matrix(torch.tensor(np.pi / 2, dtype=torch.float32)) @ forward
    assert torch.allclose(turned, torch.tensor([1.0, 0.0, 0.0]), atol=1e-6)
    assert rotations.heading(rotations.yaw_matrix(torch.tensor(0.7))) == pytest.approx(
        0.7, abs=1e-6
    )


@given(VECTORS, VECTORS)
@settings(max_examples=60, deadline=None)
def test_rotation_between_directions(first: list[float], second: list[float]) -> None:
    start = torch.tensor(first, dtype=torch.float64) + torch.tensor([4.0, 0, 0])
    for end in (
        torch.tensor(second, dtype=torch.float64) + torch.tensor([0, 4.0, 0]),
        -start,
        start,
    ):
        turned = rotations.rotation_between(start, end) @ start
        assert torch.allclose(turned / turned.norm(), end / end.norm(), atol=1e-6)


def test_slerp_goes_half_way() -> None:
    start, end = torch.eye(3), rotations.yaw_matrix(torch.tensor(1.0))
    assert torch.allclose(
        rotations.slerp(start, end, torch.tensor(0.5)),
        rotations.yaw_matrix(torch.tensor(0.5)),
        atol=1e-6,
    )


def test_unknown_axis() -> None:
    with pytest.raises(ValueError, match="expected X, Y or Z"):
        rotations.matrix_from_euler("ABC", torch.zeros(3))

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

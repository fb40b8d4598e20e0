"""Rotations with the frames last: each function beside the plain formula, across the edges of parts, with gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from motionmill.motion import features, frames_last
from motionmill.motion.skeleton import adult_skeleton


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def frames_first(matrices: Tensor) -> Tensor:
    """(..., 3, 3, N) -> (N, ..., 3, 3)."""
    return matrices.movedim(-1, 0)


def test_products_and_places() -> None:
    left, right, origins = drawn(4, 3, 3, 7), drawn(4, 3, 3, 7) + 1, drawn(4, 3, 7)
    made = frames_first(frames_last.product(left, right))
    assert torch.allclose(made, frames_first(left) @ frames_first(right))
    vectors = drawn(4, 3, 7) - 1
    put = frames_last.placed(left, vectors.unsqueeze(-2).unbind(1), origins)
    expected = torch.einsum("jabn,jbn->jan", left, vectors) + origins
    assert torch.allclose(put, expected)


def test_orthonormal_rows_are_rotations() -> None:
    sixd = drawn(5, 6, 9)
    matrices = frames_first(frames_last.orthonormal_rows(sixd))
    assert torch.allclose(
        matrices @ matrices.mT, torch.eye(3, dtype=torch.float64).expand(9, 5, 3, 3)
    )
    assert torch.allclose(torch.linalg.det(matrices), torch.ones(9, 5, dtype=torch.float64))
    first = sixd[:, :3].movedim(-1, 0)
    assert torch.allclose(matrices[..., 0, :], first / first.norm(dim=-1, keepdim=True))


@pytest.mark.parametrize("length", [0, 1, 2, 3, 8, 31])
def test_a_running_product_is_the_loop(length: int) -> None:
    steps = (
        frames_last.orthonormal_rows(drawn(length, 6, 2)) * 1.1
    )  # lengths that a pure rotation would not show
    product = frames_last.running_product(steps)
    assert product.shape == steps.shape
    expected = torch.eye(3, dtype=torch.float64).expand(2, 3, 3)
    for step, made in zip(steps, product, strict=True):
        expected = frames_first(step) @ expected
        assert torch.allclose(frames_first(made), expected)


def noisy_clips(num_clips: int, num_frames: int) -> Tensor:
    clips = 0.1 * drawn(num_clips, num_frames, features.NUM_FEATURES)
    clips[..., features.HEADING] += clips.new_tensor([1.0, 0, 0, 0, 1, 0])
    clips[..., features.ROTATIONS] += clips.new_tensor([1.0, 0, 0, 0, 1, 0]).repeat(22)
    return clips


def test_clips_in_a_batch_are_the_clips_alone() -> None:
    clips = noisy_clips(3, 1500)  # in all more frames than a part, and no whole number of parts
    joints = features.to_joints(clips)
    rotations, root = features.to_rotations(clips)
    for place, clip in enumerate(clips):
        assert torch.allclose(joints[place], features.to_joints(clip), atol=1e-9)
        alone = features.to_rotations(clip)
        assert torch.allclose(rotations[place], alone[0], atol=1e-9)
        assert torch.allclose(root[place], alone[1], atol=1e-9)
    skeleton = adult_skeleton()
    positions, world = skeleton.forward_kinematics(rotations, root)
    assert torch.equal(positions, skeleton.joint_positions(rotations, root))
    assert torch.equal(positions, features.to_joints_by_rotations(clips))
    knee, hip = skeleton.index("left_knee"), skeleton.index("left_hip")
    assert torch.allclose(
        world[..., knee, :, :], world[..., hip, :, :] @ rotations[..., knee, :, :]
    )
    bone = world[..., hip, :, :] @ skeleton.offsets[knee]
    assert torch.allclose(positions[..., knee, :], positions[..., hip, :] + bone)


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 5), (2, 3, 4)])
def test_any_leading_axes(shape: tuple[int, ...]) -> None:
    clips = noisy_clips(1, max(1, torch.Size(shape).numel())).flatten(0, 1)
    clips = clips[: torch.Size(shape).numel()].view(*shape, features.NUM_FEATURES)
    assert features.to_joints(clips).shape == (*shape, 22, 3)
    assert features.to_joints_by_rotations(clips).shape == (*shape, 22, 3)
    rotations, root = features.to_rotations(clips)
    assert rotations.shape == (*shape, 22, 3, 3)
    assert root.shape == (*shape, 3)
    assert features.recover_headings(clips).shape == (*shape, 3, 3)
    assert adult_skeleton().joint_positions(rotations, root).shape == (*shape, 22, 3)


def test_joints_have_gradients() -> None:
    clip = noisy_clips(1, 5)[0]
    root = clip[:, :3].clone()
    sixd = clip[:, features.ROTATIONS].unflatten(-1, (22, 6)).clone()

    def joints(sixd: Tensor, root: Tensor) -> Tensor:
        matrices = frames_last.orthonormal_rows(sixd.permute(1, 2, 0)).movedim(-1, 0)
        return adult_skeleton().joint_positions(matrices, root)

    given = (sixd.requires_grad_(), root.requires_grad_())
    assert torch.autograd.gradcheck(joints, given, fast_mode=True)
    assert torch.autograd.gradcheck(features.to_joints, clip.requires_grad_(), fast_mode=True)

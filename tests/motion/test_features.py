"""Features: the official outputs of the 272 numbers, both ways out, mirror, normaliser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from motionmill.motion import features
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import heading, matrix_from_axis_angle, yaw_matrix
from motionmill.motion.skeleton import Skeleton, adult_skeleton


@pytest.fixture(scope="module")
def official(shared: Path) -> Any:
    return torch.load(shared / "fixtures" / "rep272.pt", weights_only=True)


@pytest.mark.parametrize("case", ["recover_start", "recover_crop", "recover_noisy"])
def test_positions_and_rotations_of_the_reference(official: Any, case: str) -> None:
    expected = official[case]
    x = expected["x272"].double()
    joints = features.to_joints(x)
    assert (joints - expected["joints_from_position"]).abs().max() < 1e-6
    rotations, root = features.to_rotations(x)
    smpl = expected["smpl85_from_rotation"]
    theirs = matrix_from_axis_angle(smpl[:, :66].reshape(-1, 22, 3))
    assert (rotations - theirs).abs().max() < 1e-6
    assert (root - smpl[:, 72:75]).abs().max() < 1e-6


def test_forward_is_the_reference(official: Any) -> None:
    case = official["forward"]
    rotations = matrix_from_axis_angle(case["smpl85_facez"][:, :66].double().reshape(-1, 22, 3))
    made = features.from_joints(case["joints_facez"].double(), rotations)
    assert (made - case["x272"]).abs().max() < 1e-6


def test_facing_forward_and_kinematics_of_the_reference(official: Any) -> None:
    case = official["forward"]
    raw, faced = case["smpl85_raw"].double(), case["smpl85_facez"].double()
    motion = Motion(matrix_from_axis_angle(raw[:, :66].reshape(-1, 22, 3)), raw[:, 72:75])
    turned = motion.transformed(
        yaw_matrix(-heading(motion.rotations[0, 0])), torch.zeros(3, dtype=torch.float64)
    )
    theirs = matrix_from_axis_angle(faced[:, :66].reshape(-1, 22, 3))
    assert (turned.rotations - theirs).abs().max() < 5e-6  # stored in float32
    assert (turned.root - faced[:, 72:75]).abs().max() < 5e-6
    parents = tuple(case["parents"].tolist())
    skeleton = Skeleton(adult_skeleton().names, parents, case["bone_offsets"])
    joints = skeleton.forward_kinematics(theirs, faced[:, 72:75] + case["rest_pelvis"])[0]
    assert (joints - case["joints_facez"]).abs().max() < 5e-5


@pytest.mark.parametrize("case", ["recover_start", "recover_crop"])
def test_kinematics_of_recovered_rotations(official: Any, case: str) -> None:
    rotations, root = features.to_rotations(official[case]["x272"].double())
    skeleton = Skeleton(
        adult_skeleton().names, adult_skeleton().parents, official["forward"]["bone_offsets"]
    )
    joints = skeleton.forward_kinematics(rotations, root)[0]
    assert (joints - official[case]["fk_joints_pelvis_at_translation"]).abs().max() < 1e-6


def random_motion(seed: int, frames: int = 40) -> Motion:
    draw = torch.Generator().manual_seed(seed)
    start = 0.3 * torch.randn(1, 22, 3, generator=draw, dtype=torch.float64)
    walk = 0.02 * torch.randn(frames, 22, 3, generator=draw, dtype=torch.float64)
    rotations = matrix_from_axis_angle(start + walk.cumsum(0))
    rotations[:, 0] = (
        yaw_matrix(torch.linspace(0, 5, frames, dtype=torch.float64)) @ rotations[:, 0]
    )
    root = 0.02 * torch.randn(frames, 3, generator=draw, dtype=torch.float64).cumsum(0)
    return Motion(rotations, root + torch.tensor([2.0, 0.95, -1.0]))


@given(st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_there_and_back(seed: int) -> None:
    motion = random_motion(seed).face_forward()
    back = features.to_motion(features.from_motion(motion))
    assert (back.rotations - motion.rotations).abs().max() < 1e-9
    assert (back.root[:, [0, 2]] - motion.root[:, [0, 2]]).abs().max() < 1e-9
    # The features do not know the height of the floor, only the shape of the root's path over it.
    rise = back.root[:, 1] - motion.root[:, 1]
    assert (rise - rise[0]).abs().max() < 1e-9


def test_both_routes_agree_on_our_skeleton() -> None:
    x = features.from_motion(random_motion(3))
    by_rotation = features.to_motion(x).joints()
    by_position = features.to_joints(x)
    height = adult_skeleton().foot_joint_height
    assert (by_rotation - by_position - torch.tensor([0.0, height, 0.0])).abs().max() < 1e-9


def test_mirror_of_features_is_mirror_of_motion() -> None:
    motion = random_motion(5)
    mirrored = features.mirror(features.from_motion(motion))
    assert (mirrored - features.from_motion(motion.mirror())).abs().max() < 1e-9
    assert not torch.allclose(mirrored, features.from_motion(motion))


def test_decoded_headings_never_tilt_the_world() -> None:
    x = features.from_motion(random_motion(8))
    noise = 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    x[:, features.HEADING] += noise[:, features.HEADING]
    up = features.to_motion(x).rotations[:, 0] @ features.from_motion(random_motion(8)).new_tensor(
        [0, 1.0, 0]
    )
    straight = features.to_motion(features.from_motion(random_motion(8))).rotations[:, 0, :, 1]
    assert (up[:, 1] - straight[:, 1]).abs().max() < 1e-9


def test_normalizer_has_one_scale_a_block() -> None:
    values: Tensor = torch.rand(
        500, 272, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    normalizer = features.Normalizer.fit(values.mean(0), values.std(0))
    for block in features.BLOCKS:
        assert normalizer.std[block].unique().numel() == 1
    back = normalizer.denormalize(normalizer.normalize(values))
    assert (back - values).abs().max() < 1e-5


def test_foreign_skeletons_are_refused() -> None:
    skeleton = adult_skeleton()
    small = type(skeleton)(skeleton.names[:5], skeleton.parents[:5], skeleton.offsets[:5])
    motion = Motion(torch.eye(3).expand(4, 5, 3, 3), torch.zeros(4, 3), skeleton=small)
    with pytest.raises(ValueError, match="22 SMPL joints"):
        features.from_motion(motion)

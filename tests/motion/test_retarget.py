"""Retargeting: each rig of the shared data keeps posture, sides, direction, floor; our own skeleton is unchanged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from motionmill.formats import packed
from motionmill.formats.packed import DROPPED, PackedClip, read_folder
from motionmill.motion import physics, rigs
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import retarget, upright
from motionmill.motion.rig_tables import AXES, SIDES
from motionmill.motion.rigs import recognise
from motionmill.motion.rotations import (
    matrix_from_axis_angle,
    matrix_to_axis_angle,
    rotation_between,
    yaw_matrix,
)
from motionmill.motion.skeleton import Skeleton, adult_skeleton
from motionmill.motion.transfer import bone_direction_error, bone_direction_errors

# One clip of every rig: folder, id, whether it walks or runs forward.
CLIPS = [
    ("bandai", "dataset-2_walk_active_001", True),
    ("snu2", "snu_basket_s_003_1_1", False),
    ("snu2", "snu_cmu_69_01_1", True),
    ("snu2", "snu_wd2_wd2_WalkForwardNormal00", True),
    ("snu2", "snu_wd2_woddy2_walk_straight_fast", True),
    ("uiprmd", "prmd_m01_s01_e01", False),
    ("cmu2", "cmu_amc_05_01", True),
    ("cmu", "cmu_amc_02_01", True),
    ("cmu", "cmu_cg_06_01", True),
    ("cmu", "cmu_cgmax_131_03", False),
    ("cmu_acrnn", "acrnn_salsa_01", False),
    ("cmu_acrnn", "ad_dab", False),
    ("cmu_acrnn", "ad_jesse_dance", False),
    ("extra", "snu_ma_16_08_1", False),
    ("extra", "mass_walk", True),
    ("extra", "dm_walk", True),
    ("game_cc0", "ual_Dance_Loop", False),
    ("game_cc0", "m2m_Reject", False),
    ("game_cc0", "kaykit_Block", False),
]


@pytest.fixture(scope="module")
def clips(shared: Path) -> dict[str, PackedClip]:
    folders = {folder for folder, _, _ in CLIPS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            packed, "DROPPED", {}
        )  # its only clip of the Rokoko rig floats, but turns its joints
        found = [clip for folder in folders for clip in read_folder(shared / "data" / folder)]
    return {clip.id: clip for clip in found}


@pytest.mark.parametrize(("name", "forward"), [(name, forward) for _, name, forward in CLIPS])
def test_every_rig(clips: dict[str, PackedClip], name: str, forward: bool) -> None:
    source = clips[name].motion()
    source = source[:: max(1, round(source.fps / 30))][:300]
    result = retarget(source, correct=False)
    assert bone_direction_error(source, result) < 5
    limbs = [f"{side}_{part}" for side in SIDES for part in ("shoulder", "elbow", "hip", "knee")]
    errors = bone_direction_errors(source, result)
    assert max(errors[limb] for limb in limbs) < 0.1

    own, joints = result.skeleton, result.joints()
    hips = F.normalize(joints[:, own.index("left_hip")] - joints[:, own.index("right_hip")], dim=-1)
    theirs = source.joints() if recognise(source.skeleton).up[1] > 0.5 else upright(source).joints()
    places = recognise(source.skeleton).joints
    across = F.normalize(theirs[:, places["left_hip"]] - theirs[:, places["right_hip"]], dim=-1)
    assert float((hips * across).sum(-1).mean()) > 0.97  # facing is kept

    turns = matrix_to_axis_angle(result.rotations).mean(dim=0)
    # Knees bend backwards and elbows forwards: neither sides nor front and back are exchanged.
    assert float(turns[own.index("left_knee"), 0]) > 0.1
    assert float(turns[own.index("right_knee"), 0]) > 0.1
    assert float(turns[own.index("left_elbow"), 1]) < -0.1
    assert float(turns[own.index("right_elbow"), 1]) > 0.1

    lowest = physics.foot_heights(result).amin(dim=-1)
    assert -0.04 < float(lowest.quantile(0.2)) < 0.03 or name in DROPPED
    if forward:
        step = result.root[1:] - result.root[:-1]
        ahead = torch.linalg.cross(hips, torch.tensor([0.0, 1.0, 0.0]).to(hips).expand_as(hips))[1:]
        moving = step.norm(dim=-1) * result.fps > 0.3
        assert float(((step * ahead).sum(-1) > 0)[moving].double().mean()) > 0.9


def test_feet_slide_no_more_than_in_the_source(clips: dict[str, PackedClip]) -> None:
    source = clips["dataset-2_walk_active_001"].motion()
    result = retarget(source)
    places = recognise(source.skeleton).joints
    ratio = result.skeleton.leg_length / 0.8
    feet = source.joints()[:, [places[name] for name in physics.FOOT_JOINTS]] * ratio
    slide = float(physics.foot_slide_of(feet, physics.foot_heights(result)))
    assert physics.foot_slide(result) < 1.1 * slide


def test_bandai_follows_the_verified_table(clips: dict[str, PackedClip]) -> None:
    """Rotations of pelvis and knees, against the T-pose written down in the specification of the small model."""
    source = clips["dataset-2_walk_active_001"].motion()
    result = retarget(source, correct=False)
    world, places = source.world_rotations(), recognise(source.skeleton).joints
    table = {
        "pelvis": [[0, 1, 0], [-1, 0, 0], [0, 0, 1]],
        "left_knee": [[0, -1, 0], [1, 0, 0], [0, 0, 1]],
        "right_knee": [[0, 1, 0], [1, 0, 0], [0, 0, -1]],
        "left_elbow": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        "right_elbow": [[1, 0, 0], [0, -1, 0], [0, 0, -1]],
    }
    for name, columns in table.items():
        rest = torch.tensor(columns, dtype=torch.float64).T
        expected = world[:, places[name]] @ rest.T
        got = result.world_rotations()[:, result.skeleton.index(name)]
        angle = matrix_to_axis_angle(expected.transpose(-1, -2) @ got).norm(dim=-1)
        assert float(angle.max()) < 0.04, name  # our shin leans by 1.4 degrees


def own_motion() -> Motion:
    generator = torch.Generator().manual_seed(3)
    turns = (
        0.15 * torch.randn(40, 22, 3, generator=generator, dtype=torch.float64).cumsum(dim=0) / 6
    )
    turns[:, 0, [0, 2]] = 0
    root = torch.tensor([0.3, 1.2, -2.0], dtype=torch.float64).repeat(40, 1)
    return Motion(matrix_from_axis_angle(turns), root, 30.0, name="own")


def test_our_own_motion_is_only_put_on_the_floor() -> None:
    motion = own_motion()
    result = retarget(motion)
    torch.testing.assert_close(result.rotations, motion.rotations, atol=1e-9, rtol=0)
    torch.testing.assert_close(result.root[:, [0, 2]], motion.root[:, [0, 2]])
    assert physics.floor(result) == pytest.approx(0.0, abs=1e-9)
    assert (result.fps, result.name) == (30.0, "own")


GAME_NAMES = {
    "collar": "Shoulder_{}", "shoulder": "UpperArm_{}", "elbow": "LowerArm_{}", "wrist": "Hand_{}",
    "hip": "UpperLeg_{}", "knee": "LowerLeg_{}", "ankle": "Foot_{}", "foot": "Toes_{}", "pelvis": "Hips",
    "spine1": "Spine", "spine2": "Chest", "spine3": "Spine2", "neck": "Neck", "head": "Head",
}  # fmt: skip
MIXAMO_NAMES = {
    "collar": "{}Shoulder", "shoulder": "{}Arm", "elbow": "{}ForeArm", "wrist": "{}Hand", "hip": "{}UpLeg",
    "knee": "{}Leg", "ankle": "{}Foot", "foot": "{}Toe", "pelvis": "Hips", "spine1": "Spine", "spine2": "Spine1",
    "spine3": "Spine2", "neck": "Neck", "head": "Head",
}  # fmt: skip


def with_axes_of(motion: Motion, rig: str) -> Motion:
    """The same motion with the joints named and turned as in a rig whose bones run along a local axis."""
    own = recognise(motion.skeleton)
    rest = rigs._rest_rotations(AXES[rig], motion.skeleton, own.joints, own.spine)
    rest = rigs._neutral(replace(own, name=rig, rest=rest)).rest
    above = torch.stack(
        [torch.eye(3).double(), *(rest[parent] for parent in motion.skeleton.parents[1:])]
    )
    offsets = (above.mT @ motion.skeleton.offsets[..., None])[..., 0]
    names, sides = (GAME_NAMES, "LR") if rig == "bandai" else (MIXAMO_NAMES, ("Left", "Right"))
    split = [name.rpartition("_") for name in motion.skeleton.names]
    called = tuple(names[part].format(sides[side == "right"]) for side, _, part in split)
    skeleton = Skeleton(called, motion.skeleton.parents, offsets)
    return Motion(above.mT @ motion.rotations @ rest, motion.root, motion.fps, skeleton)


@pytest.mark.parametrize("rig", ["bandai", "snu_martial_arts", "snu_basket", "rokoko"])
def test_rigs_along_one_axis_are_told_apart_and_undone(rig: str) -> None:
    motion = own_motion()
    turned = with_axes_of(motion, rig)
    assert recognise(turned.skeleton).name == rig
    result = retarget(turned, correct=False)
    joints = [joint for joint, name in enumerate(adult_skeleton().names) if "spine" not in name]
    torch.testing.assert_close(
        result.world_rotations()[:, joints], motion.world_rotations()[:, joints], atol=1e-6, rtol=0
    )
    if rig != "bandai":  # that family has names for two spine joints only
        torch.testing.assert_close(result.joints(), retarget(motion).joints(), atol=1e-6, rtol=0)


def test_units_and_proportions_do_not_matter() -> None:
    motion = own_motion()
    skeleton = replace(adult_skeleton(), offsets=adult_skeleton().offsets * 130)
    giant = replace(motion, root=motion.root * 130, skeleton=skeleton)
    torch.testing.assert_close(
        retarget(giant).joints(), retarget(motion).joints(), atol=1e-9, rtol=0
    )


def test_single_precision_is_taken() -> None:
    motion = own_motion()
    skeleton = replace(adult_skeleton(), offsets=adult_skeleton().offsets.float())
    single = Motion(motion.rotations.float(), motion.root.float(), 30.0, skeleton)
    torch.testing.assert_close(
        retarget(single).joints(), retarget(motion).joints(), atol=1e-5, rtol=0
    )


def test_a_world_whose_up_axis_is_z_is_raised() -> None:
    motion = own_motion()
    lay = rotation_between(torch.tensor([0.0, 1, 0]), torch.tensor([0.0, 0, 1])).double()
    rotations = lay @ motion.rotations @ lay.T
    skeleton = replace(adult_skeleton(), offsets=adult_skeleton().offsets @ lay.T)
    laid = Motion(rotations, motion.root @ lay.T, 30.0, skeleton)
    torch.testing.assert_close(
        retarget(laid, correct=False).joints(), retarget(motion).joints(), atol=1e-9, rtol=0
    )
    assert upright(motion) is motion


def test_one_wrong_frame_does_not_move_the_floor() -> None:
    motion = own_motion()
    root = motion.root.clone()
    root[11, 1] -= 0.5
    heights = retarget(replace(motion, root=root)).root[:, 1] - retarget(motion).root[:, 1]
    assert float(heights[:11].abs().max()) < 0.01


def test_the_direction_in_which_a_clip_faces_stays() -> None:
    motion = own_motion()
    turn = yaw_matrix(torch.tensor(2.0, dtype=torch.float64))
    turned = retarget(motion.transformed(turn, torch.zeros(3)))
    torch.testing.assert_close(
        turned.joints(), retarget(motion).joints() @ turn.T, atol=1e-9, rtol=0
    )


def test_motions_of_different_length_are_not_compared() -> None:
    with pytest.raises(ValueError, match="40 and 39 frames"):
        bone_direction_error(own_motion(), own_motion()[1:])

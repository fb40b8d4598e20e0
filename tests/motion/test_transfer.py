"""How well motions are carried over: the numbers that are asked, on an original file of every family, and the table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from motionmill.formats.files import load
from motionmill.formats.packed import read_folder
from motionmill.motion import physics
from motionmill.motion.hinges import bends
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import retarget
from motionmill.motion.rig_tables import SIDES
from motionmill.motion.transfer import Transfer, bone_direction_errors, table, transfer

FILES = (
    "bandai/dataset-1_walk_active_001.bvh",
    "bvh_toolbox/test_mocapbank.bvh",
    "cmu_cgspeed_bvh/06_01.bvh",
    "mass_bvh/run.bvh",
    "snu_martial_arts_bvh/16_35_1.bvh",
)


@pytest.fixture(scope="module", params=FILES)
def source(request: pytest.FixtureRequest, shared: Path) -> Motion:
    motion = load(shared / "data" / "originals" / request.param)
    return motion[:: max(1, round(motion.fps / 30))][:240]


def test_feet_follow_the_source_and_joints_bend_one_way(source: Motion) -> None:
    row = transfer(source)
    assert row.bone_error < 4
    assert row.sole_error < 2
    assert row.slide < 1.1 * row.source_slide
    assert row.penetration < 10
    assert row.backwards < 0.5


def test_the_correction_is_small_and_without_pops(source: Motion) -> None:
    plain, corrected = retarget(source, correct=False), retarget(source)
    moved = (plain.joints() - corrected.joints()).norm(dim=-1)
    assert float(moved.mean()) < 0.03
    pops = [
        motion.joints()[:, 1:12].diff(n=2, dim=0).norm(dim=-1).max()
        for motion in (corrected, plain)
    ]
    assert pops[0] < 1.3 * pops[1] + 0.01


def test_knees_bent_backwards_are_straightened_where_they_stand(shared: Path) -> None:
    source = load(shared / "data" / "originals" / FILES[3])[::4][:60]
    knee = source.skeleton.names.index(
        next(n for n in source.skeleton.names if n.endswith("LeftLeg"))
    )
    rotations = source.rotations.clone()
    rotations[:, knee] = torch.eye(3).to(rotations)
    hyper = replace(source, rotations=rotations)
    assert float(bends(retarget(hyper)).min()) > -1e-3


@pytest.fixture(scope="module")
def game(shared: Path) -> dict[str, Motion]:
    """Clips of KayKit's characters: hips four times as wide as ours, ankles twice as high."""
    clips = read_folder(shared / "data" / "game_cc0")
    return {clip.id: clip.motion() for clip in clips if clip.id.startswith("kaykit_")}


def test_feet_that_move_while_they_are_low_keep_the_pose(game: dict[str, Motion]) -> None:
    source = game["kaykit_2H_Melee_Attack_Spinning"]  # with feet that circle over the floor
    errors = bone_direction_errors(source, retarget(source))
    assert max(errors[f"{side}_{part}"] for side in SIDES for part in ("hip", "knee")) < 2


def test_a_heel_that_is_up_stays_up(shared: Path) -> None:
    source = load(shared / "data/originals/bandai/dataset-1_punch_normal_001.bvh")
    plain, corrected = retarget(source, correct=False), retarget(source)
    lifts = [
        heights[:, :2] - heights[:, 2:]
        for heights in (physics.foot_heights(motion) for motion in (plain, corrected))
    ]
    on_the_ball = physics.contacts(corrected)[:, 2:] & (lifts[0] > 0.02)
    assert int(on_the_ball.sum()) > 100
    assert float((lifts[0] - lifts[1])[on_the_ball].abs().mean()) < 0.004


@pytest.mark.parametrize("rig", ["bandai", "kaykit"])
def test_a_foot_that_rests_is_flat_before_anything_corrects_it(
    rig: str, game: dict[str, Motion], shared: Path
) -> None:
    """What the comparison by soles takes for level is level where both ends of the source's foot are slow and low."""
    sources = [game[f"kaykit_{name}"] for name in ("Idle", "Block", "2H_Melee_Idle")]
    if rig == "bandai":
        folder = shared / "data/originals/bandai"
        sources = [load(path) for path in sorted(folder.glob("dataset-2_w*.bvh"))]
    tilts = []
    for source in sources:
        result = retarget(source, correct=False)
        heights, feet = physics.foot_heights(result), result.joints()[:, [7, 8, 10, 11]]
        still = physics.central_difference(feet).norm(dim=-1) * result.fps < 0.1
        low = torch.minimum(heights[:, :2], heights[:, 2:]) < 0.03
        resting = still[:, :2] & still[:, 2:] & low
        tilts.append(((heights[:, :2] - heights[:, 2:]) / 0.146)[resting])
    tilt = torch.rad2deg(torch.cat(tilts))
    assert len(tilt) > 50
    assert abs(float(tilt.median())) < 1


def test_feet_of_another_slope_differ_by_their_lines_but_not_by_their_soles(
    game: dict[str, Motion],
) -> None:
    source = game["kaykit_Idle"]
    result = retarget(source)
    lines, soles = (bone_direction_errors(source, result, soles=soles) for soles in (False, True))
    assert lines["left_ankle"] > 20
    assert soles["left_ankle"] < 3
    assert {**lines, "left_ankle": 0, "right_ankle": 0} == {
        **soles,
        "left_ankle": 0,
        "right_ankle": 0,
    }
    turned = replace(result, rotations=result.rotations.clone())
    pitch = torch.tensor([[1, 0, 0], [0, 0.866, -0.5], [0, 0.5, 0.866]], dtype=torch.float64)
    turned.rotations[:, 7] = turned.rotations[:, 7] @ pitch
    assert bone_direction_errors(source, turned, soles=True)["left_ankle"] > 25


def test_necks_point_where_the_source_s_do(shared: Path) -> None:
    source = load(shared / "data/originals/cmu_cgspeed_bvh/05_01.bvh")[::8]
    assert bone_direction_errors(source, retarget(source))["neck"] < 0.1


def test_the_table_says_what_is_wrong() -> None:
    good = Transfer("a", "mixamo", 100, 1.0, 0.5, 5.0, 5.0, 3.0, 0.0, 4.0)
    bad = replace(
        good, name="b", bone_error=9, sole_error=9, slide=12, penetration=30, backwards=20
    )
    steep = replace(good, bone_error=5.0, sole_error=1.0)
    text = table({"fine": [good], "poor": [good, bad], "steep feet": [steep]}).splitlines()
    assert len(text) == 4
    assert text[3].endswith("  bones over 4, ok by soles")
    assert text[1].split()[0] == "fine"
    assert text[1].endswith("  ok")
    assert text[2].endswith("bones over 4; slide over 1.1; floor over 10; bent backwards")
    assert "5.00" in text[2]  # the mean of 1 and 9


def test_slides_are_compared_over_the_joints_that_both_have(shared: Path) -> None:
    source = load(shared / "data" / "originals" / FILES[3])
    result = retarget(source)
    assert physics.foot_slide(result) == pytest.approx(transfer(source).slide, rel=1e-6)

"""How well motions are carried over: the numbers that are asked, on an original file of every family, and the table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from motionmill.formats.files import load
from motionmill.motion import physics
from motionmill.motion.hinges import bends
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import retarget
from motionmill.motion.transfer import Transfer, table, transfer

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


def test_the_table_says_what_is_wrong() -> None:
    good = Transfer("a", "mixamo", 100, 1.0, 5.0, 5.0, 3.0, 0.0, 4.0)
    bad = replace(good, name="b", bone_error=9.0, slide=12.0, penetration=30.0, backwards=20.0)
    text = table({"fine": [good], "poor": [good, bad]}).splitlines()
    assert len(text) == 3
    assert text[1].split()[0] == "fine"
    assert text[1].endswith("  ok")
    assert text[2].endswith("bones over 4; slide over 1.1; floor over 10; bent backwards")
    assert "5.00" in text[2]  # the mean of 1 and 9


def test_slides_are_compared_over_the_joints_that_both_have(shared: Path) -> None:
    source = load(shared / "data" / "originals" / FILES[3])
    result = retarget(source)
    assert physics.foot_slide(result) == pytest.approx(transfer(source).slide, rel=1e-6)

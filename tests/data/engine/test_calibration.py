"""Calibration poses at the ends of real takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from motionmill.data.engine.calibration import between_t_poses, in_t_pose
from motionmill.formats.packed import read_folder
from motionmill.motion.retarget import retarget


@pytest.mark.parametrize(
    ("source", "name"), [("snu2", "snu_wd2_wd2_falling_down"), ("snu2", "snu_basket_s_003_1_1")]
)
def test_takes_that_start_in_a_t_pose(shared: Path, source: str, name: str) -> None:
    clip = next(clip for clip in read_folder(shared / "data" / source) if clip.id == name)
    joints = retarget(clip.motion()).joints()
    start, stop = between_t_poses(joints)
    pose = in_t_pose(joints)
    assert pose[0]
    assert 5 <= start < 0.3 * len(joints)
    assert not pose[start]
    assert not pose[stop - 1]


def test_raised_arms_are_no_t_pose(shared: Path) -> None:
    name = "dataset-2_raise-up-both-hands_active_001"
    clip = next(clip for clip in read_folder(shared / "data" / "bandai") if clip.id == name)
    joints = retarget(clip.motion()).joints()
    assert between_t_poses(joints) == (0, len(joints))

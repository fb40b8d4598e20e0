"""Descriptions of real clips: the label's words, the mirror's words, the same bytes again."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest
import torch

from motionmill.data.describing.description import Description, Event, describe
from motionmill.data.wording.sides import mirror_caption
from motionmill.formats.packed import PackedClip, read_folder
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import retarget
from motionmill.motion.skeleton import Skeleton, adult_skeleton
from tests.motions import wandering

BANDAI = {
    "dataset-2_walk_normal_003": "walks forward",
    "dataset-1_walk_proud_001": "walks forward",
    "dataset-2_walk_elderly_011": "walks",
    "dataset-2_run_elderly_027": "runs",
    "dataset-2_run_active_026": "runs forward",
    "dataset-1_dash_musical_001": "runs",
    "dataset-1_walk-back_sad_001": "walks (slowly )?backward",
    "dataset-1_walk-back_active_001": "walks backward",
    "dataset-2_walk-turn-left_normal_011": r"walks.*turn\w* left",
    "dataset-2_walk-turn-left_elderly_002": r"walks.*turn\w* left",
    "dataset-2_walk-turn-right_active_015": r"walks.*turn\w* right",
    "dataset-2_walk-turn-right_exhausted_014": r"walks.*turn\w* right",
    "dataset-2_raise-up-left-hand_feminine_003": "raises the left hand to shoulder height",
    "dataset-2_raise-up-left-hand_active_055": "raises the left hand above the head",
    "dataset-2_raise-up-right-hand_normal_027": "raises the right hand",
    "dataset-2_raise-up-right-hand_elderly_036": "raises the right hand",
    "dataset-2_raise-up-both-hands_active_028": "raises both hands above the head",
    "dataset-2_raise-up-both-hands_feminine_036": "raises both hands",
    "dataset-2_wave-left-hand_feminine_011": "waves the left hand",
    "dataset-2_wave-left-hand_exhausted_028": "waves the left hand",
    "dataset-2_wave-right-hand_youthful_017": "waves the right hand",
    "dataset-2_wave-right-hand_elderly_006": "waves the right hand",
    "dataset-2_wave-both-hands_youthful_003": "waves both hands",
    "dataset-2_wave-both-hands_normal_020": "waves both hands",
    "dataset-1_bow_proud_001": "bows slightly",
    "dataset-1_bow_active_001": "bows deeply",
    "dataset-1_walk-left_chimpira_001": "walks diagonally forward to the left",
    "dataset-1_walk-right_tired_001": "walks.* diagonally forward to the right",
}
OTHERS = {
    ("uiprmd", "prmd_m01_s04_e07"): "squats down and stands back up",
    ("uiprmd", "prmd_m02_s03_e10"): "lifts the right knee",
    ("uiprmd", "prmd_m04_s09_e09"): "lunges to the right",
    ("uiprmd", "prmd_m05_s10_e09"): "sits down .*, then stands up",
    ("uiprmd", "prmd_m07_s08_e06"): "raises the right hand above the head$",
    ("uiprmd", "prmd_m08_s07_e05"): "stretches the left arm back",
    ("game_cc0", "ual_Walk_Loop"): "walks in place",
    ("game_cc0", "ual_Jog_Fwd_Loop"): "runs in place",
    ("game_cc0", "ual_Punch_Jab"): "punches with the left hand",
    ("game_cc0", "ual_Death01"): "falls down onto the back",
    ("game_cc0", "m2m_Sleeping"): "^a person lies on the back$",
    ("game_cc0", "kaykit_Sit_Chair_Idle"): "^a person sits$",
    ("game_cc0", "ual_Idle_Loop"): "^a person stands still$",
    ("game_cc0", "m2m_Jumping_Jacks"): "jumps up twice",
    ("extra", "dm_kick"): "kick\\w+ high with the right leg",
    ("cmu", "cmu_cg_06_06"): "^a person walks backward$",
    ("cmu", "cmu_cg_06_08"): "walks sideways to the left",
    ("cmu", "cmu_amc_03_01"): "^a person walks slowly forward$",  # on uneven terrain: not jumps
}


@cache
def clips(folder: Path) -> dict[str, PackedClip]:
    return {clip.id: clip for clip in read_folder(folder)}


@cache
def described(folder: Path, name: str) -> tuple[Motion, Description]:
    motion = retarget(clips(folder)[name].motion())
    return motion, describe(motion)


@pytest.mark.parametrize("name", BANDAI)
def test_the_words_of_the_label(shared: Path, name: str) -> None:
    _, told = described(shared / "data/bandai", name)
    assert re.search(BANDAI[name], told.sentence), told.sentence


@pytest.mark.parametrize(("source", "name"), OTHERS)
def test_other_sources(shared: Path, source: str, name: str) -> None:
    _, told = described(shared / "data" / source, name)
    assert re.search(OTHERS[source, name], told.sentence), told.sentence


@pytest.mark.parametrize("name", list(BANDAI)[::4])
def test_the_mirrored_motion_has_the_mirrored_words(shared: Path, name: str) -> None:
    motion, told = described(shared / "data/bandai", name)
    other = describe(motion.mirror())
    assert other.sentence == mirror_caption(told.sentence)
    assert other.long == mirror_caption(told.long)


def test_it_does_not_matter_where_and_how_often_it_was_measured(shared: Path) -> None:
    motion, told = described(shared / "data/bandai", "dataset-2_walk-turn-left_normal_011")
    turned = motion.transformed(
        torch.tensor([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]), torch.tensor([3.0, 0, -7])
    )
    assert describe(turned).sentence == told.sentence
    assert describe(motion.resample(60)).sentence == told.sentence
    assert json.dumps(describe(motion).as_dict()) == json.dumps(told.as_dict())


def test_numbers(shared: Path) -> None:
    motion, told = described(shared / "data/bandai", "dataset-2_walk-turn-left_normal_011")
    [turn] = [each for each in told.events if each.kind == "turn"]
    assert turn.direction == "left"
    assert turn.number("degrees") == pytest.approx(88, abs=6)
    [walk] = [each for each in told.events if each.kind == "walk"]
    assert (walk.part, walk.direction) == ("body", "forward")
    assert walk.number("metres") == pytest.approx(6.2, abs=0.3)
    assert walk.number("metres_per_second") == pytest.approx(1.04, abs=0.1)
    assert 9 <= walk.number("steps") <= 12
    assert 0 <= walk.start < walk.end <= motion.seconds + 0.05
    assert re.search(r"walks forward 6\.\d m at 1\.\d m/s", told.long)
    assert re.search(r"turns left by 8\d|9\d degrees", told.long)


def test_short_sentence_and_long(shared: Path) -> None:
    _, told = described(shared / "data/bandai", "dataset-2_walk-turn-left_normal_011")
    assert told.short == "a person walks forward and turns left"
    assert len(told.short) <= len(told.sentence) <= len(told.long)
    assert not re.search(r"\d", told.short + told.sentence)
    for text in (told.short, told.sentence):
        assert text == text.strip()
        assert not re.search(r"[.^{}~]|  ", text)


def test_standing_still_and_a_single_frame() -> None:
    rest = torch.eye(3).expand(30, 22, 3, 3).contiguous()
    standing = Motion(rest, torch.tensor([[0.0, 0.955, 0.0]]).expand(30, 3).contiguous())
    arms_out = describe(standing)  # the rest pose is a T-pose
    assert [each.kind for each in arms_out.events] == ["hold"]
    assert arms_out.sentence == "a person holds both hands out to the sides"
    assert describe(standing[:1]).seconds == pytest.approx(0.03, abs=0.01)


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_a_moment(frames: int) -> None:
    assert describe(wandering(1, frames=8)[:frames]).sentence.startswith("a person ")


def test_values_that_are_no_numbers() -> None:
    motion = wandering(0, frames=10)
    broken = Motion(motion.rotations, torch.full_like(motion.root, torch.nan), motion.fps)
    with pytest.raises(ValueError, match="no finite numbers"):
        describe(broken)


@pytest.mark.parametrize("seed", range(6))
def test_anything_can_be_told(seed: int) -> None:
    told = describe(wandering(seed, frames=7 + 23 * seed, bend=0.3 + 0.3 * seed))
    assert told.sentence.startswith("a person ")
    assert all(isinstance(each, Event) for each in told.events)
    assert json.loads(json.dumps(told.as_dict()))["sentence"] == told.sentence


def test_a_body_of_another_size_is_measured_in_its_own_metres(shared: Path) -> None:
    motion, told = described(shared / "data/bandai", "dataset-2_walk_normal_003")
    adult = adult_skeleton()
    half = Skeleton(adult.names, adult.parents, adult.offsets / 2, adult.foot_joint_height / 2)
    child = describe(Motion(motion.rotations, motion.root / 2, motion.fps, half))
    assert child.sentence == told.sentence.replace(
        "walks", "walks slowly"
    )  # half as fast in metres a second
    assert child.events[0].number("metres") == pytest.approx(
        told.events[0].number("metres") / 2, rel=0.02
    )


def test_another_skeleton_is_refused() -> None:
    stick = Skeleton(("a", "b"), (-1, 0), torch.zeros(2, 3))
    motion = Motion(torch.eye(3).expand(4, 2, 3, 3).contiguous(), torch.zeros(4, 3), 30.0, stick)
    with pytest.raises(ValueError, match="SMPL-22 only; this skeleton has 2 joints"):
        describe(motion)


def test_hands_at_different_places_are_told_apart() -> None:
    from motionmill.data.describing.events import both_sides, event
    from motionmill.data.describing.telling import sentence

    found = both_sides(
        [event("touch", 0, 60, "left hand", "hip"), event("touch", 2, 60, "right hand", "head")],
        "hand",
    )
    assert [each.part for each in found] == ["left hand", "right hand"]
    assert "hip" in sentence(found) or "head" in sentence(found)

"""Facts measured on real clips, and captions that they contradict."""

from __future__ import annotations

import dataclasses
import json
import random
import re
from functools import cache
from pathlib import Path

import pytest

from motionmill.data.describing.describe import Facts, contradicts, facts
from motionmill.data.wording.captions import true_labels, write_captions
from motionmill.formats.packed import PackedClip, read_folder
from motionmill.motion.retarget import retarget

STANDING = Facts(
    seconds=3, path=0, forward=0, left=0, body_forward=0, body_left=0, speed=0, turn=0, turn_left=0, turn_right=0,
    raised="none", waving="none", used_hands="none", active_hand="none", active_foot="none", kicking_foot="none",
    posture="stand", jumps=False, steps=0,
)  # fmt: skip


@cache
def clips(folder: Path) -> dict[str, PackedClip]:
    return {clip.id: clip for clip in read_folder(folder)}


def seen(shared: Path, source: str, name: str) -> Facts:
    return facts(retarget(clips(shared / "data" / source)[name].motion()))


@pytest.mark.parametrize(
    ("source", "name", "expected"),
    [
        (
            "bandai",
            "dataset-2_walk_normal_001",
            {"travel": "forward", "gait": "walk", "turning": "none"},
        ),
        ("bandai", "dataset-2_run_active_001", {"travel": "forward", "gait": "run"}),
        ("bandai", "dataset-1_walk-back_sad_001", {"travel": "backward", "gait": "walk"}),
        ("bandai", "dataset-2_walk-turn-left_normal_001", {"turning": "left", "travel": "forward"}),
        ("bandai", "dataset-2_walk-turn-right_elderly_001", {"turning": "right"}),
        (
            "bandai",
            "dataset-2_wave-left-hand_normal_001",
            {"waving": "left", "active_hand": "left"},
        ),
        (
            "bandai",
            "dataset-2_wave-both-hands_active_001",
            {"waving": "both", "used_hands": "both"},
        ),
        (
            "bandai",
            "dataset-2_raise-up-right-hand_exhausted_001",
            {"raised": "right", "gait": "stand"},
        ),
        ("bandai", "dataset-1_bye_old_001", {"active_hand": "right"}),
        ("snu2", "snu_cmu_69_51_1", {"travel": "backward", "turning": "right"}),
        ("snu2", "snu_cmu_69_59_1", {"travel": "left", "turning": "left"}),
        ("snu2", "snu_wd2_wd2_long_broad_jump", {"jumps": True, "travel": "forward"}),
        ("game_cc0", "ual_Walk_Loop", {"travel": "place"}),
        ("game_cc0", "kaykit_Lie_Idle", {"posture": "lie"}),
        ("game_cc0", "ual_Sitting_Idle_Loop", {"posture": "sit"}),
        ("extra", "dm_kick", {"kicking_foot": "right"}),
    ],
)
def test_facts(shared: Path, source: str, name: str, expected: dict[str, object]) -> None:
    measured = seen(shared, source, name)
    assert {key: getattr(measured, key) for key in expected} == expected


def test_mirror_exchanges_the_sides(shared: Path) -> None:
    motion = retarget(
        clips(shared / "data" / "bandai")["dataset-2_walk-turn-left_normal_001"].motion()
    )
    one, other = facts(motion), facts(motion.mirror())
    assert other.turn == pytest.approx(-one.turn, abs=1)
    assert other.left == pytest.approx(-one.left, abs=0.02)
    assert other.turn_right == pytest.approx(one.turn_left, abs=1)


def test_take_filed_under_the_wrong_side_is_corrected(shared: Path) -> None:
    """These takes of Bandai turn to the other side than their name says."""
    clip = clips(shared / "data" / "bandai")["dataset-2_walk-turn-left_masculine_006"]
    measured = seen(shared, "bandai", clip.id)
    fixed = true_labels(clip.manifest, measured)
    assert fixed["content"] == "walk-turn-right"
    captions = write_captions(clip.manifest, measured, rng=random.Random(0))
    assert sum("right" in caption for caption in captions) > 25
    assert not any("left" in caption for caption in captions)


def test_true_directions_are_added(shared: Path) -> None:
    measured = seen(shared, "bandai", "dataset-2_walk_normal_001")
    labels = {"content": "walk", "style": "normal"}
    captions = write_captions(labels, measured, count=100, rng=random.Random(0))
    named = [caption for caption in captions if re.search(r"forward|ahead", caption)]
    assert 30 < len(named) < 75


@pytest.mark.parametrize(
    ("caption", "change"),
    [
        ("a man waves his left hand", {"used_hands": "right", "active_hand": "right"}),
        ("she raises both hands", {"used_hands": "left", "active_hand": "left"}),
        ("kick with the left foot", {"kicking_foot": "right"}),
        ("walks forward", {"path": 4.0, "body_forward": -4.0, "forward": -4.0}),
        ("walking backwards, tired", {"path": 4.0, "body_forward": 4.0, "forward": 4.0}),
        ("walk to the left", {"path": 4.0, "left": -3.0, "forward": 2.0}),
        ("a man jogs forward", {"steps": 4, "active_foot": "both"}),
        ("walk and turn left", {"turn_right": 90.0, "turn_left": 5.0}),
        ("run and turn right", {}),
    ],
)
def test_contradictions(caption: str, change: dict[str, object]) -> None:
    measured = dataclasses.replace(STANDING, **change)  # type: ignore[arg-type]
    assert contradicts(caption, measured) is not None


@pytest.mark.parametrize(
    ("caption", "change"),
    [
        ("a man waves his left hand", {"used_hands": "left", "active_hand": "left"}),
        ("a boxer throws a left jab", {"used_hands": "both", "active_hand": "both"}),
        ("he leans forward and bows", {}),
        ("walk and turn left", {"turn_right": 50.0, "turn_left": 90.0}),
        ("walk and turn on the left foot", {"turn_right": 90.0}),
        ("walks forward and back", {"path": 4.0}),
        ("a person puts the right foot forward", {"kicking_foot": "both"}),
    ],
)
def test_true_captions_pass(caption: str, change: dict[str, object]) -> None:
    assert contradicts(caption, dataclasses.replace(STANDING, **change)) is None  # type: ignore[arg-type]


def test_labels_of_all_short_clips_agree_with_their_motion(shared: Path) -> None:
    """Of each pair of content and style of Bandai one take; all labels with a side or direction."""
    wrong = []
    chosen = {}
    for line in (shared / "data" / "bandai" / "manifest.jsonl").read_text().splitlines():
        row = json.loads(line)
        if re.search(r"left|right|both|back", row["content"]):
            chosen[row["content"], row["style"]] = row
    for row in list(chosen.values())[::6]:
        if reason := contradicts(
            row["content"].replace("-", " "), seen(shared, "bandai", row["id"])
        ):
            wrong.append((row["id"], reason))
    assert wrong == []

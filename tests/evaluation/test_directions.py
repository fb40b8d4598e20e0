"""The judge of directions against labelled motion capture, and its symmetry."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from motionmill.evaluation.directions import Directions, follows, measure
from motionmill.formats.packed import PackedClip, read_folder
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import retarget
from motionmill.motion.rotations import yaw_matrix

EXPECTED = {
    "walk": {"travel": "forward"},
    "run": {"travel": "forward"},
    "walk-back": {"travel": "backward"},
    "walk-left": {"travel": "left"},
    "walk-right": {"travel": "right"},
    "walk-turn-left": {"turn": "left"},
    "walk-turn-right": {"turn": "right"},
    "raise-up-left-hand": {"hand": "left"},
    "raise-up-right-hand": {"hand": "right"},
    "raise-up-both-hands": {"hand": "both"},
    "wave-left-hand": {"hand": "left"},
    "wave-right-hand": {"hand": "right"},
    "wave-both-hands": {"hand": "both"},
}
PER_CONTENT = 8
# Named left but turning right, and the other way round, as the path of their root shows.
SWAPPED = {
    f"dataset-2_walk-turn-{side}_masculine_{take}"
    for side in ("left", "right")
    for take in ("006", "007")
}
KICKS = {"dm_kick", "mass_kick", "snu_wd2_wd2_1_kick", "snu_wd2_wd2_n_kick"}


@pytest.fixture(scope="module")
def bandai(shared: Path) -> dict[str, list[PackedClip]]:
    """A few takes of each content, spread over the styles."""
    found: dict[str, list[PackedClip]] = {content: [] for content in EXPECTED}
    for clip in read_folder(shared / "data/bandai"):
        content = clip.manifest["content"]
        if content in found and clip.id not in SWAPPED:
            found[content].append(clip)
    return {content: clips[:: len(clips) // PER_CONTENT or 1] for content, clips in found.items()}


def test_the_judge_agrees_with_the_labels(bandai: dict[str, list[PackedClip]]) -> None:
    agree, number = Counter[str](), Counter[str]()
    for content, clips in bandai.items():
        ((kind, _),) = EXPECTED[content].items()
        for clip in clips:
            number[kind] += 1
            agree[kind] += follows(retarget(clip.motion()), EXPECTED[content])
    assert min(number.values()) >= 16
    assert {kind: agree[kind] / number[kind] >= 0.98 for kind in number} == dict.fromkeys(
        number, True
    )


def test_the_swapped_takes_are_seen(shared: Path) -> None:
    for clip in read_folder(shared / "data/bandai"):
        if clip.id in SWAPPED:
            named = "left" if "left" in clip.id else "right"
            real = "right" if named == "left" else "left"
            motion = retarget(clip.motion())
            assert follows(motion, {"turn": real})
            assert not follows(motion, {"turn": named})


def test_kicks_are_of_the_right_foot_and_mirrored_of_the_left(shared: Path) -> None:
    clips = [
        clip
        for folder in ("extra", "snu2", "game_cc0")
        for clip in read_folder(shared / "data" / folder)
    ]
    kicks = [retarget(clip.motion()) for clip in clips if clip.id in KICKS]
    assert len(kicks) == len(KICKS)
    for motion in kicks:
        assert follows(motion, {"foot": "right"})
        assert follows(motion.mirror(), {"foot": "left"})
        assert not follows(motion, {"foot": "left"})


def test_a_wrong_motion_does_not_follow(bandai: dict[str, list[PackedClip]]) -> None:
    raise_left = retarget(bandai["raise-up-left-hand"][0].motion())
    walk = retarget(bandai["walk"][0].motion())
    for motion, expected in (
        (raise_left, {"hand": "right"}),
        (raise_left, {"hand": "both"}),
        (raise_left, {"travel": "forward"}),
        (raise_left, {"foot": "left"}),
        (walk, {"travel": "backward"}),
        (walk, {"travel": "left"}),
        (walk, {"turn": "left"}),
        (walk, {"foot": "left"}),
        (walk, {"hand": "left"}),
        (walk, {"travel": "forward", "hand": "left"}),
    ):
        assert not follows(motion, expected)


def test_a_mirrored_motion_shows_the_mirrored_directions(
    bandai: dict[str, list[PackedClip]],
) -> None:
    for content in ("walk-turn-left", "walk-left", "wave-right-hand"):
        motion = retarget(bandai[content][0].motion())
        one, other = measure(motion), measure(motion.mirror())
        assert one.forward_metres == pytest.approx(other.forward_metres)
        assert one.left_metres == pytest.approx(-other.left_metres)
        assert one.turn_degrees == pytest.approx(-other.turn_degrees)
        assert one.hands_metres == pytest.approx(other.hands_metres[::-1])
        assert one.feet_metres == pytest.approx(other.feet_metres[::-1])


def test_where_the_motion_stands_and_faces_plays_no_role(
    bandai: dict[str, list[PackedClip]],
) -> None:
    motion = retarget(bandai["walk-turn-right"][0].motion())
    turn = yaw_matrix(torch.tensor(2.0, dtype=torch.float64))
    moved = motion.transformed(turn, torch.tensor([3.0, 0.0, -5.0], dtype=torch.float64))
    here, there = measure(motion), measure(moved)
    for name, value in vars(here).items():
        assert getattr(there, name) == pytest.approx(value), name


def standing(frames: int = 30) -> Motion:
    rotations = torch.eye(3, dtype=torch.float64).expand(frames, 22, 3, 3).clone()
    root = torch.tensor([0.0, 0.9, 0.0], dtype=torch.float64).repeat(frames, 1)
    return Motion(rotations, root)


def test_whole_turns_are_counted_to_their_side() -> None:
    motion = standing(61)
    angle = torch.linspace(0, 3 * torch.pi, 61, dtype=torch.float64)
    motion.rotations[:, 0] = yaw_matrix(angle)
    assert measure(motion).turn_degrees == pytest.approx(540)
    assert measure(motion).shown()["turn"] == {"left"}


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ((0.0, 1.0), {"forward"}),
        ((0.0, -1.0), {"backward"}),
        ((1.0, 0.0), {"left"}),
        ((-1.0, 0.0), {"right"}),
        ((0.5, 1.0), {"forward", "left"}),
        ((-0.5, -1.0), {"backward", "right"}),
        ((0.0, 0.2), set()),
    ],
)
def test_travel_of_a_sliding_figure(step: tuple[float, float], expected: set[str]) -> None:
    motion = standing()
    progress = torch.linspace(0, 1, len(motion), dtype=torch.float64)
    motion.root[:, 0], motion.root[:, 2] = step[0] * progress, step[1] * progress
    assert measure(motion).shown()["travel"] == expected


def test_one_frame_shows_no_movement() -> None:
    shown = measure(standing(1)).shown()
    assert shown["travel"] == shown["turn"] == shown["foot"] == frozenset()


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({}, "no expected direction"),
        ({"tail": "left"}, "the kinds are travel, turn, hand, foot"),
        ({"turn": "both"}, "turn: 'both'; allowed are left, right"),
    ],
)
def test_unknown_expectations_are_errors(expected: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        follows(standing(2), expected)


def test_travel_degrees() -> None:
    directions = Directions(0.0, 2.0, 0.0, (0, 0), (0, 0), (0, 0), (0, 0))
    assert directions.travel_degrees == pytest.approx(90)

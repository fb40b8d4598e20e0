"""Gestures composed of two clips: one arm is the other clip's, all else stays, and the caption says what is shown."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from motionmill.data.clip import Clip
from motionmill.data.compose import compose, fill
from motionmill.motion.features import from_motion, to_motion
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_euler

LEFT_ARM, RIGHT_ARM = [13, 16, 18, 20], [14, 17, 19, 21]


def gesture(content: str, frames: int, left: float, right: float, style: str = "active") -> Clip:
    """A standing person whose straight arms hang, or rise in the course of the clip; `left`, `right` in degrees."""
    rotations = torch.eye(3, dtype=torch.float64).repeat(frames, 22, 1, 1)
    share = torch.linspace(0, 1, frames, dtype=torch.float64)
    for joint, sign, rise in ((16, 1.0, left), (17, -1.0, right)):
        angle = torch.deg2rad(-80 + share * (80 + rise)) * sign
        angles = torch.stack((angle, torch.zeros_like(angle), torch.zeros_like(angle)), dim=-1)
        rotations[:, joint] = matrix_from_euler("ZYX", angles)
    root = torch.tensor([0.0, 0.95, 0.0], dtype=torch.float64).repeat(frames, 1)
    return Clip(
        id=f"{content}-{style}-{frames}",
        features=from_motion(Motion(rotations, root)).float(),
        captions=("a person moves",),
        source="bandai",
        licence="",
        commercial=False,
        group=content,
        content=content,
        style=style,
        provenance={"published": "second"},
    )


def test_one_arm_is_the_other_clips() -> None:
    body = gesture("raise-up-left-hand", 60, 70, -80)
    arm = gesture("raise-up-right-hand", 48, -80, 70)
    made = compose(body, arm, side=1)
    own, other = to_motion(body.features.double()), to_motion(arm.features.double())
    assert len(made) == 60
    kept = [joint for joint in range(22) if joint not in RIGHT_ARM]
    assert torch.equal(made.rotations[:, kept], own.rotations[:, kept])
    for frame, theirs in ((0, 0), (59, 47)):
        assert torch.allclose(
            made.rotations[frame, RIGHT_ARM], other.rotations[theirs, RIGHT_ARM], atol=1e-6
        )
    turned = made.rotations[30, 17] @ other.rotations[0, 17].T
    angle = math.degrees(math.acos((float(turned.diagonal().sum()) - 1) / 2))
    assert 60 < angle < 90  # half of the way up at half of the time


def test_a_style_without_a_gesture_gets_it() -> None:
    clips = [gesture("raise-up-left-hand", frames, 70, -80) for frames in (50, 55, 60)] + [
        gesture("raise-up-right-hand", frames, -80, 70) for frames in (50, 58)
    ]
    made = fill(clips, 4, captions=6)
    both = [clip for clip in made if clip.content == "raise-up-both-hands"]
    assert len(both) == 4
    assert len({clip.id for clip in both}) == 4
    for clip in both:
        joints = to_motion(clip.features.double()).joints()
        assert (joints[-1, [20, 21], 1] > joints[-1, 15, 1]).all()  # both wrists over the head
        assert any("both" in caption or "hands" in caption for caption in clip.captions)
        assert clip.style == "active"
        assert clip.provenance["composed_with"]
    # What is there is not made again, and other people's manners are not mixed.
    assert not [clip for clip in made if clip.content == "wave-left-hand"]
    assert fill(clips, 0) == []
    alone = [clips[0], replace(clips[3], style="elderly")]
    assert [clip.content for clip in fill(alone, 4)] == []


def test_the_same_every_time() -> None:
    clips = [
        gesture("raise-up-left-hand", 50, 70, -80),
        gesture("raise-up-right-hand", 50, -80, 70),
    ]
    one, two = fill(clips, 3, captions=4), fill(clips, 3, captions=4)
    assert [(clip.id, clip.captions) for clip in one] == [(clip.id, clip.captions) for clip in two]

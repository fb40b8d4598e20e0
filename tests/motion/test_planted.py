"""Feet that stand exactly still were put there: what has been cleaned is told from what has not."""

from __future__ import annotations

import torch
from torch import Tensor

from motionmill.motion.planted import cleaned_before, planted

FPS = 30.0


def steps(frames: int, *, wobble: float) -> Tensor:
    """(T, 4, 3): the feet stand for 20 frames and swing for 20, in turns; they wobble by so many metres."""
    time = torch.arange(frames)
    feet = torch.zeros(frames, 4, 3, dtype=torch.float64)
    for joint in range(4):
        phase = (time + 20 * (joint % 2)) % 40
        swing = (phase - 20).clamp(min=0) / 20
        feet[:, joint, 2] = 0.8 * ((time + 20 * (joint % 2)) // 40 + swing)
        feet[:, joint, 1] = 0.1 * torch.sin(torch.pi * swing)
    noise = torch.randn(feet.shape, generator=torch.Generator().manual_seed(0)).double()
    return feet + wobble * noise * feet.new_tensor([1.0, 0.0, 1.0])


def test_only_exact_stillness_on_the_floor_counts() -> None:
    feet = steps(120, wobble=0)
    still = planted(feet, feet[..., 1], FPS)
    assert still[5:15, 0].all()
    assert not still[25:35, 0].any()
    assert not planted(feet, feet[..., 1] + 0.2, FPS).any()
    assert not planted(steps(120, wobble=1e-4), feet[..., 1], FPS).any()


def test_a_cleaned_motion_is_told_and_a_living_one_is_not() -> None:
    feet = steps(200, wobble=0)
    assert cleaned_before(feet, feet[..., 1], FPS).all()
    assert not cleaned_before(steps(200, wobble=1e-4), feet[..., 1], FPS).any()
    assert not cleaned_before(feet[:3], feet[:3, ..., 1], FPS).any()


def test_what_is_added_to_a_cleaned_motion_is_not_clean() -> None:
    feet, rough = steps(300, wobble=0), steps(300, wobble=1e-3)
    feet[150:] = rough[150:]
    done = cleaned_before(feet, feet[..., 1], FPS)
    assert done[:120].all()
    assert not done[150 + round(0.5 * FPS) :].any()


def test_the_frame_rate_does_not_matter() -> None:
    feet = steps(400, wobble=0)
    assert cleaned_before(feet, feet[..., 1], 60.0).all()

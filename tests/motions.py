"""Motions for tests."""

from __future__ import annotations

import torch

from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_axis_angle, yaw_matrix


def wandering(seed: int, frames: int = 24, *, fps: float = 30.0, bend: float = 0.35) -> Motion:
    """A person on our skeleton who moves every joint smoothly, turns and walks about; float64."""
    generator = torch.Generator().manual_seed(seed)

    def smooth(*shape: int) -> torch.Tensor:
        times = torch.linspace(0, 1, frames, dtype=torch.float64).view(-1, *[1] * len(shape))
        first, second, third = torch.randn(3, *shape, generator=generator, dtype=torch.float64)
        return first + second * times + third * torch.sin(4 * times)

    rotations = matrix_from_axis_angle(bend * smooth(22, 3))
    rotations[:, 0] = yaw_matrix(smooth()) @ matrix_from_axis_angle(0.3 * bend * smooth(3))
    root = 0.3 * smooth(3) + torch.tensor([0.0, 0.95, 0.0], dtype=torch.float64)
    return Motion(rotations, root, fps, name="a person wanders")


def angle_degrees(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """(..., 3, 3) rotations -> (...) angle between them; exact for small ones."""
    chord = (first - second).flatten(-2).norm(dim=-1) / 2**1.5
    return torch.rad2deg(2 * torch.asin(chord.clamp(max=1.0)))

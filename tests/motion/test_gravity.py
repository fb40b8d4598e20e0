"""In the air: no falls faster than free ones, and nobody hovers."""

from __future__ import annotations

import torch

from motionmill.motion import gravity, physics
from motionmill.motion.legs import legs_of
from motionmill.motion.motion import Motion
from motionmill.motion.skeleton import adult_skeleton


def bouncing(amplitude: float, frames: int = 90) -> torch.Tensor:
    """(T, 3) a root path of a run: 2.8 bounces a second of so many metres to both sides, 2 m/s ahead."""
    time = torch.arange(frames, dtype=torch.float64) / 30
    height = 0.9 + amplitude * torch.sin(2 * torch.pi * 2.8 * time)
    return torch.stack((0 * time, height, 2 * time), dim=-1)


def deepest(root: torch.Tensor) -> float:
    return -float(physics.vertical_acceleration(root[:, 1], 30.0).min())


def test_falls_faster_than_free_ones_become_slower() -> None:
    root = bouncing(0.055)
    slower = gravity.slower_falls(root, 30.0)
    assert deepest(root) > 13
    assert deepest(slower) < deepest(root) - 1.5
    assert float((slower - root).abs().max()) <= 0.015
    assert torch.equal(slower[:, ::2], root[:, ::2])


def test_what_a_body_does_stays() -> None:
    free = bouncing(0.03)
    assert torch.equal(gravity.slower_falls(free, 30.0), free)
    thrown = bouncing(0.2)  # as in a somersault
    assert deepest(thrown) > 20
    assert torch.equal(gravity.slower_falls(thrown, 30.0), thrown)


def standing(height: float, speed: float) -> Motion:
    """A person who is so high over the floor and moves along without moving a limb."""
    skeleton = adult_skeleton()
    root = torch.zeros(60, 3, dtype=torch.float64)
    root[:, 1] = skeleton.standing_root_height + height
    root[:, 2] = torch.arange(60) / 30 * speed
    return Motion(torch.eye(3, dtype=torch.float64).repeat(60, 22, 1, 1), root)


def test_who_moves_along_just_over_the_floor_hovers() -> None:
    assert gravity.hovering(legs_of(standing(0.04, 1.0))).all()
    assert not gravity.hovering(legs_of(standing(0.04, 0.1))).any()  # may sit or hang
    assert not gravity.hovering(legs_of(standing(0.2, 1.0))).any()
    assert not gravity.hovering(legs_of(standing(0.0, 1.0))).any()


def test_nobody_hovers_in_a_jump() -> None:
    motion = standing(0.04, 1.0)
    motion.root[20:25, 1] += 0.2
    hovers = gravity.hovering(legs_of(motion))
    assert not hovers[10:35].any()
    assert hovers[:8].all()
    assert hovers[40:].all()


def test_only_the_lowest_feet_carry() -> None:
    motion = standing(0.0, 1.0)
    assert (gravity.lowest(legs_of(motion)) == 1).all()
    bent = motion.rotations.clone()
    turn = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]).double()  # a leg stretched ahead
    bent[:, 1] = turn.mT
    carried = gravity.lowest(legs_of(Motion(bent, motion.root)))
    assert (carried[:, [0, 2]] == 0).all()
    assert (carried[:, [1, 3]] == 1).all()

"""What a person in the air can do: fall, no faster than gravity makes it, and not hover.

Shapes: T frames, 4 foot joints as in `physics.FOOT_JOINTS`. World: Y up, metres, floor y = 0.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from motionmill.motion import physics
from motionmill.motion.legs import Legs
from motionmill.motion.smoothing import highest, low_pass

_FASTEST: Final = (
    11.5,
    13.0,
)  # m/s^2 downwards, from which the root's height is smoothed and to which it is not
_THROWN: Final = 20.0  # m/s^2; faster is the throw of a somersault
_MOST: Final = 0.015  # by which the root is moved, metres
_WIDTH: Final = 1.1  # standard deviation of that filter, frames at 30 fps
_AROUND: Final = 3  # frames at 30 fps around such a fall that are smoothed with it
_IN_THE_AIR: Final = (
    0.025,
    0.09,
)  # metres over the floor: nothing touches it, but a step might reach it
_JUMP: Final = 0.15  # metres over the floor; so high nobody gets without a jump
_JUMP_AROUND: Final = 10  # frames at 30 fps around such a height that are the jump
_NEARLY: Final = 0.02  # metres
_MOVING: Final = 0.5  # m/s across the floor; who moves less may hang or sit


def slower_falls(root: Tensor, fps: float) -> Tensor:
    """(T, 3) -> the same path without falls faster than free ones, which show a model's bounce, not a body's."""
    scale = fps / 30
    down = -physics.vertical_acceleration(root[:, 1], fps)
    excess = ((down - _FASTEST[0]) / (_FASTEST[1] - _FASTEST[0])).clamp(0, 1)
    if len(root) < 8 or not bool(excess.any()):
        return root
    reach = round(_AROUND * scale)
    thrown = highest(down[:, None], 3 * reach) > _THROWN
    share = low_pass(torch.where(thrown, 0.0, highest(excess[:, None], reach)), scale).clamp(0, 1)
    change = share * (low_pass(root, _WIDTH * scale) - root)
    return root + change.clamp(-_MOST, _MOST) * root.new_tensor([0.0, 1.0, 0.0])


def hovering(legs: Legs) -> Tensor:
    """(T,) bool: who moves along but touches nothing, neither falls nor jumps, and a step would reach the floor."""
    clear, fps = legs.clearance, legs.motion.fps
    root = legs.motion.root
    down = -physics.vertical_acceleration(root[:, 1], fps)
    falling = (down > -physics.FREE_FLIGHT[1]) & (down < -physics.FREE_FLIGHT[0])
    speed = torch.linalg.vector_norm(physics.central_difference(root)[:, ::2], dim=-1) * fps
    jumping = highest(clear[:, None], round(_JUMP_AROUND * fps / 30))[:, 0] > _JUMP
    reach = (clear > _IN_THE_AIR[0]) & (clear < _IN_THE_AIR[1])
    return reach & ~falling & ~jumping & (speed > _MOVING)


def lowest(legs: Legs) -> Tensor:
    """(T, 4) in 0..1: which foot joints are lowest of the whole body, or nearly, and so carry it."""
    feet = legs.feet
    over = feet[..., 1] - physics.standing_heights(legs.motion.skeleton).to(feet)
    return (1.5 - (over - legs.clearance[:, None]) / _NEARLY).clamp(0, 1)

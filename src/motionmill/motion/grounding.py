"""A retargeted motion and where the source's feet went -> the motion whose feet do the same on the floor.

Shapes: T frames, 4 foot joints as in `physics.FOOT_JOINTS`. World: Y up, metres, floor y = 0.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from motionmill.motion import physics
from motionmill.motion.footlock import foot_targets, resting
from motionmill.motion.legs import legs_of, with_feet
from motionmill.motion.motion import Motion

_CALM: Final = (
    0.4  # m/s; the faster a low foot that does not rest, the less it must step as the source's does
)
_FLAT: Final = (
    0.01  # metres; a resting foot whose heel is this far over its ball stands on the ball
)


def follow_feet(motion: Motion, feet: Tensor) -> Motion:
    """Makes resting feet step as the source's do, puts them on the floor, and lifts what is in it.

    Hips that are scaled by the length of the legs bring feet to the right place only on a body of the same proportions;
    elsewhere they slide a little and end over or under the floor. Feet that swing keep the directions of their bones,
    also where they pass low: on wider hips the same path would be another pose. A foot that stands on its ball keeps
    its heel up.

    Args:
        motion: retargeted, on the floor.
        feet: (T, 4, 3) the source's foot joints, scaled to this body, metres; NaN for joints that it lacks.
    """
    if len(motion) < 4:
        return motion
    legs = legs_of(motion)
    ours = legs.feet
    heights = ours[..., 1] - physics.standing_heights(motion.skeleton).to(ours)
    steps = feet.to(ours).diff(dim=0)
    # A joint that the source lacks keeps its place on the foot: it steps as the ankle does.
    own = ours.diff(dim=0)
    steps = torch.where(steps.isnan(), own + (steps - own)[:, [0, 1, 0, 1]], steps)
    steps = steps * steps.new_tensor([1.0, 0.0, 1.0]) + own * own.new_tensor([0.0, 1.0, 0.0])
    path = ours[:1] + torch.cat((torch.zeros_like(steps[:1]), steps)).cumsum(dim=0)
    at_rest = resting(path, heights, motion.fps)
    across = physics.central_difference(path)[..., ::2]
    speed = torch.linalg.vector_norm(across, dim=-1) * motion.fps
    held = torch.maximum(at_rest, physics.slide_weights(heights) / (1 + (speed / _CALM) ** 2))
    raised = heights[:, :2] - heights[:, 2:]
    heel = at_rest[:, :2] * ((_FLAT - raised) / _FLAT).clamp(0, 1)
    pressed = torch.cat((heel, at_rest[:, 2:]), dim=1)
    ankles, toes = foot_targets(legs, held, pressed=pressed, steps=steps)
    return with_feet(legs, ankles, toes, pressed)

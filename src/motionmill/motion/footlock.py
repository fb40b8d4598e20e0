"""A motion on the floor -> the same motion with feet that hold still where they rest.

Shapes: T frames, 4 foot joints as in `physics.FOOT_JOINTS`, 2 legs (left, right). World: Y up, metres, floor y = 0.
All frames at once; the corrections of the foot paths are the solution of one banded linear system a foot joint.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from motionmill.motion import physics
from motionmill.motion.legs import Legs, legs_of, with_feet
from motionmill.motion.motion import Motion
from motionmill.motion.smoothing import highest, low_pass

Array = NDArray[np.float64]

_FARTHEST: Final = 0.25  # most by which a foot is moved, metres
_PLAY: Final = 0.008  # a held foot joint may be this far over its standing height, metres
_SMOOTHNESS: Final = 2.5  # frames over which a foot is caught and let go, at 30 fps
_MEMORY: Final = 10.0  # frames over which a correction fades where the foot is free, at 30 fps
_MEMORY_UPWARDS: Final = 4.0
_SUNK: Final = (0.10, 0.18)  # a foot this far under the floor is in it; from there on below it


def lock_feet(motion: Motion) -> Motion:
    """Holds feet still where they rest on the floor, by moving the legs and, a little, the root."""
    if len(motion) < 4:
        return motion
    legs = legs_of(motion)
    standing = physics.standing_heights(motion.skeleton).to(legs.hips)
    feet = torch.cat((legs.ankles, legs.toes), dim=1)
    held = resting(feet, feet[..., 1] - standing, motion.fps)
    if not bool((held > 0).any()):
        return motion
    ankles, toes = _foot_targets(legs, standing, held, motion.fps / 30)
    return with_feet(legs, ankles, toes, held)


def resting(feet: Tensor, heights: Tensor, fps: float) -> Tensor:
    """How surely each foot joint rests on the floor: 1 for low and slow, 0 for high or fast, between them smooth.

    What is slow depends on how fast the feet move half a second around: generated feet slide, and the swinging feet of
    a tired walk are slower than the sliding ones of a run. Feet that slide together, as under a drifting person, and
    flat feet that tremble or wander without getting anywhere count as slow, too.

    Args:
        feet: (T, 4, 3) world positions, metres.
        heights: (T, 4) over the standing heights, metres.
        fps: frames per second.

    Returns:
        (T, 4) in 0..1.
    """
    scale = fps / 30
    velocity = physics.central_difference(low_pass(feet, 1.5 * scale)) * fps
    speed = _length(velocity)
    peak = highest(speed.amax(dim=1, keepdim=True), round(15 * scale))
    slow = (0.35 * peak).clamp(0.2, 0.7)
    apart = _length(velocity - velocity[:, [1, 0, 3, 2]])
    both_low = torch.maximum(heights, heights[:, [1, 0, 3, 2]]) < 0.03
    together = torch.where(both_low, torch.minimum(speed, apart + 0.4 * speed), speed)
    low = _falling(heights, 0.025, 0.045) * _falling(-heights, *_SUNK)
    sure = _falling(together / slow, 0.6, 1.0) * low

    travel = _length(physics.central_difference(low_pass(feet, 6 * scale))) * fps
    flat = _falling(torch.maximum(heights, heights[:, [2, 3, 0, 1]]), 0.02, 0.035)
    wandering = flat * _falling(travel, 0.08, 0.16) * _falling(speed, 0.5, 0.8)
    reach = round(scale)  # what is shorter than three frames is no rest
    return highest(-highest(-torch.maximum(sure, wandering), reach), reach)


def _falling(values: Tensor, start: float, end: float) -> Tensor:
    """1 up to `start`, 0 from `end`, straight between them."""
    return ((end - values) / (end - start)).clamp(0, 1)


def _foot_targets(
    legs: Legs, standing: Tensor, held: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Where ankles and toes (T, 2, 3) should be: still where they are held, on the floor, a foot's length apart.

    The toes are settled first; where they rest the ankle has to be a foot's length behind them, and where only the heel
    rests it stays where it will be when the toes are down, too.
    """
    ankles, toes, length = legs.ankles, legs.toes, _length(legs.sole)
    heel, ball = held[:, :2], held[:, 2:]
    new_toes = _settled(toes, standing[2:], ball, scale)
    new_ankles = _settled(ankles, standing[:2], heel, scale)
    behind = new_toes - length[..., None] * F.normalize(new_toes - new_ankles, dim=-1)
    new_ankles = _settled(ankles, standing[:2], heel, scale, ball, behind)
    along = new_toes - new_ankles
    excess = (1 - length / _length(along).clamp(min=1e-6))[..., None] * along
    share = low_pass(0.5 + 0.5 * (heel - ball), scale)[..., None].clamp(0, 1)
    share = torch.where((ball == 1)[..., None], 0.0, share)
    return new_ankles + (1 - share) * excess, new_toes - share * excess


def _settled(
    path: Tensor,
    standing: Tensor,
    held: Tensor,
    scale: float,
    drawn: Tensor | None = None,
    goal: Tensor | None = None,
) -> Tensor:
    """Paths (T, 2, 3) of two joints, moved smoothly so that they stand still on the floor where they are held.

    The displacement d minimises, over the clip, the sum of hold |step of (path + d)|^2, |step of d|^2 (what swings
    keeps its velocity), a little |d|^2 (nothing wanders off), |change of step of d|^2 (no pops), held |height|^2 and
    drawn |path + d - goal|^2. It is the solution of a banded linear system.

    Args:
        path: metres.
        standing: (2,) heights on the floor, metres.
        held: (T, 2) in 0..1.
        scale: frames a second over 30.
        drawn: (T, 2) in 0..1, how much the joint is drawn to `goal`.
        goal: (T, 2, 3) metres.
    """
    from scipy.linalg import solveh_banded

    points, sure = path.numpy(), held.numpy()
    pair = np.minimum(sure[1:], sure[:-1])
    hold = pair / (1.0001 - pair)
    height = points[..., 1] - standing.numpy()
    result = np.zeros(points.shape)
    for joint, upwards in ((0, False), (0, True), (1, False), (1, True)):
        axes = [1] if upwards else [0, 2]
        matrix = _banded(1 + hold[:, joint], (_SMOOTHNESS * scale) ** 2)
        matrix[2] += ((_MEMORY_UPWARDS if upwards else _MEMORY) * scale) ** -2
        pull = np.zeros((len(points), len(axes)))
        force = hold[:, joint, None] * np.diff(points[:, joint, axes], axis=0)
        pull[:-1] += force
        pull[1:] -= force
        if upwards:
            matrix[2] += sure[:, joint]
            pull[:, 0] -= sure[:, joint] * (height - height.clip(0, _PLAY))[:, joint]
        if drawn is not None and goal is not None:
            weight = 20 * drawn[:, joint].numpy()
            matrix[2] += weight
            pull += weight[:, None] * (goal.numpy() - points)[:, joint, axes]
        result[:, joint, axes] = solveh_banded(matrix, pull, check_finite=False)
    far = np.linalg.norm(result, axis=-1, keepdims=True) / _FARTHEST
    return _above_floor(path + torch.from_numpy(result / (1 + far**6) ** (1 / 6)).to(path), standing)


def _above_floor(path: Tensor, standing: Tensor) -> Tensor:
    """Paths (T, 2, 3) of which nothing is in the floor; what is far under it, as on steps downwards, stays there."""
    over = path[..., 1] - standing
    lifted = F.softplus(over * 800) / 800
    share = _falling(-over, *_SUNK)
    heights = standing + over + share * (lifted - over)
    return torch.stack((path[..., 0], heights, path[..., 2]), dim=-1)


def _banded(weights: Array, smoothness: float) -> Array:
    """Upper bands (3, T) of the matrix of sum weights |d[t+1] - d[t]|^2 + smoothness |d[t+1] - 2 d[t] + d[t-1]|^2."""
    bands = np.zeros((3, len(weights) + 1))
    bands[2, :-1] += weights
    bands[2, 1:] += weights
    bands[1, 1:] -= weights
    for offset, part in ((0, 1.0), (1, 4.0), (2, 1.0)):
        bands[2, offset : len(weights) - 1 + offset] += part * smoothness
    bands[1, 1:-1] -= 2 * smoothness
    bands[1, 2:] -= 2 * smoothness
    bands[0, 2:] += smoothness
    return bands


def _length(vectors: Tensor) -> Tensor:
    return torch.linalg.vector_norm(vectors, dim=-1)

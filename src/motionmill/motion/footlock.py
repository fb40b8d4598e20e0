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
from motionmill.motion.gravity import hovering, lowest
from motionmill.motion.legs import Legs, with_feet
from motionmill.motion.motion import Motion
from motionmill.motion.smoothing import highest, low_pass, ramp

Array = NDArray[np.float64]

_FIRMNESS: Final = 3.0  # of the hold where a foot rests half surely, against its wish to go on
_LEAST_SURE: Final = 0.5  # a contact that is surer than this anywhere counts as one that is sure
_SURE: Final = (0.1, 0.6)  # a share of that from which a foot is held, and from which firmly
_FARTHEST: Final = 0.25  # most by which a foot is moved, metres
_PLAY: Final = 0.005  # a held foot joint may be this far over its standing height, metres
_PLAY_LOST: Final = 0.02  # and one that only must not hover
_PRESS_LOST: Final = 6.0  # how surely that one is pressed, against a held one's 1
_RIGID: Final = 0.5  # of a foot's two ends moving together, against each end's wish to go on
_SMOOTHNESS: Final = 2.5  # frames over which a foot is caught and let go, at 30 fps
_MEMORY: Final = 10.0  # frames over which a correction fades where the foot is free, at 30 fps
_MEMORY_UPWARDS: Final = 4.0
_FADE: Final = 1.5  # the same in the clean-up, which need not keep a source's heights
_CORNER: Final = 0.001  # of the floor, metres
_SUNK: Final = (0.10, 0.18)  # a foot this far under the floor is in it; from there on below it


def locked(legs: Legs, held: Tensor, done: Tensor) -> Motion:
    """The motion of these legs with feet that hold still where they rest on the floor.

    Args:
        legs: on the floor.
        held: (T, 4) in 0..1, as `contacts_to_lock` gives it.
        done: (T,) bool, frames in which the feet go their own way, which is right already.
    """
    if not bool((held > 0).any()):
        return legs.motion
    own = legs.feet.diff(dim=0) * (done[1:] & done[:-1])[:, None, None]
    firm = torch.where(done[:, None], 1.0, held)
    lost = (hovering(legs) & ~done)[:, None]
    pressed = torch.where(lost, _PRESS_LOST, held) * lowest(legs)
    play = torch.where(lost, _PLAY_LOST, _PLAY).expand_as(held)
    ankles, toes = foot_targets(
        legs, firm, pressed=pressed, play=play, steps=own, fade=_FADE, rigid=_RIGID
    )
    return with_feet(legs, ankles, toes, held)


def contacts_to_lock(legs: Legs) -> Tensor:
    """(T, 4) in 0..1: how surely each foot joint rests, also beside the frames in which it will be held.

    A foot on which a person turns or kicks is slow beside the other one, but not at rest: each joint is measured by
    its own speed. A foot rests or does not: short contacts, of which no frame is sure, are held as firmly as long ones.
    """
    feet, fps = legs.feet, legs.motion.fps
    if len(feet) < 4:
        return torch.zeros(feet.shape[:2], dtype=feet.dtype)
    standing = physics.standing_heights(legs.motion.skeleton).to(feet)
    sure = resting(feet, feet[..., 1] - standing, fps, alone=True)
    sure = sure / highest(sure, round(0.1 * fps)).clamp(min=_LEAST_SURE)
    return 1 - _falling(sure, *_SURE)


def resting(feet: Tensor, heights: Tensor, fps: float, *, alone: bool = False) -> Tensor:
    """How surely each foot joint rests on the floor: 1 for low and slow, 0 for high or fast, between them smooth.

    What is slow depends on how fast the feet move half a second around: generated feet slide, and the swinging feet of
    a tired walk are slower than the sliding ones of a run. Feet that slide together, as under a drifting person, and
    flat feet that tremble or wander without getting anywhere count as slow, too.

    Args:
        feet: (T, 4, 3) world positions, metres.
        heights: (T, 4) over the standing heights, metres.
        fps: frames per second.
        alone: whether what is slow depends on each joint's own speed half a second around, not on the fastest one's.

    Returns:
        (T, 4) in 0..1.
    """
    scale = fps / 30
    velocity = physics.central_difference(low_pass(feet, 1.5 * scale)) * fps
    speed = _length(velocity)
    fastest = speed if alone else speed.amax(dim=1, keepdim=True)
    peak = highest(fastest, round(15 * scale))
    slow = (0.35 * peak).clamp(0.25 if alone else 0.2, 0.7)
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


def foot_targets(
    legs: Legs,
    held: Tensor,
    *,
    pressed: Tensor,
    steps: Tensor,
    play: Tensor | float = _PLAY,
    fade: float = _MEMORY_UPWARDS,
    rigid: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Where ankles and toes (T, 2, 3) should be: still where they are held, on the floor, a foot's length apart.

    Where the toes rest the ankle has to be a foot's length behind them, and where only the heel rests it stays where it
    will be when the toes are down, too.

    Args:
        legs: as they are.
        held: (T, 4) in 0..1, how surely each foot joint must not move.
        pressed: (T, 4), how surely it rests on the floor.
        play: (T, 4) over its standing height up to which it does, metres.
        steps: (T - 1, 4, 3) by how much held joints move, 0 for standing still, metres.
        fade: frames at 30 fps over which a correction of the height fades where the foot is free.
        rigid: how much both ends of a foot are moved alike across the floor, so that one that is held takes the other
            along.
    """
    length, scale = _length(legs.toes - legs.ankles), legs.motion.fps / 30
    standing = physics.standing_heights(legs.motion.skeleton).to(legs.hips)
    heel, ball = held[:, :2], held[:, 2:]
    play = torch.as_tensor(play).to(held).expand_as(held)
    feet = _settled(legs.feet, standing, held, pressed, play, scale, steps, fade, rigid=rigid)
    ankles, toes = feet[:, :2], feet[:, 2:]
    behind = toes - length[..., None] * F.normalize(toes - ankles, dim=-1)
    own = steps[:, :2]
    ankles = _settled(
        legs.ankles, standing[:2], heel, pressed[:, :2], play[:, :2], scale, own, fade,
        drawn=ball, goal=behind,
    )  # fmt: skip
    along = toes - ankles
    excess = (1 - length / _length(along).clamp(min=1e-6))[..., None] * along
    share = low_pass(0.5 + 0.5 * (heel - ball), scale)[..., None].clamp(0, 1)
    share = torch.where((ball == 1)[..., None], 0.0, share)
    return ankles + (1 - share) * excess, toes - share * excess


def _settled(
    path: Tensor,
    standing: Tensor,
    held: Tensor,
    pressed: Tensor,
    play: Tensor,
    scale: float,
    steps: Tensor,
    fade: float,
    *,
    rigid: float = 0.0,
    drawn: Tensor | None = None,
    goal: Tensor | None = None,
) -> Tensor:
    """Paths (T, K, 3) of joints, moved smoothly so that they stand still where they are held, on the floor.

    The displacement d minimises, over the clip, the sum of hold |step of (path + d) - given step|^2, |step of d|^2
    (what swings keeps its velocity), a little |d|^2 (nothing wanders off), |change of step of d|^2 (no pops),
    pressed |height|^2, drawn |path + d - goal|^2 and rigid |d - d of the foot's other end|^2. It is the solution of a
    banded linear system, for all joints and axes at once.

    Args:
        path: metres.
        standing: (K,) heights on the floor, metres.
        held: (T, K) in 0..1.
        pressed: (T, K).
        play: (T, K) metres.
        scale: frames a second over 30.
        steps: (T - 1, K, 3) given steps, metres.
        fade: as for `foot_targets`.
        rigid: as for `foot_targets`, between joints that are half of K apart.
        drawn: (T, K) in 0..1, how much a joint is drawn to `goal`.
        goal: (T, K, 3) metres.
    """
    from scipy.linalg import solveh_banded

    points, sure = path.numpy().transpose(1, 0, 2), held.numpy().T  # (K, T, 3), (K, T)
    press = pressed.numpy().T
    joints, frames = sure.shape
    pair = np.minimum(sure[:, 1:], sure[:, :-1])
    hold: Array = _FIRMNESS * pair / (1.0001 - pair)
    height = points[..., 1] - standing.numpy()[:, None]
    moves = np.diff(points, axis=1) - steps.numpy().transpose(1, 0, 2)
    force = hold[..., None] * moves
    pull = np.zeros_like(points)
    pull[:, :-1] += force
    pull[:, 1:] -= force
    pull[..., 1] -= press * (height - height.clip(0, play.numpy().T))
    across = _banded(1 + hold, (_SMOOTHNESS * scale) ** 2)  # (3, K, T)
    upwards = across.copy()
    across[2] += (_MEMORY * scale) ** -2
    upwards[2] += (fade * scale) ** -2 + press
    if drawn is not None and goal is not None:
        weight = 20 * drawn.numpy().T
        across[2] += weight
        upwards[2] += weight
        pull += weight[..., None] * (goal.numpy().transpose(1, 0, 2) - points)
    # The systems of all pairs of joints, across the floor and upwards, one after the other: their bands do not meet.
    bands = np.concatenate((_paired(across, rigid), _paired(upwards, 0.0)), axis=1)
    vertical = np.stack((pull[..., 1], np.zeros_like(height)), axis=-1)
    sides = np.stack((pull[..., [0, 2]], vertical)).reshape(2, 2, joints // 2, frames, 2)
    sides = sides.transpose(0, 2, 3, 1, 4)  # upwards or not, pair, frame, joint of the pair, axis
    solved = solveh_banded(bands.reshape(5, -1), sides.reshape(-1, 2), check_finite=False)
    solved = solved.reshape(sides.shape).transpose(0, 3, 1, 2, 4).reshape(2, joints, frames, 2)
    moved = np.stack((solved[0, ..., 0], solved[1, ..., 0], solved[0, ..., 1]), axis=-1)
    far = np.linalg.norm(moved, axis=-1, keepdims=True) / _FARTHEST
    moved = (moved / (1 + far**6) ** (1 / 6)).transpose(1, 0, 2)
    return _above_floor(path + torch.from_numpy(moved).to(path), standing)


def _above_floor(path: Tensor, standing: Tensor) -> Tensor:
    """Paths (T, K, 3) of which nothing is in the floor; what is far under it, as on steps downwards, stays there."""
    over = path[..., 1] - standing
    lifted = ramp(over, _CORNER)
    share = _falling(-over, *_SUNK)
    heights = standing + over + share * (lifted - over)
    return torch.stack((path[..., 0], heights, path[..., 2]), dim=-1)


def _banded(weights: Array, smoothness: float) -> Array:
    """Upper bands (3, K, T) of sum weights |d[t+1] - d[t]|^2 + smoothness |d[t+1] - 2 d[t] + d[t-1]|^2.

    Args:
        weights: (K, T - 1).
        smoothness: of the second differences.
    """
    joints, steps = weights.shape
    bands = np.zeros((3, joints, steps + 1))
    bands[2, :, :-1] += weights
    bands[2, :, 1:] += weights
    bands[1, :, 1:] -= weights
    for offset, part in ((0, 1.0), (1, 4.0), (2, 1.0)):
        bands[2, :, offset : steps - 1 + offset] += part * smoothness
    bands[1, :, 1:-1] -= 2 * smoothness
    bands[1, :, 2:] -= 2 * smoothness
    bands[0, :, 2:] += smoothness
    return bands


def _paired(bands: Array, rigid: float) -> Array:
    """Upper bands (3, K, T) of K joints -> (5, K / 2, 2 T) of pairs of them, their frames in turns, with rigid
    |d of one - d of the other|^2 added to the sum."""
    _, joints, frames = bands.shape
    paired = np.zeros((5, joints // 2, frames, 2))
    paired[::2] = bands.reshape(3, 2, joints // 2, frames).transpose(0, 2, 3, 1)
    paired[3, ..., 1] -= rigid
    paired[4] += rigid
    return paired.reshape(5, joints // 2, 2 * frames)


def _length(vectors: Tensor) -> Tensor:
    return torch.linalg.vector_norm(vectors, dim=-1)

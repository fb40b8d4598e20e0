"""A motion made of parts -> the same motion without a jerk where one part goes over into the next.

What jerks there is as much too fast a change of velocity as it lies between few frames. So the frames around such a
seam go over into a low-passed copy of the motion and back, no further and no softer than it takes; where nothing
jerks, nothing changes. Feet that slip by it are held by the clean-up.

Shapes: T frames, J joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from motionmill.motion.cleanup import clean
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_6d, matrix_to_6d
from motionmill.motion.smoothing import low_pass

REACH: Final = 2  # frames before and after a seam that belong to it
_CALM: Final = 1.3  # a jump of so many times the clip's mean is left as it is
_AROUND: Final = 60  # frames before and after a seam that are looked at
_WIDTHS: Final = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)  # of the low pass, frames, tried in turn


def joined(motion: Motion, seams: Sequence[int]) -> Motion:
    """Softens the seams of a motion where they jerk, as it is or after clean-up.

    Args:
        seams: the first frames of the parts but the first.
    """
    if not seams:
        return motion
    means = [float(velocity_jumps(each).mean()) for each in (motion, _cleaned(motion))]
    limits = [max(_CALM * mean, 1e-9) for mean in means]
    for seam in seams:
        motion = _joined(motion, seam, limits)
    return motion


def velocity_jumps(motion: Motion) -> Tensor:
    """(T,) how much the joints' velocities change from frame to frame, m/s, mean over joints, the largest of the
    2 REACH + 1 frames around each."""
    if len(motion) < 3:
        return torch.zeros(len(motion))
    velocity = motion.joints().diff(dim=0) * motion.fps
    jump = velocity.diff(dim=0).norm(dim=-1).mean(-1)
    jump = torch.cat((jump[:1], jump, jump[-1:]))
    return F.max_pool1d(jump[None], 2 * REACH + 1, stride=1, padding=REACH)[0]


def _cleaned(motion: Motion) -> Motion:
    return clean(motion, floor_at_zero=True)


def _joined(motion: Motion, seam: int, limits: Sequence[float]) -> Motion:
    """With the narrowest low pass that makes the seam calm; where none does, the calmest."""
    start, end = max(0, seam - _AROUND), seam + _AROUND
    best, least = motion, float("inf")
    for width in (0.0, *_WIDTHS):
        made = _softened(motion, seam, width) if width else motion
        near = made[start:end]
        jumps = [float(velocity_jumps(each)[seam - start]) for each in (near, _cleaned(near))]
        worst = max(jump / limit for jump, limit in zip(jumps, limits, strict=True))
        if worst < least:
            best, least = made, worst
        if worst <= 1:
            break
    return best


def _softened(motion: Motion, seam: int, width: float) -> Motion:
    """All of a low pass at the seam, less of it before and after, none four widths away."""
    away = torch.arange(len(motion)) - (seam - 0.5)
    share = ((1 + torch.cos(torch.pi * (away / (4 * width + REACH)).clamp(-1, 1))) / 2).to(
        motion.root
    )
    places = share.nonzero()[:, 0]
    first, last = int(places[0]), int(places[-1])
    start = max(0, first - round(4 * width))
    near, changed = slice(start, last + 1 + round(4 * width)), slice(first, last + 1)
    inside = slice(first - start, last + 1 - start)
    share = share[changed, None]
    root, rotations = motion.root.clone(), motion.rotations.clone()
    root[changed] = torch.lerp(root[changed], low_pass(root[near], width)[inside], share)
    sixd = matrix_to_6d(rotations[near])
    mixed = torch.lerp(sixd[inside], low_pass(sixd, width)[inside], share[..., None])
    rotations[changed] = matrix_from_6d(mixed)
    return replace(motion, root=root, rotations=rotations)

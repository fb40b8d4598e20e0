"""Clean-up: a motion -> the same motion on the floor, without trembling, with feet that hold still where they rest.

Shapes: T frames, J joints. World: Y up, metres. The steps: floor, smoothing where the motion is noise (`smoothing.py`),
contacts and corrections of the foot paths (`footlock.py`), legs by two-bone inverse kinematics (`legs.py`).
"""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from motionmill.motion import physics
from motionmill.motion.footlock import contacts_to_lock, locked
from motionmill.motion.gravity import slower_falls
from motionmill.motion.legs import Legs, feet_of, legs_of
from motionmill.motion.motion import Motion
from motionmill.motion.planted import cleaned_before
from motionmill.motion.rotations import slerp
from motionmill.motion.smoothing import low_pass, smooth

_log = logging.getLogger(__name__)
_LEVEL: Final = 0.003  # a floor as near to y = 0 as this is left alone, metres
_SINKING: Final = 2.0  # frames at 30 fps over which a body that has sunk in is lifted
_FAR_OFF: Final = 0.5  # a floor this far from y = 0 is worth a word, metres


def clean(motion: Motion, *, strength: float = 1.0, floor_at_zero: bool = False) -> Motion:
    """Puts a motion on the floor, takes trembling out of it and locks its feet where they rest.

    Args:
        motion: any motion whose skeleton has the legs of SMPL-22.
        strength: 0 gives the motion as it is, 1 the cleaned one, between them a mixture.
        floor_at_zero: nothing can be lower than y = 0, as in motion that a model makes: a body that is has sunk in and
            is lifted; otherwise the floor is where the lowest frames stand.

    Returns:
        A motion of the same length on the same skeleton. Arms, trunk and head change only by the smoothing, flight and
        anything else off the floor only by the floor's height.

    Raises:
        ValueError: strength out of 0..1, a skeleton without these legs, or frames that are not finite (they are named).
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"clean: strength {strength}; expected a number from 0 to 1")
    physics.foot_indices(motion.skeleton)
    _check_finite(motion)
    if strength == 0:
        return motion
    # Without gradients to look after, short motions take a tenth less time.
    with torch.inference_mode():
        made = _cleaned(motion, strength, floor_at_zero)
    if made is None:
        return motion
    rotations, root = made
    return replace(motion, rotations=rotations.clone(), root=root.clone())


def _cleaned(motion: Motion, strength: float, floor_at_zero: bool) -> tuple[Tensor, Tensor] | None:
    """Rotations and root of the cleaned motion; None where all of it has been cleaned before."""
    task = prepared(motion, floor_at_zero=floor_at_zero)
    if bool(task.done.all()):
        return None
    result = locked(task.legs, task.held, task.done)
    rotations, root = result.rotations, result.root
    if strength < 1:
        weight = rotations.new_tensor(strength).expand(rotations.shape[:2])
        rotations = slerp(motion.rotations.to(rotations), rotations, weight)
        root = torch.lerp(motion.root.to(root), root, strength)
    return rotations.to(motion.rotations), root.to(motion.root)


@dataclass(frozen=True, eq=False)
class Task:
    """What `clean` hands to `footlock.locked`.

    Attributes:
        legs: of the motion smoothed and on the floor, in float64.
        held: (T, 4) in 0..1, how surely each foot joint rests and will be held.
        done: (T,) bool, frames that have been cleaned before and stay as they are.
    """

    legs: Legs
    held: Tensor
    done: Tensor


def prepared(motion: Motion, *, floor_at_zero: bool = False) -> Task:
    """The first half of `clean`: everything but the locking of the feet."""
    exact = replace(
        motion,
        rotations=motion.rotations.detach().double().cpu(),
        root=motion.root.detach().double().cpu(),
    )
    done = cleaned_before(*feet_of(exact), exact.fps)
    smoothed = smooth(exact, keep=done)
    root = torch.where(done[:, None], smoothed.root, slower_falls(smoothed.root, exact.fps))
    legs = legs_of(replace(smoothed, root=root))
    if 2 * int(done.sum()) <= len(done):
        height = _worth_telling(_floor(legs.clearance, floor_at_zero), motion)
        legs = legs.moved(legs.hips.new_tensor(min(max(height, -_LEVEL), _LEVEL) - height))
    if floor_at_zero:
        depth = (-legs.clearance).clamp(min=0)[:, None]
        depth = low_pass(depth, _SINKING * motion.fps / 30)[:, 0]
        legs = legs.moved(torch.where(done, 0.0, depth))
    held = contacts_to_lock(legs)
    return Task(legs, torch.where(done[:, None], 0.0, held), done)


def _floor(clearance: Tensor, at_zero: bool) -> float:
    """Height of the floor, metres, from those of the lowest body part, (T,)."""
    height = physics.floor_under(clearance)
    return max(height, 0.0) if at_zero else height


def to_floor(motion: Motion) -> Motion:
    """The motion raised or lowered as a whole so that its floor is at y = 0; said where that is far."""
    height = _worth_telling(physics.floor(motion), motion)
    return replace(motion, root=motion.root - motion.root.new_tensor([0, height, 0]))


def _worth_telling(height: float, motion: Motion) -> float:
    """The height of the floor, metres, after a warning where it is far from 0."""
    if abs(height) > _FAR_OFF:
        _log.warning(
            "%s: its floor is estimated at %.2f m; the motion is moved so that it is at 0",
            motion.name or "motion",
            height,
        )
    return height


def _check_finite(motion: Motion) -> None:
    good = motion.rotations.isfinite().flatten(1).all(dim=1) & motion.root.isfinite().all(dim=1)
    if not bool(good.all()):
        raise ValueError(
            f"clean: {motion.name or 'motion'}: values that are not finite in frames {_ranges(~good)} of "
            f"{len(motion)}; cut these frames out or fill them first"
        )


def _ranges(chosen: Tensor) -> str:
    """The first runs of true entries of (T,), as "3-5, 9"."""
    indices = chosen.nonzero()[:, 0].tolist()
    runs = []
    for _, group in itertools.groupby(enumerate(indices), lambda pair: pair[1] - pair[0]):
        run = [index for _, index in group]
        runs.append(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}")
    return ", ".join(runs[:5]) + (", ..." if len(runs) > 5 else "")

"""Foot paths -> where feet stand exactly still, and which frames have therefore been cleaned already.

Shapes: T frames, 4 foot joints as in `physics.FOOT_JOINTS`. World: Y up, metres, floor y = 0.

No captured and no generated foot rests without moving at all. One that does was put there by an animator or by an
earlier clean-up; around it nothing is left to do, which makes a second clean-up change nothing.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from motionmill.motion.smoothing import highest

_STILL: Final = 0.0003  # no foot of a living person moves as slowly as this for three frames, m/s
_SLOW: Final = 0.1  # one that moves as slowly as this rests, or nearly, m/s
_LOW: Final = 0.05  # metres over its standing height; higher up the clean-up holds no foot
_SHARE: Final = 0.1  # of the resting feet that must be planted
_AROUND: Final = 3.0  # seconds before, and as many after a frame, in which they are counted
_GAP: Final = 0.5  # seconds; a gap up to twice as long between cleaned frames is clean, too


def planted(feet: Tensor, heights: Tensor, fps: float) -> Tensor:
    """(T, 4) bool: which foot joints stand exactly still on the floor for three frames or longer.

    Args:
        feet: (T, 4, 3) positions, metres.
        heights: (T, 4) over the standing heights, metres.
        fps: frames a second.
    """
    if len(feet) < 4:
        return torch.zeros_like(heights, dtype=torch.bool)
    still = (_speed(feet, fps) < _STILL).to(feet)
    pairs = torch.minimum(still[1:], still[:-1])
    return (_of_frames(_of_frames(pairs)) > 0) & (heights < _LOW)


def cleaned_before(feet: Tensor, heights: Tensor, fps: float) -> Tensor:
    """(T,) bool: frames before and after which enough of the resting feet are planted.

    Both sides count, so that what a model adds to a cleaned motion is no cleaned motion.

    Args:
        feet: (T, 4, 3) positions, metres.
        heights: (T, 4) over the standing heights, metres.
        fps: frames a second.
    """
    still = planted(feet, heights, fps)
    if not bool(still.any()):
        return torch.zeros(len(feet), dtype=torch.bool)
    slow = (_of_frames((_speed(feet, fps) < _SLOW).to(feet)) > 0) & (heights < _LOW)
    firm = (still[:, :2] | still[:, 2:]).sum(dim=1).to(feet)
    resting = (slow[:, :2] | slow[:, 2:]).sum(dim=1).to(feet)
    width = round(_AROUND * fps)
    need = firm - _SHARE * resting
    enough = (_sums(need, width) >= 0) & (_sums(need.flip(0), width).flip(0) >= 0)
    near = highest(firm[:, None], 2 * width)[:, 0] > 0
    done = (enough & near).to(feet)[:, None]
    short = round(_GAP * fps)
    return -highest(-highest(done, short), short)[:, 0] > 0


def _speed(feet: Tensor, fps: float) -> Tensor:
    """(T - 1, 4) m/s across the floor."""
    return torch.linalg.vector_norm(feet[1:, :, ::2] - feet[:-1, :, ::2], dim=-1) * fps


def _of_frames(steps: Tensor) -> Tensor:
    """(T - 1, 4) of steps -> (T, 4): the larger of those before and after a frame."""
    return torch.maximum(F.pad(steps, (0, 0, 0, 1)), F.pad(steps, (0, 0, 1, 0)))


def _sums(values: Tensor, width: int) -> Tensor:
    """(T,) -> (T,) sums of so many values, each from one frame on; of fewer at the end."""
    total = F.pad(values.cumsum(dim=0), (1, 0))
    first = torch.arange(len(values))
    return total[(first + width).clamp(max=len(values))] - total[first]

"""A long sound motion -> frame ranges of clips, cut where the body moves least.

A cut in the middle of a kick leaves two halves of nothing; between two actions a body slows down. Shapes: T frames.
"""

from __future__ import annotations

import itertools
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from motionmill.data.quality_config import CutConfig
from motionmill.motion.motion import Motion

_LENGTH_WEIGHT: Final = 0.6  # of a part's length against the speed at its end
_SMOOTHING: Final = 5  # frames over which the speed is averaged


def cut_points(motion: Motion, config: CutConfig) -> list[tuple[int, int]]:
    """Frame ranges (start, stop) of a motion at 30 fps that together are all of it, each of at most `max_frames`.

    A motion of at most `max_frames` stays whole. Of a longer one the cuts with the least sum of two costs are taken:
    the speed of the joints there, as a share of the median, and how far the parts are from `window_frames`. With
    `cut_at = "equal parts"` it is cut into equal parts of about `window_frames` instead.
    """
    frames = len(motion)
    if frames <= config.max_frames:
        return [(0, frames)]
    window = min(config.window_frames, config.max_frames)
    if config.cut_at == "equal parts":
        count = math.ceil(frames / window)
        edges = [index * frames // count for index in range(count + 1)]
    else:
        edges = _least_cuts(_speed(motion), min(config.min_frames, window), window, config)
    return list(itertools.pairwise(edges))


def _speed(motion: Motion) -> NDArray[np.float64]:
    """(T,) mean speed of the joints, smoothed, as a share of its median."""
    joints = motion.joints().double().numpy()
    step = np.linalg.norm(np.diff(joints, axis=0), axis=-1).mean(axis=-1)
    step = np.concatenate((step[:1], step))
    padded = np.pad(step, _SMOOTHING // 2, mode="edge")
    smooth = np.convolve(padded, np.full(_SMOOTHING, 1 / _SMOOTHING), mode="valid")
    return np.asarray(smooth / max(float(np.median(smooth)), 1e-6), np.float64)


def _least_cuts(
    speed: NDArray[np.float64], shortest: int, window: int, config: CutConfig
) -> list[int]:
    """Frames of the cuts, with both ends, by dynamic programming over the last cut before each frame."""
    frames = len(speed)
    lengths = np.arange(shortest, config.max_frames + 1)
    length_cost = _LENGTH_WEIGHT * np.square(np.log(lengths / window))
    best = np.full(frames + 1, np.inf)
    best[0] = 0.0
    before = np.zeros(frames + 1, np.int64)
    for frame in range(shortest, frames + 1):
        possible = lengths[: np.searchsorted(lengths, frame, side="right")]
        costs = best[frame - possible] + length_cost[: len(possible)]
        choice = int(np.argmin(costs))
        at_end = 0.0 if frame == frames else float(speed[frame])
        best[frame] = costs[choice] + at_end
        before[frame] = frame - possible[choice]
    edges = [frames]
    while edges[-1] > 0:
        edges.append(int(before[edges[-1]]))
    return edges[::-1]

"""272 features -> a compact motion signature, by which clips of one recording are found.

A signature is where nine joints are from the pelvis, in the body's heading, in whole millimetres, 15 times a second:
whatever the clip's place, facing and floor. S samples, 27 numbers a sample: nine joints, x y z each.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from motionmill.motion.features import FEATURES_FPS, NUM_FEATURES, POSITIONS

Signature = NDArray[np.int16]
Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

NUM_JOINTS: Final = 9
WIDTH: Final = 3 * NUM_JOINTS
SAMPLES_PER_SECOND: Final = FEATURES_FPS / 2
METRES: Final = 0.001  # of one step of a signature

_FARTHEST: Final = 10_000  # steps; what is farther from the pelvis is broken, and stays a number
_JOINTS: Final = [
    15,
    18,
    19,
    20,
    21,
    4,
    5,
    7,
    8,
]  # head; elbows, wrists, knees, ankles: left, right
_SWAP: Final = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7])
_FLIP: Final = np.array([-1, 1, 1])


def signature(features: Tensor) -> Signature:
    """(T, 272) features at 30 fps -> (S, 27) int16, S = ceil(T / 2).

    Raises:
        ValueError: another shape, or no frames.
    """
    if features.ndim != 2 or features.shape[1] != NUM_FEATURES or not len(features):
        raise ValueError(
            f"signature: features {tuple(features.shape)}; expected (T, {NUM_FEATURES})"
        )
    return signature_of(features[:, POSITIONS].detach().cpu().numpy().reshape(len(features), -1, 3))


def signature_of(joints: NDArray[Any]) -> Signature:
    """(T, 22, 3) joints in the body's heading, metres, 30 fps -> (S, 27); where the pelvis is does not matter."""
    body = joints[:, _JOINTS] - joints[:, :1]
    smooth = _three_taps(body.reshape(len(joints), WIDTH))[::2]
    steps = np.clip(np.rint(np.nan_to_num(smooth) / METRES), -_FARTHEST, _FARTHEST)
    return np.asarray(steps, np.int16)


def mirrored(values: Floats) -> Floats:
    """Samples (..., 27) of the mirror image: left and right exchanged."""
    joints = values.reshape(*values.shape[:-1], NUM_JOINTS, 3)
    return np.asarray((joints[..., _SWAP, :] * _FLIP).reshape(values.shape), values.dtype)


def _three_taps(values: NDArray[Any]) -> NDArray[Any]:
    padded = np.concatenate((values[:1], values, values[-1:]))
    return (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4


class Signatures:
    """Many signatures, one after the other in one array.

    Attributes:
        samples: (M, 27) int16.
        start: (N + 1,) where each clip's samples begin.
    """

    def __init__(self, signatures: list[Signature]) -> None:
        sizes = [len(one) for one in signatures]
        self.start: Integers = np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))
        self.samples: Signature = (
            np.concatenate(signatures) if signatures else np.zeros((0, WIDTH), np.int16)
        )

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def sizes(self) -> Integers:
        return np.diff(self.start)

    def at(self, clip: Integers, time: Floats, *, smooth: bool = True) -> Floats:
        """Samples of clips (H,) at times (H, P), in samples -> (H, P, 27) metres; ends held.

        Args:
            smooth: cubic between the samples, else linear, which is twice as fast.
        """
        last = (self.sizes[clip] - 1)[:, None]
        time = np.clip(time, 0, last)
        whole = np.minimum(np.floor(time).astype(np.int64), np.maximum(last - 1, 0))
        part = (time - whole).astype(np.float32)
        begin = self.start[clip][:, None]
        taps = enumerate(_cubic(part), -1) if smooth else enumerate((1 - part, part))
        result = np.zeros((*time.shape, WIDTH), np.float32)
        for offset, weight in taps:
            index = begin + np.clip(whole + offset, 0, last)
            result += weight[..., None] * self.samples[index]
        return result * np.float32(METRES)


def _cubic(part: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Catmull-Rom weights of the samples before, at, after and after that; part of the way, 0..1."""
    square, cube = part * part, part * part * part
    return (
        (-part + 2 * square - cube) / 2,
        (2 - 5 * square + 3 * cube) / 2,
        (part + 4 * square - 3 * cube) / 2,
        (cube - square) / 2,
    )

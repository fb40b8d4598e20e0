"""272 features -> a compact motion signature, by which clips of one recording are found.

A signature is where nine joints are from the pelvis, in the body's heading, in whole millimetres, 15 times a second:
whatever the clip's place, facing and floor. S samples, 27 numbers a sample: nine joints, x y z each.
"""

from __future__ import annotations

import itertools
from array import array
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from motionmill.data.scratch import Scratch
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
_SAMPLE: Final = np.dtype([("places", "<i2", WIDTH)])


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
        sizes: (N,) how many of them each clip has.
        start: (N + 1,) where each clip's samples begin.
    """

    def __init__(self, samples: Signature, sizes: Integers) -> None:
        self.samples, self.sizes = samples, sizes
        self.start: Integers = np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))

    def __len__(self) -> int:
        return len(self.start) - 1

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


class SignatureStore:
    """Signatures of any number of clips by name, on the disk; memory holds the names and 12 bytes a clip.

    Args:
        folder: on whose disk, which also takes what is sorted of them (`duplicates.find_duplicates`).
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.names: list[str] = []
        self._samples = Scratch(_SAMPLE, 1, folder)
        self._sizes = array("i")

    def add(self, name: str, signature: Signature) -> None:
        """One more clip."""
        samples = np.ascontiguousarray(signature, np.int16).view(_SAMPLE).reshape(-1)
        self._samples.add(0, samples)
        self.names.append(name)
        self._sizes.append(len(samples))

    def in_order(self) -> StoredSignatures:
        """The clips in the order of their names. Raises ValueError where two have one."""
        order = np.array(sorted(range(len(self.names)), key=self.names.__getitem__), np.int64)
        names = [self.names[index] for index in order]
        for before, name in itertools.pairwise(names):
            if before == name:
                raise ValueError(
                    f"duplicates: two clips have the id {name!r}; expected different ones"
                )
        sizes = np.array(self._sizes, np.int64)
        starts = np.cumsum(sizes) - sizes
        return StoredSignatures(names, starts[order], sizes[order], self._samples)

    def __enter__(self) -> SignatureStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._samples.close()


class StoredSignatures:
    """What a `SignatureStore` holds, numbered in the order of the names.

    Attributes:
        names: of all clips.
        sizes: (N,) samples of each.
    """

    def __init__(
        self, names: list[str], starts: Integers, sizes: Integers, samples: Scratch
    ) -> None:
        self.names, self.sizes = names, sizes
        self._starts, self._samples = starts, samples

    def __len__(self) -> int:
        return len(self.names)

    def some(self, clips: Integers) -> Signatures:
        """Those of some clips, read from the disk."""
        rows = self._samples.rows(self._starts[clips], self.sizes[clips])
        return Signatures(rows["places"], self.sizes[clips])


def _cubic(part: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Catmull-Rom weights of the samples before, at, after and after that; part of the way, 0..1."""
    square, cube = part * part, part * part * part
    return (
        (-part + 2 * square - cube) / 2,
        (2 - 5 * square + 3 * cube) / 2,
        (part + 4 * square - 3 * cube) / 2,
        (cube - square) / 2,
    )

"""DeepMimic motion files (JSON, named .txt or .json) -> Motion on DeepMimic's humanoid, which faces +X.

Shapes: T frames. A frame is 44 numbers: seconds until the next, position of the root (3), then rotations of root,
chest, neck and, for the right and then the left side, hip, knee, ankle, shoulder, elbow: quaternions w x y z, for knee
and elbow an angle about Z. Metres, radians, Y up.

Source: X. B. Peng et al., "DeepMimic: Example-Guided Deep Reinforcement Learning of Physics-Based Character Skills",
2018.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_axis_angle, matrix_from_quaternion
from motionmill.motion.skeleton import Skeleton

logger = logging.getLogger(__name__)

_MAX_BYTES = 256 << 20
_NAMES = (
    "root", "chest", "neck", "right_hip", "right_knee", "right_ankle", "right_shoulder", "right_elbow", "right_wrist",
    "left_hip", "left_knee", "left_ankle", "left_shoulder", "left_elbow", "left_wrist",
)  # fmt: skip
_PARENTS = (-1, 0, 1, 0, 3, 4, 1, 6, 7, 0, 9, 10, 1, 12, 13)
_OFFSETS = (  # of the humanoid3d character, metres
    (0.0, 0.0, 0.0),
    (0.0, 0.236151, 0.0),
    (0.0, 0.223894, 0.0),
    (0.0, 0.0, 0.084887),
    (0.0, -0.421546, 0.0),
    (0.0, -0.409870, 0.0),
    (-0.024050, 0.243500, 0.183110),
    (0.0, -0.274788, 0.0),
    (0.0, -0.258947, 0.0),
    (0.0, 0.0, -0.084887),
    (0.0, -0.421546, 0.0),
    (0.0, -0.409870, 0.0),
    (-0.024050, 0.243500, -0.183110),
    (0.0, -0.274788, 0.0),
    (0.0, -0.258947, 0.0),
)
_COLUMNS = 44
_FIXED = ("right_wrist", "left_wrist")
_ANGLES = ("right_knee", "right_elbow", "left_knee", "left_elbow")


def load(path: str | os.PathLike[str]) -> Motion:
    """Reads a DeepMimic motion.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no such motion in it; the message says what is.
    """
    path = Path(path)
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path.name}: {path.stat().st_size} bytes; at most {_MAX_BYTES} are read")
    frames, loop = _frames(path)
    columns = torch.from_numpy(frames)
    rotations = torch.eye(3, dtype=torch.float64).repeat(len(frames), len(_NAMES), 1, 1)
    column = 4
    for joint, name in enumerate(_NAMES):
        if name in _FIXED:
            continue
        if name in _ANGLES:
            turn = torch.zeros(len(frames), 3, dtype=torch.float64)
            turn[:, 2] = columns[:, column]
            rotations[:, joint] = matrix_from_axis_angle(turn)
            column += 1
        else:
            quaternion = columns[:, column : column + 4]
            if float(quaternion.norm(dim=-1).min()) < 0.1:
                raise ValueError(f"{path.name}: {name} has a rotation that is zero")
            rotations[:, joint] = matrix_from_quaternion(quaternion[:, [1, 2, 3, 0]])
            column += 4
    assert column == _COLUMNS
    if loop:
        logger.info("%s: it is one turn of a loop", path.name)
    skeleton = Skeleton(_NAMES, _PARENTS, torch.tensor(_OFFSETS, dtype=torch.float64))
    return Motion(rotations, columns[:, 1:4], _rate(frames[:, 0], path.name), skeleton, path.stem)


def _frames(path: Path) -> tuple[NDArray[np.float64], bool]:
    """(T, 44) numbers, and whether the motion is a loop."""
    document = parse(path)
    rows = document.get("Frames")
    if not isinstance(rows, list):
        kind = "a character, not a motion" if "Skeleton" in document else "no `Frames` in it"
        raise ValueError(f"{path.name}: {kind}; expected a DeepMimic motion file")
    for number, row in enumerate(rows):
        whole = isinstance(row, list) and len(row) == _COLUMNS
        if not whole or not all(type(value) in (int, float) for value in row):
            count = f"{len(row)} values" if isinstance(row, list) else type(row).__name__
            raise ValueError(
                f"{path.name}, frame {number}: expected {_COLUMNS} numbers, got {count}"
            )
    try:
        frames = np.array(rows, dtype=np.float64)
    except OverflowError:
        frames = np.full((1, _COLUMNS), np.nan)
    if not len(frames) or not np.isfinite(frames).all() or np.abs(frames).max() > 1e6:
        raise ValueError(f"{path.name}: no frames, or values that are not finite or too large")
    return frames, document.get("Loop") == "wrap"


def parse(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        ValueError: it is something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig", errors="replace"))
    except (ValueError, RecursionError, MemoryError) as error:
        raise ValueError(
            f"{path.name}: not JSON ({' '.join(str(error).split())[:80]}); expected a DeepMimic motion file"
        ) from None
    if not isinstance(document, dict):
        raise ValueError(f"{path.name}: JSON without an object; expected a DeepMimic motion file")
    return document


def _rate(seconds: NDArray[np.float64], file: str) -> float:
    """Frames per second; the last frame's duration does not count."""
    durations = seconds[:-1] if len(seconds) > 1 else seconds
    middle = float(np.median(durations))
    if not 1e-4 < middle < 100 or durations.min() < 0:
        raise ValueError(f"{file}: frames of {middle:g} seconds; expected 0.0001 to 100")
    if float(np.abs(durations - middle).max()) > 0.05 * middle:
        span = f"{durations.min():g} to {durations.max():g}"
        logger.warning("%s: its frames last %s seconds; %g is taken for all", file, span, middle)
    whole = round(1 / middle)
    return float(whole) if whole and abs(1 / whole - middle) < 1e-5 else 1 / middle

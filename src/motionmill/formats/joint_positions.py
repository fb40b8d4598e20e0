"""Arrays of joint positions (.npy, T x J x 3) -> Motion, by inverse kinematics.

Shapes: T frames, J joints, of which the first 22 are SMPL's in SMPL's order: SMPL (24), SMPL-H (52), SMPL-X (55 and
more).
Unit and up axis are told from the body: legs of an adult, and the side on which the shoulders are of the ankles.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from motionmill.formats import arrays
from motionmill.motion.inverse_kinematics import solve
from motionmill.motion.motion import Motion
from motionmill.motion.physics import floor
from motionmill.motion.rotations import up_axis, y_up
from motionmill.motion.skeleton import SMPL_22_NAMES

logger = logging.getLogger(__name__)

COUNTS = (
    22,
    24,
    45,
    52,
    54,
    55,
    73,
    127,
    144,
)  # joints of SMPL and its kind, with and without hands and vertices
_UNITS = (1.0, 100.0, 1000.0, 1 / 0.0254)  # metres, cm, mm, inch: units in a metre
_LEGS = (0.5, 1.1)  # thigh plus shin, metres
_FPS = 30.0


def is_positions(shape: tuple[int, ...]) -> bool:
    """Whether an array of this shape may be joint positions."""
    return len(shape) == 3 and shape[2] == 3 and shape[1] >= len(SMPL_22_NAMES)


def load(path: str | os.PathLike[str], *, fps: float | None = None) -> Motion:
    """Reads joint positions as a Motion on bones of the lengths that they show, standing on the floor.

    What positions cannot tell (how wrists, feet and head are turned about themselves) is left at rest; the log says so,
    with the largest distance between the joints asked for and reached.

    Args:
        path: the file.
        fps: frames per second, which the file does not say; 30 by default.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another shape, values that are not finite, or positions that are no person.
    """
    path = Path(path)
    array = arrays.read_npy(path)
    if not is_positions(array.shape) or not len(array):
        raise ValueError(
            f"{path.name}: an array {array.shape}; expected (T, J, 3) joint positions, J at least 22, SMPL's first"
        )
    if array.shape[1] not in COUNTS:
        logger.warning(
            "%s: %d joints a frame; the first 22 are taken to be SMPL's", path.name, array.shape[1]
        )
    values = arrays.numbers(array[:, : len(SMPL_22_NAMES)], f"{path.name}: the positions")
    if np.abs(values).max() > 1e7:
        raise ValueError(f"{path.name}: positions up to {np.abs(values).max():g}; no unit fits")
    positions = _upright(torch.from_numpy(values), path.name)
    try:
        solution = solve(positions, fps or _FPS, name=path.stem)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None
    logger.info(
        "%s: joint positions at %g fps%s; inverse kinematics, %s; the twist of wrists, feet and head is not known",
        path.name,
        fps or _FPS,
        "" if fps else " (assumed)",
        solution,
    )
    motion = solution.motion
    lift = motion.root.new_tensor([0.0, -floor(motion), 0.0])
    return replace(motion, root=motion.root + lift)


def _upright(positions: Tensor, file: str) -> Tensor:
    """(T, 22, 3) positions in metres, Y up."""
    thighs = (positions[:, [1, 2]] - positions[:, [4, 5]]).norm(dim=-1)
    shins = (positions[:, [4, 5]] - positions[:, [7, 8]]).norm(dim=-1)
    leg = float((thighs + shins).mean(dim=1).median())
    units = next((unit for unit in _UNITS if _LEGS[0] < leg / unit < _LEGS[1]), 0.0)
    if not units:
        raise ValueError(
            f"{file}: legs (thigh and shin) {leg:.4g} long; expected an adult's {_LEGS[0]} to {_LEGS[1]} m, in metres, "
            "centimetres, millimetres or inches, joints in SMPL's order"
        )
    body = positions[:, [16, 17]].mean(dim=1) - positions[:, [7, 8]].mean(dim=1)
    up = F.normalize(body, dim=-1).mean(dim=0)
    axis = up_axis(up)
    if units != 1 or axis != "Y":
        logger.info(
            "%s: %s is up and 1/%g m the unit in the file; Y and metres in the result",
            file,
            axis,
            units,
        )
    return positions / units @ y_up(axis).T

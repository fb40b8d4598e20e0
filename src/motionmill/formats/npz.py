"""Motions <-> NumPy archives (.npz) with the keys of AMASS, and keys of our own that lose nothing.

Shapes: T frames, J joints. Metres, radians. The world of AMASS is Z up: our (x, y, z) is its (x, -z, y).

Keys for readers of AMASS (Mahmood et al., "AMASS: Archive of Motion Capture as Surface Shapes", 2019), SMPL-22 only:

=======================================  ==============================================================================
`trans` (T, 3)                           the pelvis joint, metres. Body models place the pelvis at `trans` plus its
                                         position in their own rest pose (SMPL: about -0.24 m in y, 0.03 m in z), which
                                         is not known here: their bodies appear shifted by that constant
`poses` (T, 156) of SMPL+H               axis-angle of the pelvis in the world, of 21 body joints and of 30 hand joints
                                         (zero), radians
`poses` (T, 165) of SMPL-X               the same with jaw and eyes (zero) between body and hands
`betas` (16,), `gender`                  zeros, "neutral"
`dmpls` (T, 8) of SMPL+H                 zeros
`root_orient`, `pose_body`, `pose_jaw`,  the columns of `poses` by their parts: 3, 63, 3, 6 and 90
`pose_eye`, `pose_hand` of SMPL-X
`surface_model_type`, `num_betas`,       "smplx", 16, seconds
`mocap_time_length` of SMPL-X
`mocap_framerate`, `mocap_frame_rate`    frames per second, as SMPL+H and as SMPL-X files call it
=======================================  ==============================================================================

Our own keys: `motionmill_format` (1), `rotations` (T, J, 3, 3) parent-relative matrices, `root` (T, 3), `joints`
(T, J, 3) world positions, `fps`, `names` (J,), `parents` (J,), `offsets` (J, 3), `foot_joint_height`, `name`; Y up,
metres. Where they are present, `load` reads them and ignores the others.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionmill.formats import arrays as numpy_files
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_axis_angle, matrix_to_axis_angle
from motionmill.motion.skeleton import SMPL_22_NAMES, Skeleton, adult_skeleton

logger = logging.getLogger(__name__)

_FORMAT = 1
_BODY = 66  # columns of `poses` for the pelvis and 21 body joints
_SMPL_H = 156
_SMPL_X_PARTS = {"root_orient": 3, "pose_body": 63, "pose_jaw": 3, "pose_eye": 6, "pose_hand": 90}
BODIES = ("smplh", "smplx")
_MAX_FRAMES = 500_000
_MAX_JOINTS = 1_000
_OWN_KEYS = (
    "motionmill_format",
    "rotations",
    "root",
    "fps",
    "names",
    "parents",
    "offsets",
    "foot_joint_height",
    "name",
)
_AMASS_KEYS = (
    "poses",
    "root_orient",
    "pose_body",
    "trans",
    "mocap_framerate",
    "mocap_frame_rate",
    "fps",
    "gender",
)
_TO_Z_UP = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))  # x, y, z -> x, -z, y


def save(
    motion: Motion, path: str | os.PathLike[str], *, body: str = "smplh", compressed: bool = True
) -> None:
    """Writes a Motion as an archive that AMASS readers and `load` understand; other skeletons than SMPL-22 only `load`.

    Args:
        motion: on any skeleton.
        path: the file; it appears whole or not at all.
        body: whose keys AMASS readers find, smplh or smplx. They are Z up, as AMASS is; our own keys are Y up.
        compressed: takes most of the time, for half of the size.

    Raises:
        ValueError: unknown body, or values that are not finite.
    """
    path = Path(path)
    if body not in BODIES:
        raise ValueError(f"body {body!r}; expected one of {', '.join(BODIES)}")
    rotations, root = motion.rotations.cpu(), motion.root.cpu()
    if not (rotations.isfinite().all() and root.isfinite().all()):
        raise ValueError(f"{path.name}: the motion has values that are not finite; nothing written")
    skeleton = motion.skeleton
    arrays: dict[str, Any] = {
        "motionmill_format": np.array(_FORMAT),
        "rotations": rotations.numpy(),
        "root": root.numpy(),
        "joints": motion.joints().float().cpu().numpy(),
        "fps": np.array(motion.fps),
        "names": np.array(skeleton.names),
        "parents": np.array(skeleton.parents),
        "offsets": skeleton.offsets.cpu().numpy(),
        "foot_joint_height": np.array(skeleton.foot_joint_height),
        "name": np.array(motion.name),
    }
    if skeleton.names == SMPL_22_NAMES:
        arrays |= _amass(rotations.double(), root.double(), motion.fps, body)
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("wb") as file:
        (np.savez_compressed if compressed else np.savez)(file, **arrays)
    temporary.replace(path)


def load(path: str | os.PathLike[str], *, fps: float | None = None) -> Motion:
    """Reads an archive of ours, or AMASS's: SMPL (72), SMPL+H (156) or SMPL-X (165 columns in `poses`).

    AMASS motion is placed on our adult skeleton: shape parameters and hands are not used, the pelvis is at `trans`, and
    the Z-up world becomes Y-up; the log says so.

    Args:
        path: the file.
        fps: frames per second, for archives that do not say.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such an archive; the message names the file, what was expected and what is there.
    """
    path = Path(path)
    arrays = numpy_files.read_npz(path, (*_OWN_KEYS, *_AMASS_KEYS))
    if "motionmill_format" in arrays:
        return _own(arrays, path.name)
    return _from_amass(arrays, path, fps)


def _amass(rotations: Tensor, root: Tensor, fps: float, body: str) -> dict[str, Any]:
    turn = rotations.new_tensor(_TO_Z_UP)
    turned = rotations.clone()
    turned[:, 0] = turn @ rotations[:, 0]
    frames = len(root)
    columns = _SMPL_H if body == "smplh" else sum(_SMPL_X_PARTS.values())
    poses = np.zeros((frames, columns), np.float64)
    poses[:, :_BODY] = matrix_to_axis_angle(turned).flatten(1).numpy()
    arrays = {
        "poses": poses,
        "trans": (root @ turn.T).numpy(),
        "betas": np.zeros(16),
        "gender": np.array("neutral"),
        "mocap_framerate": np.array(float(fps)),
        "mocap_frame_rate": np.array(float(fps)),
    }
    if body == "smplh":
        return arrays | {"dmpls": np.zeros((frames, 8))}
    ends = np.cumsum(list(_SMPL_X_PARTS.values()))[:-1]
    return arrays | {
        **dict(zip(_SMPL_X_PARTS, np.split(poses, ends, axis=1), strict=True)),
        "surface_model_type": np.array("smplx"),
        "num_betas": np.array(16),
        "mocap_time_length": np.array(frames / fps),
    }


def _from_amass(arrays: Mapping[str, NDArray[Any]], path: Path, given_fps: float | None) -> Motion:
    parts = [arrays[key] for key in ("root_orient", "pose_body") if key in arrays]
    if "poses" in arrays:
        parts = [arrays["poses"]]
    elif len(parts) < 2:
        parts = []
    if not parts or "trans" not in arrays:
        keys = ", ".join(sorted(arrays)) or "none of use"
        raise ValueError(f"{path.name}: keys {keys}; expected `poses` and `trans` as in AMASS")
    trans = numpy_files.numbers(arrays["trans"], f"{path.name}: trans")
    parts = [numpy_files.numbers(part, f"{path.name}: poses") for part in parts]
    frames = len(trans) if trans.ndim == 2 else 0
    same = all(part.ndim == 2 and len(part) == frames for part in parts)
    columns = sum(part.shape[1] for part in parts) if same else 0
    if not 0 < frames <= _MAX_FRAMES or columns < _BODY or trans.shape != (frames, 3):
        shapes = " and ".join(str(part.shape) for part in parts)
        raise ValueError(
            f"{path.name}: poses {shapes} and trans {trans.shape}; expected (T, 66) or more and (T, 3)"
        )
    poses = torch.from_numpy(np.concatenate(parts, axis=1)[:, :_BODY])
    fps = given_fps if given_fps is not None else _frame_rate(arrays, path.name)
    turn = torch.tensor(_TO_Z_UP, dtype=torch.float64).T
    rotations = matrix_from_axis_angle(poses.unflatten(1, (-1, 3)))
    rotations = torch.cat((turn @ rotations[:, :1], rotations[:, 1:]), dim=1)
    root = torch.from_numpy(trans) @ turn.T
    said = arrays.get("gender")
    gender = f" ({str(said)[:20]})" if said is not None and said.size == 1 else ""
    logger.info(
        "%s: AMASS%s, Z is up in the file, Y is up in the result; betas and hands are not used, the bones are ours",
        path.name,
        gender,
    )
    return Motion(rotations, root, fps, adult_skeleton(), path.stem)


def _frame_rate(arrays: Mapping[str, NDArray[Any]], file: str) -> float:
    for key in ("mocap_framerate", "mocap_frame_rate", "fps"):
        if key in arrays:
            return numpy_files.scalar(arrays[key], f"{file}: {key}")
    raise ValueError(f"{file}: no mocap_framerate in it; pass fps=... (AMASS has 60, 100 or 120)")


def _own(arrays: Mapping[str, NDArray[Any]], file: str) -> Motion:
    needed = ("rotations", "root", "fps", "names", "parents", "offsets", "foot_joint_height")
    missing = [key for key in needed if key not in arrays]
    version = numpy_files.scalar(arrays["motionmill_format"], f"{file}: motionmill_format")
    if missing or version != _FORMAT:
        problem = f"format {version:g}" if version != _FORMAT else f"without {', '.join(missing)}"
        raise ValueError(
            f"{file}: a MotionMill archive {problem}; this version reads format {_FORMAT}"
        )
    rotations, root, offsets = (
        _precise(arrays[key], f"{file}: {key}") for key in ("rotations", "root", "offsets")
    )
    names = tuple(str(name) for name in arrays["names"].reshape(-1)[:_MAX_JOINTS])
    parents = numpy_files.numbers(arrays["parents"], f"{file}: parents").reshape(-1)
    if offsets.shape != (len(names), 3) or parents.shape != (len(names),):
        raise ValueError(
            f"{file}: offsets {tuple(offsets.shape)} and parents {parents.shape}; expected ({len(names)}, 3) and "
            f"({len(names)},), at most {_MAX_JOINTS} joints"
        )
    height = numpy_files.scalar(arrays["foot_joint_height"], f"{file}: foot_joint_height")
    fps = numpy_files.scalar(arrays["fps"], f"{file}: fps")
    name = str(arrays["name"]) if "name" in arrays else Path(file).stem
    try:
        skeleton = Skeleton(names, tuple(map(int, parents)), offsets, height)
        motion = Motion(rotations, root, fps, skeleton, name)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    unit = rotations @ rotations.transpose(-1, -2) - torch.eye(3).to(rotations)
    if float(unit.abs().amax()) > 1e-3 or bool((torch.linalg.det(rotations) < 0).any()):
        raise ValueError(f"{file}: `rotations` has matrices that are no rotations")
    return motion


def _precise(array: NDArray[Any], what: str) -> Tensor:
    """The array in its own precision (float64 where it holds other numbers)."""
    double = torch.from_numpy(numpy_files.numbers(array, what))
    return double.float() if array.dtype == np.float32 else double

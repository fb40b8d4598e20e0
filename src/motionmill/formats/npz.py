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

import io
import math
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_axis_angle, matrix_to_axis_angle
from motionmill.motion.skeleton import SMPL_22_NAMES, Skeleton, adult_skeleton

_FORMAT = 1
_BODY = 66  # columns of `poses` for the pelvis and 21 body joints
_SMPL_H = 156
_SMPL_X_PARTS = {"root_orient": 3, "pose_body": 63, "pose_jaw": 3, "pose_eye": 6, "pose_hand": 90}
BODIES = ("smplh", "smplx")
_MAX_BYTES = 1 << 30
_TO_Z_UP = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))  # x, y, z -> x, -z, y


def save(motion: Motion, path: str | os.PathLike[str], *, body: str = "smplh") -> None:
    """Writes a Motion as an archive that AMASS readers and `load` understand; other skeletons than SMPL-22 only `load`.

    Args:
        motion: on any skeleton.
        path: the file; it appears whole or not at all.
        body: whose keys AMASS readers find, smplh or smplx. They are Z up, as AMASS is; our own keys are Y up.

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
        np.savez_compressed(file, **arrays)
    temporary.replace(path)


def load(path: str | os.PathLike[str], *, fps: float | None = None) -> Motion:
    """Reads an archive of ours, or AMASS's: SMPL (72), SMPL+H (156) or SMPL-X (165 columns in `poses`).

    AMASS motion is placed on our adult skeleton: shape parameters and hands are not used, and the pelvis is at `trans`.

    Args:
        path: the file.
        fps: frames per second, for archives that do not say.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such an archive; the message names the file, what was expected and what is there.
    """
    path = Path(path)
    arrays = _read(path)
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
    poses = arrays.get("poses")
    if poses is None and "root_orient" in arrays and "pose_body" in arrays:
        poses = np.concatenate((arrays["root_orient"], arrays["pose_body"]), axis=-1)
    if poses is None or "trans" not in arrays:
        raise ValueError(
            f"{path.name}: keys {', '.join(sorted(arrays)) or 'none'}; expected `poses` and `trans` as in AMASS"
        )
    poses, trans = (
        _numbers(poses, "poses", path.name),
        _numbers(arrays["trans"], "trans", path.name),
    )
    frames = len(poses) if poses.ndim == 2 else 0
    if frames == 0 or poses.shape[1] < _BODY or trans.shape != (frames, 3):
        raise ValueError(
            f"{path.name}: poses {poses.shape} and trans {trans.shape}; expected (T, 66) or more and (T, 3)"
        )
    fps = given_fps if given_fps is not None else _frame_rate(arrays, path.name)
    turn = torch.tensor(_TO_Z_UP, dtype=torch.float64).T
    rotations = matrix_from_axis_angle(torch.from_numpy(poses[:, :_BODY]).unflatten(1, (-1, 3)))
    rotations = torch.cat((turn @ rotations[:, :1], rotations[:, 1:]), dim=1)
    root = torch.from_numpy(trans) @ turn.T
    return Motion(rotations, root, fps, adult_skeleton(), path.stem)


def _frame_rate(arrays: Mapping[str, NDArray[Any]], file: str) -> float:
    for key in ("mocap_framerate", "mocap_frame_rate", "fps"):
        if key in arrays:
            return _scalar(arrays, key, file)
    raise ValueError(f"{file}: no mocap_framerate in it; pass fps=... (AMASS has 60, 100 or 120)")


def _own(arrays: Mapping[str, NDArray[Any]], file: str) -> Motion:
    needed = ("rotations", "root", "fps", "names", "parents", "offsets", "foot_joint_height")
    missing = [key for key in needed if key not in arrays]
    version = _scalar(arrays, "motionmill_format", file)
    if missing or version != _FORMAT:
        problem = f"format {version:g}" if version != _FORMAT else f"without {', '.join(missing)}"
        raise ValueError(
            f"{file}: a MotionMill archive {problem}; this version reads format {_FORMAT}"
        )
    rotations, root, offsets = (
        torch.from_numpy(_numbers(arrays[key], key, file, keep=True))
        for key in ("rotations", "root", "offsets")
    )
    names = tuple(str(name) for name in arrays["names"].reshape(-1))
    parents = tuple(
        int(parent) for parent in _numbers(arrays["parents"], "parents", file).reshape(-1)
    )
    if offsets.shape != (len(names), 3):
        raise ValueError(f"{file}: offsets {tuple(offsets.shape)}; expected ({len(names)}, 3)")
    skeleton = Skeleton(names, parents, offsets, _scalar(arrays, "foot_joint_height", file))
    name = str(arrays["name"]) if "name" in arrays else Path(file).stem
    try:
        return Motion(rotations, root, _scalar(arrays, "fps", file), skeleton, name)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def _scalar(arrays: Mapping[str, NDArray[Any]], key: str, file: str) -> float:
    value = _numbers(arrays[key], key, file).reshape(-1)
    if len(value) != 1:
        raise ValueError(f"{file}: {key} has {len(value)} values; expected one number")
    return float(value[0])


def _numbers(array: NDArray[Any], key: str, file: str, *, keep: bool = False) -> NDArray[Any]:
    """The array as float64 (or in its own precision), finite."""
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{file}: {key} holds {array.dtype}; expected numbers")
    if not np.isfinite(array).all():
        raise ValueError(f"{file}: {key} has values that are not finite")
    precise = keep and array.dtype in (np.float32, np.float64)
    return array if precise else array.astype(np.float64)


def _read(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an archive that are not objects; no pickle, and no array larger than its member of the archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            if total > _MAX_BYTES:
                raise ValueError(
                    f"{path.name}: {total} bytes unpacked; at most {_MAX_BYTES} are read"
                )
            arrays = {}
            for member in members:
                if member.filename.endswith(".npy"):
                    array = _member(archive, member)
                    if array is not None:
                        arrays[member.filename.removesuffix(".npy")] = array
            return arrays
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ValueError(f"{path.name}: not a NumPy archive, or damaged ({error})") from None


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any] | None:
    """One array of an archive; None for Python objects, which only pickle could read."""
    data = io.BytesIO(archive.read(member))
    where = f"{Path(archive.filename or '').name}: {member.filename}"
    read: Any = np.lib.format
    try:
        old = read.read_magic(data) == (1, 0)
        shape, fortran, dtype = (
            read.read_array_header_1_0(data) if old else read.read_array_header_2_0(data)
        )
    except ValueError as error:
        raise ValueError(f"{where} is damaged ({error})") from None
    if dtype.hasobject:
        return None
    content = data.read()
    if math.prod(shape) * dtype.itemsize != len(content):
        raise ValueError(f"{where}: {len(content)} bytes for an array {shape} of {dtype}")
    array: NDArray[Any] = np.frombuffer(content, dtype).copy()
    return array.reshape(shape, order="F" if fortran else "C")

"""SMPL parameters, the results of GVHMR and its kind (.pt, .npz, .pkl) -> Motion on our adult skeleton.

Shapes: T frames. A result is a dictionary, possibly inside others, with a rotation of the pelvis, rotations of 21 or 23
body joints (axis-angle or matrices), and perhaps a path. No body model is needed: the shape (`betas`) is not used, the
pelvis is where the path says, and the body is moved up or down until it stands on the floor.

Source: Z. Shen et al., "World-Grounded Human Motion Recovery via Gravity-View Coordinates" (GVHMR), 2024, whose
`hmr4d_results.pt` has `smpl_params_global` (Y up) and `smpl_params_incam` (camera: x right, y down, z away).
"""

from __future__ import annotations

import logging
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionmill.formats import arrays, pickles
from motionmill.motion.motion import Motion
from motionmill.motion.physics import floor
from motionmill.motion.rotations import matrix_from_axis_angle, up_axis, y_up
from motionmill.motion.skeleton import SMPL_22_NAMES

logger = logging.getLogger(__name__)

ROOT_KEYS = ("global_orient", "root_orient", "pose_world")
BODY_KEYS = ("body_pose", "pose_body")
POSE_KEYS = ("poses", "pose", "smpl_poses", "fullpose", "full_pose")
PATH_KEYS = ("transl", "trans_world", "trans", "smpl_trans", "translation")
RATE_KEYS = ("fps", "frame_rate", "mocap_framerate", "mocap_frame_rate", "video_fps")
_KEYS = frozenset((*ROOT_KEYS, *BODY_KEYS, *POSE_KEYS, *PATH_KEYS, *RATE_KEYS, "smpl_scaling"))
_BODY_JOINTS = len(SMPL_22_NAMES) - 1
_MAX_DEPTH = 4
_MAX_FRAMES = 500_000
_MAX_NUMBERS = 100_000_000
_FPS = 30.0


def load(path: str | os.PathLike[str], *, fps: float | None = None) -> Motion:
    """Reads SMPL parameters; of several sets those in the world are taken before those of the camera.

    Args:
        path: `.pt` (tensors only), `.npz`, or `.pkl` with NumPy arrays.
        fps: frames per second, for files that do not say; 30 by default.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no such parameters in it, damaged, or with other content than tensors and arrays.
    """
    path = Path(path)
    match path.suffix.lower():
        case ".pt" | ".pth":
            content: Any = _read_tensors(path)
        case ".pkl" | ".pickle":
            content = pickles.load(path)
        case _:
            content = _nested(arrays.read_npz(path))
    return motion_from_parameters(content, path.name, fps=fps, name=path.stem)


def is_result(keys: list[str]) -> bool:
    """Whether the names in an archive are those of SMPL parameters (and not of an AMASS file)."""
    last = {key.rsplit("/", 1)[-1] for key in keys}
    whole = bool(last & set(POSE_KEYS)) and "poses" not in keys
    return whole or (bool(last & set(ROOT_KEYS)) and bool(last & set(BODY_KEYS)))


def motion_from_parameters(
    content: Any, file: str, *, fps: float | None = None, name: str = ""
) -> Motion:
    """Dictionaries of arrays or tensors -> Motion. Raises as `load` does."""
    found = list(_parameter_sets(content, ()))
    if not found:
        keys = ", ".join(map(str, list(content)[:12])) if isinstance(content, Mapping) else ""
        raise ValueError(
            f"{file}: no SMPL parameters in it (keys: {keys or 'none'}); expected {ROOT_KEYS[0]} and {BODY_KEYS[0]}, "
            f"or {POSE_KEYS[0]}"
        )
    place, values = max(found, key=lambda item: _in_world(item[0], item[1]))
    where = "/".join((file, *place))
    if len(found) > 1:
        others = ", ".join("/".join(other) for other, _ in found if other != place)
        logger.info("%s is read; %s is not", where, others)
    rotations = _rotations(values, where)
    root = _path(values, len(rotations), where)
    motion = Motion(rotations, root, _rate(values, content, fps, where), name=name)
    motion = _upright(motion, place, where)
    height = floor(motion)
    logger.info(
        "%s: moved by %+.3f m so that it stands on the floor (no body model)", file, -height
    )
    return replace(motion, root=motion.root - motion.root.new_tensor([0.0, height, 0.0]))


def _read_tensors(path: Path) -> Any:
    """What a .pt file holds, by PyTorch's restricted reader."""
    try:
        with zipfile.ZipFile(path) as archive:
            arrays.check_unpacked(path, archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, OverflowError) as error:
        raise ValueError(
            f"{path.name}: not a file of torch.save (1.6 or newer), or damaged ({str(error)[:120]})"
        ) from None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # PyTorch lets errors of many kinds through for damaged files
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise ValueError(f"{path.name}: cannot be read as tensors only ({reason})") from None


def _nested(flat: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """{"a/b": x} -> {"a": {"b": x}}"""
    result: dict[str, Any] = {}
    for key, value in flat.items():
        *folders, name = key.split("/")[:_MAX_DEPTH]
        inner = result
        for folder in folders:
            inner = inner.setdefault(folder, {})
            if not isinstance(inner, dict):
                break
        else:
            inner[name] = value
    return result


def _parameter_sets(
    content: Any, place: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Dictionaries with a pose in them, and where they are."""
    if not isinstance(content, Mapping) or len(place) > _MAX_DEPTH:
        return
    keys = {str(key) for key in content}
    has_body = bool(keys & set(BODY_KEYS)) and bool(keys & set(ROOT_KEYS))
    if has_body or keys & set(POSE_KEYS):
        yield place, {str(key): value for key, value in content.items() if str(key) in _KEYS}
        return
    for key, value in list(content.items())[:1000]:
        yield from _parameter_sets(value, (*place, str(key)))


def _in_world(place: tuple[str, ...], values: Mapping[str, Any]) -> int:
    """How surely a set of parameters is in the world, to choose between several."""
    words = " ".join(place).lower()
    if "cam" in words:
        return 0
    return 2 if "global" in words or "world" in words or "pose_world" in values else 1


def _rotations(values: Mapping[str, Any], where: str) -> Tensor:
    """(T, 22, 3, 3) parent-relative rotations."""
    whole = _first(values, POSE_KEYS)
    if whole is not None:
        key, value = whole
        poses = _matrices(_numbers(value, f"{where}: {key}"), f"{where}: {key}")
        if "pose_world" in values:  # WHAM's root in the world; its `pose` is that of the camera
            key = "pose_world"
            world = _matrices(_numbers(values[key], f"{where}: {key}"), f"{where}: {key}")
            poses = (
                world
                if world.shape[1] > _BODY_JOINTS
                else torch.cat((world[:, :1], poses[:, 1:]), 1)
            )
    else:
        parts = []
        for keys in (ROOT_KEYS, BODY_KEYS):
            key, value = _first(values, keys) or ("", None)
            parts.append(_matrices(_numbers(value, f"{where}: {key}"), f"{where}: {key}"))
        if len(parts[0]) != len(parts[1]):
            raise ValueError(
                f"{where}: {len(parts[0])} frames of the pelvis and {len(parts[1])} of the body; expected the same"
            )
        poses = torch.cat((parts[0][:, :1], parts[1]), dim=1)
    if poses.shape[1] < _BODY_JOINTS + 1 or not 0 < len(poses) <= _MAX_FRAMES:
        raise ValueError(
            f"{where}: {len(poses)} frames of {poses.shape[1]} joints; expected 1 to {_MAX_FRAMES} frames "
            "of 22 joints or more"
        )
    return poses[:, : _BODY_JOINTS + 1]


def _matrices(array: NDArray[np.float64], where: str) -> Tensor:
    """Axis-angle (T, 3 J) or (T, J, 3), or matrices (T, J, 3, 3), with 1s before them -> (T, J, 3, 3)."""
    values = torch.from_numpy(array)
    if values.shape[-2:] == (3, 3) and values.ndim >= 4:
        values = values.reshape(-1, *values.shape[-3:]) if values.shape[0] == 1 else values
        if values.ndim == 4:
            unit = values @ values.transpose(-1, -2) - torch.eye(3, dtype=values.dtype)
            if float(unit.abs().amax()) < 0.01 and bool((torch.linalg.det(values) > 0).all()):
                return values
        raise ValueError(f"{where} {tuple(array.shape)}: not rotation matrices")
    while values.ndim > 2 and values.shape[0] == 1:
        values = values[0]
    values = values.flatten(1) if values.ndim == 3 else values
    if values.ndim != 2 or values.shape[1] % 3 or not values.numel():
        raise ValueError(
            f"{where} {tuple(array.shape)}: expected (T, 3 J) axis-angle or (T, J, 3, 3)"
        )
    return matrix_from_axis_angle(values.unflatten(1, (-1, 3)))


def _path(values: Mapping[str, Any], frames: int, where: str) -> Tensor:
    """(T, 3) metres; zeros where there is none."""
    found = _first(values, PATH_KEYS)
    if found is None:
        logger.info("%s: no path in it; the person stays on the spot", where)
        return torch.zeros(frames, 3, dtype=torch.float64)
    key, value = found
    path = _numbers(value, f"{where}: {key}")
    if path.size != 3 * frames:
        raise ValueError(f"{where}: {key} {path.shape}; expected ({frames}, 3)")
    if "smpl_scaling" in values:  # AIST++: the path of a body of another size
        path = path / max(arrays.scalar(np.asarray(values["smpl_scaling"]), "smpl_scaling"), 1e-6)
    if not np.abs(path).max() < 1e5:
        raise ValueError(
            f"{where}: {key} reaches {np.abs(path).max():g} m; expected a path in metres"
        )
    return torch.from_numpy(path.reshape(frames, 3))


def _rate(values: Mapping[str, Any], content: Any, fps: float | None, where: str) -> float:
    """Frames per second: what the caller says, else what the file says, else 30."""
    if fps is not None:
        return fps
    outer = content if isinstance(content, Mapping) else {}
    found = _first(values, RATE_KEYS) or _first(outer, RATE_KEYS)
    if found is None:
        logger.info("%s: no frame rate in it; %g frames a second are assumed", where, _FPS)
        return _FPS
    return arrays.scalar(_numbers(found[1], found[0]), f"{where}: {found[0]}")


def _upright(motion: Motion, place: tuple[str, ...], where: str) -> Motion:
    """The motion in a Y-up world: by the name of the parameters, else by where the body's up points on average."""
    words = " ".join(place).lower()
    body_up = motion.rotations[:, 0, :, 1].mean(dim=0)
    if "cam" in words:
        axis = "-Y"
    elif "global" in words or "world" in words:
        axis = "Y"
    else:
        axis = up_axis(body_up)
    logger.info("%s: %s is up in the file; Y is up in the result", where, axis)
    return motion.transformed(y_up(axis), torch.zeros(3, dtype=torch.float64))


def _first(values: Mapping[Any, Any], keys: tuple[str, ...]) -> tuple[str, Any] | None:
    return next(((key, values[key]) for key in keys if key in values), None)


def _numbers(value: Any, what: str) -> NDArray[np.float64]:
    """A tensor or array as float64, finite and not too large."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = np.array(value)
    if isinstance(value, Tensor):
        plain = value.layout == torch.strided and not value.is_quantized and not value.is_complex()
        if not plain or value.device.type != "cpu" or value.numel() > _MAX_NUMBERS:
            raise ValueError(f"{what}: a tensor {tuple(value.shape)} of {value.dtype} is not read")
        value = value.detach().to(torch.float64).numpy()
    if not isinstance(value, np.ndarray) or value.size > _MAX_NUMBERS:
        raise ValueError(f"{what} is {type(value).__name__}; expected an array")
    return arrays.numbers(value, what)

"""Motion <-> files of every kind, chosen by the suffix of the name."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from motionmill.motion.motion import Motion

READERS = {
    ".bvh": "skeleton animation as text (Blender, MotionBuilder, motion capture)",
    ".glb": "binary glTF (browsers, Blender, Unity, Unreal)",
    ".npz": "NumPy archive: ours or AMASS",
    ".npy": "the 272 features, (T, 272)",
}
WRITERS = READERS | {
    ".mp4": "film",
    ".gif": "animated picture",
    ".png": "contact sheet",
}
KNOWN_SUFFIXES = tuple(WRITERS)


def load(path: str | os.PathLike[str], *, fps: float | None = None) -> Motion:
    """Reads a motion from a file, on the skeleton that the file has; joints named as SMPL's 22 come in their order.

    Args:
        path: `.bvh`, `.glb`, `.npz` (ours or AMASS) or `.npy` (272 features).
        fps: frames per second, for GLB files to sample at and for AMASS files that do not say.

    Raises:
        FileNotFoundError: no such file.
        ValueError: unknown suffix, or a damaged file; the message names the file, what was expected and what is there.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise ValueError(f"{path.name}: cannot read {_kind(path)}; known are {', '.join(READERS)}")
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{path} {problem}; expected a file with motion")
    match suffix:
        case ".bvh":
            from motionmill.formats import bvh

            return _in_smpl_order(bvh.load(path))
        case ".glb":
            from motionmill.formats import glb

            return _in_smpl_order(glb.load(path, fps=fps))
        case ".npz":
            from motionmill.formats import npz

            return npz.load(path, fps=fps)
        case _:
            return _load_features(path)


def save(
    motion: Motion, path: str | os.PathLike[str], *, licence: str = "", **options: Any
) -> Path:
    """Writes a motion to a file; the file appears whole or not at all.

    Args:
        motion: on any skeleton; `.npy` needs SMPL-22.
        path: `.bvh`, `.glb`, `.npz`, `.npy` (272 features), `.mp4`, `.gif` or `.png`.
        licence: what holds for the motion, written into formats that have a place for it (GLB).
        options: of the format: `order`, `scale` for BVH; `extras` for GLB; `caption`, `size` for pictures.

    Returns:
        The path that was written.

    Raises:
        ValueError: unknown suffix, or a motion that the format cannot hold.
        FileNotFoundError: the folder does not exist.
        PermissionError: the folder or the file cannot be written.
    """
    path = check_writable(path)
    with _aside(path) as temporary:
        match path.suffix.lower():
            case ".bvh":
                from motionmill.formats import bvh

                bvh.save(motion, temporary, **options)
            case ".glb":
                from motionmill.formats import glb

                glb.save(motion, temporary, licence=licence, **options)
            case ".npz":
                from motionmill.formats import npz

                npz.save(motion, temporary, **options)
            case ".npy":
                _save_features(motion, temporary, **options)
            case _:
                from motionmill.formats import render

                render.save(motion, temporary, **options)
    return path


def check_writable(path: str | os.PathLike[str]) -> Path:
    """The path, if a motion could be saved there; so that a long computation does not end in vain.

    Raises:
        ValueError: unknown suffix; the message lists the known ones.
        FileNotFoundError: the folder does not exist.
        PermissionError: the folder or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITERS:
        raise ValueError(f"{path.name}: cannot write {_kind(path)}; known are {', '.join(WRITERS)}")
    folder = path.parent
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise FileNotFoundError(f"{path}: the folder {folder} {what}; create it first")
    if path.is_dir():
        raise PermissionError(f"{path} is a folder; name a file in it")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{path}: no right to write into {folder}; choose another folder")
    return path


@contextlib.contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """A name in a new folder beside the file; what is written there takes the file's place at the end."""
    with tempfile.TemporaryDirectory(prefix=".motionmill-", dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        yield temporary
        temporary.replace(path)


def _kind(path: Path) -> str:
    return f"{path.suffix!r} files" if path.suffix else "a file without a suffix"


def _in_smpl_order(motion: Motion) -> Motion:
    """The same motion with SMPL's 22 joints in their usual order (BVH files list them depth first), else unchanged."""
    from dataclasses import replace

    import torch

    from motionmill.motion.skeleton import SMPL_22_NAMES, SMPL_22_PARENTS, Skeleton, adult_skeleton

    skeleton = motion.skeleton
    if sorted(skeleton.names) != sorted(SMPL_22_NAMES):
        return motion
    order = [skeleton.index(name) for name in SMPL_22_NAMES]
    parents = tuple(skeleton.parents[joint] for joint in order)
    if parents != tuple(order[parent] if parent >= 0 else -1 for parent in SMPL_22_PARENTS):
        return motion
    offsets = skeleton.offsets[order]
    ordered = Skeleton(SMPL_22_NAMES, SMPL_22_PARENTS, offsets, skeleton.foot_joint_height)
    if torch.allclose(offsets.double(), adult_skeleton().offsets, atol=1e-5):
        ordered = adult_skeleton()  # ours: its soles are known too
    return replace(motion, rotations=motion.rotations[:, order], skeleton=ordered)


def _load_features(path: Path) -> Motion:
    import numpy as np
    import torch

    from motionmill.motion import features

    try:
        array = np.load(path, allow_pickle=False, mmap_mode="r")
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path.name}: not a NumPy array, or damaged ({error})") from None
    if array.ndim != 2 or array.shape[1] != 272 or not len(array) or array.dtype.kind != "f":
        raise ValueError(f"{path.name}: an array {array.shape}; expected (T, 272) floats")
    values = torch.from_numpy(np.array(array, np.float64))
    if not values.isfinite().all():
        raise ValueError(f"{path.name}: the features have values that are not finite")
    return features.to_motion(values, name=path.stem)


def _save_features(motion: Motion, path: Path) -> None:
    import numpy as np

    from motionmill.motion import features

    with path.open("wb") as file:
        np.save(file, features.from_motion(motion).float().cpu().numpy(), allow_pickle=False)

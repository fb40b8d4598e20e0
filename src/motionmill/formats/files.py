"""Motion <-> files of every kind, chosen by the suffix of the name."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionmill.formats import reading
from motionmill.formats.reading import FORMATS, READERS

__all__ = ["FORMATS", "KNOWN_SUFFIXES", "READERS", "WRITERS", "check_writable", "load", "save"]

if TYPE_CHECKING:
    from motionmill.motion.motion import Motion

WRITERS = {
    ".bvh": "skeleton animation as text (Blender, MotionBuilder, motion capture)",
    ".glb": "binary glTF (browsers, Blender, Unity, Unreal)",
    ".npz": "NumPy archive: ours and AMASS in one",
    ".npy": "the 272 features, (T, 272)",
    ".mp4": "film",
    ".gif": "animated picture",
    ".png": "contact sheet",
}
KNOWN_SUFFIXES = tuple(WRITERS)


def load(
    path: str | os.PathLike[str], *, format: str | None = None, fps: float | None = None
) -> Motion:
    """Reads a motion from a file, on the skeleton that the file has; joints named as SMPL's 22 come in their order.

    Args:
        path: of a kind in `READERS`; where a suffix stands for several kinds, what is in the file decides.
        format: a name in `FORMATS`, or a suffix, which overrides the file's.
        fps: frames per second of files that do not say (AMASS without a rate, AMC, joint positions, SMPL parameters),
            and for GLB files to sample at.

    Raises:
        FileNotFoundError: no such file.
        ValueError: unknown suffix, or a damaged file; the message names the file, what was expected and what is there.
    """
    return reading.load(Path(path), format=format, fps=fps)


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


def _save_features(motion: Motion, path: Path) -> None:
    import numpy as np

    from motionmill.motion import features

    with path.open("wb") as file:
        np.save(file, features.from_motion(motion).float().cpu().numpy(), allow_pickle=False)

"""Motion <-> files of every kind, chosen by the suffix of the name."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionmill.extras import require
from motionmill.formats import reading
from motionmill.formats.reading import FORMATS, READERS, suffix_of, words_for

__all__ = [
    "FORMATS",
    "KNOWN_SUFFIXES",
    "OPTIONS",
    "READERS",
    "REMARKS",
    "SEVERAL",
    "WRITERS",
    "check_writable",
    "load",
    "save",
    "suffix_of",
    "writer_suffix",
]

if TYPE_CHECKING:
    from motionmill.motion.motion import Motion

WRITERS = {
    ".bvh": "skeleton animation as text (Blender, MotionBuilder, motion capture)",
    ".glb": "binary glTF (browsers, Blender, Unity, Unreal)",
    ".fbx": "FBX 7.4 binary, in centimetres (Maya, MotionBuilder, Unity, Unreal, Blender)",
    ".usda": "OpenUSD as text (Omniverse, Houdini, usdview)",
    ".usdc": "OpenUSD binary",
    ".usd": "OpenUSD binary",
    ".usdz": "OpenUSD package (iOS, macOS)",
    ".npz": "NumPy archive: our keys, Y up, and those of AMASS, Z up",
    ".npy": "the 272 features of MotionMillion, or HumanML3D's 263",
    ".xml": "MuJoCo model, Z up, with its trajectory in .qpos.npz beside it",
    ".mp4": "film",
    ".gif": "animated picture",
    ".png": "contact sheet",
}
KNOWN_SUFFIXES = tuple(WRITERS)
SEVERAL = (".glb", ".fbx")  # hold several motions in one file

# What is not as it is elsewhere here (Y up, metres, one file), or lost, for whoever writes such a file; for arrays by
# what is in them.
REMARKS = {
    ".npz": "what AMASS readers find in it is Z up: our (x, y, z) is their (x, -z, y)",
    ".xml": "Z up: our (x, y, z) is its (x, -z, y); the trajectory is beside it, in .qpos.npz",
    "motionmillion": "272 numbers a frame at 30 fps; the place and facing of the start and fingers are lost",
    "humanml3d": (
        "263 numbers a frame keep joint positions at 20 fps; the twist of wrists, feet and head, the place and facing "
        "of the start, fingers and the last frame are lost"
    ),
}

# The options that each format takes.
_USD_OPTIONS = ("names", "licence")
_PICTURE_OPTIONS = ("caption", "size")
OPTIONS = {
    ".bvh": ("names", "order", "scale", "rest_first"),
    ".glb": ("names", "licence", "extras"),
    ".fbx": ("names", "licence"),
    ".usda": _USD_OPTIONS,
    ".usdc": _USD_OPTIONS,
    ".usd": _USD_OPTIONS,
    ".usdz": _USD_OPTIONS,
    ".npz": ("body",),
    ".npy": ("features",),
    ".xml": ("joints",),
    ".mp4": _PICTURE_OPTIONS,
    ".gif": _PICTURE_OPTIONS,
    ".png": _PICTURE_OPTIONS,
}


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
    motion: Motion | Sequence[Motion],
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    licence: str = "",
    **options: Any,
) -> Path:
    """Writes a motion to a file; the file appears whole or not at all.

    Args:
        motion: on any skeleton; `.npy` needs SMPL-22. `.glb` and `.fbx` take several motions of one skeleton too.
        path: a name that ends in one of `WRITERS`.
        format: the suffix of the format that is meant ("glb"), where the name does not end in it.
        licence: what holds for the motion, written into formats that have a place for it (GLB, FBX, USD).
        options: of the format, as `OPTIONS` lists them; what they mean is in the format's module.

    Returns:
        The path that was written. MuJoCo's trajectory is written beside it.

    Raises:
        ValueError: unknown suffix or option, or a motion that the format cannot hold.
        FileNotFoundError: the folder does not exist.
        PermissionError: the folder or the file cannot be written.
    """
    path = check_writable(path, format=format)
    suffix = writer_suffix(path, format)
    known = OPTIONS[suffix]
    for option in options:
        if option not in known:
            raise ValueError(
                f"{path.name}: {suffix} files have no option {option!r}; "
                f"they take {', '.join(known)}"
            )
    if licence and "licence" in known:
        options["licence"] = licence
    if suffix not in SEVERAL:
        motion = _only(motion, path.name)
    with _aside(path, suffix) as temporary:
        _writer(suffix)(motion, temporary, **options)
    return path


def check_writable(path: str | os.PathLike[str], *, format: str | None = None) -> Path:
    """The path, if a motion could be saved there; so that a long computation does not end in vain.

    Raises:
        ValueError: unknown suffix; the message lists the known ones.
        FileNotFoundError: the folder does not exist.
        PermissionError: the folder or the file cannot be written.
        MissingExtraError: a package that the format needs is not installed.
    """
    path = Path(path)
    if writer_suffix(path, format).startswith(".usd"):
        require("pxr", extra="usd")
    folder = path.parent
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise FileNotFoundError(f"{path}: the folder {folder} {what}; create it first")
    if path.is_dir():
        raise PermissionError(f"{path} is a folder; name a file in it")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{path}: no right to write into {folder}; choose another folder")
    return path


def writer_suffix(path: Path, format: str | None = None) -> str:
    """`suffix_of` of a file to be written. Raises ValueError for an unknown one; the message lists the known ones."""
    suffix = suffix_of(path, format)
    if suffix not in WRITERS:
        what = format if format is not None else words_for(path)
        raise ValueError(f"{path.name}: cannot write {what}; known are {', '.join(WRITERS)}")
    return suffix


def _only(motion: Motion | Sequence[Motion], file: str) -> Motion:
    from motionmill.motion.motion import Motion

    if isinstance(motion, Motion):
        return motion
    if len(motion) != 1:
        raise ValueError(
            f"{file}: {len(motion)} motions; one file of {' or '.join(SEVERAL)} holds several, other files one each"
        )
    return motion[0]


def _writer(suffix: str) -> Callable[..., None]:
    """The function that writes files of a suffix."""
    match suffix:
        case ".bvh":
            from motionmill.formats import bvh

            return bvh.save
        case ".glb":
            from motionmill.formats import glb

            return glb.save
        case ".fbx":
            from motionmill.formats import fbx

            return fbx.save
        case ".usda" | ".usdc" | ".usd" | ".usdz":
            from motionmill.formats import usd

            return usd.save
        case ".npz":
            from motionmill.formats import npz

            return npz.save
        case ".npy":
            return _save_features
        case ".xml":
            from motionmill.formats import mujoco

            return mujoco.save
        case _:
            from motionmill.formats import render

            return render.save


@contextlib.contextmanager
def _aside(path: Path, suffix: str) -> Iterator[Path]:
    """A name in a new folder beside the file; what is written there takes the file's place at the end.

    The name ends in the suffix, whatever the file's own name; files beside it are moved first.
    """
    with tempfile.TemporaryDirectory(prefix=".motionmill-", dir=path.parent) as folder:
        name = path.name if path.suffix.lower() == suffix else path.name + suffix
        temporary = Path(folder) / name
        yield temporary
        for companion in Path(folder).iterdir():
            if companion != temporary:
                companion.replace(path.with_name(companion.name))
        temporary.replace(path)


def _save_features(motion: Motion, path: Path, *, features: str = "motionmillion") -> None:
    """Writes what an array may hold: the features that a format in `FORMATS` is for."""
    from motionmill.formats import humanml3d, motionmillion

    savers = {"motionmillion": motionmillion.save_features, "humanml3d": humanml3d.save_features}
    if features not in savers:
        raise ValueError(f"{path.name}: no features {features!r}; known are {', '.join(savers)}")
    savers[features](motion, path)

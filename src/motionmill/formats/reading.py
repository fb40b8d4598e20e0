"""A motion file of any kind -> Motion: the table of readers, and which of them a file is for.

The suffix decides; where it stands for several kinds (.npy, .npz, .txt, .json) what is in the file decides; the name of
a format, where one is given, overrides both.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from motionmill.formats.datasets import vectors_in

if TYPE_CHECKING:
    from motionmill.motion.motion import Motion

READERS = {
    ".bvh": "skeleton animation as text (Blender, MotionBuilder, motion capture)",
    ".glb": "binary glTF (browsers, Blender, Unity, Unreal)",
    ".npz": "NumPy archive: ours, AMASS, or SMPL parameters",
    ".npy": "the 272 features, HumanML3D's 263, or joint positions (T, J, 3)",
    ".amc": "Acclaim motion capture (CMU), with its .asf beside it",
    ".txt": "DeepMimic motion",
    ".json": "DeepMimic motion",
    ".pt": "SMPL parameters as tensors (GVHMR)",
    ".pkl": "SMPL parameters as NumPy arrays; no other pickle is read",
}
FORMATS = {
    "bvh": "BVH text",
    "glb": "binary glTF",
    "npz": "NumPy archive of ours or of AMASS",
    "smpl": "SMPL parameters (.pt, .npz, .pkl)",
    "motionmillion": "the 272 features, (T, 272) at 30 fps",
    "humanml3d": "HumanML3D's features, (T, 263) at 20 fps",
    "joints": "joint positions, (T, J, 3)",
    "amc": "Acclaim motion capture",
    "deepmimic": "DeepMimic JSON",
}
_SUFFIXES = {
    "bvh": (".bvh",),
    "glb": (".glb",),
    "npz": (".npz",),
    "smpl": (".pt", ".pth", ".npz", ".pkl", ".pickle"),
    "motionmillion": (".npy",),
    "humanml3d": (".npy",),
    "joints": (".npy",),
    "amc": (".amc",),
    "deepmimic": (".txt", ".json"),
}
_BY_CONTENT = (".npz", ".npy", ".txt", ".json")
_ONLY = {
    suffix: format
    for format, suffixes in _SUFFIXES.items()
    for suffix in suffixes
    if suffix not in _BY_CONTENT
}
_OFTEN_NO_MOTION = (".txt", ".json", ".pt", ".pkl")
_MAX_METRES = 1e6


def load(path: Path, *, format: str | None = None, fps: float | None = None) -> Motion:
    """Reads a motion; see `files.load`."""
    suffix = path.suffix.lower()
    if format is not None and format not in FORMATS:  # a suffix in the place of the file's own
        (suffix,), format = suffixes_of(format), None
    if path.is_dir():
        raise FileNotFoundError(_missing(path))
    if format is None and suffix not in _ONLY and suffix not in _BY_CONTENT:
        skeleton = "a skeleton without its motion: give the .amc file" if suffix == ".asf" else ""
        what = skeleton or words_for(path)
        raise ValueError(f"{path.name}: cannot read {what}; known are {', '.join(READERS)}")
    if not path.is_file():
        raise FileNotFoundError(_missing(path))
    if format is None:
        format = _ONLY.get(suffix) or _format_of(path, suffix)
    return _checked(_read(path, format, fps), path.name)


def suffixes_of(format: str | None) -> tuple[str, ...]:
    """The suffixes of the files to take of a folder.

    Args:
        format: a name in `FORMATS` or a suffix; None for all kinds but those that most files of are no motions.

    Raises:
        ValueError: unknown format; the message lists the known ones.
    """
    if format is None:
        return tuple(suffix for suffix in READERS if suffix not in _OFTEN_NO_MOTION)
    if format in _SUFFIXES:
        return _SUFFIXES[format]
    suffix = suffix_of(Path(), format)
    if suffix not in _ONLY and suffix not in _BY_CONTENT:
        raise ValueError(f"no format {suffix[1:]!r}; known are {', '.join(FORMATS)}")
    return (suffix,)


def suffix_of(path: Path, format: str | None = None) -> str:
    """The suffix that says a file's format, in lower case with its dot: that of `format` ("glb"), else of the name."""
    return f".{format.lower().removeprefix('.')}" if format is not None else path.suffix.lower()


def words_for(path: Path) -> str:
    """What a file is by its suffix, for an error message."""
    return f"{path.suffix!r} files" if path.suffix else "a file without a suffix"


def _read(path: Path, format: str, fps: float | None) -> Motion:
    match format:
        case "bvh":
            from motionmill.formats import bvh

            return bvh.load(path)
        case "glb":
            from motionmill.formats import glb

            return glb.load(path, fps=fps)
        case "npz":
            from motionmill.formats import npz

            return npz.load(path, fps=fps)
        case "smpl":
            from motionmill.formats import smpl

            return smpl.load(path, fps=fps)
        case "motionmillion":
            from motionmill.formats import motionmillion

            return motionmillion.load_features(path)
        case "humanml3d":
            from motionmill.formats import humanml3d

            return humanml3d.load_features(path)
        case "joints":
            from motionmill.formats import joint_positions

            return joint_positions.load(path, fps=fps)
        case "amc":
            from motionmill.formats import asf_amc

            return asf_amc.load(path, fps=fps)
        case _:
            from motionmill.formats import deepmimic

            return deepmimic.load(path)


def _format_of(path: Path, suffix: str) -> str:
    """The format of a file whose suffix stands for several."""
    from motionmill.formats import arrays, joint_positions, smpl

    if suffix == ".npz":
        keys = arrays.npz_keys(path)
        return "smpl" if smpl.is_result(keys) and "motionmill_format" not in keys else "npz"
    if suffix == ".npy":
        shape = arrays.npy_shape(path)
        if len(shape) == 2 and shape[1] in (272, 263):
            return "motionmillion" if shape[1] == 272 else "humanml3d"
        if joint_positions.is_positions(shape):
            return "joints"
        raise ValueError(
            f"{path.name}: an array {shape}; expected (T, 272) features, (T, 263) of HumanML3D, or (T, J, 3) positions "
            "of SMPL's joints, J at least 22"
        )
    with path.open("rb") as file:
        start = file.read(4096).decode("utf-8-sig", errors="replace").lstrip()
    if start.startswith("{"):
        return "deepmimic"
    if start.upper().startswith("HIERARCHY"):
        return "bvh"
    raise ValueError(
        f"{path.name}: it starts with {start[:20]!r}; DeepMimic motions (JSON) and BVH are read from {suffix}"
    )


def _checked(motion: Motion, file: str) -> Motion:
    """The motion with SMPL's joints in their order. Raises ValueError where it holds what is no motion."""
    values = (motion.rotations, motion.root, motion.skeleton.offsets)
    if not all(bool(value.isfinite().all()) for value in values):
        raise ValueError(f"{file}: the motion has values that are not finite")
    reach = max(float(motion.root.abs().max()), float(motion.skeleton.offsets.abs().max()))
    if reach > _MAX_METRES:
        raise ValueError(f"{file}: the motion reaches {reach:g} m; expected a person, in metres")
    return _in_smpl_order(motion)


def _in_smpl_order(motion: Motion) -> Motion:
    """The same motion with SMPL's 22 joints in their usual order (BVH files list them depth first), else unchanged."""
    from dataclasses import replace

    import torch

    from motionmill.motion.skeleton import SMPL_22_NAMES, SMPL_22_PARENTS, Skeleton, adult_skeleton

    skeleton = motion.skeleton
    if skeleton.names == SMPL_22_NAMES or sorted(skeleton.names) != sorted(SMPL_22_NAMES):
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


def _missing(path: Path) -> str:
    if not path.is_dir():
        return f"{path} does not exist; expected a file with motion"
    if dataset := vectors_in(path):
        kind, _ = dataset
        reader = f"motionmill.formats.{kind}.load_{kind}"
        return f"{path} is a folder; {reader} reads its clips, or name a file in it"
    return f"{path} is a folder; expected a file with motion"

"""A folder with a data set in one of the known layouts -> its clips as an audit sees them, and its lists of splits.

Layouts: MotionMillion's (272 numbers), HumanML3D's (263 numbers or joints), a data set of ours (shards), or any folder
of motion files. Everything that is wrong with one clip is part of that clip; nothing stops the walk.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from motionmill.data.copies.signatures import Signature, signature_of
from motionmill.formats import arrays, clips, humanml3d, motionmillion
from motionmill.motion.features import NUM_FEATURES, POSITIONS, ROTATIONS, VELOCITIES
from motionmill.motion.humanml3d import HUMANML3D_FPS, from_joints
from motionmill.motion.humanml3d import NUM_FEATURES as NUM_HUMANML3D

OFFICIAL_LISTS: Final = "split/version1/t2m_60_300"
_MAX_VALUE: Final = 1e4  # metres
_FPS: Final = 30.0
_NO_TEXT: Final = (
    "\ufffd",
    "\0",
)  # what stands for bytes that are none, and what fills lost blocks


@dataclass(frozen=True, slots=True)
class AuditClip:
    """A clip as an audit sees it.

    Attributes:
        signature: of its motion; None where that is broken.
        broken: what is wrong with the motion, or "".
        captions: what it is said to show.
        bad_text: what is wrong with the text, or "".
        group: recording group, where the layout knows it.
    """

    name: str
    signature: Signature | None
    broken: str = ""
    captions: tuple[str, ...] = ()
    bad_text: str = ""
    group: str = ""


@dataclass(frozen=True)
class Contents:
    """What a folder holds.

    Attributes:
        layout: "motionmillion", "humanml3d", "motionmill" or "files".
        total: how many steps `clips` takes, about.
        clips: walks over them, once.
        lists: split -> names, as the files say; "all" is not a split, but its names must exist.
        has_texts: whether every clip must have a text.
        without_motion: names of texts that have no motion.
        other_lists: folders with further lists, which are not looked at.
    """

    layout: str
    total: int
    clips: Iterator[AuditClip]
    lists: Mapping[str, list[str]] = field(default_factory=dict)
    has_texts: bool = False
    without_motion: tuple[str, ...] = ()
    other_lists: tuple[str, ...] = ()


def contents(folder: Path, lists: str = "") -> Contents:
    """Find out the layout of a folder.

    Args:
        lists: folder of the lists of splits, from `folder`; by default where the layout has them.

    Raises:
        FileNotFoundError: no such folder, or no such folder of lists.
        ValueError: no motion in it.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; expected a data set")
    for name in (motionmillion.VECTORS, "vector_272"):
        if (folder / name).is_dir():
            return _named(folder, "motionmillion", folder / name, ".npy", _read_272, lists)
    for name, read in ((humanml3d.VECTORS, _read_263), (humanml3d.JOINTS, _read_joints)):
        if (folder / name).is_dir():
            return _named(folder, "humanml3d", folder / name, ".npy", read, lists)
    if list((folder / "shards").glob("*.parquet")):
        return _sharded(folder)
    return _files(folder)


def _named(
    folder: Path,
    layout: str,
    vectors: Path,
    suffix: str,
    read: Callable[[Path], Signature],
    lists: str,
) -> Contents:
    """A layout with a file of numbers and a file of captions for each clip."""
    names = clips.names_below(vectors, suffix)
    if not names:
        raise ValueError(f"{vectors}: no {suffix} files; expected the motion of a data set")
    texts = folder / "texts"
    texts_of = read_lines if layout == "motionmillion" else _read_humanml3d_lines
    described = clips.names_below(texts, ".txt") if texts.is_dir() else []
    chosen, others = _lists(folder, lists)
    return Contents(
        layout,
        len(names),
        (_clip(name, vectors / f"{name}{suffix}", texts, read, texts_of) for name in names),
        {path.stem: clips.read_list(path) for path in sorted(chosen.glob("*.txt"))}
        if chosen
        else {},
        has_texts=bool(described),
        without_motion=tuple(sorted(set(described) - set(names))),
        other_lists=tuple(others),
    )


def _lists(folder: Path, given: str) -> tuple[Path | None, list[str]]:
    """The folder of the lists, and others that have lists too."""
    if given:
        if not (folder / given).is_dir():
            raise FileNotFoundError(f"{folder / given}: no such folder; expected lists of splits")
        return folder / given, []
    found = sorted({path.parent for path in (folder / "split").rglob("*.txt")})
    if any((folder / f"{name}.txt").is_file() for name in ("train", "val", "test")):
        found.insert(0, folder)
    official = folder / OFFICIAL_LISTS
    chosen = official if official in found else found[0] if found else None
    return chosen, [path.relative_to(folder).as_posix() for path in found if path != chosen]


def _clip(
    name: str,
    path: Path,
    texts: Path,
    read: Callable[[Path], Signature],
    texts_of: Callable[[Path], tuple[str, ...]],
) -> AuditClip:
    signature, broken = None, ""
    try:
        signature = read(path)
    except (ValueError, OSError) as error:
        broken = _short(error, path)
    captions: tuple[str, ...] = ()
    bad_text = ""
    text = texts / f"{name}.txt"
    if text.is_file():
        try:
            captions = texts_of(text)
        except (ValueError, OSError) as error:
            bad_text = _short(error, text)
        if any(mark in caption for caption in captions for mark in _NO_TEXT):
            bad_text = "bytes that are no UTF-8; the file is damaged, or in another encoding"
    return AuditClip(name, signature, broken, captions, bad_text)


def read_lines(path: Path) -> tuple[str, ...]:
    """One caption a line."""
    return tuple(clips.read_list(path))


def _read_humanml3d_lines(path: Path) -> tuple[str, ...]:
    return tuple(caption.text for caption in humanml3d.read_captions(path) if caption.text)


def _read_272(path: Path) -> Signature:
    values = _numbers(path, NUM_FEATURES)
    positions = values[:, POSITIONS].reshape(len(values), 22, 3)
    rows = values[:, ROTATIONS].reshape(len(values), 44, 3)
    lengths = np.linalg.norm(rows, axis=-1)
    if np.median(np.abs(lengths - 1)) > 0.1:
        raise ValueError("the rotations are none: their rows are not of length 1")
    steps = np.diff(values[:, POSITIONS], axis=0)
    if len(steps) and np.median(np.abs(steps - values[1:, VELOCITIES]).max(axis=1)) > 0.02:
        raise ValueError("the velocities are not the differences of the positions")
    return signature_of(positions)


def _read_263(path: Path) -> Signature:
    return _signature_of_263(_numbers(path, NUM_HUMANML3D))


def _read_joints(path: Path) -> Signature:
    joints = arrays.numbers(arrays.read_npy(path), "the joints")
    if joints.ndim != 3 or joints.shape[1:] != (22, 3) or len(joints) < 2:
        raise ValueError(f"an array {joints.shape}; expected (T, 22, 3), two frames or more")
    return _signature_of_263(from_joints(torch.from_numpy(joints)).numpy())


def _numbers(path: Path, width: int) -> NDArray[np.float64]:
    array = arrays.read_npy(path)
    if array.ndim != 2 or array.shape[1] != width or not len(array) or array.dtype.kind != "f":
        raise ValueError(f"an array {array.shape} of {array.dtype}; expected (T, {width}) floats")
    values = arrays.numbers(array, "the features")
    if np.abs(values).max() > _MAX_VALUE:
        raise ValueError(f"values up to {np.abs(values).max():g}; expected features in metres")
    return values


def _signature_of_263(values: NDArray[np.float64]) -> Signature:
    """(T, 263) at 20 fps; its positions of joints 1 to 21 have no facing and no root x, z already."""
    joints = np.zeros((len(values), 22, 3))
    joints[:, 0, 1] = values[:, 3]
    joints[:, 1:] = values[:, 4:67].reshape(len(values), 21, 3)
    times = np.arange(int((len(values) - 1) * _FPS / HUMANML3D_FPS) + 1) * HUMANML3D_FPS / _FPS
    lower = np.minimum(times.astype(np.int64), max(len(values) - 2, 0))
    upper = np.minimum(lower + 1, len(values) - 1)
    part = (times - lower)[:, None, None]
    return signature_of(joints[lower] * (1 - part) + joints[upper] * part)


def _sharded(folder: Path) -> Contents:
    paths = sorted((folder / "shards").glob("*.parquet"))
    lists = {path.stem: clips.read_list(path) for path in sorted((folder / "splits").glob("*.txt"))}
    return Contents("motionmill", len(paths), _of_shards(paths), lists, has_texts=True)


def _of_shards(paths: list[Path]) -> Iterator[AuditClip]:
    from motionmill.data.copies.signatures import signature
    from motionmill.data.shards import read_shard

    for path in paths:
        try:
            for clip in read_shard(path):
                broken = (
                    "" if bool(clip.features.isfinite().all()) else "values that are not finite"
                )
                sign = None if broken else signature(clip.features)
                yield AuditClip(clip.id, sign, broken, clip.captions, group=clip.group)
        except (ValueError, OSError) as error:  # pyarrow's own errors are ValueErrors too
            yield AuditClip(f"shards/{path.name}", None, _short(error, path))


def _files(folder: Path) -> Contents:
    """Motion files of any format."""
    from motionmill.formats.collection import motions_in

    items = motions_in(folder)
    first = next(items, None)
    if first is None:
        raise ValueError(
            f"{folder}: neither MotionMillion's nor HumanML3D's layout, no shards and no motion files"
        )
    return Contents("files", 0, _of_files(itertools.chain([first], items)))


def _of_files(items: Iterator[object]) -> Iterator[AuditClip]:
    from motionmill.data.copies.signatures import signature
    from motionmill.formats.collection import Item
    from motionmill.motion.features import from_motion
    from motionmill.motion.retarget import retarget

    for item in items:
        assert isinstance(item, Item)
        name = f"{item.group}/{item.name}"
        try:
            motion = retarget(item.load()).resample(_FPS)
        except ValueError as error:
            yield AuditClip(name, None, _short(error, Path(item.name)))
        else:
            yield AuditClip(name, signature(from_motion(motion)))


def _short(error: Exception, path: Path) -> str:
    """What an error says, in one line, without the name of the file."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.removeprefix(f"{path.name}: ").removeprefix(f"{path.name}, ")[:200]

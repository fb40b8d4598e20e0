"""The 272 features (.npy) and folders of MotionMillion <-> Motion.

Shapes: T frames. A folder has `motion_data/vector_272/NAME.npy` (T, 272), `texts/NAME.txt` (a caption a line),
`mean_std/vector_272/{mean,std}.npy` and lists of names in `split/version1/t2m_60_300/{train,val,test,all}.txt`.

The features are at 30 fps, start over the origin facing +Z, have SMPL's 22 joints, and carry positions and rotations:
going through them loses the frame rate, the place and facing of the start, fingers, and the size of the body (positions
keep it; `load` puts the rotations on our adult skeleton).
"""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from motionmill.formats import arrays, clips
from motionmill.formats.clips import Caption, Clip
from motionmill.motion import features
from motionmill.motion.motion import Motion

VECTORS = "motion_data/vector_272"
_SPLITS = "split/version1/t2m_60_300"
_MEANS = "mean_std/vector_272"


def load_features(path: str | os.PathLike[str]) -> Motion:
    """Reads a (T, 272) array as a Motion at 30 fps on our adult skeleton.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no such array; the message says what is there.
    """
    path = Path(path)
    return features.to_motion(_read_vectors(path), name=path.stem)


def save_features(motion: Motion, path: str | os.PathLike[str]) -> None:
    """Writes a Motion on SMPL-22 as a (T, 272) float32 array at 30 fps."""
    clips.write_aside(Path(path), _npy(features.from_motion(motion).float()))


def load_motionmillion(folder: str | os.PathLike[str], *, split: str = "") -> Iterator[Clip]:
    """The clips of a MotionMillion folder, in order; a clip's motion is read when it is asked for.

    Args:
        folder: with `motion_data/vector_272` (or `vector_272`) and perhaps `texts` and split lists.
        split: "train", "val", "test" or the name of another list; all files by default.

    Raises:
        FileNotFoundError: no such folder or list.
        ValueError: a name that leads out of the folder.
    """
    folder = Path(folder)
    vectors = next(
        (folder / name for name in (VECTORS, "vector_272") if (folder / name).is_dir()), None
    )
    if vectors is None:
        raise FileNotFoundError(
            f"{folder}: no {VECTORS} in it; expected a folder of MotionMillion (for HumanML3D's 263 numbers there is "
            "load_humanml3d)"
        )
    names = clips.read_list(_split_list(folder, split)) if split else clips.names_below(vectors)
    for name in names:
        clips.checked_name(name, f"{folder.name}, split {split}")
        texts = folder / "texts" / f"{name}.txt"
        captions = tuple(map(Caption, clips.read_list(texts))) if texts.is_file() else ()
        known = split if split in ("train", "val", "test") else ""
        yield Clip(name, captions, known, functools.partial(load_features, vectors / f"{name}.npy"))


def save_motionmillion(motions: Iterable[Clip], folder: str | os.PathLike[str]) -> None:
    """Writes clips on SMPL-22 as a folder of MotionMillion, with split lists, mean and standard deviation.

    Raises:
        ValueError: a motion on another skeleton, or a name that leads out of the folder.
    """
    folder = Path(folder)
    written = []
    for clip in motions:
        name = clips.checked_name(clip.name, folder.name)
        save_features(clip.motion(), folder / VECTORS / f"{name}.npy")
        written.append(clip)
    complete(folder, written)


def complete(folder: Path, described: Sequence[Clip]) -> None:
    """Writes what a folder has beside the numbers in `vector_272`: texts, split lists, mean and standard deviation.

    Raises:
        ValueError: no clips.
    """
    if not described:
        raise ValueError(f"{folder.name}: no clips to write")
    total = Statistics(features.NUM_FEATURES)
    for clip in described:
        total.add(_read_vectors(folder / VECTORS / f"{clip.name}.npy"))
        texts = "".join(f"{' '.join(caption.text.split())}\n" for caption in clip.captions)
        clips.write_aside(folder / "texts" / f"{clip.name}.txt", texts)
    clips.write_splits(described, folder / _SPLITS)
    normalizer = features.Normalizer.fit(*total.mean_and_std())
    clips.write_aside(folder / _MEANS / "mean.npy", _npy(normalizer.mean))
    clips.write_aside(folder / _MEANS / "std.npy", _npy(normalizer.std))


class Statistics:
    """Mean and standard deviation of rows that are seen one block after another."""

    def __init__(self, width: int) -> None:
        self._count = 0
        self._sum = torch.zeros(width, dtype=torch.float64)
        self._squares = torch.zeros(width, dtype=torch.float64)

    def add(self, rows: Tensor) -> None:
        self._count += len(rows)
        self._sum += rows.double().sum(dim=0)
        self._squares += rows.double().square().sum(dim=0)

    def mean_and_std(self) -> tuple[Tensor, Tensor]:
        """Mean and (population) standard deviation of each column."""
        mean = self._sum / self._count
        return mean, (self._squares / self._count - mean.square()).clamp(min=0).sqrt()


def _read_vectors(path: Path) -> Tensor:
    array = arrays.read_npy(path)
    if (
        array.ndim != 2
        or array.shape[1] != features.NUM_FEATURES
        or not len(array)
        or array.dtype.kind != "f"
    ):
        raise ValueError(
            f"{path.name}: an array {array.shape} of {array.dtype}; expected (T, 272) floats"
        )
    values = arrays.numbers(array, f"{path.name}: the features")
    if np.abs(values).max() > 1e4:
        raise ValueError(
            f"{path.name}: values up to {np.abs(values).max():g}; expected features in metres"
        )
    return torch.from_numpy(values)


def _split_list(folder: Path, split: str) -> Path:
    """The list of a split: in the usual place, at the top, or the only one of its name below `split`."""
    clips.checked_name(split, "split")
    for place in (folder / _SPLITS, folder):
        if (place / f"{split}.txt").is_file():
            return place / f"{split}.txt"
    found = sorted((folder / "split").rglob(f"{split}.txt"))
    if len(found) == 1:
        return found[0]
    raise FileNotFoundError(
        f"{folder}: {len(found)} lists {split}.txt; expected one, in {_SPLITS} or at the top"
    )


def _npy(values: Tensor) -> bytes:
    data = io.BytesIO()
    np.save(data, values.cpu().numpy(), allow_pickle=False)
    return data.getvalue()

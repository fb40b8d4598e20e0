"""Clips of a data set -> folders in the layouts of MotionMillion and HumanML3D, for the loaders of others.

Names of files are the clips' ids with signs that file systems or lists dislike replaced. The held-out pairs go into
lists of their own, which loaders of others do not read: neither training nor test of theirs sees them.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from motionmill.data.clip import Clip
from motionmill.data.wording.parts_of_speech import tagged
from motionmill.formats import clips as folders
from motionmill.formats import humanml3d, motionmillion
from motionmill.motion.features import NUM_FEATURES, Normalizer, to_motion

LISTS = "split/version1/t2m_60_300"
MEANS = "mean_std/vector_272"


def write_motionmillion(clips: Iterable[Clip], splits: Mapping[str, str], folder: Path) -> int:
    """Write the layout of MotionMillion; features stay as they are, to the bit.

    `motion_data/vector_272/NAME.npy` (T, 272) float32, `texts/NAME.txt` with a caption a line,
    `mean_std/vector_272/{mean,std}.npy` of the clips of train, and lists in `split/version1/t2m_60_300`.

    Args:
        clips: are read once, one after the other.
        splits: clip id -> split; clips that are in none are left out.

    Returns:
        How many clips were written.

    Raises:
        ValueError: two ids that give one name, or nothing to write.
    """
    members: dict[str, list[str]] = {}
    total = motionmillion.Statistics(NUM_FEATURES)
    trained = False
    for clip, name in _named(clips, splits):
        values = clip.features.float()
        if splits[clip.id] == "train":
            total.add(values)
            trained = True
        folders.write_aside(folder / motionmillion.VECTORS / f"{name}.npy", _npy(values))
        texts = "".join(f"{' '.join(caption.split())}\n" for caption in clip.captions)
        folders.write_aside(folder / "texts" / f"{name}.txt", texts)
        members.setdefault(splits[clip.id], []).append(name)
    count = _write_lists(members, folder / LISTS, folder.name)
    if trained:
        normalizer = Normalizer.fit(*total.mean_and_std())
        folders.write_aside(folder / MEANS / "mean.npy", _npy(normalizer.mean))
        folders.write_aside(folder / MEANS / "std.npy", _npy(normalizer.std))
    return count


def write_humanml3d(clips: Iterable[Clip], splits: Mapping[str, str], folder: Path) -> int:
    """Write the layout of HumanML3D: 263 numbers a frame at 20 fps, made from the motion of the features.

    `new_joint_vecs`, `new_joints`, `texts/NAME.txt` with lines `caption#word/TAG ...#0.0#0.0`, `Mean.npy`, `Std.npy`
    and the lists. What the 263 numbers lose is in `formats.humanml3d`.

    Args:
        clips: are read once, one after the other.
        splits: clip id -> split; clips that are in none are left out.

    Returns:
        How many clips were written.

    Raises:
        ValueError: two ids that give one name, or nothing to write.
    """
    count = 0

    def given() -> Iterator[folders.Clip]:
        nonlocal count
        for clip, name in _named(clips, splits):
            captions = [folders.Caption(caption, tagged(caption)) for caption in clip.captions]
            count += 1
            yield folders.Clip(
                name, tuple(captions), splits[clip.id], functools.partial(to_motion, clip.features)
            )

    humanml3d.save_humanml3d(given(), folder)
    return count


def _named(clips: Iterable[Clip], splits: Mapping[str, str]) -> Iterator[tuple[Clip, str]]:
    """The clips that are in a split, with the names of their files."""
    seen: dict[str, str] = {}
    for clip in clips:
        if clip.id not in splits:
            continue
        name = "/".join(
            re.sub(r"[^\w.-]+", "_", part).strip(".") or "_" for part in clip.id.split("/") if part
        )
        other = seen.setdefault(name, clip.id)
        if other != clip.id:
            raise ValueError(
                f"clips {other!r} and {clip.id!r} would both be the file {name!r}; rename one"
            )
        yield clip, folders.checked_name(name, "layout")


def _write_lists(members: Mapping[str, list[str]], folder: Path, name: str) -> int:
    everything = sorted(name for listed in members.values() for name in listed)
    if not everything:
        raise ValueError(f"{name}: no clips to write; expected clips that are in a split")
    for split, listed in {**members, "all": everything}.items():
        folders.write_aside(folder / f"{split}.txt", "".join(f"{one}\n" for one in sorted(listed)))
    return len(everything)


def _npy(values: Tensor) -> bytes:
    data = io.BytesIO()
    np.save(data, values.cpu().numpy(), allow_pickle=False)
    return data.getvalue()

"""Data-set folders of HumanML3D and MotionMillion: which files of one are motions, what it says of them, a new one.

Nothing here needs torch before a data set is written.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from motionmill.formats.clips import Clip

_VECTORS = {
    "humanml3d": ("new_joint_vecs", "new_joints"),
    "motionmillion": ("motion_data/vector_272", "vector_272"),
}
KINDS = tuple(_VECTORS)


def vectors_in(folder: Path) -> tuple[str, Path] | None:
    """The kind of a data-set folder and where its motions are; the rest of it are none. None for other folders."""
    for kind, places in _VECTORS.items():
        for place in places:
            if (folder / place).is_dir():
                return kind, folder / place
    return None


def new_vectors(kind: str, folder: Path) -> Path:
    """Where the motions of a new data set belong."""
    return folder / _VECTORS[kind][0]


def described(sources: Sequence[Path]) -> dict[Path, Clip]:
    """What data sets say of those motion files that are in one: name, captions, split.

    Raises:
        ValueError: a caption line that is damaged, or a list with a name that leads out of the folder.
    """
    found = {}
    for source in sources:
        for root in reversed(source.parents):  # `motion_data` looks like a data set as well
            if (dataset := vectors_in(root)) and dataset[1] in source.parents:
                name = source.relative_to(dataset[1]).with_suffix("").as_posix()
                if clip := _clips(dataset[0], root).get(name):
                    found[source] = clip
                break
    return found


def complete(kind: str, folder: Path, made: Mapping[Path, Clip | None]) -> None:
    """Writes what a data set has beside its numbers, which are there: captions, lists, mean and deviation.

    Args:
        kind: one of `KINDS`.
        folder: of the data set.
        made: files of numbers in it, and what is known of each.

    Raises:
        ValueError: there are none.
    """
    from motionmill.formats import humanml3d, motionmillion
    from motionmill.formats.clips import Clip

    vectors = new_vectors(kind, folder)
    clips = []
    for path, clip in made.items():
        name = path.relative_to(vectors).with_suffix("").as_posix()
        clips.append(Clip(name, clip.captions, clip.split) if clip else Clip(name))
    write = humanml3d.complete if kind == "humanml3d" else motionmillion.complete
    write(folder, clips)


@functools.lru_cache(maxsize=4)
def _clips(kind: str, root: Path) -> dict[str, Clip]:
    """The clips of a data set by name; those of its splits know theirs."""
    from motionmill.formats.humanml3d import load_humanml3d
    from motionmill.formats.motionmillion import load_motionmillion

    load = load_humanml3d if kind == "humanml3d" else load_motionmillion
    clips = {clip.name: clip for clip in load(root)}
    for split in ("train", "val", "test"):
        try:
            clips |= {clip.name: clip for clip in load(root, split=split)}
        except FileNotFoundError:  # it has no such list
            continue
    return clips

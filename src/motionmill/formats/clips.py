"""Clips of a data-set folder: names, captions, splits, and motion that is read when it is asked for.

A folder of HumanML3D or MotionMillion has one file of numbers and one of captions for each clip, and lists of names for
the splits.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from motionmill.motion.motion import Motion

_MAX_TEXT_BYTES = 64 << 20


@dataclass(frozen=True)
class Caption:
    """A description of a clip, or of a part of it.

    Attributes:
        text: the words.
        tokens: HumanML3D's "word/TAG word/TAG"; empty where it is not known.
        start_seconds, end_seconds: the part that is described; both 0 for the whole clip.
    """

    text: str
    tokens: str = ""
    start_seconds: float = 0.0
    end_seconds: float = 0.0


@dataclass(frozen=True)
class Clip:
    """A clip of a data set.

    Attributes:
        name: may contain folders, as "part/000001".
        captions: what it shows.
        split: "train", "val" or "test"; empty where it is in none.
        read: gives the motion.
    """

    name: str
    captions: tuple[Caption, ...] = ()
    split: str = ""
    read: Callable[[], Motion] = field(repr=False, compare=False, default=lambda: _nothing())

    def motion(self) -> Motion:
        """The motion. Raises ValueError where its file is damaged."""
        return self.read()


def _nothing() -> Motion:
    raise ValueError("this clip has no motion")


def of_motion(
    motion: Motion, *, name: str = "", captions: Sequence[str | Caption] = (), split: str = ""
) -> Clip:
    """A clip of a motion in memory, to be written; its name and caption are the motion's where none are given."""
    given = captions or ([motion.name] if motion.name else [])
    texts = tuple(Caption(text) if isinstance(text, str) else text for text in given)
    plain = re.sub(r"[^\w.-]+", "_", name or motion.name).strip("_.")
    return Clip(plain or "motion", texts, split, lambda: motion)


def checked_name(name: str, where: str) -> str:
    """The name of a clip, if it stays inside its folder.

    Raises:
        ValueError: it is absolute, empty, or goes upwards.
    """
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise ValueError(f"{where}: clip {name[:60]!r}; expected a name inside the folder")
    return name


def names_below(folder: Path, suffix: str = ".npy") -> list[str]:
    """Names of the clips of which a folder has files, without the suffix, in order."""
    files = (file for file in folder.rglob(f"*{suffix}") if file.is_file())
    return sorted(file.relative_to(folder).as_posix().removesuffix(suffix) for file in files)


def read_list(path: Path) -> list[str]:
    """The lines of a text file that are not empty."""
    if path.stat().st_size > _MAX_TEXT_BYTES:
        raise ValueError(
            f"{path.name}: {path.stat().st_size} bytes; at most {_MAX_TEXT_BYTES} are read"
        )
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    return [line.strip() for line in text.splitlines() if line.strip()]


def write_aside(path: Path, content: str | bytes) -> None:
    """Writes a file, with the folders above it, that appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    temporary.replace(path)


def write_splits(clips: Iterable[Clip], folder: Path) -> None:
    """Writes `all.txt` and, for those that have clips, `train.txt`, `val.txt`, `test.txt`."""
    names: dict[str, list[str]] = {"all": []}
    for clip in clips:
        names["all"].append(clip.name)
        if clip.split:
            names.setdefault(clip.split, []).append(clip.name)
    for split, members in names.items():
        write_aside(folder / f"{split}.txt", "".join(f"{name}\n" for name in members))

"""A data set of ours -> a folder in the layout of MotionMillion or HumanML3D."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from motionmill.data.clip import Clip
from motionmill.data.folder import open_folder
from motionmill.data.layouts import write_humanml3d, write_motionmillion
from motionmill.data.shards import read_shard


def export(dataset: Path, output: Path, layout: Literal["motionmillion", "humanml3d"]) -> int:
    """Write every clip of the shards, one in memory at a time; returns how many.

    Raises:
        FileNotFoundError: not a data set.
        ValueError: the output is a folder with something in it.
    """
    folder = open_folder(dataset)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ValueError(f"{output} is there already; name a new folder")
    splits = {
        name: path.stem
        for path in sorted((folder.root / "splits").glob("*.txt"))
        for name in path.read_text(encoding="utf-8").splitlines()
    }
    write = write_motionmillion if layout == "motionmillion" else write_humanml3d
    return write(_clips(folder.root), splits, output)


def _clips(root: Path) -> Iterator[Clip]:
    for path in sorted((root / "shards").glob("*.parquet")):
        yield from read_shard(path)

"""Files and folders -> the motions in them, one after the other; and how well each is carried over to our skeleton."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from motionmill.motion.motion import Motion

_WRITTEN_ONLY = (".fbx", ".usd", ".usda", ".usdc", ".usdz")


@dataclass(frozen=True)
class Item:
    """One motion of a collection; read when asked for.

    Attributes:
        group: the folder that it is in.
        name: of the file or the clip.
        load: reads it.
    """

    group: str
    name: str
    load: Callable[[], Motion]


def motions_in(
    path: Path, *, format: str | None = None, fps: float | None = None
) -> Iterator[Item]:
    """What a path holds: a file, a folder of packed shards (with a `manifest.jsonl`), or a folder of files and folders.

    Args:
        path: see above.
        format: of files that do not say it themselves; in folders, which files to take.
        fps: frames per second of files that do not say.

    Raises:
        FileNotFoundError: no such path.
        ValueError: a damaged manifest, or an unknown format.
    """
    from motionmill.formats.files import load
    from motionmill.formats.reading import suffixes_of

    if (path / "manifest.jsonl").is_file():
        from motionmill.formats.packed import read_folder

        yield from (Item(path.name, clip.id, clip.motion) for clip in read_folder(path))
    elif path.is_dir():
        for inside in sorted(path.iterdir()):
            if inside.is_dir() or inside.suffix.lower() in suffixes_of(format):
                yield from motions_in(inside, format=format, fps=fps)
    elif path.exists():
        yield Item(path.parent.name, path.name, lambda: load(path, format=format, fps=fps))
    else:
        raise FileNotFoundError(
            f"{path} does not exist; expected a motion file or a folder of them"
        )


def retarget_report(
    paths: Sequence[Path],
    *,
    format: str | None = None,
    fps: float | None = None,
    every: int = 1,
    watch: Callable[[Sequence[Item]], Iterable[Item]] = iter,
) -> str:
    """A table of how well motions are carried over to our skeleton.

    A row a folder and rig, one a folder with several rigs, and a line for every motion that could not be read or whose
    rig is not known, and for every kind of file that was passed over in a folder.

    Args:
        paths: see `motions_in`.
        format: see `motions_in`.
        fps: see `motions_in`.
        every: of each path only one in so many motions, from the first on.
        watch: wraps the loop over the motions, to show how far it is.

    Raises:
        FileNotFoundError: no such path.
        ValueError: nothing in the paths is a motion, or `every` is under 1.
    """
    if every < 1:
        raise ValueError(f"every {every}; expected a whole number from 1 on")
    from motionmill.motion.transfer import Transfer, table, transfer

    items = [
        item for path in paths for item in list(motions_in(path, format=format, fps=fps))[::every]
    ]
    passed = [line for path in paths if format is None for line in _passed_over(path)]
    if not items:
        raise ValueError(
            f"no motion files in {', '.join(map(str, paths))}{''.join(f'; passed over {line}' for line in passed)}"
        )
    rigs: dict[str, dict[str, list[Transfer]]] = defaultdict(lambda: defaultdict(list))
    left_out = []
    for item in watch(items):
        try:
            row = transfer(item.load())
        except ValueError as error:
            left_out.append(f"{item.group}/{item.name}: {error}")
        else:
            rigs[item.group][row.rig].append(row)
    groups: dict[str, list[Transfer]] = {}
    for group, parts in rigs.items():
        if len(parts) > 1:
            groups[group] = [row for rows in parts.values() for row in rows]
        for rig, rows in parts.items():
            groups[f"{group}, {rig}"] = rows
    lines = [table(groups)] if groups else []
    lines += [f"left out: {line}" for line in left_out]
    return "\n".join(lines + [f"passed over: {line}" for line in passed])


def _passed_over(path: Path) -> list[str]:
    """A line for every kind of motion file that `motions_in` does not take from a folder, and what to do about it."""
    from motionmill.formats.reading import READERS, suffixes_of

    if not path.is_dir() or (path / "manifest.jsonl").is_file():
        return []
    lines = [line for inside in sorted(path.iterdir()) for line in _passed_over(inside)]
    suffixes = Counter(inside.suffix.lower() for inside in path.iterdir() if inside.is_file())
    for suffix, count in sorted(suffixes.items()):
        if suffix in _WRITTEN_ONLY:
            lines.append(
                f"{path.name}: {count} {suffix}, a kind that is written but not read; export .glb or .bvh, e.g. with "
                "Blender"
            )
        elif suffix in READERS and suffix not in suffixes_of(None):
            lines.append(
                f"{path.name}: {count} {suffix}, mostly no motions; name their format with --from"
            )
    return lines

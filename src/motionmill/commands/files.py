"""`motionmill convert` and `inspect`: motion files -> other files, or words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tyro

from motionmill.commands.options import Outputs


def convert(
    source: tyro.conf.Positional[Path], /, output: Outputs, fps: float | None = None
) -> None:
    """A motion file -> other formats; a rig that is recognised is carried over to our skeleton.

    Args:
        source: .bvh .npz .glb .npy
        output: files to write.
        fps: frames per second of the result; as in the source by default.
    """
    from motionmill.formats.files import check_writable, load, save
    from motionmill.motion.retarget import retarget
    from motionmill.motion.skeleton import SMPL_22_NAMES

    for path in output:
        check_writable(path)
    motion = load(source)
    if motion.skeleton.names != SMPL_22_NAMES:
        motion = retarget(motion)
    if fps is not None:
        motion = motion.resample(fps)
    for path in output:
        save(motion, path)
    print(
        f"{', '.join(map(str, output))}: {motion.seconds:.1f} s, {len(motion)} frames at {motion.fps:g} fps"
    )


def inspect(
    source: tyro.conf.Positional[Path | None] = None,
    /,
    retarget_report: tuple[Path, ...] = (),
) -> None:
    """What is in a motion file: skeleton, length, path, feet.

    Args:
        source: .bvh .npz .glb .npy
        retarget_report: files and folders; a table of how well they are carried over to our skeleton.
    """
    if retarget_report:
        from motionmill.formats import collection

        print(collection.retarget_report(retarget_report, watch=_watched))
        return
    if source is None:
        raise ValueError("nothing to inspect; name a motion file, or --retarget-report PATHS")
    from motionmill.formats.files import load
    from motionmill.motion.report import report

    print(report(load(source)))


def _watched(items: Sequence[Any]) -> Iterable[Any]:
    """The items, with a bar on standard error where that is a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(items, "retargeting", console=console, disable=not console.is_terminal)

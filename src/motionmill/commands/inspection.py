"""`motionmill inspect`: motion files -> words about them."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro


def inspect(
    sources: tyro.conf.Positional[tuple[Path, ...]] = (),
    /,
    *,
    from_: Annotated[str | None, tyro.conf.arg(name="from")] = None,
    map: Path | None = None,
    fps: float | None = None,
    retarget_report: tuple[Path, ...] = (),
    every: int = 1,
) -> None:
    """What is in motion files: skeleton, person, length, path, floor, feet, and which joints are whose.

    Args:
        sources: .bvh .glb .npz .npy .amc .txt .json .pt .pkl, one or several
        from_: bvh, glb, npz, smpl, motionmillion, humanml3d, joints, amc or deepmimic, whatever the suffix says.
        map: YAML file that says which joints are SMPL's, with lines such as `left_hip: thigh.L`.
        fps: frames per second of files that do not say.
        retarget_report: files and folders; a table of how well they are carried over to our skeleton.
        every: for that table, one in so many of each path's motions.
    """
    if retarget_report:
        if sources or map is not None:
            raise ValueError("--retarget-report takes files and folders of its own, and no --map")
        from motionmill.formats import collection

        table = collection.retarget_report(
            retarget_report, format=from_, fps=fps, every=every, watch=_watched
        )
        print(table)
        return
    if every != 1:
        raise ValueError("--every is for --retarget-report")
    from motionmill.formats.files import load
    from motionmill.motion.joint_map import load_joint_map
    from motionmill.motion.report import report

    if not sources:
        raise ValueError("no files given; name one or several, or --retarget-report PATHS")
    joint_map = load_joint_map(map) if map is not None else None
    bad = 0
    for place, source in enumerate(sources):
        if len(sources) > 1:
            print(f"{'' if place == 0 else chr(10)}== {source}")
        try:
            with notes() as said:
                text = report(load(source, format=from_, fps=fps), joint_map)
        except (ValueError, OSError) as error:
            if len(sources) == 1:
                raise
            bad += 1
            print(f"motionmill: {' '.join(str(error).split())}", file=sys.stderr)
            continue
        print(text)
        for note in said:
            print(f"{'reading':<12}{note}")
    if bad:
        raise ValueError(f"{bad} of {len(sources)} files could not be read")


def _watched(items: Sequence[Any]) -> Iterable[Any]:
    """The items, with a bar on standard error where that is a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(items, "retargeting", console=console, disable=not console.is_terminal)


@contextlib.contextmanager
def notes() -> Iterator[list[str]]:
    """What readers say of a file while it is read: assumed rates, turned axes, what is not in it."""
    said: list[str] = []

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger, handler = logging.getLogger("motionmill"), Notes(logging.INFO)
    level, spreads = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield said
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = spreads

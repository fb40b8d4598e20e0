"""Folders of motions of one suite -> the prompts that all of them have, with the motions beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from motionmill.evaluation.benchmark import read_info
from motionmill.evaluation.folder import MotionFolder
from motionmill.evaluation.report import Shown
from motionmill.evaluation.suite import Suite


def side_by_side(suite: Suite, folders: Sequence[Path], *, most: int = 60) -> list[Shown]:
    """Motions of seed 0, of prompts spread over the suite.

    Raises:
        FileNotFoundError, ValueError: a folder without motions, of another version of the suite, or two of one name.
    """
    opened: dict[str, MotionFolder] = {}
    for path in folders:
        info = read_info(path)
        if info.suite_version not in ("", suite.version):
            raise ValueError(
                f"{path}: motions of suite {info.suite!r} {info.suite_version}; expected {suite.name!r} {suite.version}"
            )
        if info.system in opened:
            raise ValueError(f"{path}: a second system called {info.system!r}; rename one")
        opened[info.system] = MotionFolder(path)
    if not opened:
        return []
    found = []
    for prompt in suite.prompts[:: max(1, len(suite.prompts) // most)]:
        motions = {name: folder.read(prompt.id, 0) for name, folder in opened.items()}
        known = {name: motion for name, motion in motions.items() if motion is not None}
        if len(known) == len(motions):
            found.append(Shown(prompt.text, known))
    return found


def described(suite: Suite, folders: Sequence[Path]) -> dict[str, str]:
    """Coverage of a suite, and what a folder says of its motions, by system."""
    found = {}
    for path in folders:
        info, folder = read_info(path), MotionFolder(path)
        count = sum(folder.has(prompt.id, 0) for prompt in suite.prompts)
        parts = {
            "": f"{count} of {len(suite.prompts)} prompts",
            "version": info.version,
            "seconds": "" if info.seconds is None else f"{info.seconds:g}",
            "clean-up": "" if info.cleanup is None else f"{info.cleanup:g}",
            "licence": info.licence,
        }
        words = (f"{name} {value}".strip() for name, value in parts.items() if value)
        found[info.system] = ", ".join(words)
    return found

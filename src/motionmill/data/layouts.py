"""Clips of a data set -> folders in the layouts of MotionMillion and HumanML3D, for the loaders of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from motionmill.data.clip import Clip


def write_motionmillion(clips: Iterable[Clip], splits: Mapping[str, str], folder: Path) -> int:
    """Write `motion_data/vector_272`, `texts`, `mean_std`, `split`; returns how many clips. Features stay as they are."""
    raise NotImplementedError


def write_humanml3d(clips: Iterable[Clip], splits: Mapping[str, str], folder: Path) -> int:
    """Write `new_joint_vecs` (263 numbers, 20 fps), `new_joints`, `texts` with parts of speech, lists, statistics."""
    raise NotImplementedError

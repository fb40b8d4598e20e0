"""A data set of any layout -> its broken files, duplicates and leaks between splits, and a corrected split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from motionmill.data.duplicates import Cluster
from motionmill.data.quality_config import DuplicateConfig


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        kind: "broken", "no text", "no motion", "bad text", "not in a split", "in two splits", "listed twice", "leak",
            "duplicate".
        clip: its name.
        detail: what exactly, in one line.
    """

    kind: str
    clip: str
    detail: str


@dataclass(frozen=True)
class AuditReport:
    """What an audit found.

    Attributes:
        folder: what was looked at.
        layout: "motionmillion", "humanml3d", "motionmill" or "files".
        clips: how many there are.
        findings: all that is wrong.
        clusters: clips that show the same.
        splits: clip -> split as it was found.
        corrected: clip -> split without leaks; broken clips are not in it.
    """

    folder: Path
    layout: str
    clips: int
    findings: tuple[Finding, ...]
    clusters: tuple[Cluster, ...]
    splits: Mapping[str, str]
    corrected: Mapping[str, str]

    def summary(self) -> str:
        """Lines for a person to read."""
        raise NotImplementedError


def audit(
    folder: Path,
    config: DuplicateConfig | None = None,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> AuditReport:
    """Look at every clip of a data set.

    Args:
        folder: MotionMillion's layout, HumanML3D's, a data set of ours, packed shards, or motion files.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: nothing in it that is a data set.
    """
    raise NotImplementedError


def write_corrected_split(report: AuditReport, output: Path) -> None:
    """Write `SPLIT.txt` lists, one name a line, `left_out.txt` and `audit.json` into a new folder."""
    raise NotImplementedError

"""Where motion comes from: folders of packed shards and BVH files -> recordings in one form.

A recording is one take with its labels; its motion is read only when asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from motionmill.formats import bvh, packed
from motionmill.motion.motion import Motion


@dataclass(frozen=True)
class Recording:
    """A take before retargeting.

    Attributes:
        id: `SOURCE/NAME`.
        source: name of the input folder.
        read: gives the motion on the source's own skeleton.
        licence: terms of use, as the source words them.
        group: recordings of one group never part in a split.
        labels: what the source says of the take: captions, content, style, segments, ...
        unusable: why the take is known to be no use, or "".
    """

    id: str
    source: str
    read: Callable[[], Motion]
    licence: str
    group: str
    labels: Mapping[str, Any] = field(default_factory=dict)
    unusable: str = ""

    @property
    def commercial(self) -> bool:
        """Whether the licence allows commercial use: known, and without a non-commercial clause."""
        return bool(self.licence) and re.search(r"\bNC\b", self.licence) is None


def recordings(path: Path) -> list[Recording]:
    """The recordings of an input: a folder of packed shards, a folder with BVH files anywhere below, or a BVH file.

    Beside `walk.bvh`, `walk.txt` may give one caption a line.

    Raises:
        FileNotFoundError: nothing there.
        ValueError: nothing in it that can be read.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if (path / "manifest.jsonl").is_file():
        return [_packed(clip, path.name) for clip in packed.read_manifest(path)]
    files = [path] if path.is_file() else sorted(path.rglob("*.bvh"))
    files = [file for file in files if file.suffix.lower() == ".bvh"]
    if not files:
        raise ValueError(
            f"{path}: no manifest.jsonl and no .bvh files; expected packed shards or BVH motion capture"
        )
    root = path.parent if path.is_file() else path
    return [_bvh(file, root) for file in files]


def _packed(clip: packed.PackedClip, source: str) -> Recording:
    labels = {**clip.manifest, "captions": list(clip.captions)}
    if trial := labels.get("cmu_trial"):
        group = f"cmu-trial/{trial}"  # the same trial lies in several folders
    elif "/sie/" in str(labels.get("path", "")):
        group = f"{source}/sie"  # its takes come in pairs that are copies or mirror images
    elif subject := labels.get("subject"):
        group = f"{source}/subject-{subject}"
    else:
        group = f"{source}/{labels.get('duplicate_of') or clip.id}"
    unusable = packed.DROPPED.get(clip.id, "")
    return Recording(
        f"{source}/{clip.id}", source, clip.motion, clip.licence, group, labels, unusable
    )


def _bvh(file: Path, root: Path) -> Recording:
    name = file.relative_to(root).with_suffix("").as_posix()
    words = file.with_suffix(".txt")
    captions = []
    if words.is_file():
        lines = words.read_text(encoding="utf-8").splitlines()
        captions = [line.split("#")[0].strip() for line in lines if line.strip()]
    source = root.resolve().name
    labels = {"captions": captions, "label": file.stem.replace("_", " ").replace("-", " ")}
    return Recording(
        f"{source}/{name}", source, lambda: bvh.load(file), "", f"{source}/{name}", labels
    )

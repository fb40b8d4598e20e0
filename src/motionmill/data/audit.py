"""A data set of any layout -> its broken files, duplicates and leaks between splits, and a corrected split.

A leak is motion of a held-out clip that another split has too: the same recording, whole or in part, mirrored or
re-timed (`data.duplicates`), or by its name (HumanML3D's `M000001` is the mirror image of `000001`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from motionmill.data.audit_layouts import AuditClip, Contents, contents
from motionmill.data.copies.duplicates import Cluster, Link, find_duplicates, redundant
from motionmill.data.copies.signatures import SAMPLES_PER_SECOND, SignatureStore
from motionmill.data.quality_config import DuplicateConfig
from motionmill.data.scratch import Scratch
from motionmill.data.wording.text_duplicates import normal_form
from motionmill.formats.clips import write_aside

_HELD_OUT: Final = ("test", "test_pairs", "val", "val_pairs")
_NO_SPLIT: Final = "all"  # the list of everything
_TEXT: Final = np.dtype([("text", "<u8"), ("clip", "<i4")])
_TEXT_PARTS, _TEXTS_AT_ONCE = 64, 1 << 16


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes:
        kind: "broken", "no text", "bad text", "no motion", "in two splits", "listed twice", "leak", "duplicate".
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
        splits: clip -> the split that it was found in, the most held-out one of several.
        corrected: clip -> split without leaks; clips that are broken or have no text are not in it.
        notes: what is worth knowing, but not wrong.
    """

    folder: Path
    layout: str
    clips: int
    findings: tuple[Finding, ...]
    clusters: tuple[Cluster, ...]
    splits: Mapping[str, str]
    corrected: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def summary(self, examples: int = 3) -> str:
        """Lines for a person to read: counts, and some examples of each kind of finding."""
        lines = [f"{self.folder}: {self.clips} clips, layout {self.layout}"]
        by_kind: dict[str, list[Finding]] = defaultdict(list)
        for finding in self.findings:
            by_kind[finding.kind].append(finding)
        for kind, found in by_kind.items():
            lines.append(f"{kind}: {len(found)}")
            lines += [f"  {finding.clip}: {finding.detail}" for finding in found[:examples]]
        if not self.findings:
            lines.append("nothing wrong was found")
        before, after = Counter(self.splits.values()), Counter(self.corrected.values())
        for split in sorted(before):
            lines.append(f"{split}: {before[split]} clips, {after[split]} in the corrected split")
        moved = sum(self.splits[name] != split for name, split in self.corrected.items())
        if self.corrected:
            gone = len(self.splits) - len(self.corrected)
            lines.append(f"corrected: {moved} clips change their split, {gone} are left out")
        return "\n".join([*lines, *self.notes])


def audit(
    folder: Path,
    config: DuplicateConfig | None = None,
    *,
    lists: str = "",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> AuditReport:
    """Look at every clip of a data set.

    Args:
        folder: MotionMillion's layout, HumanML3D's, a data set of ours, or any folder of motion files.
        config: what counts as the same motion.
        lists: the folder with `train.txt`, ..., from `folder`; by default where the layout has them.
        progress: is told how many clips (or shards) of how many are read.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: nothing in it that is a data set.
    """
    found = contents(folder, lists)
    clips = []
    findings: list[Finding] = []
    frames = {}
    with SignatureStore() as store, _Texts() as texts:
        for done, clip in enumerate(found.clips, 1):
            if clip.signature is not None:
                store.add(clip.name, clip.signature)
                frames[clip.name] = round(len(clip.signature) * 30 / SAMPLES_PER_SECOND)
            texts.add(clip.captions)
            findings += _of_clip(clip, found)
            clips.append(replace(clip, signature=None, captions=()))
            progress(min(done, found.total), found.total)
        clusters = find_duplicates(store, config)
        names = {clip.name for clip in clips}
        splits = _splits(found.lists, names)
        notes = [*texts.notes([splits.get(clip.name, "") for clip in clips])]
    findings += _of_lists(found, names)
    ties = _ties(clips, clusters)
    findings += _leaks(ties, splits)
    findings += _copies(clusters, frames, splits)
    unusable = {f.clip for f in findings if f.kind in ("broken", "no text", "bad text")}
    return AuditReport(
        folder,
        found.layout,
        len(clips),
        tuple(findings),
        tuple(clusters),
        splits,
        _corrected(ties, splits, unusable),
        (*notes, *_notes(found, clips, splits)),
    )


def write_corrected_split(report: AuditReport, output: Path) -> None:
    """Write `SPLIT.txt` lists, one name a line, and `audit.json` (findings, counts, notes) into a folder.

    Raises:
        FileExistsError: the folder has files already: lists that are used elsewhere must not change unseen.
    """
    if output.exists() and any(output.iterdir()):
        raise FileExistsError(f"{output} is not empty; give a new folder for the corrected split")
    members: dict[str, list[str]] = {split: [] for split in sorted(set(report.splits.values()))}
    for name, split in sorted(report.corrected.items()):
        members[split].append(name)
    for split, listed in members.items():
        write_aside(output / f"{split}.txt", "".join(f"{name}\n" for name in listed))
    facts = {
        "folder": str(report.folder),
        "layout": report.layout,
        "clips": report.clips,
        "counts": dict(Counter(finding.kind for finding in report.findings)),
        "splits_before": dict(Counter(report.splits.values())),
        "splits_corrected": dict(Counter(report.corrected.values())),
        "notes": list(report.notes),
        "findings": [asdict(finding) for finding in report.findings],
    }
    write_aside(output / "audit.json", json.dumps(facts, indent=1, ensure_ascii=False) + "\n")


def _of_clip(clip: AuditClip, found: Contents) -> Iterator[Finding]:
    """Broken motion and missing or bad texts."""
    if clip.broken:
        yield Finding("broken", clip.name, clip.broken)
    if clip.bad_text:
        yield Finding("bad text", clip.name, clip.bad_text)
    elif found.has_texts and not clip.captions and not clip.name.startswith("shards/"):
        yield Finding("no text", clip.name, "no caption says what it shows")


def _of_lists(found: Contents, names: set[str]) -> list[Finding]:
    """Texts and listed names without motion; names that are listed twice, or in two splits."""
    missing = dict.fromkeys(found.without_motion, "a text, but no motion")
    places: dict[str, list[str]] = defaultdict(list)
    for split, listed in found.lists.items():
        for name in listed:
            places[name].append(split)
            if name not in names:
                missing[name] = f"listed in {split}, but no motion"
    findings = [Finding("no motion", name, why) for name, why in sorted(missing.items())]
    for name, splits in sorted(places.items()):
        counts = Counter(splits)
        for split in (split for split, count in counts.items() if count > 1):
            findings.append(Finding("listed twice", name, f"{counts[split]} times in {split}"))
        real = sorted(set(counts) - {_NO_SPLIT})
        if len(real) > 1:
            findings.append(Finding("in two splits", name, f"in {' and '.join(real)}"))
    return findings


def _splits(lists: Mapping[str, Sequence[str]], names: set[str]) -> dict[str, str]:
    """Clip -> split; of several the most held-out one."""
    result: dict[str, str] = {}
    for split in sorted(set(lists) - {_NO_SPLIT}, key=_rank):
        for name in lists[split]:
            if name in names:
                result.setdefault(name, split)
    return result


def _rank(split: str) -> tuple[int, str]:
    """Held-out splits first, train last."""
    known = {name: place for place, name in enumerate(_HELD_OUT)}
    return known.get(split, len(known) + (split == "train")), split


@dataclass(frozen=True)
class _Tie:
    """Why two clips may not be in different splits."""

    first: str
    second: str
    why: str

    def other(self, name: str) -> str:
        return self.second if name == self.first else self.first


def _ties(clips: Sequence[AuditClip], clusters: Iterable[Cluster]) -> list[_Tie]:
    ties = [
        _Tie(link.first, link.second, _words(link))
        for cluster in clusters
        for link in cluster.links
    ]
    names = {clip.name for clip in clips}
    tied = {frozenset((tie.first, tie.second)) for tie in ties}
    for name in sorted(names):
        *folders, last = name.split("/")
        twin = "/".join((*folders, last[1:]))
        if re.fullmatch(r"M\d+", last) and twin in names and frozenset((name, twin)) not in tied:
            ties.append(_Tie(twin, name, "mirror image, by its name"))
    groups: dict[str, list[str]] = defaultdict(list)
    for clip in clips:
        if clip.group:
            groups[clip.group].append(clip.name)
    for group, members in sorted(groups.items()):
        ties += [_Tie(members[0], name, f"of one recording group, {group}") for name in members[1:]]
    return ties


def _words(link: Link) -> str:
    what = "mirror image" if link.mirrored else "same motion"
    parts = [f"{1000 * link.distance_metres:.1f} mm apart"]
    if link.overlap < 0.95:
        parts.append(f"over {100 * link.overlap:.0f} %")
    if abs(link.tempo - 1) > 0.02:
        parts.append(f"{link.tempo:.2f} times as fast")
    return f"{what}, {', '.join(parts)}"


def _leaks(ties: Iterable[_Tie], splits: Mapping[str, str]) -> list[Finding]:
    """One finding for each held-out clip that another, less held-out split has too."""
    worst: dict[str, _Tie] = {}
    for tie in ties:
        ends = [name for name in (tie.first, tie.second) if name in splits]
        if len(ends) == 2 and splits[ends[0]] != splits[ends[1]]:
            held = min(ends, key=lambda name: _rank(splits[name]))
            known = worst.get(held)
            if known is None or _rank(splits[tie.other(held)]) > _rank(splits[known.other(held)]):
                worst[held] = tie
    return [
        Finding(
            "leak",
            name,
            f"{splits[name]}; {tie.other(name)} of {splits[tie.other(name)]} is the {tie.why}"
            if not tie.why.startswith("of one")
            else f"{splits[name]}; {tie.other(name)} of {splits[tie.other(name)]} is {tie.why}",
        )
        for name, tie in sorted(worst.items())
    ]


def _copies(
    clusters: Iterable[Cluster], frames: Mapping[str, int], splits: Mapping[str, str]
) -> list[Finding]:
    """Clips that another clip of the same split contains."""
    findings = []
    for cluster in clusters:
        for name, link in sorted(redundant(cluster, frames).items()):
            other = link.second if name == link.first else link.first
            if splits.get(name) == splits.get(other):
                findings.append(Finding("duplicate", name, f"{other} is the {_words(link)}"))
    return findings


def _corrected(
    ties: Iterable[_Tie], splits: Mapping[str, str], unusable: set[str]
) -> dict[str, str]:
    """Tied clips go to the most held-out split that one of them is in: a test set stays what it is and grows."""
    parent = {name: name for name in splits}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for tie in ties:
        for end in (tie.first, tie.second):
            parent.setdefault(end, end)
        parent[root(tie.first)] = root(tie.second)
    best: dict[str, str] = {}
    for name, split in splits.items():
        place = root(name)
        best[place] = min(best.get(place, split), split, key=_rank)
    return {name: best[root(name)] for name in splits if name not in unusable}


class _Texts:
    """Captions of clips, by hashes on the disk, to be counted: different ones, and those of several splits."""

    def __init__(self) -> None:
        self._scratch = Scratch(_TEXT, _TEXT_PARTS)
        self._waiting: list[tuple[int, int]] = []  # until they are many
        self._clips = 0

    def add(self, captions: Sequence[str]) -> None:
        """Those of the next clip."""
        for caption in captions:
            form = normal_form(caption).encode()
            number = int.from_bytes(hashlib.blake2b(form, digest_size=8).digest())
            self._waiting.append((number, self._clips))
        self._clips += 1
        if len(self._waiting) > _TEXTS_AT_ONCE:
            self._write()

    def _write(self) -> None:
        found = np.array(self._waiting, _TEXT)
        self._scratch.add_sorted((found["text"] % _TEXT_PARTS).astype(np.int64), found)
        self._waiting.clear()

    def notes(self, splits: Sequence[str]) -> Iterator[str]:
        """What is to be told of them; the split of each clip, "" where it is in none."""
        self._write()
        codes = {name: code for code, name in enumerate(dict.fromkeys(["", *splits]))}
        split_of = np.array([codes[name] for name in splits], np.int64)
        different = shared = 0
        for part in range(_TEXT_PARTS):
            found = self._scratch.read(part)
            different += len(np.unique(found["text"]))
            split = split_of[found["clip"]]
            inside = np.stack((found["text"], split.astype(np.uint64)), axis=1)[split > 0]
            texts = np.unique(inside, axis=0)[:, 0]
            shared += int((np.unique(texts, return_counts=True)[1] > 1).sum())
        if len(self._scratch):
            yield f"captions: {len(self._scratch)}, of them {different} different"
        if shared:
            yield f"captions that stand in more than one split: {shared} (words are no leak)"

    def __enter__(self) -> _Texts:
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.close()


def _notes(found: Contents, clips: Sequence[AuditClip], splits: Mapping[str, str]) -> Iterator[str]:
    outside = sum(clip.name not in splits for clip in clips)
    if found.lists and outside:
        yield f"in no split: {outside} clips"
    yield from (f"{place} has lists too, which were not looked at" for place in found.other_lists)

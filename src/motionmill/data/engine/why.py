"""One clip of a data set -> all that is known of it: measurements, thresholds, decision, words, where it is from."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from motionmill.config import load_recipe
from motionmill.data.candidates import Candidate, read_candidates
from motionmill.data.config import DataConfig
from motionmill.data.engine.captioning import Words, read_words
from motionmill.data.engine.decisions import Decision, judge, read_decisions
from motionmill.data.engine.thresholds import effective
from motionmill.data.folder import Folder
from motionmill.motion.motion import Motion

_LONGEST_NAME: Final = (
    180  # bytes; file systems allow 255, of which some are for what is written aside
)


@dataclass(frozen=True)
class Story:
    """What is known of a clip.

    Attributes:
        candidate: with features, if it has motion.
        decision: what became of it; None while nothing is decided.
        words: its captions; None where it has none.
        config: the settings that hold now.
    """

    candidate: Candidate
    decision: Decision | None
    words: Words | None
    config: DataConfig

    def motion(self) -> Motion | None:
        """Its motion, named by its first caption."""
        from motionmill.motion.features import to_motion

        if self.candidate.features is None:
            return None
        captions = self.words.captions if self.words is not None else ()
        return to_motion(
            self.candidate.features, name=captions[0] if captions else self.candidate.id
        )


def story(folder: Folder, clip_id: str) -> Story:
    """Find a clip, kept or not.

    Raises:
        ValueError: no clip of this name; the nearest names are told.
    """
    config = effective(folder, load_recipe(DataConfig, folder.config))
    unit = _unit_of(folder, clip_id)
    candidate = next(
        row for row in read_candidates(folder.file("candidates", unit)) if row.id == clip_id
    )
    decision = next((row for row in read_decisions(folder, unit) if row.id == clip_id), None)
    path = folder.file("captions", unit)
    words = None
    if path.is_file():
        words = next((row for row in read_words(path) if row.id == clip_id), None)
    return Story(candidate, decision, words, config)


def lines(found: Story) -> Iterator[str]:
    """A story for people."""
    candidate = found.candidate
    yield f"{candidate.id}  ({candidate.frames} frames, {candidate.frames / 30:.2f} s)"
    yield f"decision    {_decision(found)}"
    yield from _measurements(found)
    if candidate.description is not None:
        yield f"shows       {candidate.description.get('long') or candidate.description['sentence']}"
    if found.words is not None and found.words.pending:
        yield f"captions    pending: {found.words.pending}"
    elif found.words is not None:
        yield f"captions    {len(found.words.captions)}, {_plain(found.words.details)}"
        yield from (f"            {caption}" for caption in found.words.captions)
    yield f"labels      {_plain(_short(candidate.labels))}"
    yield f"licence     {candidate.licence or 'unknown'}"
    yield f"group       {candidate.group}"
    yield f"provenance  {_plain(candidate.provenance)}"


def sheet_name(clip_id: str) -> str:
    """A file name for the contact sheet of a clip; a long id is cut off, and its hash follows."""
    name = re.sub(r'[/\\:*?"<>|]', "_", clip_id)
    if len(name.encode()) > _LONGEST_NAME:
        start = name.encode()[:_LONGEST_NAME].decode(errors="ignore")
        name = f"{start}-{hashlib.sha256(clip_id.encode()).hexdigest()[:8]}"
    return f"{name}.png"


def write_sheet(found: Story, path: Path) -> bool:
    """Write a contact sheet of the clip; says whether it has motion to show."""
    from motionmill.formats.render import save

    motion = found.motion()
    if motion is None:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    save(motion, path, caption=f"{found.candidate.id}: {_decision(found)}")
    return True


def _unit_of(folder: Folder, clip_id: str) -> str:
    near: list[str] = []
    for unit in folder.units():
        path = folder.file("candidates", unit)
        if not path.is_file():
            continue
        ids = [row.id for row in read_candidates(path, only=("id",))]
        if clip_id in ids:
            return unit
        near += [name for name in ids if clip_id in name][:3]
        near += difflib.get_close_matches(clip_id, ids, n=2, cutoff=0.8)
    hint = f"; did you mean {', '.join(dict.fromkeys(near[:5]))}?" if near else ""
    raise ValueError(f"{folder.root}: no clip {clip_id!r}{hint}")


def _decision(found: Story) -> str:
    decision = found.decision
    reject = judge(found.candidate, found.config) if decision is None else decision.reject
    if reject is not None:
        value = "" if reject.value is None else f": {_number(reject.value)}"
        limit = "" if reject.threshold is None else f", threshold {_number(reject.threshold)}"
        return f"rejected at stage {reject.stage}, {reject.reason}{value}{limit}"
    if decision is None:
        return "passes the filters; duplicates and splits are not decided yet"
    same = f", shows the same as {decision.cluster}" if decision.cluster else ""
    return f"kept, {decision.split}{same}"


def _measurements(found: Story) -> Iterator[str]:
    """Every measurement with its limits, and whether they hold."""
    measured = found.candidate.measurements
    limits = dict(_limits(found.config))
    for name in sorted(measured):
        value = measured[name]
        told = []
        for kind, limit in limits.get(name, ()):
            holds = value <= limit if kind == "max" else value >= limit
            told.append(f"{'ok' if holds else 'FAILS'}, {kind} {_number(limit)}")
        yield f"  {name:<32} {_number(value):>10}  {'; '.join(told)}".rstrip()


def _limits(config: DataConfig) -> Iterator[tuple[str, list[tuple[str, float]]]]:
    limits: dict[str, list[tuple[str, float]]] = {}
    video = config.video
    parts = (config.transition, config.motion, video.shots, video.people, video.boxes, video.pose)
    for part in parts:
        for field, value in part.model_dump().items():
            kind, _, name = field.partition("_")
            if kind in ("min", "max") and isinstance(value, int | float):
                limits.setdefault(name, []).append((kind, float(value)))
    yield from limits.items()


def _short(labels: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in labels.items() if name not in ("shard", "key")}


def _plain(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in values.items()) or "none"


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"

"""Recordings -> candidates: on our skeleton, at 30 fps, cut into clips, measured and described (stages 5 to 7).

Nothing is judged here but what no threshold can change: what cannot be read, and what was chosen to be left out.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from motionmill.data.candidates import Candidate, made_from, read_metadata, write_candidates
from motionmill.data.clip import Reject
from motionmill.data.config import DataConfig
from motionmill.data.copies.duplicates import signature
from motionmill.data.describing.describe import measure as measured_facts
from motionmill.data.describing.description import describe
from motionmill.data.describing.kinematics import kinematics
from motionmill.data.engine.calibration import between_t_poses
from motionmill.data.engine.clock import Clock
from motionmill.data.engine.cutting import cut_points
from motionmill.data.engine.executor import Tally
from motionmill.data.engine.extracted import people_from, read_extracted
from motionmill.data.engine.quality import breaks, measurements
from motionmill.data.engine.sources import Recording, recordings
from motionmill.data.engine.units import Unit, digest_of, file_sizes, files_changed, read_unit
from motionmill.data.folder import Folder
from motionmill.data.wording.captions import true_labels
from motionmill.motion.features import FEATURES_FPS, from_motion
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import retarget

logger = logging.getLogger(__name__)

_FEWEST_FRAMES: Final = 4  # less has no velocity, no jerk: nothing can be measured
_SIZES: Final = "bytes"
_VERSION: Final = 1  # of what is measured: another one makes all candidates anew


def measured_from(folder: Folder, unit: Unit, config: DataConfig) -> str:
    """Says what the candidates of a unit are made from."""
    videos = unit.kind == "videos"
    before = people_from(folder, unit, config) if videos else unit.digest
    parts = (config.read, config.cut, config.transition)
    return digest_of(_VERSION, before, *(part.model_dump(mode="json") for part in parts))


def is_measured(folder: Folder, unit: Unit, config: DataConfig) -> bool:
    """Whether the candidates of a unit are there, made from the files that are there now."""
    path = folder.file("candidates", unit.name)
    sizes = (read_metadata(path) or {}).get(_SIZES)
    origin = _with_sizes(measured_from(folder, unit, config), sizes)
    return made_from(path) == origin and not files_changed(unit, sizes)


def _with_sizes(origin: str, sizes: str | None) -> str:
    return origin if sizes is None else digest_of(origin, sizes)


def measure_unit(folder: Folder, config: DataConfig, name: str) -> Tally:
    """Write the candidates of a unit."""
    unit = read_unit(folder, name)
    if unit.kind == "videos":
        found: Iterable[Recording] = read_extracted(folder.file("extracted", name), unit, config)
    else:
        found = recordings(unit.input, config.read)
    clock = Clock()
    made = (candidate for take in found for candidate in candidates(take, config, clock))
    path = folder.file("candidates", name)
    sizes = file_sizes(unit) if unit.kind == "files" else None
    origin = _with_sizes(measured_from(folder, unit, config), sizes)
    notes = {} if sizes is None else {_SIZES: sizes}
    count = write_candidates(made, path, made_from=origin, metadata=notes)
    return {**clock.tally(), "candidates": count}


def candidates(
    recording: Recording, config: DataConfig, clock: Clock | None = None
) -> Iterator[Candidate]:
    """The clips of a recording, good and bad; or one row that says why there are none."""
    clock = clock or Clock()
    reason = config.read.exclude.get(recording.id) or recording.unusable
    if reason:
        yield _without_motion(recording, Reject(recording.id, "select", reason))
        return
    if recording.reject is not None and not recording.has_motion:
        yield _without_motion(recording, recording.reject)
        return
    stage = "read"
    try:
        with clock.stage(stage):
            motion = recording.read()
        stage = "retarget"
        with clock.stage(stage):
            if not recording.prepared:
                motion = retarget(motion)
            motion = motion.resample(FEATURES_FPS)
    except (ImportError, MemoryError, OSError):
        raise  # of this machine, not of the recording
    except Exception as error:  # one bad recording of many is a row, whatever is wrong with it
        name = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        text = name + " ".join(str(error).split())
        yield _without_motion(recording, Reject(recording.id, stage, text))
        return

    with clock.stage("transition"):
        stretches = sound_stretches(motion, config)
    if not stretches:
        reject = Reject(recording.id, "motion", "a calibration pose throughout")
        yield _without_motion(recording, reject)
    for first, stop in stretches:
        with clock.stage("motion"):
            cuts = cut_points(motion[first:stop], config.cut)
        for start, end in cuts:
            yield _candidate_or_row(recording, motion, first + start, first + end, clock)


def sound_stretches(motion: Motion, config: DataConfig) -> list[tuple[int, int]]:
    """Frame ranges (start, stop) between breaks, without the calibration pose that takes often start or end with."""
    known = kinematics(motion)
    begin, end = between_t_poses(known.joints)
    broken = breaks(known, config.transition)
    edges = [begin, *(frame for frame in broken if begin < frame < end), end]
    return [(start, stop) for start, stop in itertools.pairwise(edges) if stop > start]


def _candidate_or_row(
    recording: Recording, motion: Motion, start: int, end: int, clock: Clock
) -> Candidate:
    """Frames start .. end of a recording; what cannot be measured is a row that says why, and no end of everything."""
    try:
        return _candidate(recording, motion, start, end, clock)
    except (ImportError, MemoryError, OSError):
        raise
    except Exception as error:
        clip_id = f"{recording.id}@{start}"
        logger.debug("%s", clip_id, exc_info=True)
        reason = f"cannot be measured: {type(error).__name__}: {' '.join(str(error).split())}"
        logger.warning("%s: %s", clip_id, reason)
        return _without_motion(recording, Reject(clip_id, "motion", reason))


def _candidate(
    recording: Recording, motion: Motion, start: int, end: int, clock: Clock
) -> Candidate:
    """Frames start .. end of a recording on our skeleton."""
    clip_id = recording.id if end - start == len(motion) else f"{recording.id}@{start}"
    if end - start < _FEWEST_FRAMES:
        short = Reject(clip_id, "motion", "too short", float(end - start), _FEWEST_FRAMES)
        return _without_motion(recording, short)
    part = motion[start:end].face_forward()
    with clock.stage("motion"):
        known = kinematics(part)
        measured = {**recording.measurements, **measurements(known)}
    with clock.stage("features"):
        features = from_motion(part).float()
    with clock.stage("describe"):
        seen = measured_facts(known.joints.double(), part.rotations[:, 0].double())
        labels = true_labels(window_labels(recording.labels, start, end), seen)
        description = describe(known).as_dict()
    with clock.stage("signature"):
        twin = signature(features)
    content = labels.get("content") or labels.get("label")
    style = labels.get("style")
    return Candidate(
        id=clip_id,
        source=recording.source,
        licence=recording.licence,
        commercial=recording.commercial,
        group=recording.group,
        content=content if isinstance(content, str) else None,
        style=style if isinstance(style, str) else None,
        frames=end - start,
        features=features,
        measurements={name: float(value) for name, value in measured.items()},
        reject=None if recording.reject is None else replace(recording.reject, id=clip_id),
        labels=labels,
        facts=asdict(seen),
        description=description,
        signature=twin,
        provenance={
            **recording.provenance,
            "recording": recording.id,
            "start_frame": start,
            "end_frame": end,
        },
    )


def _without_motion(recording: Recording, reject: Reject) -> Candidate:
    """The row of something that gave no motion."""
    measured = dict(recording.measurements)
    if isinstance(reject.value, float):
        measured["frames"] = reject.value
    return Candidate(
        id=reject.id,
        source=recording.source,
        licence=recording.licence,
        commercial=recording.commercial,
        group=recording.group,
        measurements=measured,
        reject=reject,
        labels=recording.labels,
        provenance={**recording.provenance, "recording": recording.id},
    )


def window_labels(labels: Mapping[str, Any], start: int, end: int) -> dict[str, Any]:
    """The labels of a part of a take: of the segments those that mostly lie in it."""
    result = dict(labels)
    if "segments" in labels:
        kept = []
        for segment in labels["segments"]:
            first, last = int(segment["start_frame"]), int(segment["end_frame"])
            overlap = min(end, last) - max(start, first)
            if overlap >= 0.5 * max(1, last - first):
                kept.append(segment)
        result["segments"] = kept
    return result


def start_measuring(root: Path, config: DataConfig) -> Any:
    """A worker of this step: a function of a unit's name."""
    folder = Folder(root)
    return lambda name: measure_unit(folder, config, name)

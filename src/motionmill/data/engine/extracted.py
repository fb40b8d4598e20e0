"""Videos -> people as motion, kept in a file of their own because nothing costs more to make (stages 1 to 4)."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from motionmill.data.candidates import made_from, read_metadata, read_rows, write_rows
from motionmill.data.clip import Reject
from motionmill.data.config import DataConfig
from motionmill.data.engine.clock import Clock
from motionmill.data.engine.executor import Tally
from motionmill.data.engine.sources import Recording, caption_lines, still_there
from motionmill.data.engine.units import Unit, digest_of, file_sizes, files_changed, read_unit
from motionmill.data.folder import DamagedFileError, Folder
from motionmill.motion.motion import Motion
from motionmill.video.candidate import Candidate as Person
from motionmill.video.candidate import RejectedCandidate
from motionmill.video.config import VideoConfig

if TYPE_CHECKING:
    from motionmill.video.extract import Extraction

_VERSION = 1
_SIZES = "bytes"

Extract = Callable[[Path, str], "Extraction"]
"""A video, and its name for others -> the people in it."""
MakeReady = Callable[[VideoConfig], Extract]
"""Loads what finds people, once a worker; can be pickled. Another one brings another `PoseEstimator`."""


def extracted_from(unit: Unit, config: DataConfig) -> str:
    """Says what the people of a unit are made from."""
    return digest_of(_VERSION, unit.digest, config.estimator, config.video.model_dump(mode="json"))


def people_from(folder: Folder, unit: Unit, config: DataConfig) -> str:
    """The same with what may change: the results of another program, which come bit by bit, and the files."""
    notes = read_metadata(folder.file("extracted", unit.name)) or {}
    sizes = [notes[_SIZES]] if _SIZES in notes else []
    return digest_of(extracted_from(unit, config), notes.get("results"), *sizes)


def is_extracted(folder: Folder, unit: Unit, config: DataConfig) -> bool:
    """Whether the people of a unit have been looked for, in the files that are there now, and all results are taken."""
    notes = read_metadata(folder.file("extracted", unit.name)) or {}
    return (
        made_from(folder.file("extracted", unit.name)) == extracted_from(unit, config)
        and not files_changed(unit, notes.get(_SIZES))
        and (config.estimator != "work list" or results_noted(folder, unit))
    )


def start_extracting(
    root: Path, config: DataConfig, ready: MakeReady | None = None
) -> Callable[[str], Tally]:
    """A worker of this step, with its models loaded: a function of a unit's name."""
    folder = Folder(root)
    if ready is None and config.estimator == "work list":
        ready = functools.partial(elsewhere, folder.work)
    return functools.partial(extract_unit, folder, config, (ready or mediapipe)(config.video))


def mediapipe(config: VideoConfig) -> Extract:
    """People by MediaPipe's landmarks. Raises MissingExtraError."""
    from motionmill.video.extract import extract

    return lambda path, name: extract(path, config)


def elsewhere(work: Path, config: VideoConfig) -> Extract:
    """People whose poses another program estimates from a work list; those without a result are left out, pending."""
    from motionmill.video.extract import extract
    from motionmill.video.worklist import WorkList

    return lambda path, name: extract(path, config, estimator=WorkList(work, name, config.pose))


def results_noted(folder: Folder, unit: Unit) -> bool:
    """Whether no result of another program has come, or changed, since a unit's people were found."""
    noted = (read_metadata(folder.file("extracted", unit.name)) or {}).get("results")
    return noted == _results(folder, unit)


def _results(folder: Folder, unit: Unit) -> str:
    """Says which results there are for the people of a unit."""
    from motionmill.video.worklist import results_of

    names = [_video_id(unit, key) for key in unit.keys]
    return digest_of([results_of(folder.work, name) for name in names])


def _video_id(unit: Unit, key: str) -> str:
    return f"{unit.source}/{key}"


def extract_unit(folder: Folder, config: DataConfig, take: Extract, name: str) -> Tally:
    """Write the people of a unit's videos."""
    unit = read_unit(folder, name)
    clock = Clock()
    rows = (row for key in unit.keys for row in _rows(unit, key, take, clock))
    path = folder.file("extracted", name)
    notes = {_SIZES: file_sizes(unit) or ""}
    if config.estimator == "work list":
        notes["results"] = _results(folder, unit)
    origin = extracted_from(unit, config)
    count = write_rows(rows, _schema(), path, made_from=origin, metadata=notes)
    return {**clock.tally(), "people": count}


def read_extracted(path: Path, unit: Unit, config: DataConfig) -> Iterator[Recording]:
    """The people of a unit as recordings.

    Raises:
        DamagedFileError: the file is not whole.
    """
    licence = config.read.licences.get(unit.source, "")
    captions: dict[str, list[str]] = {}
    for row in read_rows(path):
        try:
            motion = None if row["rotations"] is None else _motion(row)
            reject = (
                None if row["reject"] is None else Reject(row["id"], *json.loads(row["reject"]))
            )
        except (ValueError, TypeError) as error:
            raise DamagedFileError(str(path), str(error)) from None
        key = row["video"]
        if key not in captions:
            captions[key] = caption_lines(unit.path / key)
        yield Recording(
            id=row["id"],
            source=unit.source,
            read=functools.partial(_given, motion),
            licence=licence,
            group=_video_id(unit, key),
            labels={"captions": captions[key]} if captions[key] else {},
            measurements=row["measurements"],
            provenance=json.loads(row["provenance"]),
            prepared=True,
            reject=reject,
            has_motion=motion is not None,
        )


def _given(motion: Motion | None) -> Motion:
    assert motion is not None
    return motion


def _rows(unit: Unit, key: str, take: Extract, clock: Any) -> Iterator[dict[str, Any]]:
    """The people of one video, or the one row of a video that cannot be read."""
    video_id = _video_id(unit, key)
    try:
        with clock.stage("video"):
            found = take(still_there(unit.path / key, unit.path), video_id)
    except (ImportError, MemoryError, OSError):
        raise  # of this machine, not of the video
    except Exception as error:  # one bad video of many is a row, whatever is wrong with it
        name = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        reason = name + " ".join(str(error).split())
        yield _row(video_id, key, Reject(video_id, "shots", reason))
        return
    clock.count("videos")
    clock.count("video_frames", int(found.measurements.get("frames", 0)))
    everyone: list[Person] = [*found.people, *found.rejects]
    if not everyone:
        yield _row(video_id, key, Reject(video_id, "people", "nobody found"), found.measurements)
    for person in sorted(everyone, key=lambda person: (person.shot, person.clip, person.track)):
        yield _of_person(f"{video_id}/{person.id}", key, person, found.measurements)


def _of_person(
    clip_id: str, key: str, person: Person, video: Mapping[str, float]
) -> dict[str, Any]:
    reject = None
    if isinstance(person, RejectedCandidate):
        failure = person.failure
        reject = Reject(clip_id, failure.stage, failure.reason, failure.value, failure.threshold)
    measured = {f"video.{name}": value for name, value in video.items()} | dict(person.measurements)
    row = _row(clip_id, key, reject, measured)
    motion: Motion | None = getattr(person, "motion", None)
    if motion is not None:
        row["rotations"] = motion.rotations.to(torch.float32).contiguous().numpy().tobytes()
        row["root"] = motion.root.to(torch.float32).contiguous().numpy().tobytes()
        row["fps"] = motion.fps
    row["provenance"] = json.dumps(
        {
            "path": key,
            "video_frames": list(person.frames),
            "video_seconds": [round(value, 3) for value in person.seconds],
            "shot": person.shot,
            "track": person.track,
            "flags": list(person.flags),
        },
        sort_keys=True,
    )
    return row


def _row(
    clip_id: str, key: str, reject: Reject | None, measured: Mapping[str, float] | None = None
) -> dict[str, Any]:
    decision = (
        None
        if reject is None
        else json.dumps([reject.stage, reject.reason, reject.value, reject.threshold])
    )
    return {
        "id": clip_id,
        "video": key,
        "measurements": sorted((name, float(value)) for name, value in (measured or {}).items()),
        "reject": decision,
        "rotations": None,
        "root": None,
        "fps": None,
        "provenance": json.dumps({"path": key}),
    }


def _motion(row: Mapping[str, Any]) -> Motion:
    root = np.frombuffer(row["root"], np.float32).reshape(-1, 3)
    rotations = np.frombuffer(row["rotations"], np.float32).reshape(len(root), -1, 3, 3)
    return Motion(
        torch.from_numpy(rotations.copy()).double(),
        torch.from_numpy(root.copy()).double(),
        row["fps"],
        name=row["id"],
    )


def _schema() -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            ("id", pa.string()),
            ("video", pa.string()),
            ("measurements", pa.map_(pa.string(), pa.float64())),
            ("reject", pa.string()),
            ("rotations", pa.large_binary()),
            ("root", pa.large_binary()),
            ("fps", pa.float64()),
            ("provenance", pa.string()),
        ]
    )

"""Measurements of all candidates -> what becomes of each: kept in which split, or rejected and why (stages 10 and 11).

The one step that looks at everything at once. Of each candidate memory holds a name, a few words and where it goes;
signatures, and what becomes of each by its own measurements, lie on the disk meanwhile. One row group a unit, in the
order of the units.
"""

from __future__ import annotations

import functools
import json
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from motionmill.data.candidates import (
    Candidate,
    made_from,
    read_candidates,
)
from motionmill.data.clip import Reject
from motionmill.data.config import DataConfig
from motionmill.data.copies.duplicates import Cluster, find_duplicates, redundant
from motionmill.data.copies.signatures import SignatureStore
from motionmill.data.engine.quality import first_failure
from motionmill.data.engine.units import digest_of
from motionmill.data.folder import DamagedFileError, Folder
from motionmill.data.parquet import parquet_writer, rows_of_group
from motionmill.data.splits import Assignment, SplitRow, assign_splits
from motionmill.data.wording.captions import judge_classes
from motionmill.video.config import VideoConfig

_VERSION = 1
_VIDEO_LIMITS = ("boxes", "pose")
_COLUMNS = (
    "id", "source", "group", "content", "style", "frames", "measurements", "reject", "signature",
    "signature_width",
)  # fmt: skip


@dataclass(frozen=True)
class Decision:
    """What becomes of a candidate.

    Attributes:
        id: the candidate.
        split: where it is used; "" where it is not.
        reject: why it is not used; None where it is.
        assigned: the split that it has or once had: it comes back there.
        cluster: name of the clips that show the same; "" where no other does.
    """

    id: str
    split: str = ""
    reject: Reject | None = None
    assigned: str = ""
    cluster: str = ""


def judge(candidate: Candidate, config: DataConfig) -> Reject | None:
    """Why a candidate is left out by what was measured on itself, or None."""
    seen = candidate.reject
    if candidate.frames and (seen is None or seen.stage in _VIDEO_LIMITS):
        seen = _seen_badly(candidate, config.video)
    if seen is not None:
        return seen
    failure = first_failure(candidate.measurements, config.transition, config.motion)
    return None if failure is None else Reject(candidate.id, *failure)


def _seen_badly(candidate: Candidate, config: VideoConfig) -> Reject | None:
    """The limit of the box or pose filter that a person in a video misses, whatever held when it was found."""
    from motionmill.video.boxes import first_box_failure
    from motionmill.video.extract import pose_failure

    measured = candidate.measurements
    if "height_pixels" not in measured:
        return candidate.reject  # not from a video
    failure = first_box_failure(measured, config.boxes) or pose_failure(measured, config.pose)
    if failure is None:
        return None
    return Reject(candidate.id, failure.stage, failure.reason, failure.value, failure.threshold)


def decided_from(folder: Folder, config: DataConfig, units: Sequence[str]) -> str:
    """Says what the decisions are made from."""
    parts = (
        config.video.boxes,
        config.video.pose,
        config.transition,
        config.motion,
        config.duplicates,
        config.splits,
    )
    made = {unit: made_from(folder.file("candidates", unit)) for unit in units}
    return digest_of(_VERSION, made, *(part.model_dump(mode="json") for part in parts))


def decisions_made_from(folder: Folder) -> str | None:
    """What the decisions that are there were made from; None where there are none."""
    return made_from(folder.decisions)


def decide_all(folder: Folder, config: DataConfig, units: Sequence[str]) -> int:
    """Decide on every candidate and write it down; returns how many are kept.

    Raises:
        DamagedFileError: a file of candidates that is not whole.
        ValueError: two candidates of one name.
    """
    origin = decided_from(folder, config, units)
    disk = folder.scratch
    with tempfile.TemporaryFile("w+", encoding="utf-8", dir=disk) as notes:
        with SignatureStore(disk) as store:
            known = _judge_all(folder, config, units, store, notes)
            clusters = find_duplicates(store, config.duplicates)
        cluster_of = {name: cluster.key for cluster in clusters for name in cluster.ids}
        dropped = _redundant(clusters, _lengths(known, cluster_of), config)
        kept = (_tied(row, cluster_of) for row in known.rows if row.id not in dropped)
        assignment = assign_splits(kept, config.splits, known.assigned)
        notes.seek(0)
        lines = (_decided(line, dropped, assignment, cluster_of) for line in notes)
        _write(folder, lines, units, origin)
    return len(known.rows) - len(dropped) - len(assignment.quarantined)


@dataclass
class _Known:
    """Candidates that pass by their own measurements: what is to be known for copies and splits.

    Attributes:
        rows: for the splits.
        frames: of each row.
        assigned: id -> split of an earlier run.
    """

    rows: list[SplitRow] = field(default_factory=list)
    frames: array[int] = field(default_factory=lambda: array("i"))
    assigned: dict[str, str] = field(default_factory=dict)


def _judge_all(
    folder: Folder, config: DataConfig, units: Sequence[str], store: SignatureStore, notes: IO[str]
) -> _Known:
    """Judge every candidate by itself; a line of notes a unit says what became of each."""
    previous = _assigned_before(folder)
    known = _Known()
    unit_of: dict[str, int] = {}
    words: dict[str | None, str | None] = {}  # so that memory holds each once
    for place, unit in enumerate(units):
        line = []
        for candidate in read_candidates(folder.file("candidates", unit), only=_COLUMNS):
            id = candidate.id
            if id in unit_of:
                other = units[unit_of[id]]
                raise ValueError(f"{id} is in {other} and in {unit}; rename one input")
            unit_of[id] = place
            reject = judge(candidate, config)
            assigned = previous.pop(id, "")
            told = reject and [reject.stage, reject.reason, reject.value, reject.threshold]
            line.append([id, assigned, told])
            if reject is None:
                assert candidate.signature is not None
                store.add(id, candidate.signature)
                known.rows.append(_split_row(candidate, words, known.rows))
                known.frames.append(candidate.frames)
                if assigned:
                    known.assigned[id] = assigned
        notes.write(json.dumps(line) + "\n")
    return known


def _split_row(
    candidate: Candidate, words: dict[str | None, str | None], rows: Sequence[SplitRow]
) -> SplitRow:
    """A row that shares its words with those before."""
    told = (candidate.source, *judge_classes(candidate.content, candidate.style))
    source, content, style = (words.setdefault(word, word) for word in told)
    group = candidate.group
    if rows and rows[-1].group == group:
        group = rows[-1].group
    return SplitRow(candidate.id, source or "", group, content, style)


def _lengths(known: _Known, clustered: Mapping[str, str]) -> dict[str, int]:
    """Frames of the clips that belong to clusters."""
    pairs = zip(known.rows, known.frames, strict=True)
    return {row.id: frames for row, frames in pairs if row.id in clustered}


def _tied(row: SplitRow, cluster_of: Mapping[str, str]) -> SplitRow:
    """The row, in one group with its copies."""
    cluster = cluster_of.get(row.id)
    return row if cluster is None else row._replace(also=(cluster,))


def _decided(
    line: str, dropped: Mapping[str, Reject], assignment: Assignment, cluster_of: Mapping[str, str]
) -> list[Decision]:
    """The decisions on a unit, from its line of notes and what was found among all."""
    result = []
    for id, assigned, told in json.loads(line):
        reject, split = dropped.get(id), ""
        if told is not None:
            reject = Reject(id, *told)
        elif reject is None and id in assignment.quarantined:
            reject = Reject(id, "split", assignment.quarantined[id])
        elif reject is None:
            split = assignment.splits[id]
        cluster = cluster_of.get(id, "")
        result.append(Decision(id, split, reject, split or assigned, cluster))
    return result


def read_decisions(folder: Folder, unit: str | None = None) -> Iterator[Decision]:
    """The decisions of one unit, or of all; none where nothing is decided yet.

    Raises:
        DamagedFileError: the file is not whole.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder.decisions
    if not path.is_file():
        return
    try:
        found = path.stat()
        metadata, places = _contents(path, found.st_ino, found.st_mtime_ns, found.st_size)
        with pq.ParquetFile(path, metadata=metadata, page_checksum_verification=True) as file:
            for name in places if unit is None else (unit,) * (unit in places):
                for row in rows_of_group(file, places[name]):
                    yield _decision(row)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise DamagedFileError(str(path), reason) from None


@functools.lru_cache(maxsize=1)
def _contents(path: Path, *_version: int) -> tuple[Any, dict[str, int]]:
    """Where the file's row groups are, and which is whose: with thousands, not to be read again for each unit."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        units = json.loads(file.schema_arrow.metadata[b"motionmill.units"])
        return file.metadata, {name: place for place, name in enumerate(units)}


def _assigned_before(folder: Folder) -> dict[str, str]:
    """Clip -> split of an earlier run; where its decisions are lost, the lists tell."""
    if folder.decisions.is_file():
        return {row.id: row.assigned for row in read_decisions(folder) if row.assigned}
    return {
        name: path.stem
        for path in sorted((folder.root / "splits").glob("*.txt"))
        for name in path.read_text(encoding="utf-8").splitlines()
    }


def _keys(row: SplitRow, cluster_of: Mapping[str, str]) -> tuple[str, ...]:
    cluster = cluster_of.get(row.id)
    return () if cluster is None else (cluster,)


def _redundant(
    clusters: Sequence[Cluster], frames: dict[str, int], config: DataConfig
) -> dict[str, Reject]:
    """Clips that another one contains, where the config says that they go."""
    if not config.duplicates.drop:
        return {}
    limit = config.duplicates.max_distance_metres
    result = {}
    for cluster in clusters:
        for name, link in redundant(cluster, frames).items():
            other = link.second if link.first == name else link.first
            how = "mirror image of" if link.mirrored else "contained in"
            result[name] = Reject(name, "duplicates", f"{how} {other}", link.distance_metres, limit)
    return result


def _write(
    folder: Folder, decided: Iterable[Sequence[Decision]], units: Sequence[str], origin: str
) -> None:
    import pyarrow as pa

    schema = _schema().with_metadata(
        {"motionmill.made_from": origin, "motionmill.units": json.dumps(list(units))}
    )
    with parquet_writer(folder.decisions, schema) as writer:
        for decisions in decided:
            rows = [_row(decision) for decision in decisions]
            columns = {name: [row[name] for row in rows] for name in schema.names}
            table = pa.table(columns, schema=schema)
            writer.write_table(table, row_group_size=max(1, len(rows)))


def _row(decision: Decision) -> dict[str, Any]:
    reject = decision.reject
    return {
        "id": decision.id,
        "split": decision.split or None,
        "stage": reject and reject.stage,
        "reason": reject and reject.reason,
        "value": None if reject is None else json.dumps(reject.value),
        "threshold": reject and reject.threshold,
        "assigned": decision.assigned or None,
        "cluster": decision.cluster or None,
    }


def _decision(row: Mapping[str, Any]) -> Decision:
    reject = None
    if row["stage"] is not None:
        value = json.loads(row["value"])
        reject = Reject(row["id"], row["stage"], row["reason"], value, row["threshold"])
    return Decision(
        row["id"], row["split"] or "", reject, row["assigned"] or "", row["cluster"] or ""
    )


def _schema() -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            ("id", pa.string()),
            ("split", pa.string()),
            ("stage", pa.string()),
            ("reason", pa.string()),
            ("value", pa.string()),
            ("threshold", pa.float64()),
            ("assigned", pa.string()),
            ("cluster", pa.string()),
        ]
    )

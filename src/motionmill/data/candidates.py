"""Candidates <-> Parquet: every clip that was looked at, kept or not, with its features and all measurements.

Rows are written and read in groups, so that memory holds a few clips, never a unit. Every file says in its metadata
what it was made from, and every page has a checksum.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from motionmill.data.clip import Reject
from motionmill.data.folder import DamagedFileError
from motionmill.data.parquet import body_is_whole, parquet_writer, rows_of
from motionmill.motion.features import NUM_FEATURES

ROWS_AT_ONCE: Final = 64
_MADE_FROM: Final = b"motionmill.made_from"


@dataclass(frozen=True, eq=False)
class Candidate:
    """A clip before it is decided whether it stays, or what is left of one that could not be read.

    Attributes:
        id: unique name, `SOURCE/RECORDING` or `SOURCE/RECORDING@START` for a part of a longer take.
        source, licence, commercial, group, content, style: as in `clip.Clip`.
        frames: length at 30 fps; 0 where there is no motion.
        features: (T, 272) float32 at 30 fps; None where there is no motion, or where they were not asked for.
        measurements: everything that was measured, by name.
        reject: a decision that no threshold changes: not readable, not of our skeleton, chosen to be left out.
        labels: what the source says of the clip.
        facts, description: what the motion shows, as plain data; None where there is no motion.
        signature: (S, 27) int16 for `duplicates`; None where there is no motion.
        provenance: recording, frame range, file, flags.
    """

    id: str
    source: str
    licence: str
    commercial: bool
    group: str
    content: str | None = None
    style: str | None = None
    frames: int = 0
    features: Tensor | None = None
    measurements: Mapping[str, float] = field(default_factory=dict)
    reject: Reject | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] | None = None
    description: Mapping[str, Any] | None = None
    signature: np.ndarray[Any, np.dtype[np.int16]] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)


def write_candidates(
    candidates: Iterable[Candidate],
    path: Path,
    *,
    made_from: str,
    metadata: Mapping[str, str] | None = None,
) -> int:
    """Write the candidates of a unit as they come, and notes; returns how many."""
    rows = map(_row, candidates)
    return write_rows(rows, _schema(), path, made_from=made_from, metadata=metadata)


def read_candidates(
    path: Path, *, without: Sequence[str] = (), only: Sequence[str] = ()
) -> Iterator[Candidate]:
    """The candidates of a unit.

    Args:
        without: columns that are not read ("features"); their fields keep their defaults.
        only: the columns that are read, where they are few.

    Raises:
        DamagedFileError: the file is not whole.
    """
    names = [name for name in only or _schema().names if name not in without]
    for row in read_rows(path, names):
        try:
            candidate = _candidate(row)
        except (ValueError, TypeError, KeyError) as error:
            raise DamagedFileError(str(path), str(error)) from None
        yield candidate


def write_rows(
    rows: Iterable[Mapping[str, Any]],
    schema: Any,
    path: Path,
    *,
    made_from: str,
    metadata: Mapping[str, str] | None = None,
) -> int:
    """Rows -> a Parquet file in which each page has a checksum; `made_from` says when it has to be made again."""
    import pyarrow as pa

    count = 0
    noted = {_MADE_FROM: made_from.encode()}
    with parquet_writer(path, schema.with_metadata(noted)) as writer:
        for group in _groups(rows):
            columns = {name: [row[name] for row in group] for name in schema.names}
            writer.write_table(pa.table(columns, schema=schema.with_metadata(noted)))
            count += len(group)
        writer.add_key_value_metadata(dict(metadata or {}))
    return count


def read_rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file of ours, a few in memory at a time. Raises DamagedFileError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=columns, use_threads=False):
                yield from rows_of(batch)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DamagedFileError(str(path), " ".join(str(error).split())) from None


def made_from(path: Path) -> str | None:
    """What a Parquet file of ours was made from; None where it is missing or not whole."""
    return (read_metadata(path) or {}).get(_MADE_FROM.decode())


def read_metadata(path: Path) -> dict[str, str] | None:
    """The notes in a Parquet file of ours, and its number of rows as `rows`; None where it is missing or not whole."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path)
    except (pa.ArrowException, OSError, ValueError):
        return None
    notes = {
        key.decode(): value.decode(errors="replace")
        for key, value in (metadata.metadata or {}).items()
    }
    return {**notes, "rows": str(metadata.num_rows)}


def check_whole(path: Path) -> bool:
    """Whether a Parquet file is as it was written."""
    if not body_is_whole(path):
        return False
    try:
        for _ in read_rows(path):
            pass
    except (DamagedFileError, FileNotFoundError):
        return False
    return True


def features_to_bytes(features: Tensor) -> bytes:
    """(T, 272) -> float32, row by row."""
    return features.to(torch.float32).contiguous().numpy().tobytes()


def features_from_bytes(data: bytes, frames: int) -> Tensor:
    """The reverse. Raises ValueError where the numbers do not make the frames."""
    numbers = np.frombuffer(data, np.float32)
    if numbers.size != frames * NUM_FEATURES:
        raise ValueError(
            f"{numbers.size} numbers; expected {frames} frames x {NUM_FEATURES}: the shard is damaged, build it again"
        )
    return torch.from_numpy(numbers.reshape(frames, NUM_FEATURES).copy())


def _groups(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    group: list[Mapping[str, Any]] = []
    for row in rows:
        group.append(row)
        if len(group) == ROWS_AT_ONCE:
            yield group
            group = []
    if group:
        yield group


def _row(candidate: Candidate) -> dict[str, Any]:
    reject = candidate.reject
    signature = candidate.signature
    return {
        "id": candidate.id,
        "source": candidate.source,
        "licence": candidate.licence,
        "commercial": candidate.commercial,
        "group": candidate.group,
        "content": candidate.content,
        "style": candidate.style,
        "frames": candidate.frames,
        "features": None if candidate.features is None else features_to_bytes(candidate.features),
        "measurements": sorted(candidate.measurements.items()),
        "reject": None
        if reject is None
        else _plain([reject.stage, reject.reason, reject.value, reject.threshold]),
        "labels": _plain(candidate.labels),
        "facts": None if candidate.facts is None else _plain(candidate.facts),
        "description": None if candidate.description is None else _plain(candidate.description),
        "signature": None if signature is None else np.ascontiguousarray(signature).tobytes(),
        "signature_width": 0 if signature is None else signature.shape[-1],
        "provenance": _plain(candidate.provenance),
    }


def _candidate(row: Mapping[str, Any]) -> Candidate:
    values: dict[str, Any] = {
        name: value
        for name, value in row.items()
        if value is not None and name != "signature_width"
    }
    if "features" in values:
        values["features"] = features_from_bytes(values["features"], row["frames"])
    for name in ("labels", "facts", "description", "provenance"):
        if name in values:
            values[name] = json.loads(values[name])
    if "reject" in values:
        values["reject"] = Reject(values["id"], *json.loads(values["reject"]))
    if "signature" in values:
        flat = np.frombuffer(values["signature"], np.int16)
        values["signature"] = flat.reshape(-1, row["signature_width"])
    for name in ("source", "licence", "group"):
        values.setdefault(name, "")
    return Candidate(commercial=bool(values.pop("commercial", False)), **values)


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _schema() -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            ("id", pa.string()),
            ("source", pa.string()),
            ("licence", pa.string()),
            ("commercial", pa.bool_()),
            ("group", pa.string()),
            ("content", pa.string()),
            ("style", pa.string()),
            ("frames", pa.int32()),
            ("features", pa.large_binary()),
            ("measurements", pa.map_(pa.string(), pa.float64())),
            ("reject", pa.string()),
            ("labels", pa.string()),
            ("facts", pa.string()),
            ("description", pa.string()),
            ("signature", pa.binary()),
            ("signature_width", pa.int16()),
            ("provenance", pa.string()),
        ]
    )

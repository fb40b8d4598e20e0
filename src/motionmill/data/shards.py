"""Clips <-> Parquet shards (zstd), readable by any Parquet tool.

One row a clip: the fields of `Clip`, features as float32 bytes (frames x 272, row-major), provenance as JSON.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from motionmill.data.candidates import (
    ROWS_AT_ONCE,
    features_from_bytes,
    features_to_bytes,
    read_rows,
)
from motionmill.data.clip import Clip
from motionmill.data.folder import DamagedFileError
from motionmill.data.parquet import parquet_writer


class ShardWriter:
    """Writes one shard, a few clips in memory at a time; it appears whole, on leaving the `with`, or not at all."""

    def __init__(self, path: Path, *, made_from: str = "") -> None:
        """Nothing is written yet; `made_from` says when the shard has to be made again."""
        self._path, self._made_from = path, made_from
        self._rows: list[dict[str, Any]] = []
        self._stack = contextlib.ExitStack()
        self._writer: Any = None

    def __enter__(self) -> ShardWriter:
        schema = _schema().with_metadata({"motionmill.made_from": self._made_from})
        self._writer = self._stack.enter_context(parquet_writer(self._path, schema))
        return self

    def add(self, clip: Clip) -> None:
        """One more clip."""
        self._rows.append(_row(clip))
        if len(self._rows) == ROWS_AT_ONCE:
            self._flush()

    def note(self, notes: Mapping[str, str]) -> None:
        """Put something into the file's metadata."""
        self._writer.add_key_value_metadata(dict(notes))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, trace)
        else:
            with self._stack:
                self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            schema = self._writer.schema
            columns = {name: [row[name] for row in self._rows] for name in schema.names}
            self._writer.write_table(pa.table(columns, schema=schema))
            self._rows = []


def write_shard(clips: Iterable[Clip], path: Path) -> None:
    """Write one shard, aside first and then renamed."""
    with ShardWriter(path) as writer:
        for clip in clips:
            writer.add(clip)


def read_shard(path: Path) -> Iterator[Clip]:
    """The clips of a shard, a few in memory at a time.

    Raises:
        DamagedFileError: the file is not whole, or a row's bytes do not make frames of 272 numbers.
    """
    for row in read_rows(path):
        try:
            yield Clip(
                id=row["id"],
                features=features_from_bytes(row["features"], row["frames"]),
                captions=tuple(row["captions"]),
                source=row["source"],
                licence=row["licence"],
                commercial=row["commercial"],
                group=row["group"],
                content=row["content"],
                style=row["style"],
                provenance=json.loads(row["provenance"]),
                split=row.get("split") or "",
                measurements=row.get("measurements") or {},
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedFileError(str(path), f"clip {row.get('id')}: {error}") from None


def _row(clip: Clip) -> dict[str, Any]:
    return {
        "id": clip.id,
        "split": clip.split or None,
        "frames": len(clip),
        "features": features_to_bytes(clip.features),
        "captions": list(clip.captions),
        "source": clip.source,
        "licence": clip.licence,
        "commercial": clip.commercial,
        "group": clip.group,
        "content": clip.content,
        "style": clip.style,
        "measurements": sorted(clip.measurements.items()),
        "provenance": json.dumps(dict(clip.provenance), sort_keys=True, ensure_ascii=False),
    }


def _schema() -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            ("id", pa.string()),
            ("split", pa.string()),
            ("frames", pa.int32()),
            ("features", pa.large_binary()),
            ("captions", pa.list_(pa.string())),
            ("source", pa.string()),
            ("licence", pa.string()),
            ("commercial", pa.bool_()),
            ("group", pa.string()),
            ("content", pa.string()),
            ("style", pa.string()),
            ("measurements", pa.map_(pa.string(), pa.float64())),
            ("provenance", pa.string()),
        ]
    )

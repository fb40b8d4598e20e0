"""Parquet files of a data set: each page has a checksum for whoever reads a part, and all pages together one for
whoever checks the whole, since a bit may also fall over in what stands between the pages."""

from __future__ import annotations

import contextlib
import itertools
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from motionmill.data.folder import aside

_SUM = "motionmill.crc32"
_TAIL_BYTES = 8  # length of the footer, and the magic word
_CHUNK_BYTES = 1 << 20


@contextlib.contextmanager
def parquet_writer(path: Path, schema: Any) -> Iterator[Any]:
    """A writer of a file that appears whole, on leaving the `with`, or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with aside(path) as partial, partial.open("wb") as file:
        summing = _Summing(file)
        with pq.ParquetWriter(
            pa.PythonFile(summing, "w"), schema, compression="zstd", write_page_checksum=True
        ) as writer:
            yield writer
            writer.add_key_value_metadata({_SUM: str(summing.crc)})


def body_is_whole(path: Path) -> bool:
    """Whether all before the footer is as it was written; True for files that do not say."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        noted = (pq.read_metadata(path).metadata or {}).get(_SUM.encode())
        if noted is None:
            return True
        with path.open("rb") as file:
            size = file.seek(-_TAIL_BYTES, 2)
            left = size - int.from_bytes(file.read(4), "little")
            file.seek(0)
            crc = 0
            while left > 0 and (part := file.read(min(left, _CHUNK_BYTES))):
                crc, left = zlib.crc32(part, crc), left - len(part)
    except (pa.ArrowException, OSError, ValueError):
        return False
    return left == 0 and str(crc).encode() == noted


def rows_of(batch: Any) -> list[dict[str, Any]]:
    """The rows of an Arrow batch as plain data, maps as dicts; twice as fast as Arrow's own `to_pylist`."""
    columns = [_values(column) for column in batch.columns]
    return [dict(zip(batch.schema.names, row, strict=True)) for row in zip(*columns, strict=True)]


def rows_of_group(file: Any, group: int) -> Iterator[dict[str, Any]]:
    """The rows of one row group of an open Parquet file."""
    for batch in file.read_row_group(group, use_threads=False).to_batches():
        yield from rows_of(batch)


def _values(column: Any) -> list[Any]:
    """One value a row; numbers without gaps, texts, lists and maps go through numpy, whole columns at a time."""
    from pyarrow import types

    kind = column.type
    if types.is_map(kind) or types.is_list(kind):
        if column.null_count:
            return column.to_pylist(maps_as_pydicts="strict")
        ends = column.offsets.to_pylist()
        parts = list(itertools.pairwise(ends))
        if types.is_list(kind):
            values = _values(column.values)
            return [values[start:end] for start, end in parts]
        keys, items = _values(column.keys), _values(column.items)
        return [dict(zip(keys[start:end], items[start:end], strict=True)) for start, end in parts]
    if column.null_count and types.is_primitive(kind):
        return column.to_pylist()
    return column.to_numpy(zero_copy_only=False).tolist()


class _Summing:
    """A file that keeps the sum of what is written to it."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.crc = file, 0

    def write(self, data: bytes) -> int:
        self.crc = zlib.crc32(data, self.crc)
        return self._file.write(data)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """The file is closed by whoever opened it."""
        self._file.flush()

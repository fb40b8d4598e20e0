"""Many records in parts -> a file without a name, and back part by part: what a step sorts that memory should not hold.

The file is gone with the process, however that ends.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Scratch:
    """Records of one kind, by part; memory holds where they lie.

    Args:
        dtype: of the records.
        parts: how many parts there are.
        folder: on whose disk they lie; that of temporary files by default.
    """

    def __init__(self, dtype: np.dtype[Any], parts: int, folder: Path | None = None) -> None:
        self._dtype = dtype
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by its own `close`
        self._extents = [array("q") for _ in range(parts)]  # from, how many, from, how many, ...
        self._end = 0

    def __len__(self) -> int:
        """How many records there are."""
        return self._end

    @property
    def parts(self) -> int:
        return len(self._extents)

    def add(self, part: int, records: NDArray[Any]) -> None:
        """Records behind those that the part has."""
        assert records.dtype == self._dtype
        if len(records):
            self._file.seek(self._end * self._dtype.itemsize)
            self._file.write(np.ascontiguousarray(records).data)
            self._extents[part].extend((self._end, len(records)))
            self._end += len(records)

    def add_sorted(self, numbers: NDArray[Any], records: NDArray[Any]) -> None:
        """Records into the parts that their numbers say; those of one part keep their order."""
        order = np.argsort(numbers, kind="stable")
        ends = np.searchsorted(numbers[order], np.arange(self.parts + 1))
        for part in np.flatnonzero(np.diff(ends)).tolist():
            self.add(part, records[order[ends[part] : ends[part + 1]]])

    def read(self, part: int) -> NDArray[Any]:
        """The records of a part, in the order in which they came."""
        extents = self._extents[part]
        result = np.empty(sum(extents[1::2]), self._dtype)
        at = 0
        for start, count in zip(extents[::2], extents[1::2], strict=True):
            self._into(result[at : at + count], start)
            at += count
        return result

    def chunks(self, size: int) -> Iterator[NDArray[Any]]:
        """All records, so many at a time, in the order in which they came, whatever their part."""
        for start in range(0, self._end, size):
            result = np.empty(min(size, self._end - start), self._dtype)
            self._into(result, start)
            yield result

    def rows(self, starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[Any]:
        """The records from each start on, one run after the other."""
        result = np.empty(int(counts.sum()), self._dtype)
        at = 0
        for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
            self._into(result[at : at + count], start)
            at += count
        return result

    def close(self) -> None:
        """Gives the disk back."""
        self._file.close()

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _into(self, records: NDArray[Any], start: int) -> None:
        self._file.seek(start * self._dtype.itemsize)
        view = records.view(np.uint8).data
        while view:  # a read may give less than was asked for
            count = self._file.readinto(view)
            if not count:
                raise OSError("a scratch file is shorter than what was written to it")
            view = view[count:]

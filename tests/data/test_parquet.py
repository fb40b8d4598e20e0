"""Arrow batches -> rows: the same as Arrow's own, whatever the types, gaps and slices."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from motionmill.data.parquet import rows_of

COLUMNS: dict[str, tuple[Any, list[Any]]] = {
    "text": (pa.string(), ["a", None, "", "ö\n", "a"]),
    "bytes": (pa.large_binary(), [b"\x00", b"", None, b"abc", b"d"]),
    "count": (pa.int32(), [1, None, -3, 2**31 - 1, 0]),
    "share": (pa.float64(), [0.1, -0.0, 1e300, None, float("inf")]),
    "whole": (pa.float64(), [0.1, 0.2, 0.3, 0.4, 0.5]),
    "yes": (pa.bool_(), [True, False, None, True, False]),
    "words": (pa.list_(pa.string()), [["a"], [], ["b", "c"], ["d", None], ["e"]]),
    "numbers": (
        pa.map_(pa.string(), pa.float64()),
        [{"x": 1.0}, {}, {"y": 2.0, "x": 3.0}, {"z": 0.0}, {"x": 4.0}],
    ),
    "gaps": (pa.list_(pa.string()), [["a"], None, [], ["b"], None]),
}


@pytest.mark.parametrize(("start", "length"), [(0, 5), (1, 3), (2, 0), (4, 1)])
def test_rows_are_those_of_arrow(start: int, length: int) -> None:
    arrays = {
        name: pa.array([list(v.items()) if isinstance(v, dict) else v for v in values], kind)
        for name, (kind, values) in COLUMNS.items()
    }
    batch = pa.record_batch(arrays).slice(start, length)
    rows = rows_of(batch)
    assert rows == batch.to_pylist(maps_as_pydicts="strict")
    assert all(type(row["count"]) in (int, type(None)) for row in rows)
    assert all(type(row["yes"]) in (bool, type(None)) for row in rows)

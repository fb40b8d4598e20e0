"""Records come back by part, in the order in which they were added, and the file has no name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motionmill.data.scratch import Scratch

KIND = np.dtype([("number", "<i4"), ("place", "<i2", 3)])


def records(numbers: np.ndarray) -> np.ndarray:
    result = np.zeros(len(numbers), KIND)
    result["number"] = numbers
    result["place"] = numbers[:, None] * np.array([1, -1, 2])
    return result


def test_records_come_back_by_part(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    with Scratch(KIND, 7, tmp_path) as scratch:
        added = []
        for size in (0, 5, 3000, 1):
            numbers = generator.integers(0, 1 << 20, size)
            scratch.add_sorted(numbers % 7, records(numbers))
            added.append(numbers)
        numbers = np.concatenate(added)
        assert len(scratch) == len(numbers) == 3006
        for part in range(7):
            assert np.array_equal(scratch.read(part), records(numbers[numbers % 7 == part]))
        chunks = list(scratch.chunks(1000))
        assert [len(chunk) for chunk in chunks] == [1000, 1000, 1000, 6]
        assert sorted(np.concatenate(chunks)["number"]) == sorted(numbers)
        assert list(tmp_path.iterdir()) == []


def test_runs_of_records(tmp_path: Path) -> None:
    with Scratch(KIND, 1, tmp_path) as scratch:
        scratch.add(0, records(np.arange(50)))
        found = scratch.rows(np.array([40, 3, 7]), np.array([2, 0, 3]))
        assert found["number"].tolist() == [40, 41, 7, 8, 9]
        scratch.add(0, records(np.arange(50, 60)))  # reading has not moved where the next ones go
        assert scratch.read(0)["number"].tolist() == list(range(60))


def test_what_was_not_written_is_not_read(tmp_path: Path) -> None:
    with Scratch(KIND, 1, tmp_path) as scratch:
        scratch.add(0, records(np.arange(3)))
        with pytest.raises(OSError, match="shorter"):
            scratch.rows(np.array([2]), np.array([5]))

"""Damaged files of every reader: a refusal of one line or a correct read, whatever is done to them (`corpus.py`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.formats.damage import READERS

MEMORY = 1 << 30


def corpus(readers: str, count: int, seed: int) -> dict[str, Any]:
    folder = Path(__file__).parent
    command = [
        sys.executable,
        str(folder / "corpus.py"),
        readers,
        f"--count={count}",
        f"--seed={seed}",
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, f"the process died ({done.returncode}): {done.stderr[-2000:]}"
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def check(result: dict[str, Any]) -> None:
    assert [finding for findings in result["findings"].values() for finding in findings] == []
    assert result["peak_bytes"] < MEMORY


def test_some_damaged_files_of_every_reader() -> None:
    result = corpus("all", 100, 7)
    assert set(result["findings"]) == set(READERS)
    check(result)


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_many_damaged_files(reader: str) -> None:
    check(corpus(reader, 2000, 1))

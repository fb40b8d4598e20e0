"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Two processes run the tests: with a thread each they do not wait for one another's cores. What they start inherits it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the checkout: real motion, captions and official outputs."""
    if not (SHARED / "data").is_dir():
        pytest.skip(
            f"{SHARED} is not here: real data and official fixtures are needed for this test"
        )
    return SHARED

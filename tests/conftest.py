"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the checkout: real motion, captions and official outputs."""
    if not (SHARED / "data").is_dir():
        pytest.skip(
            f"{SHARED} is not here: real data and official fixtures are needed for this test"
        )
    return SHARED

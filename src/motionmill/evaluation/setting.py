"""A model and what is other than its own about how it draws -> one system with a name and a version.

Two settings of one model are two systems: they have names that tell them apart, and what one has made is not taken for
the other's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from motionmill.generator.config import SamplingConfig
from motionmill.generator.release import find_release
from motionmill.pipeline import TextToMotion
from motionmill.training.weights import SUMS_NAME


@dataclass(frozen=True)
class Setting:
    """How a model draws.

    Attributes:
        name: the model's, and what is other than its own.
        version: hash of its files and of all below.
        sampling: temperature, truncation, guidance.
        candidates: motions drawn of a text, of which the ranker takes the best.
    """

    name: str
    version: str
    sampling: SamplingConfig
    candidates: int


def setting_of(
    model: str | Path,
    pipeline: TextToMotion,
    *,
    changes: Mapping[str, float | int | None] | None = None,
    candidates: int | None = None,
    name: str = "",
) -> Setting:
    """The setting of a loaded model.

    Args:
        model: its name or folder, whose checksums tell its version.
        changes: of its own sampling; None leaves a value.
        name: instead of one made from the changes.

    Raises:
        ValueError: a value that does not go.
    """
    config = pipeline.release.config
    sampling = config.sampling.changed(changes or {})
    count = pipeline.tokens.num_candidates(candidates)
    if not name:
        before, after = config.sampling.model_dump(), sampling.model_dump()
        parts = [f"{key} {after[key]:g}" for key in after if after[key] != before[key]]
        if count != pipeline.tokens.num_candidates(None):
            parts.append(f"{count} candidate{'s' if count > 1 else ''}")
        name = ", ".join((config.name, *parts))
    digest = hashlib.sha256((find_release(model) / SUMS_NAME).read_bytes())
    digest.update(json.dumps([sampling.model_dump(mode="json"), count]).encode())
    return Setting(name, digest.hexdigest()[:16], sampling, count)

"""Recording groups -> splits that do not leak: whole groups, and held-out (content, style) pairs."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from motionmill.data.config import DataConfig, Split


class SplitRow(NamedTuple):
    """What a split needs to know of a clip; content and style as judge classes."""

    id: str
    source: str
    group: str
    content: str | None
    style: str | None


def assign_splits(rows: Iterable[SplitRow], config: DataConfig) -> dict[str, Split]:
    """Clip id -> split.

    A group that shows a held-out pair goes to that pair's split, whatever its source. Of the other groups of every
    source, the first `test_fraction` and the next `val_fraction` in the order of a seeded hash are held out.
    """
    pairs: Mapping[tuple[str, str], Split] = {
        (pair.content, pair.style): pair.split for pair in config.held_out_pairs
    }
    groups: dict[str, list[SplitRow]] = defaultdict(list)
    for row in rows:
        groups[row.group].append(row)

    splits: dict[str, Split] = {}
    by_source: dict[str, list[str]] = defaultdict(list)
    for group, members in groups.items():
        held = {
            pairs[row.content, row.style]
            for row in members
            if row.content is not None
            and row.style is not None
            and (row.content, row.style) in pairs
        }
        if held:
            split: Split = "test_pairs" if "test_pairs" in held else "val_pairs"
            splits.update({row.id: split for row in members})
        else:
            by_source[members[0].source].append(group)

    for source, names in by_source.items():
        fractions = (
            (0.0, 0.0)
            if source in config.train_only
            else (config.test_fraction, config.val_fraction)
        )
        num_test, num_val = (round(fraction * len(names)) for fraction in fractions)
        names.sort(key=lambda name: hashlib.sha256(f"{config.seed}/{name}".encode()).digest())
        for place, name in enumerate(names):
            split = "test" if place < num_test else "val" if place < num_test + num_val else "train"
            splits.update({row.id: split for row in groups[name]})
    return splits

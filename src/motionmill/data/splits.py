"""Recording groups -> splits that do not leak, that hold pairs out, and that stay as they are while data grows.

Clips that share a group key (the recording, its source video, a subject, a duplicate cluster, the original of a mirror
image), directly or through others, are of one split. Clips that were assigned before stay where they are.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from motionmill.data.split_config import SPLITS, Split, SplitConfig

_ORDER: Final[Mapping[str, int]] = {split: place for place, split in enumerate(SPLITS)}


class SplitRow(NamedTuple):
    """What a split needs to know of a clip.

    Attributes:
        group: the recording; clips of one group are never parted.
        content, style: as judge classes.
        also: more group keys: the source video, the subject, the duplicate cluster, the original of a mirror image.
    """

    id: str
    source: str
    group: str
    content: str | None
    style: str | None
    also: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.group, *self.also)


@dataclass(frozen=True)
class Assignment:
    """Which clip is in which split.

    Attributes:
        splits: clip id -> split.
        quarantined: new clip id -> why it is in none.
        straddling: group key -> the splits that clips assigned before have in common by it: old leaks, which stay,
            because old assignments win.
    """

    splits: Mapping[str, Split]
    quarantined: Mapping[str, str] = field(default_factory=dict)
    straddling: Mapping[str, tuple[Split, ...]] = field(default_factory=dict)


def assign_splits(
    rows: Iterable[SplitRow], config: SplitConfig, previous: Mapping[str, str] | None = None
) -> Assignment:
    """Assign every clip to a split; the order of the rows does not matter.

    A new clip follows the clips of its groups that were assigned before. One that would bridge two splits, or that
    shows a held-out pair in a group that is trained on, is quarantined. A new group that shows a held-out pair goes to
    that pair's split, whatever its source. Of the other groups of every source, a fraction is held out, in the order of
    a seeded hash; with `stratify` the same fraction of every content.

    Args:
        rows: all clips, old and new.
        config: fractions, pairs, seed.
        previous: clip id -> split of an earlier assignment; ids that are in no row do no harm.

    Raises:
        ValueError: an unknown split in `previous`, or two rows of one id.
    """
    ordered = sorted(rows, key=lambda row: row.id)
    old = _checked(ordered, previous or {})
    new = [row for row in ordered if row.id not in old]
    of_key = _splits_of_keys(ordered, old, {key for row in new for key in row.keys})
    quarantined: dict[str, str] = {}
    splits: dict[str, Split] = dict(old)
    fresh: list[list[SplitRow]] = []
    for component in _components(new):
        kept, left_out = _without_bridges(component, of_key)
        quarantined |= left_out
        for part in _components(kept):
            touched = {split for row in part for key in row.keys for split in of_key.get(key, {})}
            if touched:
                (split,) = touched
                followed, held = _following(part, split, config)
                splits |= followed
                quarantined |= held
            else:
                fresh.append(part)
    splits |= _fresh(fresh, ordered, old, config)
    return Assignment(splits, quarantined, _straddling(ordered, old))


def _checked(rows: Sequence[SplitRow], previous: Mapping[str, str]) -> dict[str, Split]:
    """The earlier splits of the clips that are there."""
    known: dict[str, Split] = {split: split for split in SPLITS}
    result: dict[str, Split] = {}
    for before, row in zip([None, *rows], rows, strict=False):
        if before is not None and before.id == row.id:
            raise ValueError(f"splits: two clips have the id {row.id!r}; expected different ones")
        if (split := previous.get(row.id)) is not None:
            if split not in known:
                raise ValueError(
                    f"splits: clip {row.id!r} was in {split!r}; expected one of {', '.join(SPLITS)}"
                )
            result[row.id] = known[split]
    return result


def _splits_of_keys(
    rows: Sequence[SplitRow], old: Mapping[str, Split], keys: Container[str]
) -> dict[str, Counter[Split]]:
    """Group key -> how many old clips it has in which split, for some keys."""
    result: dict[str, Counter[Split]] = defaultdict(Counter)
    for row in rows:
        if row.id in old:
            for key in row.keys:
                if key in keys:
                    result[key][old[row.id]] += 1
    return dict(result)


def _straddling(rows: Sequence[SplitRow], old: Mapping[str, Split]) -> dict[str, tuple[Split, ...]]:
    """Group keys whose old clips are in several splits."""
    first: dict[str, Split] = {}
    several: dict[str, set[Split]] = {}
    for row in rows:
        if row.id in old:
            for key in row.keys:
                split = first.setdefault(key, old[row.id])
                if split != old[row.id]:
                    several.setdefault(key, {split}).add(old[row.id])
    return {
        key: tuple(sorted(found, key=_ORDER.__getitem__)) for key, found in sorted(several.items())
    }


def _components(rows: Sequence[SplitRow]) -> Iterator[list[SplitRow]]:
    """Rows that share keys, directly or through others; components in the order of their first row."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for row in rows:
        for key in row.also:
            parent[root(key)] = root(row.group)
    found: dict[str, list[SplitRow]] = defaultdict(list)
    for row in rows:
        found[root(row.group)].append(row)
    yield from found.values()


def _without_bridges(
    component: list[SplitRow], of_key: Mapping[str, Counter[Split]]
) -> tuple[list[SplitRow], dict[str, str]]:
    """The new clips of a component that can follow one split, and why each of the others cannot.

    A component that touches several splits stays with that of the most old clips; clips that touch another one go.
    """
    touched: Counter[Split] = Counter()
    for key in {key for row in component for key in row.keys}:
        touched.update(of_key.get(key, {}))
    if len(touched) < 2:
        return component, {}
    home = max(touched, key=lambda split: (touched[split], -_ORDER[split]))
    kept, left_out = [], {}
    for row in component:
        others = [
            f"{split} by {key}"
            for key in row.keys
            for split in sorted(of_key.get(key, {}), key=_ORDER.__getitem__)
            if split != home
        ]
        if others:
            left_out[row.id] = f"would bridge {home} and {', '.join(others)}"
        else:
            kept.append(row)
    return kept, left_out


def _following(
    part: list[SplitRow], split: Split, config: SplitConfig
) -> tuple[dict[str, Split], dict[str, str]]:
    """New clips of a group that is assigned already: a held-out pair must not come into training that way."""
    followed: dict[str, Split] = {}
    held: dict[str, str] = {}
    for row in part:
        pair = _held_out(row, config)
        if pair is not None and split == "train":
            held[row.id] = (
                f"shows the pair ({row.content}, {row.style}), held out for {pair}, in a group of train"
            )
        else:
            followed[row.id] = split
    return followed, held


def _held_out(row: SplitRow, config: SplitConfig) -> Split | None:
    for pair in config.held_out_pairs:
        if (pair.content, pair.style) == (row.content, row.style):
            return pair.split
    return None


class _Group(NamedTuple):
    """A component of new clips that no earlier assignment and no pair decides."""

    order: bytes
    source: str
    content: str
    rows: list[SplitRow]


def _fresh(
    components: Iterable[list[SplitRow]],
    rows: Sequence[SplitRow],
    old: Mapping[str, Split],
    config: SplitConfig,
) -> dict[str, Split]:
    """Splits of the groups of which nothing was assigned before."""
    splits: dict[str, Split] = {}
    by_source: dict[str, list[_Group]] = defaultdict(list)
    for component in components:
        pairs = {pair for row in component if (pair := _held_out(row, config)) is not None}
        if pairs:
            split: Split = "test_pairs" if "test_pairs" in pairs else "val_pairs"
            splits |= {row.id: split for row in component}
        else:
            group = _group(component, config)
            by_source[group.source].append(group)
    before = _old_groups(rows, old, config)
    for source, groups in by_source.items():
        if source in config.train_only:
            chosen: dict[Split, list[_Group]] = {}
        else:
            chosen = _choose(groups, before[source], config)
        held = {id(group): split for split, found in chosen.items() for group in found}
        for group in groups:
            splits |= {row.id: held.get(id(group), "train") for row in group.rows}
    return splits


def _group(rows: list[SplitRow], config: SplitConfig) -> _Group:
    name = min(row.group for row in rows)
    order = hashlib.sha256(f"{config.seed}/{name}".encode()).digest()
    contents = Counter(row.content or "" for row in rows)
    content = min(contents, key=lambda content: (-contents[content], content))
    return _Group(order, rows[0].source, content if config.stratify else "", rows)


def _old_groups(
    rows: Sequence[SplitRow], old: Mapping[str, Split], config: SplitConfig
) -> dict[str, Counter[tuple[str, str]]]:
    """Source -> how many old groups are of each (content, split); pairs that are held out apart do not count."""
    result: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for component in _components([row for row in rows if row.id in old]):
        group = _group(component, config)
        split = old[component[0].id]
        if split in ("train", "val", "test"):
            result[group.source][group.content, split] += 1
    return result


def _choose(
    groups: list[_Group], before: Counter[tuple[str, str]], config: SplitConfig
) -> dict[Split, list[_Group]]:
    """The groups of a source that go to test and to val: as many as the fractions ask for of all, old and new."""
    left = sorted(groups, key=lambda group: group.order)
    chosen: dict[Split, list[_Group]] = {}
    fractions: tuple[tuple[Split, float], ...] = (
        ("test", config.test_fraction),
        ("val", config.val_fraction),
    )
    size = len(groups) + sum(before.values())
    sizes = Counter(group.content for group in groups)
    for (content, _), count in before.items():
        sizes[content] += count
    for split, fraction in fractions:
        had = {content: before[content, split] for content in sizes}
        wanted = min(max(0, round(fraction * size) - sum(had.values())), len(left))
        needs = {content: max(0.0, fraction * sizes[content] - had[content]) for content in sizes}
        available = Counter(group.content for group in left)
        counts = _shares(wanted, needs, available)
        chosen[split] = []
        rest = []
        for group in left:
            if counts[group.content] > 0:
                counts[group.content] -= 1
                chosen[split].append(group)
            else:
                rest.append(group)
        left = rest
    return chosen


def _shares(total: int, needs: Mapping[str, float], available: Mapping[str, int]) -> Counter[str]:
    """A total in whole parts, near the needs and at most what is available: largest remainders first."""
    whole = sum(needs.values())
    scale = total / whole if whole else 0.0
    ideal = {name: scale * need for name, need in needs.items()}
    counts = Counter(
        {name: min(math.floor(value), available.get(name, 0)) for name, value in ideal.items()}
    )
    while sum(counts.values()) < total:
        name = max(
            (name for name in needs if counts[name] < available.get(name, 0)),
            key=lambda name: (ideal[name] - counts[name], name),
        )
        counts[name] += 1
    return counts

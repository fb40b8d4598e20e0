"""Inputs -> units of work, remembered in the data set: a unit never changes, new recordings make new units."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from motionmill.data.config import UnitConfig
from motionmill.data.engine.sources import Input, Kind
from motionmill.data.folder import DamagedFileError, Folder, write_text

_UNITS_AT_LEAST: Final = 64  # of an input, so that many workers have something to do until the end
_SMALL_UNIT: Final = 32  # recordings; smaller ones cost more than they help
_WRITTEN_AT_ONCE: Final = 16


@dataclass(frozen=True)
class Unit:
    """Some recordings or videos of one input.

    Attributes:
        name: `SOURCE-00000`; also the name of its files.
        kind: of the input.
        source: first part of its clips' ids.
        path: folder of the input.
        keys: see `sources.Input`.
    """

    name: str
    kind: Kind
    source: str
    path: Path
    keys: tuple[str, ...]

    @property
    def input(self) -> Input:
        return Input(self.kind, self.source, self.path, self.keys)

    @property
    def digest(self) -> str:
        """Says what the unit is made of, wherever the input lies."""
        return digest_of([self.kind, self.source, *self.keys])


def digest_of(*parts: Any) -> str:
    """A hash of plain data."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def file_sizes(unit: Unit) -> str | None:
    """Bytes of each file of a unit, 0 where it is not there, as a note; None where its recordings are no files."""
    if unit.kind not in ("files", "videos"):
        return None
    return json.dumps([_size(unit.path / key) for key in unit.keys])


def files_changed(unit: Unit, noted: str | None) -> bool:
    """Whether a file of a unit has another size than was noted, as one that was downloaded again; gone is no change."""
    if noted is None:
        return False
    sizes = (_size(unit.path / key) for key in unit.keys)
    return any(size not in (0, was) for size, was in zip(sizes, json.loads(noted), strict=True))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def plan_units(folder: Folder, inputs: Sequence[Input], config: UnitConfig) -> None:
    """Make units of all that no unit holds yet; where an input has moved, its units follow.

    Raises:
        ValueError: an input that has the name of an earlier one and none of its recordings.
    """
    known: dict[tuple[str, str], list[Unit]] = {}
    made: list[Unit] = []
    for unit in read_units(folder):
        known.setdefault((unit.source, unit.kind), []).append(unit)
    for one in inputs:
        before = known.get((one.source, one.kind), [])
        had = {key for unit in before for key in unit.keys}
        moved = any(unit.path != one.path for unit in before)
        if moved and not had & set(one.keys):
            raise ValueError(
                f"{one.path}: the data set has other recordings under the name {one.source!r}; "
                "rename the folder, its clips' ids start with it"
            )
        made += [replace(unit, path=one.path) for unit in before if unit.path != one.path]
        new = [key for key in one.keys if key not in had]
        for name, keys in _chunks(one, new, {unit.name for unit in before}, config):
            made.append(Unit(name, one.kind, one.source, one.path, tuple(keys)))
    with ThreadPoolExecutor(_WRITTEN_AT_ONCE) as threads:  # which mostly wait for the disk
        list(threads.map(functools.partial(_write, folder), made))


def read_units(folder: Folder) -> Iterator[Unit]:
    """All units, in the order of their names."""
    return (read_unit(folder, name) for name in folder.units())


def read_unit(folder: Folder, name: str) -> Unit:
    """One unit. Raises DamagedFileError."""
    path = folder.file("units", name)
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        return Unit(name, row["kind"], row["source"], Path(row["path"]), tuple(row["keys"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFileError(str(path), f"{error!r}") from None


def _chunks(
    one: Input, keys: Sequence[str], taken: set[str], config: UnitConfig
) -> Iterator[tuple[str, Sequence[str]]]:
    """Names that are free, and the keys of each: a unit whose file was lost comes back under its name.

    How many recordings a unit has follows from the input alone, so that the set does not depend on who makes it.
    """
    few = max(_SMALL_UNIT, -(-len(one.keys) // _UNITS_AT_LEAST))
    size = config.videos if one.kind == "videos" else min(config.recordings, few)
    middle = "-videos" if one.kind == "videos" else ""
    names = (f"{one.source}{middle}-{index:06d}" for index in itertools.count())
    free = (name for name in names if name not in taken)
    for start in range(0, len(keys), size):
        yield next(free), keys[start : start + size]


def _write(folder: Folder, unit: Unit) -> None:
    row = {
        "kind": unit.kind,
        "source": unit.source,
        "path": str(unit.path),
        "keys": list(unit.keys),
    }
    write_text(folder.file("units", unit.name), json.dumps(row, ensure_ascii=False, indent=0))

"""BVH text -> hierarchy, channel values and frame rate, with an error that names the line where it is none.

Shapes: T frames, C channels. Comments (from # or // to the end of a line), empty lines, any spacing and any kind
of line ends are read. The format: M. Meredith and S. Maddock, "Motion Capture File Formats Explained", 2001, section on
BVH.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from motionmill.formats.channels import Hierarchy

_CHANNELS = ("Xposition", "Yposition", "Zposition", "Xrotation", "Yrotation", "Zrotation")
_COMMENT = re.compile(r"(?:^|(?<=\s))(?:#|//).*")
_MAX_JOINTS = 1_000
_MAX_VALUE = 1e9


def parse(text: str, file: str) -> tuple[Hierarchy, NDArray[np.float64], float]:
    """The text of a BVH file -> its hierarchy, (T, C) values in file units and degrees, and frames per second.

    Raises:
        ValueError: not BVH; the message names the file, the line, what was expected and what is there.
    """
    lines = text.splitlines()
    if "#" in text or "//" in text:
        lines = [_COMMENT.sub("", line) for line in lines]
    hierarchy, first = _parse_hierarchy(lines, file)
    values, fps = _parse_motion(lines, first, hierarchy.num_channels, file)
    return hierarchy, values, fps


@dataclass
class _Builder:
    """Collects the statements of a HIERARCHY."""

    names: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    offsets: list[list[float]] = field(default_factory=list)
    channels: list[tuple[str, ...]] = field(default_factory=list)
    open: list[int] = field(
        default_factory=list
    )  # open braces: a joint's index, -1 for an End Site
    pending: int | None = None  # what the next brace opens
    uses: dict[str, int] = field(default_factory=dict)  # how often a joint's name was asked for

    def take(self, statement: str, where: str) -> None:
        """Adds one statement. Raises ValueError at what does not belong there."""
        word, _, rest = statement.partition(" ")
        inside = self.open[-1] if self.open else None
        if statement == "{" and self.pending is not None:
            self.open.append(self.pending)
            self.pending = None
        elif statement == "}" and self.open:
            self.open.pop()
        elif word.upper() == "ROOT" and not self.names:
            self._begin(rest.strip(), None, where)
        elif word.upper() == "JOINT" and inside not in (None, -1):
            self._begin(rest.strip(), inside, where)
        elif word.upper() == "END" and inside not in (None, -1):
            self.pending = -1
        elif word.upper() == "OFFSET" and inside is not None:
            offset = _floats(rest.split(), 3, where)
            if max(map(abs, offset)) > _MAX_VALUE:
                raise ValueError(f"{where}: OFFSET {rest[:60]}; expected less than {_MAX_VALUE:g}")
            if inside >= 0:
                self.offsets[inside] = offset
        elif word.upper() == "CHANNELS" and inside not in (None, -1):
            self.channels[self.open[-1]] = _channels(rest.split(), where)
        else:
            raise ValueError(
                f"{where}: {statement[:60]!r} does not belong here; expected one tree of ROOT and JOINTs, each with "
                "braces, OFFSET and CHANNELS"
            )

    def _begin(self, name: str, parent: int | None, where: str) -> None:
        if not name:
            raise ValueError(f"{where}: a joint without a name")
        if len(self.names) >= _MAX_JOINTS:
            raise ValueError(f"{where}: more than {_MAX_JOINTS} joints")
        name = self._different(name)
        self.pending = len(self.names)
        self.names.append(name)
        self.parents.append(-1 if parent is None else parent)
        self.offsets.append([0.0, 0.0, 0.0])
        self.channels.append(())

    def _different(self, name: str) -> str:
        """The name, with underscores where an earlier joint has it."""
        count = self.uses.get(name, 0)
        self.uses[name] = count + 1
        return name if not count else self._different(name + "_" * count)


def _parse_hierarchy(lines: Sequence[str], file: str) -> tuple[Hierarchy, int]:
    """Lines of a file -> its hierarchy and the index of the line after the one that says MOTION."""
    builder = _Builder()
    statements = _statements(lines)
    number, statement = next(statements, (1, ""))
    if statement.upper() != "HIERARCHY":
        raise ValueError(
            f"{file}, line {number}: expected HIERARCHY, got {statement[:40]!r}; this is not a BVH file"
        )
    for number, statement in statements:
        where = f"{file}, line {number}"
        if statement.upper() == "MOTION":
            if builder.open or not builder.names:
                raise ValueError(
                    f"{where}: MOTION, but {len(builder.open)} braces of the hierarchy are open"
                )
            offsets = np.array(builder.offsets, dtype=np.float64)
            names, channels = tuple(builder.names), tuple(builder.channels)
            return Hierarchy(names, tuple(builder.parents), offsets, channels), number
        builder.take(statement, where)
    raise ValueError(f"{file}, line {len(lines)}: the file ends before MOTION")


def _statements(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """(line number, statement) with braces as statements of their own and single spaces."""
    for number, line in enumerate(lines, 1):
        for piece in re.findall(r"[{}]|[^{}]+", line):
            if statement := " ".join(piece.split()):
                yield number, statement


def _channels(words: Sequence[str], where: str) -> tuple[str, ...]:
    """The words after CHANNELS -> channel names."""
    chosen = tuple(word.capitalize() for word in words[1:])
    known = all(channel in _CHANNELS for channel in chosen) and len(set(chosen)) == len(chosen)
    if not words or words[0] != str(len(chosen)) or not known:
        raise ValueError(
            f"{where}: expected a number and as many of {', '.join(_CHANNELS)}, got {' '.join(words)[:80]!r}"
        )
    return chosen


def _floats(words: Sequence[str], count: int, where: str) -> list[float]:
    """Exactly `count` finite numbers."""
    if any("," in word for word in words):
        word = next(word for word in words if "," in word)
        raise ValueError(
            f"{where}: {word[:30]!r}: a comma in a number; BVH has decimal points (1.5) and spaces between numbers: "
            "export it again with an English number format"
        )
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    if len(values) != count or not np.isfinite(values).all():
        raise ValueError(
            f"{where}: expected {count} numbers, got {' '.join(words)[:60] or 'none'!r}"
        )
    return values


def _parse_motion(
    lines: Sequence[str], first: int, num_channels: int, file: str
) -> tuple[NDArray[np.float64], float]:
    """The lines after MOTION -> (T, C) values and frames per second."""
    filled = [
        (number, line) for number, line in enumerate(lines[first:], first + 1) if line.strip()
    ]
    head = " ".join(line for _, line in filled[:2])
    match = re.fullmatch(
        r"\s*Frames\s*:\s*(\d{1,9})\s+Frame\s+Time\s*:\s*(\S+)\s*", head, re.IGNORECASE
    )
    where = f"{file}, line {filled[0][0] if filled else len(lines)}"
    if not match:
        raise ValueError(
            f"{where}: expected 'Frames: ' and 'Frame Time: ' with numbers, got {head[:60]!r}"
        )
    frames, fps = int(match[1]), _frames_per_second(match[2], where)
    rows = [line.split() for _, line in filled[2:]]
    for (number, _), row in zip(filled[2:], rows, strict=True):
        if len(row) != num_channels:
            _floats(row, len(row), f"{file}, line {number}")  # a comma explains it better
            raise ValueError(
                f"{file}, line {number}: expected {num_channels} channel values, got {len(row)}"
            )
    if len(rows) != frames or not frames:
        raise ValueError(
            f"{where}: expected {frames} frames (at least 1), got {len(rows)} lines of values"
        )
    if not num_channels:
        raise ValueError(f"{where}: no joint has CHANNELS; nothing moves in this file")
    try:
        values = np.array(rows, dtype=np.float64)
    except ValueError:
        values = np.full((1, 1), np.nan)
    if not np.isfinite(values).all():
        for (number, _), row in zip(filled[2:], rows, strict=True):
            _floats(row, num_channels, f"{file}, line {number}")
    if np.abs(values).max() > _MAX_VALUE:
        raise ValueError(
            f"{file}: a channel reaches {np.abs(values).max():g}; expected less than {_MAX_VALUE:g}"
        )
    return values, fps


def _frames_per_second(seconds: str, where: str) -> float:
    """ "0.033333" is meant as 30: a whole rate whose frame time rounds to the printed digits, else the inverse."""
    (value,) = _floats([seconds], 1, where)
    if not 1e-4 < value < 100:
        raise ValueError(f"{where}: {seconds} seconds a frame; expected 0.0001 to 100")
    whole = round(1 / value)
    digits = len(seconds.partition(".")[2])
    return float(whole) if whole and round(1 / whole, digits) == value else 1 / value

"""BVH text <-> Motion on the file's own skeleton.

Shapes: T frames, C channels. The format: M. Meredith and S. Maddock, "Motion Capture File Formats Explained", 2001,
section on BVH. Rotations are degrees, applied in the order in which the channels are listed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionmill.formats.channels import Hierarchy, motion_from_channels
from motionmill.formats.joint_names import joint_names
from motionmill.motion import rigs
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import upright
from motionmill.motion.rotations import euler_curves
from motionmill.motion.skeleton import Skeleton

_CHANNELS = ("Xposition", "Yposition", "Zposition", "Xrotation", "Yrotation", "Zrotation")
_ORDERS = ("XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX")
_UNITS = (
    1.0,
    100 / 5.6444,
    1 / 0.0254,
    100.0,
    1000.0,
)  # m, CMU (cgspeed), inch, cm, mm: units in a metre
_ADULT_LEG = (0.55, 1.05)  # thigh plus shin, metres
_MAX_JOINTS = 1_000
_MAX_BYTES = 2 << 30


def load(path: str | os.PathLike[str], *, scale: float | None = None) -> Motion:
    """Reads a BVH file as a Motion on the skeleton in the file, in metres, Y up.

    Args:
        path: the file.
        scale: file units in a metre (100 for centimetres). By default `guess_scale` tells from the skeleton's size.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a BVH file; the message names the file, the line, what was expected and what is there.
    """
    path = Path(path)
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path.name}: {path.stat().st_size} bytes; at most {_MAX_BYTES} are read")
    if scale is not None and not 0 < scale < 1e6:
        raise ValueError(
            f"scale {scale}: expected the file's units in a metre, for example 100 for cm"
        )
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    hierarchy, first = _parse_hierarchy(lines, path.name)
    values, fps = _parse_motion(lines, first, hierarchy.num_channels, path.name)
    motion = motion_from_channels(hierarchy, values, fps=fps, scale=scale or 1.0, name=path.stem)
    if scale is None:
        units = guess_scale(motion.skeleton)
        skeleton = replace(motion.skeleton, offsets=motion.skeleton.offsets / units)
        motion = replace(motion, root=motion.root / units, skeleton=skeleton)
    return upright(motion)


def save(
    motion: Motion,
    path: str | os.PathLike[str],
    *,
    order: str = "ZXY",
    scale: float = 100.0,
    names: str = "smpl",
    rest_first: bool = False,
) -> None:
    """Writes a Motion as a BVH file: the root with six channels, every other joint with three.

    Args:
        motion: on any skeleton.
        path: the file; it appears whole or not at all.
        order: in which a joint's rotations are applied, for example "ZXY".
        scale: file units in a metre; 100 writes centimetres.
        names: what the joints are called: smpl (as they are), mixamo, unreal or unity.
        rest_first: puts the rest pose (T-pose for ours) before the first frame, which some tools bind characters to.

    Raises:
        ValueError: unknown order or names, impossible scale, or values that are not finite.
    """
    if order not in _ORDERS:
        raise ValueError(f"rotation order {order!r}; expected one of {', '.join(_ORDERS)}")
    if not 0 < scale < 1e6:
        raise ValueError(f"scale {scale}: expected file units in a metre, for example 100 for cm")
    skeleton = motion.skeleton
    called = joint_names(skeleton, names)
    rotations = motion.rotations[:, skeleton.depth_first()].double().cpu()
    angles = torch.rad2deg(euler_curves(order, rotations)).flatten(1)
    values = torch.cat((motion.root.double().cpu() * scale, angles), dim=1)
    if not values.isfinite().all():
        raise ValueError(
            f"{Path(path).name}: the motion has values that are not finite; nothing written"
        )
    if rest_first:
        rest = torch.zeros_like(values[:1])
        rest[0, :3] = values[0, :3]
        rest[0, 1] = skeleton.standing_root_height * scale
        values = torch.cat((rest, values))
    rows = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in values.tolist())
    text = (
        f"HIERARCHY\n{_hierarchy_text(skeleton, called, order, scale)}MOTION\nFrames: {len(values)}\n"
        f"Frame Time: {1.0 / motion.fps:.10f}\n{rows}\n"
    )
    path = Path(path)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def guess_scale(skeleton: Skeleton) -> float:
    """Units in a metre, for a skeleton in an unknown unit: metres, inches, centimetres, millimetres or CMU's own.

    The unit in which thigh plus shin are an adult's (0.55 to 1.05 m) is taken; where none fits, or the joints have
    unknown names, the leg (half of the longest chain of bones) is made 0.8 m long.
    """
    try:
        rig = rigs.recognise(skeleton)
        leg = rigs.leg_length(rig, skeleton)
    except ValueError:
        reach = [0.0]
        for parent, offset in zip(skeleton.parents[1:], skeleton.offsets[1:], strict=True):
            reach.append(reach[parent] + float(offset.norm()))
        leg = 0.8 * max(reach)
    for units in _UNITS:
        if _ADULT_LEG[0] < leg / units < _ADULT_LEG[1]:
            return units
    return leg / 0.8 if leg > 0 else 1.0


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
            if inside >= 0:
                self.offsets[inside] = offset
        elif word.upper() == "CHANNELS" and inside not in (None, -1):
            self.channels[self.open[-1]] = _channels(rest.split(), where)
        else:
            raise ValueError(
                f"{where}: {statement!r} does not belong here; expected one tree of ROOT and JOINTs, each with braces, "
                "OFFSET and CHANNELS"
            )

    def _begin(self, name: str, parent: int | None, where: str) -> None:
        if not name:
            raise ValueError(f"{where}: a joint without a name")
        if len(self.names) >= _MAX_JOINTS:
            raise ValueError(f"{where}: more than {_MAX_JOINTS} joints")
        while name in self.names:
            name += "_"
        self.pending = len(self.names)
        self.names.append(name)
        self.parents.append(-1 if parent is None else parent)
        self.offsets.append([0.0, 0.0, 0.0])
        self.channels.append(())


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
            f"{where}: expected a number and as many of {', '.join(_CHANNELS)}, got {' '.join(words)!r}"
        )
    return chosen


def _floats(words: Sequence[str], count: int, where: str) -> list[float]:
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
        r"\s*Frames\s*:\s*(\d+)\s+Frame\s+Time\s*:\s*([0-9.eE+-]+)\s*", head, re.IGNORECASE
    )
    where = f"{file}, line {filled[0][0] if filled else len(lines)}"
    if not match:
        raise ValueError(
            f"{where}: expected 'Frames: ' and 'Frame Time: ' with numbers, got {head[:60]!r}"
        )
    frames, fps = int(match[1]), _frames_per_second(match[2], where)
    rows = [(number, line.split()) for number, line in filled[2:]]
    for number, row in rows:
        if len(row) != num_channels:
            raise ValueError(
                f"{file}, line {number}: expected {num_channels} channel values, got {len(row)}"
            )
    if len(rows) != frames or not frames:
        raise ValueError(
            f"{where}: expected {frames} frames (at least 1), got {len(rows)} lines of values"
        )
    try:
        values = np.array([row for _, row in rows], dtype=np.float64)
    except ValueError:
        values = np.full((1, 1), np.nan)
    if not np.isfinite(values).all():
        for number, row in rows:
            _floats(row, num_channels, f"{file}, line {number}")
    return values, fps


def _frames_per_second(seconds: str, where: str) -> float:
    """ "0.033333" is meant as 30: a whole rate whose frame time rounds to the printed digits, else the inverse."""
    (value,) = _floats([seconds], 1, where)
    if not 1e-4 < value < 100:
        raise ValueError(f"{where}: {seconds} seconds a frame; expected 0.0001 to 100")
    whole = round(1 / value)
    digits = len(seconds.partition(".")[2])
    return float(whole) if whole and round(1 / whole, digits) == value else 1 / value


def _hierarchy_text(skeleton: Skeleton, names: Sequence[str], order: str, scale: float) -> str:
    """The tree under HIERARCHY; leaves get an End Site that continues their bone."""
    rotations = " ".join(f"{axis}rotation" for axis in order)

    def offset(values: Tensor) -> str:
        return " ".join(f"{value:.6f}" for value in (values.double() * scale).tolist())

    def block(joint: int, depth: int) -> str:
        name = re.sub(r"[{}\s]+", " ", names[joint]).strip()
        tab = "\t" * depth
        kind = "ROOT" if depth == 0 else "JOINT"
        channels = (
            f"6 Xposition Yposition Zposition {rotations}" if depth == 0 else f"3 {rotations}"
        )
        inner = "".join(block(child, depth + 1) for child in skeleton.children(joint))
        if not inner:
            tip = offset(0.5 * skeleton.offsets[joint])
            inner = f"{tab}\tEnd Site\n{tab}\t{{\n{tab}\t\tOFFSET {tip}\n{tab}\t}}\n"
        return (
            f"{tab}{kind} {name}\n{tab}{{\n{tab}\tOFFSET {offset(skeleton.offsets[joint])}\n"
            f"{tab}\tCHANNELS {channels}\n{inner}{tab}}}\n"
        )

    return block(0, 0)

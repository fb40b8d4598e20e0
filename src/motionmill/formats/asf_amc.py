"""Acclaim skeleton (.asf) and motion (.amc) -> Motion on that skeleton: CMU's motion capture in its original form.

Shapes: T frames, J bones. A joint stands where its bone begins and has its name; the root has the name "root".
Rotations are about fixed axes in the listed order: a bone with axes C turns by C M C^-1, and all axes are the world's
in the rest pose. Lengths are in units of 1 / `length` inches (CMU: 1 / 0.45 x 2.54 / 100 metres).

Source: J. Lander, "Working with Motion Capture File Formats", Game Developer, January 1998; mocap.cs.cmu.edu.
"""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionmill.formats.bvh import guess_scale
from motionmill.motion.motion import Motion
from motionmill.motion.rigs import leg_length, recognise
from motionmill.motion.rotations import matrix_from_euler
from motionmill.motion.skeleton import Skeleton

logger = logging.getLogger(__name__)

_FPS = 120.0  # AMC files carry no rate; CMU's are 120
_INCH = 0.0254
_MAX_BONES = 500
_MAX_BYTES = 512 << 20
_MAX_SKELETON_BYTES = 8 << 20
_DEGREES_OF_FREEDOM = ("rx", "ry", "rz", "tx", "ty", "tz", "l")


@dataclass
class _Bone:
    """A bone of a .asf file, angles in radians."""

    name: str = "root"
    direction: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    length: float = 0.0
    axis: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    axis_order: str = "XYZ"
    channels: tuple[str, ...] = ()


@dataclass
class _Acclaim:
    """What a .asf file says."""

    bones: list[_Bone] = field(default_factory=lambda: [_Bone()])
    parents: dict[str, str] = field(default_factory=dict)
    length_unit: float = 1.0
    degrees: bool = True
    position: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])


def load(
    path: str | os.PathLike[str], *, fps: float | None = None, skeleton: Path | None = None
) -> Motion:
    """Reads a .amc file on the skeleton of its .asf file, in metres.

    Args:
        path: the .amc file.
        fps: frames per second, which the file does not say; 120 by default, as CMU's are.
        skeleton: the .asf file; by default the one beside it that has the same name, or the subject's number
            ("02.asf" for "02_01.amc"), or is the only one there.

    Raises:
        FileNotFoundError: no such file, or no .asf for it.
        ValueError: damaged; the message names the file, the line, what was expected and what is there.
    """
    path = Path(path)
    asf = _read_skeleton(Path(skeleton) if skeleton is not None else _skeleton_of(path))
    order = _tree(asf, path.name)
    values, degrees = _read_frames(path, {bone.name: bone for bone in order}, asf.degrees)
    logger.info("%s: %g frames a second are assumed; the file does not say", path.name, fps or _FPS)
    frames = len(values["root"])
    names = [bone.name for bone in order]
    parents = tuple(names.index(asf.parents[name]) if name != "root" else -1 for name in names)
    offsets = [torch.zeros(3, dtype=torch.float64)]
    for parent in parents[1:]:
        above = order[parent]
        offsets.append(torch.tensor(above.direction, dtype=torch.float64) * above.length)
    rotations = torch.eye(3, dtype=torch.float64).repeat(frames, len(order), 1, 1)
    for joint, bone in enumerate(order):
        if bone.channels:
            rotations[:, joint] = _turns(bone, values[bone.name], degrees)
    unit = _INCH / asf.length_unit
    start = torch.tensor(asf.position, dtype=torch.float64)
    root = (start + _moves(order[0], values["root"])) * unit
    rest = Skeleton(tuple(names), parents, torch.stack(offsets) * unit)
    motion = Motion(rotations, root, fps or _FPS, rest, path.stem)
    return _in_metres(motion)


def _in_metres(motion: Motion) -> Motion:
    """The motion, of a person's size where the length unit of the file makes a giant or a dwarf of it."""
    try:
        leg = leg_length(recognise(motion.skeleton), motion.skeleton)
    except ValueError:
        return motion
    if 0.4 < leg < 1.2:
        return motion
    units = guess_scale(motion.skeleton)
    logger.info(
        "%s: its legs are %.3g m long; %g of these metres are taken for one",
        motion.name,
        leg,
        units,
    )
    skeleton = replace(motion.skeleton, offsets=motion.skeleton.offsets / units)
    return replace(motion, root=motion.root / units, skeleton=skeleton)


def _skeleton_of(path: Path) -> Path:
    """The .asf file beside a .amc file."""
    beside = {
        file.stem.lower(): file
        for file in sorted(path.parent.iterdir())
        if file.suffix.lower() == ".asf"
    }
    for name in (path.stem.lower(), path.stem.lower().rpartition("_")[0]):
        if name in beside:
            return beside[name]
    if len(beside) == 1:
        return next(iter(beside.values()))
    raise FileNotFoundError(
        f"{path.name}: its skeleton is not beside it: expected {path.stem.rpartition('_')[0] or path.stem}.asf, or a "
        f"single .asf file (there are {len(beside)})"
    )


def _read_skeleton(path: Path) -> _Acclaim:
    if path.stat().st_size > _MAX_SKELETON_BYTES:
        raise ValueError(f"{path.name}: too large for a skeleton")
    asf, section = _Acclaim(), ""
    for where, words in _lines(path):
        if words[0].startswith(":"):
            section = words[0].lower()
        elif section == ":units":
            _take_unit(asf, words, where)
        elif section == ":root":
            _take_root(asf, words, where)
        elif section == ":bonedata":
            _take_bone(asf, words, where)
        elif section == ":hierarchy" and words[0].lower() not in ("begin", "end"):
            for child in words[1:]:
                if child in asf.parents or child == "root":
                    raise ValueError(f"{where}: {child!r} has two parents, or is its own ancestor")
                asf.parents[child] = words[0]
    if asf.degrees:
        for bone in asf.bones:
            bone.axis = [math.radians(angle) for angle in bone.axis]
    if len(asf.bones) < 2 or not asf.parents:
        raise ValueError(f"{path.name}: no bones in it; expected :bonedata and :hierarchy")
    return asf


def _take_unit(asf: _Acclaim, words: Sequence[str], where: str) -> None:
    if words[0].lower() == "length":
        asf.length_unit = _floats(words[1:], 1, where)[0]
        if not 1e-6 < asf.length_unit < 1e6:
            raise ValueError(f"{where}: length unit {words[1]}; expected a positive number")
    elif words[0].lower() == "angle":
        asf.degrees = not words[-1].lower().startswith("rad")


def _take_root(asf: _Acclaim, words: Sequence[str], where: str) -> None:
    root = asf.bones[0]
    match words[0].lower():
        case "order":
            root.channels = _channels(words[1:], where)
        case "axis":
            root.axis_order = _axis_order(words[1:], where)
        case "position":
            asf.position = _floats(words[1:], 3, where)
        case "orientation":
            root.axis = _floats(words[1:], 3, where)


def _take_bone(asf: _Acclaim, words: Sequence[str], where: str) -> None:
    bone = asf.bones[-1]
    match words[0].lower():
        case "begin":
            if len(asf.bones) > _MAX_BONES:
                raise ValueError(f"{where}: more than {_MAX_BONES} bones")
            asf.bones.append(_Bone(name=""))
        case "name":
            bone.name = " ".join(words[1:])
        case "direction":
            bone.direction = _floats(words[1:], 3, where)
        case "length":
            bone.length = _floats(words[1:], 1, where)[0]
        case "axis":
            bone.axis = _floats(words[1:4], 3, where)
            bone.axis_order = _axis_order(words[4:], where)
        case "dof":
            bone.channels = _channels(words[1:], where)


def _tree(asf: _Acclaim, file: str) -> list[_Bone]:
    """The bones below the root, parents first."""
    bones = {bone.name: bone for bone in asf.bones}
    if len(bones) != len(asf.bones) or "" in bones:
        raise ValueError(f"{file}: its skeleton has bones without a name, or two of the same name")
    unknown = sorted({*asf.parents, *asf.parents.values()} - bones.keys())
    lost = sorted(bones.keys() - asf.parents.keys() - {"root"})
    if unknown or lost:
        raise ValueError(
            f"{file}: the :hierarchy of its skeleton does not fit its bones ({', '.join([*unknown, *lost])[:120]})"
        )
    children: dict[str, list[str]] = {}
    for child, parent in asf.parents.items():
        children.setdefault(parent, []).append(child)
    order, waiting = [], ["root"]
    while waiting:
        name = waiting.pop()
        order.append(bones[name])
        waiting.extend(reversed(children.get(name, [])))
    if len(order) != len(bones):
        missing = sorted(bones.keys() - {bone.name for bone in order})
        raise ValueError(f"{file}: bones that do not hang on the root: {', '.join(missing)[:120]}")
    return order


def _read_frames(
    path: Path, bones: dict[str, _Bone], degrees: bool
) -> tuple[dict[str, NDArray[np.float64]], bool]:
    """(T, C) values of each bone that moves, and whether angles are degrees."""
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path.name}: {path.stat().st_size} bytes; at most {_MAX_BYTES} are read")
    rows: dict[str, list[list[float]]] = {name: [] for name, bone in bones.items() if bone.channels}
    counts = {name: len(bones[name].channels) for name in rows}
    frames, where = 0, path.name
    for where, words in _lines(path):
        if words[0].startswith(":"):
            if words[0].lower() in (":degrees", ":radians"):
                degrees = words[0].lower() == ":degrees"
        elif len(words) == 1 and words[0].isdigit():
            _check_frame(rows, frames, where)
            frames += 1
        elif words[0] in rows and frames and len(rows[words[0]]) == frames - 1:
            rows[words[0]].append(_floats(words[1:], counts[words[0]], where))
        else:
            raise ValueError(
                f"{where}: {' '.join(words)[:40]!r} does not belong here; expected the number of a frame, or a bone of "
                "the skeleton with its values, once a frame"
            )
    _check_frame(rows, frames, where)
    if not frames or "root" not in rows:
        raise ValueError(f"{path.name}: no frames in it")
    return {name: np.array(values) for name, values in rows.items()}, degrees


def _check_frame(rows: dict[str, list[list[float]]], frames: int, where: str) -> None:
    missing = [name for name, values in rows.items() if len(values) != frames]
    if missing:
        raise ValueError(
            f"{where}: frame {frames} ends without values of {', '.join(missing)[:80]}"
        )


def _turns(bone: _Bone, values: NDArray[np.float64], degrees: bool) -> Tensor:
    """(T, C) values -> (T, 3, 3) rotation of a bone against its parent, in the axes of the rest pose."""
    used = [place for place, channel in enumerate(bone.channels) if channel[0] == "r"]
    angles = torch.from_numpy(values[:, used])
    angles = torch.deg2rad(angles) if degrees else angles
    order = "".join(bone.channels[place][1].upper() for place in used)
    axes = _fixed(bone.axis_order, torch.tensor(bone.axis, dtype=torch.float64))
    return axes @ _fixed(order, angles) @ axes.T


def _fixed(order: str, angles: Tensor) -> Tensor:
    """Rotations about fixed axes, the first of `order` first: the moving ones from behind."""
    return matrix_from_euler(order[::-1], angles.flip(-1))


def _moves(root: _Bone, values: NDArray[np.float64]) -> Tensor:
    """(T, 3) path of the root in file units."""
    path = torch.zeros(len(values), 3, dtype=torch.float64)
    for place, channel in enumerate(root.channels):
        if channel[0] == "t":
            path[:, "xyz".index(channel[1])] = torch.from_numpy(values[:, place])
    return path


def _lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    """(file and line number, words) of what is neither empty nor a comment."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, 1):
            words = line.partition("#")[0].split()
            if words:
                yield f"{path.name}, line {number}", words


def _channels(words: Sequence[str], where: str) -> tuple[str, ...]:
    chosen = tuple(word.lower() for word in words)
    if not set(chosen) <= set(_DEGREES_OF_FREEDOM) or len(set(chosen)) != len(chosen):
        raise ValueError(
            f"{where}: degrees of freedom {' '.join(words)[:60]!r}; expected some of {', '.join(_DEGREES_OF_FREEDOM)}"
        )
    return chosen


def _axis_order(words: Sequence[str], where: str) -> str:
    order = words[0].upper() if words else ""
    if not re.fullmatch("[XYZ]{3}", order) or len(set(order)) != 3:
        raise ValueError(f"{where}: axis order {order[:20]!r}; expected XYZ in some order")
    return order


def _floats(words: Sequence[str], count: int, where: str) -> list[float]:
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    if len(values) != count or not all(
        math.isfinite(value) and abs(value) < 1e9 for value in values
    ):
        raise ValueError(f"{where}: expected {count} numbers, got {' '.join(words)[:60]!r}")
    return values

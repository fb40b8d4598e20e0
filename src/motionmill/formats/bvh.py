"""BVH text <-> Motion on the file's own skeleton.

Shapes: T frames, J joints, C channels. The format: M. Meredith and S. Maddock, "Motion Capture File Formats Explained",
2001, section on BVH. Rotations are degrees, applied in the order in which the channels are listed.
Position channels of a joint are its translation from its parent and REPLACE its OFFSET.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_euler, matrix_to_euler
from motionmill.motion.skeleton import Skeleton

_CHANNELS = ("Xposition", "Yposition", "Zposition", "Xrotation", "Yrotation", "Zrotation")
_MAX_JOINTS = 1_000
_MAX_BYTES = 2 << 30


@dataclass(frozen=True)
class Hierarchy:
    """The HIERARCHY part of a file.

    Attributes:
        names: one name a joint, parents before children; End Sites are no joints.
        parents: index of each joint's parent, -1 for the root.
        offsets: (J, 3) OFFSET of each joint, file units.
        channels: names of each joint's channels in file order, for example "Zrotation".
        end_sites: joint index -> OFFSET of its End Site, file units.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: NDArray[np.float64]
    channels: tuple[tuple[str, ...], ...]

    @property
    def num_channels(self) -> int:
        return sum(map(len, self.channels))


def load(path: str | os.PathLike[str], *, scale: float | None = None) -> Motion:
    """Reads a BVH file as a Motion on the skeleton in the file.

    Args:
        path: the file.
        scale: file units per metre (100 for centimetres). By default it is guessed from the height of the skeleton, see
            `guess_scale`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a BVH file; the message names the file and the line.
    """
    path = Path(path)
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path.name}: {path.stat().st_size} bytes; at most {_MAX_BYTES} are read")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    hierarchy, first = _parse_hierarchy(lines, path.name)
    values, frame_seconds = _parse_motion(lines, first, hierarchy.num_channels, path.name)
    if scale is None:
        scale = guess_scale(hierarchy.offsets, hierarchy.parents)
    return motion_from_channels(
        hierarchy, values, fps=_round_fps(1.0 / frame_seconds), scale=scale, name=path.stem
    )


def motion_from_channels(
    hierarchy: Hierarchy, values: NDArray[np.float64], *, fps: float, scale: float, name: str = ""
) -> Motion:
    """Channel values of every frame to a Motion.

    A joint whose position channels vary although it is not the root (a stretching limb) keeps their median, since bones
    of a Skeleton do not change. A root that only carries the hips (one child, with position channels of its own) is
    composed with them and left out, so that the first joint is the hips.

    Args:
        hierarchy: joints and their channels.
        values: (T, C) in file order; degrees and file units.
        fps: frames per second.
        scale: file units per metre.
        name: what the clip shows.
    """
    data = torch.from_numpy(np.ascontiguousarray(values))
    rotations, positions = _joint_channels(hierarchy, data)
    root_rotation, top = rotations[:, 0], 0
    offsets = torch.tensor(hierarchy.offsets)
    root = positions.get(0, offsets[:1].repeat(len(data), 1))
    while (child := _carried(hierarchy, positions, top)) is not None:
        root = root + (root_rotation @ positions[child][..., None])[..., 0]
        root_rotation = root_rotation @ rotations[:, child]
        top = child
    for joint in positions:
        offsets[joint] = positions[joint].median(dim=0).values
    offsets = offsets[top:]
    offsets[0] = 0.0
    skeleton = Skeleton(
        hierarchy.names[top:],
        tuple(max(parent - top, -1) for parent in hierarchy.parents[top:]),
        offsets / scale,
    )
    rotations = torch.cat((root_rotation[:, None], rotations[:, top + 1 :]), dim=1)
    return Motion(rotations, root / scale, fps=fps, skeleton=skeleton, name=name)


def guess_scale(offsets: NDArray[np.float64], parents: Sequence[int]) -> float:
    """Units per metre of a skeleton of unknown unit, from the length of its longest chain of bones.

    That chain (hips to toes or to the fingers) is about 1 m long in an adult. Metres, inches, centimetres and millimetres
    are told apart; lengths that fit none of them are scaled so that the chain measures 1 m.

    Args:
        offsets: (J, 3) file units.
        parents: index of each joint's parent, -1 for the root.
    """
    lengths = np.linalg.norm(offsets, axis=-1)
    reach = np.zeros(len(lengths))
    for joint, parent in enumerate(parents):
        reach[joint] = 0.0 if parent < 0 else reach[parent] + lengths[joint]
    longest = float(reach.max())
    for units in (1.0, 1 / 0.0254, 100.0, 1000.0):
        if 0.62 < longest / units < 1.6:
            return units
    return longest if longest > 0 else 1.0


def _carried(hierarchy: Hierarchy, positions: Mapping[int, Tensor], joint: int) -> int | None:
    """The only child of `joint` if it moves by itself and follows in the list, else None."""
    children = [child for child, parent in enumerate(hierarchy.parents) if parent == joint]
    if children == [joint + 1] and joint + 1 in positions:
        return joint + 1
    return None


def _joint_channels(hierarchy: Hierarchy, data: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
    """(T, C) values -> (T, J, 3, 3) rotations, and (T, 3) positions of the joints that have position channels."""
    rotations = torch.eye(3, dtype=data.dtype).repeat(len(data), len(hierarchy.names), 1, 1)
    positions: dict[int, Tensor] = {}
    groups: dict[str, tuple[list[int], list[list[int]]]] = {}
    column = 0
    for joint, channels in enumerate(hierarchy.channels):
        position = torch.tensor(hierarchy.offsets[joint]).repeat(len(data), 1)
        order, columns = "", []
        for channel in channels:
            if channel.endswith("position"):
                position[:, "XYZ".index(channel[0])] = data[:, column]
            else:
                order += channel[0]
                columns.append(column)
            column += 1
        if len(columns) < len(channels):
            positions[joint] = position
        if order:
            joints, all_columns = groups.setdefault(order, ([], []))
            joints.append(joint)
            all_columns.append(columns)
    for order, (joints, all_columns) in groups.items():
        rotations[:, joints] = matrix_from_euler(order, torch.deg2rad(data[:, all_columns]))
    return rotations, positions


def _parse_hierarchy(lines: Sequence[str], file: str) -> tuple[Hierarchy, int]:
    """Lines of a file -> its hierarchy and the index of the line after the one that says MOTION."""
    names: list[str] = []
    parents: list[int] = []
    offsets: list[list[float]] = []
    channels: list[tuple[str, ...]] = []
    stack: list[int | None] = []  # open braces: a joint's index, or None for an End Site
    pending: int | None = None  # the joint whose brace comes next
    started = False
    for number, line in enumerate(lines):
        words = line.replace("{", " { ").replace("}", " } ").split()
        where = f"{file}, line {number + 1}"
        while words:
            word = words.pop(0)
            if word.upper() == "HIERARCHY":
                started = True
            elif not started:
                raise ValueError(
                    f"{where}: expected HIERARCHY, got {word!r}; this is not a BVH file"
                )
            elif word.upper() in ("ROOT", "JOINT"):
                name = " ".join(words[: words.index("{")] if "{" in words else words)
                if name in names or not name:
                    raise ValueError(
                        f"{where}: joint name {name!r}; expected a name not used before"
                    )
                if not stack and names:
                    raise ValueError(
                        f"{where}: second root {name!r}; expected one skeleton in the file"
                    )
                if stack and stack[-1] is None:
                    raise ValueError(f"{where}: joint {name!r} inside an End Site")
                if len(names) >= _MAX_JOINTS:
                    raise ValueError(f"{where}: more than {_MAX_JOINTS} joints")
                pending = len(names)
                names.append(name)
                parents.append(-1 if not stack else stack[-1] or 0)
                offsets.append([0.0, 0.0, 0.0])
                channels.append(())
                words = words[words.index("{") :] if "{" in words else []
            elif word.upper() == "END":
                pending = None
                words = words[words.index("{") :] if "{" in words else []
            elif word == "{":
                stack.append(pending)
                pending = None
            elif word == "}":
                if not stack:
                    raise ValueError(f"{where}: a closing brace too many")
                stack.pop()
            elif word.upper() == "OFFSET":
                values, words = _floats(words[:3], 3, where), words[3:]
                if stack and stack[-1] is not None:
                    offsets[stack[-1]] = values
            elif word.upper() == "CHANNELS":
                chosen, words = _channels(words, where)
                if not stack or stack[-1] is None:
                    raise ValueError(f"{where}: CHANNELS outside a joint")
                channels[stack[-1]] = chosen
            elif word.upper() == "MOTION":
                if stack or not names:
                    raise ValueError(
                        f"{where}: MOTION before the hierarchy is complete; {len(stack)} braces open"
                    )
                hierarchy = Hierarchy(
                    tuple(names),
                    tuple(parents),
                    np.array(offsets, dtype=np.float64),
                    tuple(channels),
                )
                return hierarchy, number + 1
            else:
                raise ValueError(
                    f"{where}: expected ROOT, JOINT, OFFSET, CHANNELS, End Site or a brace, got {word!r}"
                )
    raise ValueError(f"{file}: no {'MOTION' if started else 'HIERARCHY'} in the file")


def _channels(words: list[str], where: str) -> tuple[tuple[str, ...], list[str]]:
    """The words after CHANNELS -> channel names and the words that remain."""
    if not words or not words[0].isdigit():
        raise ValueError(f"{where}: expected the number of channels, got {' '.join(words[:1])!r}")
    count = int(words[0])
    chosen = tuple(word.capitalize() for word in words[1 : 1 + count])
    wrong = [word for word in chosen if word not in _CHANNELS]
    if len(chosen) != count or wrong or len(set(chosen)) != count:
        raise ValueError(
            f"{where}: expected {count} of {', '.join(_CHANNELS)}, got {' '.join(words[1 : 1 + count]) or 'none'}"
        )
    return chosen, words[1 + count :]


def _floats(words: Sequence[str], count: int, where: str) -> list[float]:
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    if len(values) != count or not np.isfinite(values).all():
        raise ValueError(f"{where}: expected {count} numbers, got {' '.join(words) or 'none'}")
    return values


def _parse_motion(
    lines: Sequence[str], first: int, num_channels: int, file: str
) -> tuple[NDArray[np.float64], float]:
    """The lines after MOTION -> (T, C) values and seconds a frame."""
    frames, seconds = None, None
    while first < len(lines) and (frames is None or seconds is None):
        words = re.split(r"[:\s]+", lines[first].strip())
        where = f"{file}, line {first + 1}"
        if words[0].lower() == "frames":
            frames = int(_floats(words[1:2], 1, where)[0])
        elif [word.lower() for word in words[:2]] == ["frame", "time"]:
            seconds = _floats(words[2:3], 1, where)[0]
        elif words != [""]:
            raise ValueError(
                f"{where}: expected 'Frames:' or 'Frame Time:', got {lines[first].strip()!r}"
            )
        first += 1
    if frames is None or seconds is None:
        raise ValueError(f"{file}: expected 'Frames:' and 'Frame Time:' after MOTION")
    if frames < 1 or not 1e-4 < seconds < 100:
        raise ValueError(
            f"{file}: {frames} frames of {seconds} s; expected at least 1 frame and a time over 0"
        )
    rows = [
        (number, line.split())
        for number, line in enumerate(lines[first:], first + 1)
        if line.strip()
    ]
    for number, row in rows:
        if len(row) != num_channels:
            raise ValueError(
                f"{file}, line {number}: expected {num_channels} channel values, got {len(row)}"
            )
    if len(rows) != frames:
        raise ValueError(f"{file}: 'Frames: {frames}', but {len(rows)} lines of values follow")
    try:
        values = np.array([row for _, row in rows], dtype=np.float64)
    except ValueError:
        values = np.full((1, 1), np.nan)
    if not np.isfinite(values).all():
        for number, row in rows:
            _floats(row, num_channels, f"{file}, line {number}")
    return values, seconds


def _round_fps(fps: float) -> float:
    """1 / 0.033333 is meant as 30: the nearest whole rate when it is within 0.1 %."""
    return float(round(fps)) if abs(fps - round(fps)) < 1e-3 * fps else fps

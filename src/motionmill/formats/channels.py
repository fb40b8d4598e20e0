"""Position and rotation channels of joints over time -> Motion: what BVH files and packed clips share.

Shapes: T frames, J joints, C channels. Rotations are degrees, applied in the order in which the channels are listed.
Position channels of a joint are its translation from its parent and REPLACE its OFFSET.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_euler
from motionmill.motion.skeleton import Skeleton


@dataclass(frozen=True)
class Hierarchy:
    """The HIERARCHY part of a file; End Sites are no joints.

    Attributes:
        names: one name a joint, parents before children.
        parents: index of each joint's parent, -1 for the root.
        offsets: (J, 3) OFFSET of each joint, file units.
        channels: names of each joint's channels in file order, for example "Zrotation".
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: NDArray[np.float64]
    channels: tuple[tuple[str, ...], ...]

    @property
    def num_channels(self) -> int:
        return sum(map(len, self.channels))


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
        scale: file units in a metre.
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
    for order, (joints, all_columns) in groups.items():  # all joints of one order at once
        rotations[:, joints] = matrix_from_euler(order, torch.deg2rad(data[:, all_columns]))
    return rotations, positions

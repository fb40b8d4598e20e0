"""A skeleton -> the character that files show on it, the mannequin or a stick figure; and what several clips need."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from motionmill.motion.body import Body, mannequin
from motionmill.motion.motion import Motion
from motionmill.motion.skeleton import SMPL_22_NAMES, Skeleton

LICENCE = "Character: the MotionMill mannequin, CC0 1.0 (public domain)."


def character(skeleton: Skeleton) -> Body:
    """The mannequin on SMPL-22 skeletons; on others an octahedron along each bone, moved by the joint it begins at."""
    return mannequin(skeleton) if skeleton.names == SMPL_22_NAMES else _octahedra(skeleton)


def checked_clips(motions: Motion | Sequence[Motion], file: str) -> list[Motion]:
    """The motions as a list, if one file can hold them.

    Raises:
        ValueError: no motions, different skeletons, or values that are not finite; the message names the file.
    """
    clips = [motions] if isinstance(motions, Motion) else list(motions)
    if not clips:
        raise ValueError(f"{file}: no motions to write")
    first = clips[0].skeleton
    for clip in clips:
        same = clip.skeleton.names == first.names and clip.skeleton.parents == first.parents
        if not same or not torch.allclose(clip.skeleton.offsets, first.offsets, atol=1e-6):
            raise ValueError(
                f"{file}: the motions are on different skeletons; write one file for each skeleton, or retarget them"
            )
        if not (clip.rotations.isfinite().all() and clip.root.isfinite().all()):
            raise ValueError(f"{file}: the motion has values that are not finite; nothing written")
    return clips


def clip_names(clips: Sequence[Motion]) -> list[str]:
    """A name for each clip, with a number behind those that occurred before."""
    result: list[str] = []
    for clip in clips:
        name = clip.name or "motion"
        candidate, count = name, 1
        while candidate in result:
            count += 1
            candidate = f"{name} ({count})"
        result.append(candidate)
    return result


def copyright_line(licence: str) -> str:
    """What holds for the character, and for the motion where that is known."""
    return f"{LICENCE} Motion: {licence}" if licence else LICENCE


def _octahedra(skeleton: Skeleton) -> Body:
    """A stick figure for any skeleton: an octahedron along each bone, moved by the joint where the bone begins."""
    rest = skeleton.rest_joints.double().numpy()
    rest = rest + np.array([0.0, skeleton.standing_root_height, 0.0])
    bones = [
        (parent, rest[parent], rest[child])
        for child, parent in enumerate(skeleton.parents)
        if parent >= 0 and np.linalg.norm(rest[child] - rest[parent]) > 1e-6
    ]
    if not bones:
        bones = [(0, rest[0], rest[0] + np.array([0.0, 0.1, 0.0]))]
    corners, moved = [], []
    for joint, start, end in bones:
        corners.append(_octahedron(start, end))
        moved += [joint] * corners[-1].shape[0]
    vertices = torch.from_numpy(np.concatenate(corners)).float()
    triangles = torch.arange(len(vertices)).view(-1, 3)
    a, b, c = vertices[triangles].unbind(1)
    normals = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=-1)
    indices = torch.zeros(len(vertices), 4, dtype=torch.int64)
    indices[:, 0] = torch.tensor(moved)
    weights = torch.zeros(len(vertices), 4)
    weights[:, 0] = 1.0
    return Body(
        skeleton=skeleton,
        vertices=vertices,
        normals=normals.repeat_interleave(3, dim=0),
        triangles=triangles,
        joint_indices=indices,
        joint_weights=weights,
        tone=torch.ones(len(vertices)),
    )


def _octahedron(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """(24, 3) corners of the eight triangles of a thin octahedron between two points."""
    along = end - start
    aside = np.cross(along, np.eye(3)[np.abs(along).argmin()])
    aside *= 0.1 * np.linalg.norm(along) / np.linalg.norm(aside)
    across = np.cross(along / np.linalg.norm(along), aside)
    ring = [start + 0.2 * along + side for side in (aside, across, -aside, -across)]
    faces = []
    for index in range(4):
        one, other = ring[index], ring[(index + 1) % 4]
        faces += [[other, one, start], [one, other, end]]
    return np.asarray(faces).reshape(-1, 3)

"""Figure: a motion -> a coloured surface over time, to be drawn: the skinned mannequin, or a capsule for every bone.

Shapes: T frames, V vertices, F triangles. World: Y up, metres. Left limbs are warm, right limbs cool.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import torch

from motionmill.formats.raster import Array, Indices, Mesh
from motionmill.motion.motion import Motion
from motionmill.motion.skeleton import SMPL_22_NAMES, Skeleton

LEFT_COLOUR = (0.93, 0.52, 0.36)
RIGHT_COLOUR = (0.36, 0.56, 0.86)
BODY_COLOUR = (0.80, 0.79, 0.78)
_LIMB_TINT = 0.55
_LIMBS = re.compile(
    "hip|femur|leg|thigh|knee|tibia|shin|ankle|foot|feet|toe|arm|humerus|shoulder|elbow|radius|wrist|hand|finger|thumb"
)

# Half thickness of the bone that ends in each joint, metres, at its start and its end.
_THICKNESS = {
    "hip": (0.08, 0.085),
    "spine1": (0.10, 0.10),
    "spine2": (0.10, 0.105),
    "spine3": (0.105, 0.11),
    "knee": (0.085, 0.055),
    "ankle": (0.055, 0.038),
    "foot": (0.038, 0.030),
    "neck": (0.08, 0.055),
    "collar": (0.08, 0.065),
    "head": (0.055, 0.06),
    "shoulder": (0.065, 0.055),
    "elbow": (0.052, 0.038),
    "wrist": (0.038, 0.028),
}


class Figure:
    """A surface that follows a motion: `mesh` and `vertices(frames)`."""

    def __init__(self, mesh: Mesh, pose: Callable[[Motion], Array], motion: Motion) -> None:
        self.mesh = mesh
        self._pose = pose
        self._motion = motion
        self._block: tuple[int, Array] = (-1, np.zeros((0, 0, 3), np.float32))

    def vertices(self, frame: int, *, block: int = 64) -> Array:
        """(V, 3) vertices of one frame, metres; they are posed in blocks: ask in order."""
        start = frame - frame % block
        if self._block[0] != start:
            self._block = (start, self._pose(self._motion[start : start + block]))
        return self._block[1][frame - start]


def figure(motion: Motion) -> Figure:
    """The mannequin where the skeleton has the SMPL-22 joints, else capsules."""
    if motion.skeleton.names == SMPL_22_NAMES:
        return _mannequin(motion)
    return capsules(motion)


def capsules(motion: Motion) -> Figure:
    """A capsule for every bone and a ball for the head."""
    skeleton = motion.skeleton
    bones = [joint for joint, parent in enumerate(skeleton.parents) if parent >= 0]
    bones = [joint for joint in bones if float(skeleton.offsets[joint].norm()) > 1e-4]
    directions, along, triangles = _capsule()
    radii = np.array([bone_radii(skeleton, joint) for joint in bones], np.float32)
    parents = [skeleton.parents[joint] for joint in bones]
    heads = [row for row, joint in enumerate(bones) if skeleton.names[joint].lower() == "head"]
    radii = np.concatenate((radii, np.full((len(heads), 2), 0.085, np.float32)))

    def pose(part: Motion) -> Array:
        joints = part.joints().float().numpy()
        start, end = joints[:, parents], joints[:, bones]
        crown = end[:, heads] + 0.7 * (end - start)[:, heads]
        start, end = np.concatenate((start, end[:, heads]), 1), np.concatenate((end, crown), 1)
        axis = end - start
        axis /= np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), 1e-9)
        side = np.cross(axis, np.where(np.abs(axis[..., :1]) < 0.8, [1.0, 0, 0], [0, 0, 1.0]))
        side /= np.linalg.norm(side, axis=-1, keepdims=True)
        frame = np.stack((side, axis, np.cross(side, axis)), axis=-1)
        radius = radii[:, :1] + (radii[:, 1:] - radii[:, :1]) * along
        shape = np.einsum("tbij,vj->tbvi", frame, directions) * radius[..., None]
        centre = start[:, :, None] + along[:, None] * (end - start)[:, :, None]
        return (centre + shape).reshape(len(part), -1, 3).astype(np.float32)

    count = len(directions)
    faces = np.concatenate([triangles + index * count for index in range(len(radii))])
    names = [skeleton.names[joint] for joint in bones] + ["head"] * len(heads)
    colours = np.repeat([_colour(name) for name in names], count, axis=0)
    return Figure(Mesh(faces, colours.astype(np.float32)), pose, motion)


def bone_radii(skeleton: Skeleton, joint: int) -> tuple[float, float]:
    """Half thickness of the bone that ends in a joint, at its start and its end, metres."""
    name = skeleton.names[joint].removeprefix("left_").removeprefix("right_")
    if skeleton.names == SMPL_22_NAMES:
        return _THICKNESS[name]
    radius = min(max(0.16 * float(skeleton.offsets[joint].norm()), 0.008), 0.06)
    return radius, 0.8 * radius


def _mannequin(motion: Motion) -> Figure:
    from motionmill.motion import body as bodies

    body = bodies.mannequin(motion.skeleton)
    joints = body.joint_indices.numpy()
    weights = body.joint_weights.numpy()
    palette = np.array([_colour(name) for name in SMPL_22_NAMES], np.float32)
    colours = (palette[joints] * weights[..., None]).sum(1).astype(np.float32)

    def pose(part: Motion) -> Array:
        with torch.no_grad():
            return bodies.pose(body, part).float().numpy()

    return Figure(Mesh(body.triangles.numpy().astype(np.int64), colours), pose, motion)


def _colour(name: str) -> Array:
    """Base colour of a joint: limbs are tinted by their side, the trunk is not."""
    body = np.array(BODY_COLOUR, np.float32)
    side = _side(name.lower())
    if side is None or not _LIMBS.search(name.lower()):
        return body
    tint = np.array(LEFT_COLOUR if side == "l" else RIGHT_COLOUR, np.float32)
    return body + (tint - body) * np.float32(_LIMB_TINT)


def _side(name: str) -> str | None:
    """ "l", "r" or None: left_knee, LeftLeg, lfemur, L_Knee, UpperArm_L."""
    found = re.search(r"(left|right)|[_.]([lr])$|^([lr])(?:_|(?=" + _LIMBS.pattern + "))", name)
    return next(part for part in found.groups() if part)[0] if found else None


def _capsule(around: int = 20, rings: int = 5, tube: int = 9) -> tuple[Array, Array, Indices]:
    """A unit capsule: directions (V, 3) from the axis, position along it (V,) in 0..1, triangles (F, 3)."""
    angles = np.linspace(0, 2 * np.pi, around, endpoint=False)
    ball = np.linspace(0, np.pi / 2, rings)
    tilts = np.concatenate((-ball[::-1], np.zeros(tube), ball))  # half ball, tube, half ball
    along = np.concatenate((np.zeros(rings), np.arange(1, tube + 1) / (tube + 1), np.ones(rings)))
    tilt, angle = np.meshgrid(tilts, angles, indexing="ij")
    directions = np.stack(
        (np.cos(tilt) * np.cos(angle), np.sin(tilt), np.cos(tilt) * np.sin(angle)), axis=-1
    )
    along = np.repeat(along.astype(np.float32), around)
    row, column = np.meshgrid(np.arange(len(tilts) - 1), np.arange(around), indexing="ij")
    a = (row * around + column).ravel()
    b = (row * around + (column + 1) % around).ravel()
    triangles = np.concatenate(
        (np.stack((a, a + around, b), -1), np.stack((b, a + around, b + around), -1))
    )
    return directions.reshape(-1, 3).astype(np.float32), along, triangles.astype(np.int64)

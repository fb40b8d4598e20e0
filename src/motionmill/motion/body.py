"""A skinned mannequin: a skeleton -> a closed surface with joint weights -> the surface in every frame of a motion.

Shapes: T frames, J joints, V vertices, F triangles, E directed edges. World: Y up, metres.
The shape is our own work, CC0: no body model was used.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from motionmill.motion.body_shape import Array, Field, Indices, Matrix, place
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import rotation_between
from motionmill.motion.skeleton import (
    SMPL_22_NAMES,
    SMPL_22_PARENTS,
    Skeleton,
    adult_skeleton,
    mirror_permutation,
)
from motionmill.motion.surface import half_mesh, mirror, neighbour_mean

INFLUENCES = 4  # joints that may move a vertex; what game engines and glTF take in one set

BARE, SUIT = (0.72, 0.64, 0.54), (0.10, 0.145, 0.20)  # linear RGB
_BARE_JOINTS = ("neck", "head", "left_wrist", "left_ankle", "left_foot")

# The surface is made with arms half down and legs apart: between the poses that people take, and nothing touches.
_ARM_DROP, _LEG_SPREAD = math.radians(40.0), math.radians(7.0)
_COARSE, _FINE, _DEPTH, _TOLERANCE = 0.026, 0.013, 0.016, 0.001  # metres


@dataclass(frozen=True, eq=False)
class Body:
    """A closed surface bound to a skeleton, in the rest pose, the soles at y = 0.

    Attributes:
        skeleton: the joints that move it; the root stands at `skeleton.standing_root_height`.
        vertices: (V, 3) float32, metres.
        normals: (V, 3) float32, unit length, outward.
        triangles: (F, 3) int64 vertex indices, counter-clockwise seen from outside.
        joint_indices: (V, 4) int64 joints that move a vertex, the heaviest first.
        joint_weights: (V, 4) float32 their weights, summing to 1.
        tone: (V,) float32 the two-tone look: 0 bare (head, hands, feet), 1 suit.
    """

    skeleton: Skeleton
    vertices: Tensor
    normals: Tensor
    triangles: Tensor
    joint_indices: Tensor
    joint_weights: Tensor
    tone: Tensor

    @property
    def colours(self) -> Tensor:
        """(V, 3) linear RGB of the two-tone look."""
        return torch.lerp(torch.tensor(BARE), torch.tensor(SUIT), self.tone[:, None])

    @property
    def rest_joints(self) -> Tensor:
        """(J, 3) where the joints are in the rest pose, metres."""
        height = self.skeleton.offsets.new_tensor([0.0, self.skeleton.standing_root_height, 0.0])
        return self.skeleton.rest_joints + height


def mannequin(skeleton: Skeleton | None = None) -> Body:
    """The mannequin on a skeleton, by default our own adult's. The same skeleton gives the same body, made once.

    Raises:
        ValueError: the skeleton has other joints than SMPL-22.
    """
    skeleton = skeleton or adult_skeleton()
    if skeleton.names != SMPL_22_NAMES:
        raise ValueError(
            f"mannequin: the skeleton has {skeleton.num_joints} joints ({', '.join(skeleton.names[:4])} ...); "
            "expected the 22 of SMPL; retarget the motion first"
        )
    offsets = tuple(tuple(row) for row in skeleton.offsets.tolist())
    return _mannequin(offsets, skeleton.foot_joint_height)


def pose(body: Body, motion: Motion) -> Tensor:
    """The surface in every frame, by linear blend skinning: (T, V, 3) float32, metres.

    Raises:
        ValueError: the motion's skeleton is not the body's.
    """
    points = F.pad(body.vertices, (0, 1), value=1.0)
    return _skin(body, points, _skinning_matrices(body, motion))


def posed_normals(body: Body, motion: Motion) -> Tensor:
    """The outward normals of the surface in every frame: (T, V, 3) float32, unit length.

    Raises:
        ValueError: the motion's skeleton is not the body's.
    """
    return F.normalize(_skin(body, body.normals, _skinning_matrices(body, motion)[..., :3]), dim=-1)


def _skinning_matrices(body: Body, motion: Motion) -> Tensor:
    """(T, J, 3, 4) what each joint does to points of the rest pose."""
    ours, theirs = body.skeleton, motion.skeleton
    if theirs.names != ours.names or not torch.allclose(
        theirs.offsets.double(), ours.offsets.double(), atol=1e-5
    ):
        raise ValueError(
            "pose: the motion's skeleton is not the body's; use mannequin(motion.skeleton) or retarget the motion"
        )
    positions, rotations = theirs.forward_kinematics(motion.rotations.float(), motion.root.float())
    shifts = positions - (rotations @ body.rest_joints.to(positions)[..., None]).squeeze(-1)
    return torch.cat((rotations, shifts[..., None]), dim=-1)


def _skin(body: Body, points: Tensor, matrices: Tensor) -> Tensor:
    """sum over j of weight[v, j] matrices[t, j] points[v], as one matrix product: (T, V, 3)."""
    frames, joints = matrices.shape[:2]
    weights = torch.zeros(len(points), joints).scatter_(1, body.joint_indices, body.joint_weights)
    weighted = (weights[:, :, None] * points[:, None]).flatten(1)  # (V, J C)
    stacked = matrices.permute(1, 3, 0, 2).reshape(weighted.shape[1], frames * 3)
    return (weighted @ stacked).reshape(len(points), frames, 3).transpose(0, 1).contiguous()


@functools.lru_cache(maxsize=8)
def _mannequin(offsets: tuple[tuple[float, ...], ...], foot_joint_height: float) -> Body:
    rest = torch.tensor(offsets, dtype=torch.float64)
    skeleton = Skeleton(SMPL_22_NAMES, SMPL_22_PARENTS, rest, foot_joint_height)
    size = skeleton.standing_root_height / adult_skeleton().standing_root_height
    model = _symmetric(skeleton, 1.0 / size)
    positions, rotations = _modelling_pose(model)
    field = place(model, positions, rotations)
    half, triangles, pairs = half_mesh(field, _grid(field, positions), tolerance=_TOLERANCE)
    weights = _joint_weights(half, pairs, positions, field)
    bare = weights[:, [SMPL_22_NAMES.index(name) for name in _BARE_JOINTS]].sum(axis=1)
    tone = 1.0 - _smooth_step((bare - 0.3) / 0.4)
    images, triangles = mirror(half, triangles)
    vertices = np.concatenate((half, half[images] * np.array([-1, 1, 1], np.float32)))
    weights = np.concatenate((weights, weights[images][:, mirror_permutation()]))
    tone = np.concatenate((tone, tone[images]))
    weights *= (
        weights > np.sort(weights, axis=1)[:, -INFLUENCES - 1, None]
    )  # equal ones go together
    order = np.argsort(-weights, axis=1, kind="stable")[:, :INFLUENCES]
    kept = np.take_along_axis(weights, order, axis=1)
    bound = Body(
        skeleton=skeleton,
        vertices=torch.from_numpy(vertices * np.float32(size)),
        normals=torch.empty(0),
        triangles=torch.from_numpy(triangles),
        joint_indices=torch.from_numpy(order),
        joint_weights=torch.from_numpy(kept / kept.sum(axis=1, keepdims=True)),
        tone=torch.from_numpy(tone),
    )
    return _unposed(bound, torch.from_numpy(positions * size), torch.from_numpy(rotations))


def _symmetric(skeleton: Skeleton, scale: float) -> Skeleton:
    """The skeleton scaled, with the mean of both sides on each side."""
    mirrored = skeleton.offsets[list(mirror_permutation())] * skeleton.offsets.new_tensor(
        [-1.0, 1.0, 1.0]
    )
    offsets = (skeleton.offsets + mirrored) * (0.5 * scale)
    return replace(skeleton, offsets=offsets, foot_joint_height=skeleton.foot_joint_height * scale)


def _modelling_pose(skeleton: Skeleton) -> tuple[Matrix, Matrix]:
    """(J, 3) positions and (J, 3, 3) world rotations of the joints in which the surface is made."""
    rotations = torch.eye(3, dtype=torch.float64).repeat(skeleton.num_joints, 1, 1)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for joints, bone, angle in (
            (("shoulder", "elbow", "wrist"), "elbow", _ARM_DROP),
            (("hip", "knee"), "knee", math.pi / 2 - _LEG_SPREAD),
        ):
            rest = skeleton.offsets[skeleton.index(f"{side}_{bone}")]
            wanted = rest.new_tensor([sign * math.cos(angle), -math.sin(angle), 0.0])
            for joint in joints:
                rotations[skeleton.index(f"{side}_{joint}")] = rotation_between(rest, wanted)
    positions = [rotations.new_tensor([0.0, skeleton.standing_root_height, 0.0])]
    for parent, offset in zip(skeleton.parents[1:], skeleton.offsets[1:], strict=True):
        positions.append(positions[parent] + rotations[parent] @ offset)
    return torch.stack(positions).numpy(), rotations.numpy()


def _grid(field: Field, positions: Matrix) -> tuple[Array, Array, Array]:
    """Grid coordinates over the half with x >= 0, closer at hands, head and feet."""
    low, high = field.bounds()
    hand, hand_height = positions[SMPL_22_NAMES.index("left_wrist"), :2]
    head = float(positions[SMPL_22_NAMES.index("head"), 1]) - 0.06
    foot = float(positions[SMPL_22_NAMES.index("left_ankle"), 1])

    def across(x: Matrix) -> Matrix:
        return np.where(x > hand, _FINE, _COARSE)

    def upward(y: Matrix) -> Matrix:
        beside_hand = np.abs(y - hand_height + 0.06) < 0.07
        return np.where((y > head) | (y < foot) | beside_hand, _FINE, _COARSE)

    x = _graded(0.0, float(high[0]), across) + _COARSE / 2
    y = _graded(float(low[1]), float(high[1]), upward)
    x = np.concatenate(([-_COARSE / 2], x))
    z = np.arange(float(low[2]), float(high[2]) + _DEPTH, _DEPTH)
    return x.astype(np.float32), y.astype(np.float32), z.astype(np.float32)


def _graded(low: float, high: float, spacing: Callable[[Matrix], Matrix]) -> Matrix:
    """Coordinates from `low` to `high` about `spacing` apart."""
    at = np.linspace(low, high, 2000)
    passed = np.concatenate(([0.0], np.cumsum(np.diff(at) / spacing(at[1:]))))
    return np.interp(np.linspace(0.0, passed[-1], math.ceil(passed[-1]) + 1), passed, at)


def _unposed(body: Body, positions: Tensor, rotations: Tensor) -> Body:
    """The body in its rest pose, from its surface in the pose with these (J, 3) joints and (J, 3, 3) world rotations.

    It is the inverse of linear blend skinning: skinned into that pose again, the surface is what it was.
    """
    shifts = positions - (rotations @ body.rest_joints[..., None]).squeeze(-1)
    weights = body.joint_weights.double()
    turn = (rotations[body.joint_indices] * weights[..., None, None]).sum(dim=1)
    shift = (shifts[body.joint_indices] * weights[..., None]).sum(dim=1)
    vertices = torch.linalg.solve(turn, body.vertices.double() - shift).float()
    return replace(body, vertices=vertices, normals=_vertex_normals(vertices, body.triangles))


def _vertex_normals(vertices: Tensor, triangles: Tensor) -> Tensor:
    """(V, 3) unit normals: the mean over the triangles around each vertex, weighted by their areas."""
    a, b, c = vertices[triangles].unbind(1)
    faces = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(vertices)
    for corner in triangles.T:
        total.index_add_(0, corner, faces)
    return F.normalize(total, dim=-1)


class _Bend(NamedTuple):
    """Where the surface bends for a joint: over `half_width` metres to both sides of a plane.

    The plane goes through the point `before` metres from the joint towards the root; its `normal` points away from the
    root, in the modelling pose; None: along the bones.
    """

    half_width: float
    normal: tuple[float, float, float] | None = None
    before: float = 0.0


_BENDS = {
    "spine1": _Bend(0.055, (0.0, 1.0, 0.0)),
    "spine2": _Bend(0.055, (0.0, 1.0, 0.0)),
    "spine3": _Bend(0.055, (0.0, 1.0, 0.0)),
    "neck": _Bend(0.035, (0.0, 0.97, 0.2)),
    "head": _Bend(0.035, (0.0, 0.85, 0.53), 0.035),
    "left_collar": _Bend(0.07, (0.75, 0.66, 0.0)),
    "left_shoulder": _Bend(0.06, (0.98, 0.2, 0.0)),
    "left_elbow": _Bend(0.045),
    "left_wrist": _Bend(0.035),
    "left_hip": _Bend(0.075, (0.5, -0.86, 0.0)),
    "left_knee": _Bend(0.06),
    "left_ankle": _Bend(0.035, (0.0, -0.97, 0.25), 0.01),
    "left_foot": _Bend(0.022, (0.0, 0.0, 1.0)),
}
_SEAT = 0.6  # how much wider the bend of the hip gets for each metre behind the joint: the skin that sitting stretches
_CROTCH = 0.08  # metres over which the inside of the thighs changes from one side to the other
_LEAD, _LEAD_FADE = (
    0.042,
    0.045,
)  # metres by which a limb must be nearer than the rest of the body to own a vertex


def _joint_weights(vertices: Array, pairs: Indices, positions: Matrix, field: Field) -> Array:
    """(V, J) weights of the vertices of the half with x >= 0.

    Every joint passes on to each child the share that lies beyond the child's bend, so that only joints next to each
    other in the tree share a vertex. Which limb a vertex lies on overrules the plane of the bend: a hand that hangs
    beside the thigh is not the thigh's.
    """
    distances = field.part_distances(vertices)
    owner = np.asarray([part.joint for part in field.parts])
    below = _descendants()
    share = np.ones((len(vertices), len(positions)), np.float32)
    for joint, name in list(enumerate(SMPL_22_NAMES))[1:]:
        bend = _beyond_bend(joint, vertices, positions)
        inside = np.isin(owner, below[joint])
        if inside.any():
            lead = distances[~inside].min(axis=0) - distances[inside].min(axis=0)
            bend += np.maximum(lead - _LEAD, 0.0) / _LEAD_FADE
            if not name.startswith("spine"):  # the trunk is one part: it leads no spine joint
                bend -= np.maximum(-lead - _LEAD, 0.0) / _LEAD_FADE
        share[:, joint] = _smooth_step(bend)
    weights = np.zeros_like(share)
    for joint in range(len(positions)):
        children = [child for child, parent in enumerate(SMPL_22_PARENTS) if parent == joint]
        passed = share[:, children].sum(axis=1)
        weights[:, joint] = share[:, joint] * (1.0 - np.minimum(passed, 1.0))
        share[:, children] *= (share[:, joint] / np.maximum(passed, 1.0))[:, None]
    for _ in range(3):
        weights = (weights + neighbour_mean(weights, pairs)) / 2
    on_plane = vertices[:, 0] == 0
    weights[on_plane] = (weights[on_plane] + weights[on_plane][:, mirror_permutation()]) / 2
    return weights


def _beyond_bend(joint: int, vertices: Array, positions: Matrix) -> Array:
    """(V,) from 0 before the bend of a joint over 0.5 at its middle to 1 behind it."""
    name = SMPL_22_NAMES[joint]
    bend = _BENDS[name.replace("right_", "left_")]
    side = -1.0 if name.startswith("right_") else 1.0
    if bend.normal is not None:
        normal = np.asarray(bend.normal) * (side, 1.0, 1.0)
    else:
        bones = [(SMPL_22_PARENTS[joint], joint)]
        bones += [(joint, child) for child, parent in enumerate(SMPL_22_PARENTS) if parent == joint]
        vectors = [positions[end] - positions[start] for start, end in bones]
        normal = sum(vector / np.linalg.norm(vector) for vector in vectors)
    normal = normal / np.linalg.norm(normal)
    offset = vertices - positions[joint].astype(np.float32)
    along = offset @ normal.astype(np.float32) + np.float32(bend.before)
    if not name.endswith("hip"):
        return np.clip(0.5 + 0.5 * along / bend.half_width, 0.0, 1.0)
    half_width = bend.half_width + _SEAT * np.maximum(-offset[:, 2], 0.0)
    own_side = 0.2 + side * vertices[:, 0] / _CROTCH
    return np.clip(np.minimum(0.5 + 0.5 * along / half_width, own_side), 0.0, 1.0)


def _descendants() -> list[list[int]]:
    """For each joint the joints that it moves, itself among them."""
    below = [[joint] for joint in range(len(SMPL_22_PARENTS))]
    for joint in reversed(range(1, len(SMPL_22_PARENTS))):
        below[SMPL_22_PARENTS[joint]] += below[joint]
    return below


def _smooth_step(x: Array) -> Array:
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)

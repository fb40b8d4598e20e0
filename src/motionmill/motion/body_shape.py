"""The shape of the mannequin: a table of tubes and capsules on the bones -> a signed distance field.

Shapes: N points, P parts, J joints. Metres, Y up. Own design, CC0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionmill.motion.rotations import rotation_between
from motionmill.motion.skeleton import Skeleton, adult_skeleton

Array = NDArray[np.float32]
Indices = NDArray[np.int64]
Matrix = NDArray[np.float64]
Row = tuple[float, float, float, float, float]


class Tube(NamedTuple):
    """A tube along an axis, drawn by its silhouettes.

    Each row is (position along the axis, then the low and high edge along both other axes, in the order x, y, z), in
    metres from `joint` in the T-pose of the default adult. The ends are rounded over `caps` metres.
    `squareness` is the exponent of the cross-section: 2 an ellipse, more is boxier.
    """

    joint: str
    toward: str | None  # the joint whose distance stretches the tube on other skeletons
    axis: int
    rows: tuple[Row, ...]
    caps: tuple[float, float]
    blend: float
    squareness: float = 2.0


class Capsule(NamedTuple):
    """A capsule from `start` (radius `radii[0]`) to `end` (radius `radii[1]`), stretched by `scale`."""

    joint: str
    toward: str | None
    start: tuple[float, float, float]
    end: tuple[float, float, float]
    radii: tuple[float, float]
    blend: float
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)


_MARGIN = 0.08
_STEPS = 256
_SOFT, _HEAD, _LIMB, _BETWEEN, _SOLE = (
    0.014,
    0.008,
    0.004,
    0.008,
    0.005,
)  # radii over which parts flow into each other, metres

# Parts of the left side are mirrored to the right.
PARTS: tuple[Tube | Capsule, ...] = (
    Tube("pelvis", "neck", 1, (
        (-0.085, -0.070, 0.070, -0.070, 0.040),
        (-0.040, -0.136, 0.136, -0.100, 0.074),
        (0.005, -0.160, 0.160, -0.108, 0.088),
        (0.055, -0.154, 0.154, -0.094, 0.092),
        (0.110, -0.137, 0.137, -0.080, 0.093),
        (0.165, -0.128, 0.128, -0.078, 0.092),
        (0.230, -0.134, 0.134, -0.089, 0.099),
        (0.300, -0.149, 0.149, -0.104, 0.110),
        (0.360, -0.157, 0.157, -0.112, 0.112),
        (0.415, -0.150, 0.150, -0.108, 0.094),
        (0.455, -0.118, 0.118, -0.096, 0.066),
        (0.490, -0.076, 0.076, -0.082, 0.040),
        (0.520, -0.052, 0.052, -0.072, 0.030),
    ), (0.03, 0.04), _SOFT, 2.4),
    Capsule("pelvis", None, (0.063, -0.058, -0.052), (0.074, -0.100, -0.050), (0.066, 0.062), _SOFT),
    Capsule("spine3", "neck", (0.065, 0.062, 0.062), (0.085, 0.070, 0.055), (0.044, 0.044), _SOFT, (1.2, 1.0, 0.8)),
    Capsule("spine3", "neck", (0.105, -0.01, -0.035), (0.125, 0.08, -0.035), (0.040, 0.045), _SOFT),
    Capsule("spine3", "neck", (0.024, 0.205, -0.026), (0.110, 0.148, -0.022), (0.036, 0.028), _SOFT),
    Capsule("neck", "head", (0.0, -0.050, -0.004), (0.0, 0.095, 0.012), (0.053, 0.050), _SOFT),
    Capsule("left_collar", "left_shoulder", (0.0, 0.0, 0.0), (0.095, 0.0, -0.005), (0.048, 0.044), _SOFT),
    # head
    Tube("head", None, 1, (
        (-0.015, -0.044, 0.044, -0.040, 0.086),
        (0.010, -0.054, 0.054, -0.070, 0.090),
        (0.035, -0.062, 0.062, -0.088, 0.090),
        (0.060, -0.068, 0.068, -0.099, 0.087),
        (0.084, -0.072, 0.072, -0.104, 0.092),
        (0.100, -0.073, 0.073, -0.105, 0.092),
    ), (0.028, 0.070), _HEAD, 2.1),
    Capsule("head", None, (-0.006, -0.024, 0.060), (0.006, -0.024, 0.060), (0.023, 0.023), _HEAD),
    Capsule("head", None, (0.0, 0.066, 0.080), (0.0, 0.031, 0.093), (0.007, 0.010), _HEAD),
    Capsule("head", None, (0.066, 0.046, -0.012), (0.070, 0.064, -0.018), (0.010, 0.014), _LIMB, (0.5, 1.1, 0.9)),
    # arm
    Tube("left_shoulder", "left_elbow", 0, (
        (-0.020, -0.048, 0.044, -0.046, 0.044),
        (0.025, -0.055, 0.048, -0.051, 0.049),
        (0.070, -0.050, 0.046, -0.046, 0.047),
        (0.130, -0.042, 0.041, -0.043, 0.044),
        (0.200, -0.037, 0.036, -0.038, 0.039),
        (0.268, -0.031, 0.030, -0.032, 0.031),
    ), (0.04, 0.03), _SOFT),
    Tube("left_elbow", "left_wrist", 0, (
        (0.000, -0.031, 0.030, -0.032, 0.031),
        (0.035, -0.037, 0.036, -0.036, 0.038),
        (0.075, -0.037, 0.036, -0.035, 0.040),
        (0.130, -0.032, 0.031, -0.031, 0.036),
        (0.195, -0.024, 0.023, -0.026, 0.030),
        (0.248, -0.020, 0.019, -0.025, 0.027),
    ), (0.03, 0.02), _LIMB),
    Tube("left_wrist", None, 0, (
        (0.000, -0.021, 0.019, -0.026, 0.028),
        (0.022, -0.022, 0.018, -0.031, 0.032),
        (0.050, -0.022, 0.016, -0.039, 0.039),
        (0.080, -0.021, 0.013, -0.042, 0.041),
        (0.110, -0.021, 0.009, -0.040, 0.038),
        (0.135, -0.022, 0.003, -0.035, 0.032),
        (0.155, -0.023, -0.002, -0.027, 0.024),
    ), (0.02, 0.018), _LIMB, 2.3),
    Capsule("left_wrist", None, (0.022, -0.006, 0.022), (0.054, -0.012, 0.050), (0.019, 0.016), _LIMB),
    Capsule("left_wrist", None, (0.054, -0.012, 0.050), (0.088, -0.017, 0.062), (0.015, 0.0135), _LIMB),
    # leg
    Tube("left_hip", "left_knee", 1, (
        (-0.392, -0.041, 0.041, -0.044, 0.047),
        (-0.350, -0.047, 0.048, -0.050, 0.055),
        (-0.290, -0.053, 0.055, -0.056, 0.062),
        (-0.220, -0.061, 0.065, -0.064, 0.073),
        (-0.140, -0.070, 0.076, -0.075, 0.082),
        (-0.060, -0.074, 0.082, -0.084, 0.085),
        (0.000, -0.068, 0.080, -0.086, 0.080),
        (0.060, -0.045, 0.066, -0.074, 0.066),
        (0.100, -0.020, 0.040, -0.050, 0.045),
    ), (0.03, 0.03), _SOFT),
    Tube("left_knee", "left_ankle", 1, (
        (-0.400, -0.031, 0.031, -0.040, 0.026),
        (-0.370, -0.030, 0.030, -0.039, 0.025),
        (-0.320, -0.032, 0.032, -0.042, 0.027),
        (-0.250, -0.037, 0.039, -0.050, 0.032),
        (-0.180, -0.044, 0.049, -0.061, 0.037),
        (-0.120, -0.047, 0.051, -0.063, 0.041),
        (-0.060, -0.046, 0.047, -0.055, 0.046),
        (0.000, -0.041, 0.041, -0.044, 0.047),
    ), (0.03, 0.03), _LIMB),
    Tube("left_ankle", None, 2, (
        (-0.046, -0.026, 0.026, -0.100, -0.024),
        (-0.025, -0.032, 0.033, -0.100, 0.006),
        (0.005, -0.034, 0.036, -0.100, 0.026),
        (0.035, -0.036, 0.039, -0.100, 0.006),
        (0.075, -0.039, 0.044, -0.100, -0.020),
        (0.115, -0.044, 0.049, -0.100, -0.037),
        (0.150, -0.045, 0.047, -0.100, -0.046),
        (0.175, -0.041, 0.038, -0.100, -0.051),
    ), (0.018, 0.026), _LIMB, 2.4),
)  # fmt: skip


@dataclass(frozen=True)
class Placed:
    """A part in space.

    Attributes:
        joint: the joint that it follows.
        origin: (3,) of its frame, metres.
        frame: (3, 3) local = (point - origin) @ frame; mirrors the parts of the right side.
        centre, reach: (3,) and radius of a ball that holds the part with a margin of `_MARGIN`, metres.
        shape: (N, 3) local points -> (N,) distances.
        blend: metres over which it flows into its neighbours.
    """

    joint: int
    origin: Array
    frame: Array
    centre: Array
    reach: float
    shape: Callable[[Array], Array]
    blend: float


@dataclass(frozen=True)
class Field:
    """All parts, smoothly united and cut flat at the soles: a signed distance field, negative inside."""

    parts: tuple[Placed, ...]
    floor: float  # height of the soles, metres

    def bounds(self) -> tuple[Array, Array]:
        """Lower and upper corner of a box around the surface."""
        low = np.min([part.centre - part.reach for part in self.parts], axis=0)
        high = np.max([part.centre + part.reach for part in self.parts], axis=0)
        return low, high

    def __call__(self, points: Array) -> Array:
        """(N, 3) -> (N,) approximate distance to the surface, metres; a constant far outside."""
        sums: dict[float, Array] = {}  # of exp(-distance / blend), for every blend
        for part, near, distance in self._near(points):
            total = sums.setdefault(part.blend, np.full(len(points), 1e-30, np.float32))
            total[near] += np.exp(-distance / part.blend)
        united = [-blend * np.log(total) for blend, total in sums.items()]
        body = _smooth_minimum(np.stack(united), _BETWEEN)
        return -_smooth_minimum(np.stack((-body, points[:, 1] - self.floor)), _SOLE)

    def part_distances(self, points: Array) -> Array:
        """(N, 3) -> (P, N) approximate distance to every part, metres."""
        return np.stack([part.shape((points - part.origin) @ part.frame) for part in self.parts])

    def gradient(self, points: Array) -> tuple[Array, Array]:
        """(N, 3) -> (N,) value and (N, 3) gradient, from the corners of a tetrahedron 1 mm around each point."""
        corners = np.array(((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)), np.float32)
        values = self((points + 1e-3 * corners[:, None]).reshape(-1, 3)).reshape(4, -1)
        return values.mean(axis=0), values.T @ corners / 4e-3

    def _near(self, points: Array) -> Iterator[tuple[Placed, Indices, Array]]:
        """Every part with the points in its ball and their distances to the part."""
        centres = np.stack([part.centre for part in self.parts])
        squared = (
            (points**2).sum(axis=1) - 2 * centres @ points.T + (centres**2).sum(axis=1)[:, None]
        )
        for part, to_centre in zip(self.parts, squared, strict=True):
            near = np.flatnonzero(to_centre < part.reach**2)
            yield part, near, part.shape((points[near] - part.origin) @ part.frame)


def place(skeleton: Skeleton, positions: Matrix, rotations: Matrix) -> Field:
    """The parts on the joints of a posed skeleton about as tall as the default adult.

    Args:
        skeleton: SMPL-22 names. Bone lengths other than the default adult's stretch the parts along the bone.
        positions: (J, 3) world positions of the joints, metres.
        rotations: (J, 3, 3) world rotations of the joints.
    """
    placed = []
    for part in PARTS:
        placed.append(_place(part, skeleton, positions, rotations, mirrored=False))
        if part.joint.startswith("left_") or (isinstance(part, Capsule) and part.start[0] != 0):
            placed.append(_place(part, skeleton, positions, rotations, mirrored=True))
    ankle = skeleton.index("left_ankle")
    ankle_height = float(skeleton.rest_joints[ankle, 1]) + skeleton.standing_root_height
    return Field(tuple(placed), float(positions[ankle, 1]) - ankle_height)


def _place(
    part: Tube | Capsule,
    skeleton: Skeleton,
    positions: Matrix,
    rotations: Matrix,
    *,
    mirrored: bool,
) -> Placed:
    def own(name: str) -> str:
        return name.replace("left_", "right_") if mirrored else name

    stretch, turn = np.ones(3), np.eye(3)
    if part.toward is not None:
        ours, theirs = (
            each.rest_joints[each.index(own(part.toward))]
            - each.rest_joints[each.index(own(part.joint))]
            for each in (adult_skeleton(), skeleton)
        )
        stretch[int(ours.abs().argmax())] = max(float(theirs.norm() / ours.norm()), 0.1)
        turn = rotation_between(ours, theirs).numpy()
    shape, corners = _tube(part, stretch) if isinstance(part, Tube) else _capsule(part, stretch)
    joint = skeleton.index(own(part.joint))
    frame = rotations[joint] @ turn @ np.diag([-1.0 if mirrored else 1.0, 1.0, 1.0])
    middle = corners.mean(axis=0)
    return Placed(
        joint=joint,
        origin=positions[joint].astype(np.float32),
        frame=frame.astype(np.float32),
        centre=(positions[joint] + frame @ middle).astype(np.float32),
        reach=float(np.linalg.norm(corners - middle, axis=1).max()) + _MARGIN,
        shape=shape,
        blend=part.blend,
    )


def _capsule(part: Capsule, stretch: Matrix) -> tuple[Callable[[Array], Array], Matrix]:
    """The distance function of a capsule in its frame, and the corners of a box around it."""
    scale, radii = np.asarray(part.scale), np.asarray(part.radii)
    ends = np.asarray((part.start, part.end)) * stretch
    reach = radii[:, None] * scale
    start, along = ((each / scale).astype(np.float32) for each in (ends[0], ends[1] - ends[0]))
    length_squared = max(float(along @ along), 1e-12)

    def distance(local: Array) -> Array:
        offset = local / scale.astype(np.float32) - start
        share = np.clip(offset @ along / length_squared, 0.0, 1.0)
        offset = offset - share[:, None] * along
        to_axis = np.sqrt(np.einsum("nc,nc->n", offset, offset))
        return (to_axis - radii[0] - share * (radii[1] - radii[0])) * scale.min()

    return distance, np.concatenate((ends - reach, ends + reach))


def _tube(part: Tube, stretch: Matrix) -> tuple[Callable[[Array], Array], Matrix]:
    """The distance function of a tube in its frame, and the corners of a box around it."""
    axis = part.axis
    first_across, second_across = (other for other in range(3) if other != axis)
    columns = [axis, first_across, first_across, second_across, second_across]
    rows = np.asarray(part.rows) * stretch[columns]
    start, end = float(rows[0, 0]), float(rows[-1, 0])
    caps = np.asarray(part.caps) * stretch[axis]
    low_u, high_u, low_w, high_w = _curves(rows, _STEPS)
    table = np.stack((low_u + high_u, low_w + high_w, high_u - low_u, high_w - low_w)) / 2
    table = table.astype(np.float32)  # centres and half widths
    rises = np.diff(table, axis=1)

    def distance(local: Array) -> Array:
        t = local[:, axis]
        step = np.clip((t - start) * ((_STEPS - 1) / (end - start)), 0.0, _STEPS - 1.001)
        index = step.astype(np.int64)
        centre_u, centre_w, half_u, half_w = table[:, index] + (step - index) * rises[:, index]
        u, w = local[:, first_across] - centre_u, local[:, second_across] - centre_w
        below, above = np.maximum(start - t, 0.0), np.maximum(t - end, 0.0)
        section = _norm(u / half_u, w / half_w, part.squareness)
        level = np.hypot(section, below / caps[0] + above / caps[1])  # 1 on the surface
        from_axis = np.sqrt(u * u + w * w + below * below + above * above)
        thin = np.minimum(half_u, half_w)
        return np.maximum(from_axis, 0.1 * thin) * (1.0 - 1.0 / np.maximum(level, 0.1))

    low, high = rows[:, 1::2].min(axis=0), rows[:, 2::2].max(axis=0)
    corners = np.empty((2, 3))
    corners[:, axis] = start - caps[0], end + caps[1]
    corners[:, first_across], corners[:, second_across] = (low[0], high[0]), (low[1], high[1])
    return distance, corners


def _curves(rows: Matrix, count: int) -> Matrix:
    """(R, 5) rows -> (4, count) edges at even steps: cubic Hermite curves through the rows."""
    t, edges = rows[:, 0], rows[:, 1:]
    slopes = np.gradient(edges, t, axis=0)
    steps = np.linspace(t[0], t[-1], count)
    index = np.clip(np.searchsorted(t, steps, side="right") - 1, 0, len(t) - 2)
    width = (t[index + 1] - t[index])[:, None]
    x = (steps - t[index])[:, None] / width
    start, end = edges[index], edges[index + 1]
    leave, arrive = slopes[index] * width, slopes[index + 1] * width
    curve = start + x * leave + x**2 * (3 * (end - start) - 2 * leave - arrive)
    return (curve + x**3 * (2 * (start - end) + leave + arrive)).T


def _norm(first: Array, second: Array, exponent: float) -> Array:
    if exponent == 2.0:
        return np.hypot(first, second)
    return (np.abs(first) ** exponent + np.abs(second) ** exponent) ** (1.0 / exponent)


def _smooth_minimum(values: Array, blend: float) -> Array:
    """(K, N) -> (N,): -blend log sum exp(-value / blend)."""
    lowest = values.min(axis=0)
    return lowest - blend * np.log(np.exp((lowest - values) / blend).sum(axis=0))

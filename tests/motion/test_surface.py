"""The mesher: closed, on the surface, outward, for smooth bodies and for thin ones that a grid hardly resolves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from motionmill.motion.surface import Array, Indices, half_mesh, mirror


@dataclass(frozen=True)
class Rods:
    """Rods from the plane x = 0 outwards, as a signed distance field with numeric gradients."""

    starts: Array
    ends: Array
    radius: float

    def __call__(self, points: Array) -> Array:
        points = np.abs(points) * [1, 0, 0] + points * [0, 1, 1]
        along = self.ends - self.starts
        share = ((points[:, None] - self.starts) * along).sum(-1) / (along**2).sum(-1)
        nearest = self.starts + np.clip(share, 0, 1)[..., None] * along
        distance = np.linalg.norm(points[:, None] - nearest, axis=-1).min(axis=1) - self.radius
        return distance.astype(np.float32)

    def gradient(self, points: Array) -> tuple[Array, Array]:
        steps = np.eye(3, dtype=np.float32) * 1e-3
        slopes = [(self(points + step) - self(points - step)) / 2e-3 for step in steps]
        return self(points), np.stack(slopes, axis=1)


def whole(field: Rods, spacing: float, tolerance: float) -> tuple[Array, Indices]:
    side = np.arange(-1.2, 1.2, spacing, dtype=np.float32)
    across = np.arange(-spacing / 2, 1.2, spacing, dtype=np.float32)
    vertices, triangles, _ = half_mesh(field, (across, side, side), tolerance=tolerance)
    images, triangles = mirror(vertices, triangles)
    flip = np.array([-1, 1, 1], np.float32)
    return np.concatenate((vertices, vertices[images] * flip)), triangles


def sides(triangles: Indices) -> Indices:
    return np.concatenate((triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]))


def assert_closed_and_oriented(triangles: Indices) -> None:
    """Every edge is in two triangles, which pass it in opposite directions; around every vertex is one fan of them."""
    directed, count = np.unique(sides(triangles), axis=0, return_counts=True)
    assert (count == 1).all()
    assert np.array_equal(directed, np.unique(directed[:, ::-1], axis=0))
    place = {edge: index for index, edge in enumerate(map(tuple, directed.tolist()))}
    turns = [
        (place[v, a], place[v, b])
        for a, b, v in np.concatenate([np.roll(triangles, k, axis=1) for k in range(3)]).tolist()
    ]
    rows, columns = zip(*turns, strict=True)
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), (len(place), len(place)))
    assert connected_components(graph)[0] == len(np.unique(triangles))


def volume(vertices: Array, triangles: Indices) -> float:
    a, b, c = (vertices[triangles[:, corner]].astype(np.float64) for corner in range(3))
    return float((np.cross(a, b) * c).sum() / 6)


def test_a_ball() -> None:
    point = np.zeros((1, 3), np.float32)
    ball = Rods(point, point + 1e-3, 0.8)
    vertices, triangles = whole(ball, 0.11, 0.002)
    assert_closed_and_oriented(triangles)
    assert np.abs(ball(vertices)).max() < 2e-3
    assert volume(vertices, triangles) == pytest.approx(4 / 3 * np.pi * 0.8**3, rel=0.01)
    assert len(vertices) - len(sides(triangles)) / 2 + len(triangles) == 2  # Euler: a sphere


def test_triangles_are_small_only_where_the_surface_bends() -> None:
    start, end = np.array([[0, -0.9, 0]], np.float32), np.array([[0, 0.9, 0]], np.float32)
    rod = Rods(start, end, 0.25)
    coarse, _ = whole(rod, 0.15, 1.0)
    fine, _ = whole(rod, 0.15, 0.004)
    caps, middle = (np.abs(fine[:, 1]) > 0.9).sum(), (np.abs(fine[:, 1]) < 0.2).sum()
    assert len(fine) > 1.5 * len(coarse)
    assert caps > middle


@given(seed=st.integers(0, 10_000), radius=st.floats(0.05, 0.2))
@settings(max_examples=12, deadline=None)
def test_thin_rods_in_any_direction_are_closed(seed: int, radius: float) -> None:
    """Rods thinner than the grid meet it in all ambiguous ways; the mesh may be rough, never open."""
    generator = np.random.default_rng(seed)
    starts = np.zeros((4, 3), np.float32)
    ends = generator.uniform(-0.8, 0.8, (4, 3)).astype(np.float32)
    ends[:, 0] = np.abs(ends[:, 0])
    _, triangles = whole(Rods(starts, ends, radius), 0.1, 0.05)
    assert_closed_and_oriented(triangles)

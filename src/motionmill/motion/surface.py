"""A signed distance field that is symmetric about x = 0 -> the half with x >= 0 of a closed triangle mesh.

Shapes: N points, V vertices, F triangles, E directed edges.
Surface nets (Gibson, "Constrained elastic surface nets", 1998): one vertex in each grid cell that the surface crosses,
one quad around each grid edge that it crosses. Then the vertices are spread evenly on the surface, and edges that miss
it are split, so that triangles are small only where the surface is strongly curved.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Indices = NDArray[np.int64]


class Field(Protocol):
    """A signed distance field, negative inside."""

    def __call__(self, points: Array) -> Array:
        """(N, 3) -> (N,) distances."""
        ...

    def gradient(self, points: Array) -> tuple[Array, Array]:
        """(N, 3) -> (N,) distances and (N, 3) their gradients."""
        ...


def half_mesh(
    field: Field, axes: tuple[Array, Array, Array], *, tolerance: float
) -> tuple[Array, Indices, Indices]:
    """The half with x >= 0 of the zero surface of a symmetric field.

    Args:
        field: symmetric about x = 0.
        axes: grid coordinates along x, y and z. The first two along x are -h and h; the surface must lie inside.
        tolerance: edges whose middle misses the surface by more are split.

    Returns:
        (V, 3) vertices, those on the plane of symmetry with x = 0; (F, 3) triangles, counter-clockwise seen from
        outside; (E, 2) neighbours as `neighbours` gives them.
    """
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).astype(np.float32)
    values = _unambiguous(field(grid.reshape(-1, 3)).reshape(grid.shape[:3]))
    vertices, vertex_of_cell = _cell_vertices(grid, values)
    on_plane = vertex_of_cell[0]
    vertices[on_plane[on_plane >= 0], 0] = 0.0
    quads = np.concatenate([_quads(values, vertex_of_cell, axis) for axis in range(3)])
    triangles = _cut(quads, vertices)
    pairs = neighbours(vertices, triangles)
    vertices = _settle(vertices, pairs, field, steps=3)
    for _ in range(2):
        vertices, triangles = _split(vertices, triangles, field, tolerance)
        pairs = neighbours(vertices, triangles)
        vertices = _settle(vertices, pairs, field, steps=2)
    return vertices, triangles, pairs


def mirror(vertices: Array, triangles: Indices) -> tuple[Indices, Indices]:
    """A half mesh -> the whole.

    Returns:
        (W,) the vertices of the half that are mirrored, in the order in which their images follow the half's vertices,
        and (2 F, 3) all triangles.
    """
    off_plane = np.flatnonzero(vertices[:, 0] != 0)
    image = np.arange(len(vertices))
    image[off_plane] = len(vertices) + np.arange(len(off_plane))
    return off_plane, np.concatenate((triangles, image[triangles][:, ::-1]))


def neighbours(vertices: Array, triangles: Indices) -> Indices:
    """(E, 2) directed edges that start in the half, sorted; a mirrored vertex is named by its original."""
    sides = _sides(triangles)
    pairs = _unique(np.concatenate((sides, sides[:, ::-1])))[0]
    on_plane = vertices[:, 0] == 0
    twice = on_plane[pairs[:, 0]] & ~on_plane[pairs[:, 1]]
    return np.repeat(pairs, np.where(twice, 2, 1), axis=0)


def neighbour_mean(values: Array, pairs: Indices) -> Array:
    """(V, C) values and sorted (E, 2) directed edges -> (V, C) mean over the neighbours of each vertex."""
    count = np.bincount(pairs[:, 0], minlength=len(values))
    starts = np.cumsum(count) - count
    total: Array = np.add.reduceat(values[pairs[:, 1]], starts, axis=0)
    return total / count[:, None].astype(np.float32)


def _sides(triangles: Indices) -> Indices:
    """(F, 3) -> (3 F, 2): the sides 01, then 12, then 20."""
    return np.concatenate((triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]))


def _unique(pairs: Indices) -> tuple[Indices, Indices]:
    """(N, 2) pairs of indices -> the different ones, sorted, and (N,) which of them each one is."""
    base = int(pairs.max()) + 1
    keys, which = np.unique(pairs[:, 0] * base + pairs[:, 1], return_inverse=True)
    return np.stack(np.divmod(keys, base), axis=1), which


def _unambiguous(values: Array) -> Array:
    """Grid values without places where the surface would touch itself in an edge or a vertex.

    These are cell faces with one diagonal inside and the other outside, and cells of which only two opposite corners
    are inside, or only two outside. An outside corner there becomes inside, until no such place is left.
    """
    values = values.copy()
    cells = tuple(size - 1 for size in values.shape)
    corners = [
        values[tuple(slice(shift, shift + size) for shift, size in zip(corner, cells, strict=True))]
        for corner in np.ndindex(2, 2, 2)
    ]  # views; corner k is opposite to corner 7 - k
    found = True
    while found:
        found = False
        for axis in range(3):
            a, b, c, d = (values[near] for near in _around(axis, cells))  # views
            crossed = ((a < 0) == (d < 0)) & ((b < 0) == (c < 0)) & ((a < 0) != (b < 0))
            if crossed.any():
                found = True
                for one, other in ((a, d), (b, c)):
                    out = crossed & (one >= 0)
                    one[out & (one <= other)] = -1e-6
                    other[out & (other < one)] = -1e-6
        inside = np.sum([corner < 0 for corner in corners], axis=0)
        for first in range(4):
            one, other, beside = corners[first], corners[7 - first], corners[first ^ 1]
            apart = (inside == 6) & (one >= 0) & (other >= 0)
            together = (inside == 2) & (one < 0) & (other < 0)
            if apart.any() or together.any():
                found = True
                one[apart] = -1e-6
                beside[together] = -1e-6
        values[0] = values[1]  # mirror images
    return values


def _cell_vertices(grid: Array, values: Array) -> tuple[Array, Indices]:
    """In each crossed cell the mean of the points where the surface crosses the cell's edges."""
    cells = tuple(size - 1 for size in values.shape)
    total = np.zeros((*cells, 3), np.float32)
    count = np.zeros(cells, np.float32)
    for axis in range(3):
        start, end = _along(values, axis)
        crossed = (start < 0) != (end < 0)
        at = np.nonzero(crossed)
        share = (start[at] / (start[at] - end[at]))[:, None]
        grid_start, grid_end = _along(grid, axis)
        points = np.zeros((*crossed.shape, 3), np.float32)
        points[at] = grid_start[at] + share * (grid_end[at] - grid_start[at])
        for near in _around(axis, cells):
            total += points[near]
            count += crossed[near]
    occupied = count > 0
    vertex_of_cell = np.full(cells, -1, np.int64)
    vertex_of_cell[occupied] = np.arange(int(occupied.sum()))
    return total[occupied] / count[occupied][:, None], vertex_of_cell


def _along(values: Array, axis: int) -> tuple[Array, Array]:
    """The values at the start and at the end of every grid edge along an axis."""
    size = values.shape[axis]
    return values.take(range(size - 1), axis), values.take(range(1, size), axis)


def _around(axis: int, cells: tuple[int, ...]) -> list[tuple[slice, ...]]:
    """The four slices that give every cell its edges along an axis."""
    first, second = (other for other in range(3) if other != axis)
    result = []
    for shift_first, shift_second in ((0, 0), (0, 1), (1, 0), (1, 1)):
        near = [slice(None)] * 3
        near[first] = slice(shift_first, shift_first + cells[first])
        near[second] = slice(shift_second, shift_second + cells[second])
        result.append(tuple(near))
    return result


def _quads(values: Array, vertex_of_cell: Indices, axis: int) -> Indices:
    """(Q, 4) the cells around every crossed grid edge along an axis, counter-clockwise seen from outside."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    inner = [slice(None)] * 3
    inner[first] = inner[second] = slice(1, -1)
    start, end = (value[tuple(inner)] for value in _along(values, axis))
    corners = []
    for shift_first, shift_second in ((0, 0), (1, 0), (1, 1), (0, 1)):
        near = [slice(None)] * 3
        near[first] = slice(shift_first, shift_first + start.shape[first])
        near[second] = slice(shift_second, shift_second + start.shape[second])
        corners.append(vertex_of_cell[tuple(near)])
    around = np.stack(corners, axis=-1)
    leaving, entering = (start < 0) & (end >= 0), (start >= 0) & (end < 0)
    return np.concatenate((around[leaving], around[entering][:, ::-1]))


def _cut(quads: Indices, vertices: Array) -> Indices:
    """(Q, 4) -> (2 Q, 3): each quad cut along its shorter diagonal."""
    a, b, c, d = (vertices[quads[:, corner]] for corner in range(4))
    first = np.linalg.norm(a - c, axis=1) < np.linalg.norm(b - d, axis=1)
    turned = np.where(first[:, None], quads, np.roll(quads, -1, axis=1))
    return np.concatenate((turned[:, [0, 1, 2]], turned[:, [0, 2, 3]]))


def _settle(vertices: Array, pairs: Indices, field: Field, *, steps: int) -> Array:
    """Vertices moved along the surface towards the mean of their neighbours, and onto the surface, again and again."""
    on_plane = vertices[:, 0] == 0
    for _ in range(steps):
        value, slope = field.gradient(vertices)
        squared = np.maximum((slope * slope).sum(axis=1), 0.1)
        spread = 0.5 * (neighbour_mean(vertices, pairs) - vertices)
        outward = (spread * slope).sum(axis=1)
        vertices = vertices + spread - ((outward + value) / squared)[:, None] * slope
        vertices[on_plane, 0] = 0.0
        vertices[~on_plane, 0] = np.maximum(vertices[~on_plane, 0], 1e-4)
    return vertices


def _split(
    vertices: Array, triangles: Indices, field: Field, tolerance: float
) -> tuple[Array, Indices]:
    """Edges whose middle is more than `tolerance` off the surface get a vertex there; triangles follow."""
    sides = np.sort(_sides(triangles), axis=1)
    edges, edge_of_side = _unique(sides)
    middles = vertices[edges].mean(axis=1)
    wanted = np.abs(field(middles)) > tolerance
    new = np.where(wanted, len(vertices) + np.cumsum(wanted) - 1, -1)
    middle = new[
        edge_of_side.reshape(3, -1).T
    ]  # (F, 3) the new vertex on the sides 01, 12, 20 or -1
    return np.concatenate((vertices, middles[wanted])), _divide(triangles, middle)


def _divide(triangles: Indices, middle: Indices) -> Indices:
    """Triangles divided into one to four by the new vertices on their sides."""
    count = (middle >= 0).sum(axis=1)
    # turned so that with one new vertex it is on side 01, with two they are on 01 and 12
    turn = np.where(count == 1, (middle >= 0).argmax(axis=1), ((middle < 0).argmax(axis=1) + 1) % 3)
    order = (np.arange(3) + turn[:, None]) % 3
    triangles = np.take_along_axis(triangles, order, axis=1)
    all_six = np.concatenate((triangles, np.take_along_axis(middle, order, axis=1)), axis=1)
    # columns: corners a b c = 0 1 2, middles of ab bc ca = 3 4 5
    pieces = {
        0: ((0, 1, 2),),
        1: ((0, 3, 2), (3, 1, 2)),
        2: ((3, 1, 4), (0, 3, 4), (0, 4, 2)),
        3: ((0, 3, 5), (3, 1, 4), (5, 4, 2), (3, 4, 5)),
    }
    return np.concatenate(
        [all_six[count == number][:, piece] for number in pieces for piece in pieces[number]]
    )

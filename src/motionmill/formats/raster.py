"""Rasteriser: a perspective camera and shaded triangles -> pixels, in numpy, vectorised over (triangle, pixel) pairs.

Shapes: V vertices, F triangles, H image rows, W image columns. World: Y up, metres. Images are float32 in 0..1.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int32]

_KEY_COLOUR = np.array([1.0, 0.96, 0.90], np.float32)
_FILL_COLOUR = np.array([0.72, 0.82, 1.0], np.float32)


@dataclass(frozen=True, eq=False)
class Camera:
    """A perspective camera.

    Attributes:
        position: (3,) metres.
        axes: (3, 3), rows: right, up and forward of the camera in the world.
        focal: focal length, pixels.
        size: width and height of the image, pixels.
    """

    position: Array
    axes: Array
    focal: float
    size: tuple[int, int]

    def project(self, points: Array) -> tuple[Array, Array]:
        """World points (..., 3) -> pixels (..., 2), x to the right and y down, and depths (...) in metres."""
        x, y, depth = np.moveaxis((points - self.position) @ self.axes.T, -1, 0)
        depth = np.maximum(depth, 1e-3)
        across = self.size[0] / 2 + self.focal * x / depth
        down = self.size[1] / 2 - self.focal * y / depth
        return np.stack((across, down), axis=-1).astype(np.float32), depth.astype(np.float32)

    def moved(self, shift: Array) -> Camera:
        """The camera at another place, looking the same way."""
        return replace(self, position=(self.position + shift).astype(np.float32))

    def scaled(self, factor: int) -> Camera:
        """The same view with `factor` times as many pixels each way."""
        size = (self.size[0] * factor, self.size[1] * factor)
        return replace(self, focal=self.focal * factor, size=size)


def look(azimuth: float, elevation: float) -> Array:
    """Axes (3, 3) of a camera at this azimuth (radians from +Z towards +X) and elevation that looks at the origin."""
    forward = -np.array(
        [
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
            np.cos(elevation) * np.cos(azimuth),
        ]
    )
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    return np.stack((right, np.cross(right, forward), forward)).astype(np.float32)


class Mesh:
    """Triangles and colours of a surface that moves: everything about it that does not change over time.

    Args:
        triangles: (F, 3) vertex indices, counter-clockwise from outside.
        colours: (V, 3) base colours in 0..1.
    """

    def __init__(self, triangles: Indices, colours: Array) -> None:
        from scipy.sparse import csr_matrix

        self.triangles = triangles
        self.colours = colours
        rows, columns = triangles.ravel(), np.repeat(np.arange(len(triangles)), 3)
        ones = np.ones(len(rows), np.float32)
        self._spread: Any = csr_matrix((ones, (rows, columns)), (len(colours), len(triangles)))

    def normals(self, vertices: Array) -> Array:
        """(V, 3) vertices -> (V, 3) unit normals, each the area-weighted mean over the triangles around it."""
        corners = vertices[self.triangles]
        faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals = self._spread @ faces
        return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)

    def shade(self, vertices: Array, camera: Camera) -> Array:
        """(V, 3) vertices -> (V, 3) lit colours: a warm key light, a cool fill light, sky light and a soft rim."""
        normals = self.normals(vertices)
        key = camera.axes.T @ np.array([-0.45, 0.75, -0.55], np.float32)
        fill = camera.axes.T @ np.array([0.85, 0.15, -0.35], np.float32)
        toward = camera.position - vertices
        toward /= np.linalg.norm(toward, axis=1, keepdims=True)
        half = key / np.linalg.norm(key) + toward
        half /= np.linalg.norm(half, axis=1, keepdims=True)
        lit = np.maximum(normals @ (key / np.linalg.norm(key)) * 0.85 + 0.15, 0)[:, None]
        cool = np.maximum(normals @ (fill / np.linalg.norm(fill)) * 0.7 + 0.3, 0)[:, None]
        sky = (0.5 + 0.5 * normals[:, 1:2]) * 0.24 + 0.26
        rim = (1 - np.maximum((normals * toward).sum(1, keepdims=True), 0)) ** 3 * 0.12
        shine = np.maximum((normals * half).sum(1, keepdims=True), 0) ** 24 * 0.10
        light = sky + lit * 0.68 * _KEY_COLOUR + cool * 0.22 * _FILL_COLOUR
        return np.clip(self.colours * light + rim + shine, 0, 1).astype(np.float32)


def paint(
    image: Array, pixels: Array, depths: Array, mesh: tuple[Indices, Array], detail: int = 2
) -> None:
    """Draws triangles into an image, the nearest on top, with smooth edges; back faces are left out.

    Each triangle has the mean colour of its corners: enough for a fine mesh whose pixels are averaged afterwards, and
    three times as fast as colours that change inside it.

    Args:
        image: (H, W, 3), changed in place.
        pixels: (V, 2) pixel positions.
        depths: (V,) distances from the camera.
        mesh: triangles (F, 3), counter-clockwise from outside, and colours (V, 3).
        detail: samples each way in a pixel.
    """
    low = np.floor(pixels.min(axis=0)).clip(0, image.shape[1::-1]).astype(int)
    high = (np.ceil(pixels.max(axis=0)) + 1).clip(0, image.shape[1::-1]).astype(int)
    across, down = high - low
    if not across or not down:
        return
    triangles, colours = mesh
    fine = ((pixels - low.astype(np.float32)) * detail - 0.5).astype(np.float32)
    corners = fine[triangles]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    front = np.flatnonzero(area < -1e-6)  # counter-clockwise from outside is clockwise with y down
    front = front[np.argsort(-depths[triangles[front]].sum(axis=1))]
    triangle, place = _inside(corners[front], across * detail, down * detail)
    nearest = np.full((down, detail, across, detail), len(front), np.int32)
    nearest.reshape(-1)[place] = triangle  # of several at one place the last, the nearest, stays

    corner = triangles[front]
    palette = np.zeros((len(front) + 1, 4), np.float32)  # colour and cover
    palette[:-1, :3] = (colours[corner[:, 0]] + colours[corner[:, 1]] + colours[corner[:, 2]]) / 3
    palette[:-1, 3] = 1
    samples = [nearest[:, i, :, j] for i in range(detail) for j in range(detail)]
    rows, columns = np.nonzero(functools.reduce(np.minimum, samples) < len(front))
    drawn = sum(palette[sample[rows, columns]] for sample in samples) / np.float32(len(samples))
    part = image[low[1] : high[1], low[0] : high[0]]
    part[rows, columns] = part[rows, columns] * (1 - drawn[:, 3:]) + drawn[:, :3]


def _inside(corners: Array, width: int, height: int) -> tuple[Counts, Counts]:
    """Every pixel in every triangle: triangle indices and pixel indices, row * width + column.

    Args:
        corners: (F, 3, 2), clockwise on the screen, y down.
        width: of the image, pixels.
        height: of the image, pixels.
    """
    x, y = corners[..., 0], corners[..., 1]
    top = np.ceil(y.min(axis=1)).clip(0, height).astype(np.int32)
    bottom = (np.floor(y.max(axis=1)) + 1).clip(0, height).astype(np.int32)
    lines = bottom - top
    row = _count_up(lines) + np.repeat(top, lines)
    line = row.astype(np.float32)
    left = np.full(len(row), -1.0, np.float32)
    right = np.full(len(row), float(width), np.float32)
    for start, end in (
        (0, 1),
        (1, 2),
        (2, 0),
    ):  # an edge that goes down the screen is a left border
        rise = y[:, end] - y[:, start]
        flat = np.abs(rise) < 1e-6
        slope = (x[:, end] - x[:, start]) / np.where(flat, 1, rise)
        offset = x[:, start] - slope * y[:, start]
        for border, keep, limit, choose in (
            (left, rise > 0, -1.0, np.maximum),
            (right, rise < 0, float(width), np.minimum),
        ):
            keep &= ~flat
            place = np.repeat(np.where(keep, slope, 0), lines) * line
            place += np.repeat(np.where(keep, offset, limit).astype(np.float32), lines)
            choose(border, place, out=border)
    first = np.ceil(left).clip(0, width).astype(np.int32)
    lengths = ((np.floor(right) + 1).clip(0, width).astype(np.int32) - first).clip(0, None)
    triangle = np.repeat(np.arange(len(corners), dtype=np.int32), lines)
    pixel = _count_up(lengths) + np.repeat(row * np.int32(width) + first, lengths)
    return np.repeat(triangle, lengths), pixel


def _count_up(lengths: Counts) -> Counts:
    """For lengths 2, 3, ...: 0, 1, 0, 1, 2, ..."""
    ends = np.cumsum(lengths, dtype=np.int32)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total, dtype=np.int32) - np.repeat(ends - lengths, lengths)

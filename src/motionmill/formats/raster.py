"""Rasteriser: a perspective camera and shaded triangles -> pixels, in numpy, vectorised over (triangle, pixel) pairs.

Shapes: V vertices, F triangles, H image rows, W image columns. World: Y up, metres. Images are float32 in 0..1.
"""

from __future__ import annotations

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


def rasterize(
    pixels: Array, depths: Array, triangles: Indices, colours: Array, size: tuple[int, int]
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Triangles with a colour at each corner -> an image, nearest surface first; back faces are left out.

    Args:
        pixels: (V, 2) pixel positions.
        depths: (V,) distances from the camera.
        triangles: (F, 3) vertex indices, counter-clockwise from outside.
        colours: (V, 3).
        size: width and height.

    Returns:
        (H, W, 3) colours, zero where nothing is, and (H, W) whether something is there.
    """
    width, height = size
    image = np.zeros((height * width, 3), np.float32)
    triangles, corners, area = _facing(pixels, triangles)
    planes = _weight_planes(corners, area)
    triangle, column, row = _inside(corners, planes, width, height)
    plane = planes[triangle]
    across, down = column.astype(np.float32)[:, None], row.astype(np.float32)[:, None]
    weights = plane[..., 0] * across + plane[..., 1] * down + plane[..., 2]
    # 1 / depth is linear over the image
    closeness = (weights * (1 / depths)[triangles[triangle]]).sum(axis=1)
    pixel = row * np.int32(width) + column
    nearest = np.zeros(height * width, np.float32)
    np.maximum.at(nearest, pixel, closeness)
    seen = np.flatnonzero(closeness >= nearest[pixel])
    pixel, corner = pixel[seen], triangles[triangle[seen]]
    image[pixel] = np.einsum("pk,pkc->pc", weights[seen], colours[corner])
    return image.reshape(height, width, 3), (nearest > 0).reshape(height, width)


def _facing(pixels: Array, triangles: Indices) -> tuple[Indices, Array, Array]:
    """Triangles seen from the front: their vertex indices, pixel corners (F, 3, 2) and doubled areas (F,)."""
    corners = pixels[triangles]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    front = area < -1e-6  # counter-clockwise from outside is clockwise with y down
    return triangles[front], corners[front], area[front]


def _weight_planes(corners: Array, area: Array) -> Array:
    """(F, 3, 3): the weight of each corner at a pixel is a * column + b * row + c; it is at least 0 inside."""
    planes = []
    for start, end in ((1, 2), (2, 0), (0, 1)):
        edge = (corners[:, end] - corners[:, start]) / area[:, None]
        first = corners[:, start]
        planes.append(
            np.stack(
                (-edge[:, 1], edge[:, 0], edge[:, 1] * first[:, 0] - edge[:, 0] * first[:, 1]), -1
            )
        )
    return np.stack(planes, axis=1)


def _inside(
    corners: Array, planes: Array, width: int, height: int
) -> tuple[Counts, Counts, Counts]:
    """Every pixel inside every triangle: triangle indices, columns and rows."""
    top = np.ceil(corners[..., 1].min(axis=1)).clip(0, height).astype(np.int32)
    bottom = (np.floor(corners[..., 1].max(axis=1)) + 1).clip(0, height).astype(np.int32)
    lines = (bottom - top).clip(0, None)
    triangle = np.repeat(np.arange(len(corners), dtype=np.int32), lines)
    row = _count_up(lines) + np.repeat(top, lines)
    across, down, offset = np.moveaxis(planes[triangle], -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        border = -(down * row[:, None] + offset) / across
    left = np.where(across > 0, border, -np.inf).max(axis=1)
    right = np.where(across < 0, border, np.inf).min(axis=1)
    first = np.ceil(left).clip(0, width).astype(np.int32)
    lengths = ((np.floor(right) + 1).clip(0, width).astype(np.int32) - first).clip(0, None)
    column = _count_up(lengths) + np.repeat(first, lengths)
    return np.repeat(triangle, lengths), column, np.repeat(row, lengths)


def _count_up(lengths: Counts) -> Counts:
    """For lengths 2, 3, ...: 0, 1, 0, 1, 2, ..."""
    ends = np.cumsum(lengths, dtype=np.int32)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total, dtype=np.int32) - np.repeat(ends - lengths, lengths)

"""Scene: a motion -> one picture a frame: the figure on a floor in metres, its shadow, path and foot contacts.

Shapes: T frames, H image rows, W image columns. World: Y up, metres. Pictures are (H, W, 3) uint8.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from motionmill.formats.figure import LEFT_COLOUR, RIGHT_COLOUR, Figure, figure
from motionmill.formats.raster import Array, Camera, look, paint
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import heading

Picture = npt.NDArray[np.uint8]

_BACKDROP = 255 * np.array([0.955, 0.958, 0.962], np.float32)
_FLOOR = 255 * np.array([0.865, 0.872, 0.882], np.float32)
_LINE = 255 * np.array([0.70, 0.715, 0.735], np.float32)
_PATH = (0.30, 0.34, 0.40)
_AZIMUTH, _ELEVATION, _FIELD = np.radians(32.0), np.radians(15.0), np.radians(30.0)
_MARGIN = 0.16  # of flesh around the joints that must stay in the picture, metres
_LINE_WIDTH = 0.016
_SHADOW_TINT = np.array([1.0, 0.97, 0.92], np.float32)
_SHADOW_CELL, _SHADOW_CELLS = 0.025, 112


class Footprint(NamedTuple):
    """One time that a foot rests on the floor.

    Attributes:
        left: the left foot, else the right.
        start: first frame.
        end: last frame.
        outline: (K, 2) outline of the sole, x and z, metres.
        trace: (end - start + 1, 2) where the ball of the foot was: one point if it held still.
    """

    left: bool
    start: int
    end: int
    outline: Array
    trace: Array


class Scene:
    """Draws the frames of one motion; the camera looks from the front and one side and follows where the path is long.

    Args:
        motion: floor at y = 0.
        size: width and height, pixels.
        margins: parts of the picture's height kept free at the top and at the bottom, for text.
        detail: pixels drawn each way for one shown: 2 smooths the edges.
    """

    def __init__(
        self,
        motion: Motion,
        size: tuple[int, int],
        *,
        margins: tuple[float, float] = (0.08, 0.04),
        detail: int = 2,
        follow: bool | None = None,
    ) -> None:
        self.size = size
        self._detail = detail
        self._figure: Figure = figure(motion)
        self._steps = footprints(motion)
        joints = motion.joints().float().numpy()
        self._path = joints[:, 0, [0, 2]]
        turn = float(heading(motion.rotations[0, 0]))
        axes = look(turn + _AZIMUTH, _ELEVATION)
        self._camera, self._targets = _fit(joints, axes, size, margins, motion.fps, follow)
        self._floor = _Floor(self._camera)
        light = axes.T @ np.array([-0.45, 0.75, -0.55], np.float32)
        self._slant = -light[[0, 2]] / light[1] * 0.6
        self._ground_key: tuple[Any, ...] = ()
        self._ground: Array = np.zeros((0,), np.float32)

    def frame(self, index: int) -> Picture:
        """The picture of one frame."""
        vertices = self._figure.vertices(index)
        camera = self._camera.moved(self._targets[index])
        image = self._ground_image(index, camera).copy()
        self._floor.shade(image, self._targets[index], _shadow(vertices, self._slant))
        mesh = self._figure.mesh
        lit = mesh.triangles, 255 * mesh.shade(vertices, camera)
        paint(image, *camera.project(vertices), lit, self._detail)
        return image.clip(0, 255, out=image).astype(np.uint8)

    def _ground_image(self, index: int, camera: Camera) -> Array:
        """Floor, path and footprints; kept while neither the camera nor the footprints change."""
        shift = self._targets[index]
        active = tuple(step.start <= index for step in self._steps)
        touching = tuple(step.start <= index <= step.end for step in self._steps)
        key = (*np.round(shift, 6), active, touching)
        if key != self._ground_key:
            self._ground_key = key
            self._ground = self._floor.image(shift)
            self._draw_marks(self._ground, index, camera)
        return self._ground

    def _draw_marks(self, image: Array, index: int, camera: Camera) -> None:
        """Draws the path and the footprints so far: a mask, twice as fine as the image, for each colour."""
        from PIL import Image, ImageDraw

        double = camera.scaled(2)
        layers: dict[tuple[Any, float], list[list[tuple[float, float]]]] = {}
        for step in self._steps:
            if step.start <= index:
                colour = LEFT_COLOUR if step.left else RIGHT_COLOUR
                layer = layers.setdefault((colour, 0.9 if index <= step.end else 0.38), [])
                layer.append(_pixels(double, _on_floor(step.outline)))
        layers[_PATH, 0.45] = [_pixels(double, _on_floor(self._path[_thin(self._path)]))]
        for (colour, opacity), shapes in layers.items():
            mask = Image.new("L", double.size)
            pen = ImageDraw.Draw(mask)
            for shape in shapes:
                if colour == _PATH:
                    pen.line(shape, 255, 4, joint="curve")
                elif len(shape) > 2:
                    pen.polygon(shape, 255)
            cover = np.asarray(mask.reduce(2)).ravel()
            places = np.flatnonzero(cover > 0)
            strength = cover[places][:, None] * np.float32(opacity / 255)
            flat = image.reshape(-1, 3)
            flat[places] += strength * (255 * np.array(colour, np.float32) - flat[places])


def footprints(motion: Motion) -> list[Footprint]:
    """Where and when each foot rests on the floor; none where the skeleton has no joints with these names."""
    from motionmill.motion.physics import FOOT_JOINTS, contacts, foot_indices

    if not set(FOOT_JOINTS) <= set(motion.skeleton.names):
        return []
    resting = contacts(motion).numpy()
    feet = motion.joints()[:, foot_indices(motion.skeleton)].float().numpy()[..., [0, 2]]
    steps = []
    for side in (0, 1):
        down = resting[:, side] | resting[:, side + 2]
        edges = np.flatnonzero(np.diff(down.astype(int), prepend=0, append=0))
        for start, end in edges.reshape(-1, 2).tolist():
            if end - start < 3:
                continue
            ankle, toe = feet[start:end, side], feet[start:end, side + 2]
            outline = _sole(np.median(ankle, axis=0), np.median(toe, axis=0))
            steps.append(Footprint(side == 0, start, end - 1, outline, toe))
    return steps


class _Floor:
    """The floor as the camera sees it: where each pixel looks is worked out once, moving the camera shifts it."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        width, height = camera.size
        column, row = np.meshgrid(
            np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2
        )
        right, up, forward = camera.axes
        rays = column[..., None] * right - row[..., None] * up + camera.focal * forward
        down = np.maximum(-rays[..., 1], 1e-3 * camera.focal)
        reach = np.minimum(camera.position[1] / down, 200.0 / camera.focal)
        hit = (rays[..., [0, 2]] * reach[..., None] + camera.position[[0, 2]]).astype(np.float32)
        self._x, self._z = np.ascontiguousarray(hit[..., 0]), np.ascontiguousarray(hit[..., 1])
        self._lines = [_line_cover(place) for place in (self._x, self._z)]
        distance = np.hypot(self._x - camera.position[0], self._z - camera.position[2])
        near = float(np.linalg.norm(camera.position))
        fade = np.exp(-((distance / (near * 1.75)) ** 4)) * (rays[..., 1] < -1e-3 * camera.focal)
        self._fade = fade.astype(np.float32)
        glow = 1 - 0.05 * (np.linspace(0, 1, height, dtype=np.float32) - 0.35)[:, None, None]
        self._base = (_BACKDROP + (_FLOOR - _BACKDROP) * self._fade[..., None]) * glow

    def image(self, shift: Array) -> Array:
        """(H, W, 3): the floor and its lines, one metre apart, as wide as `_LINE_WIDTH` or one pixel."""
        ink = np.zeros_like(self._x)
        for place, (middle, slope, dark), move in zip(
            (self._x, self._z), self._lines, shift[[0, 2]], strict=True
        ):
            offset = place + move
            offset -= np.rint(offset)
            cover = np.abs(offset, out=offset)
            cover *= slope
            np.subtract(middle, cover, out=cover)
            np.clip(cover, 0, 1, out=cover)
            cover *= dark
            np.maximum(ink, cover, out=ink)
        ink *= self._fade
        image = self._base.copy()
        drawn = np.flatnonzero(ink > 0.004)
        image.reshape(-1, 3)[drawn] += ink.ravel()[drawn, None] * (_LINE - _FLOOR)
        return image

    def shade(self, image: Array, shift: Array, shadow: tuple[Array, Array]) -> None:
        """Darkens the floor of an image by a shadow: its corner (2,) in metres and its map (cells, cells)."""
        corner, dark = shadow
        across, along = np.flatnonzero(dark.max(1) > 0.004), np.flatnonzero(dark.max(0) > 0.004)
        if not len(across):
            return
        x = corner[0] + _SHADOW_CELL * across[[0, -1]]
        z = corner[1] + _SHADOW_CELL * along[[0, -1]]
        outline = _on_floor(np.array([(x[i], z[j]) for i in (0, 1) for j in (0, 1)], np.float32))
        pixels = self._camera.moved(shift).project(outline)[0]
        left, top = np.floor(pixels.min(0)).clip(0, self._camera.size).astype(int)
        right, bottom = np.ceil(pixels.max(0)).clip(0, self._camera.size).astype(int)
        part = np.s_[top:bottom:2, left:right:2]  # a shadow is soft: every second pixel will do
        u = (self._x[part] + (shift[0] - corner[0])) * np.float32(1 / _SHADOW_CELL) - 0.5
        v = (self._z[part] + (shift[2] - corner[1])) * np.float32(1 / _SHADOW_CELL) - 0.5
        last = _SHADOW_CELLS - 2
        i, j = u.clip(0, last).astype(np.int32), v.clip(0, last).astype(np.int32)
        u, v = (u - i).clip(0, 1), (v - j).clip(0, 1)
        flat, cell = dark.ravel(), i * _SHADOW_CELLS + j
        near = flat[cell] * (1 - v) + flat[cell + 1] * v
        far = flat[cell + _SHADOW_CELLS] * (1 - v) + flat[cell + _SHADOW_CELLS + 1] * v
        amount = (near * (1 - u) + far * u) * self._fade[part]
        amount = amount.repeat(2, axis=0).repeat(2, axis=1)[: bottom - top, : right - left]
        image[top:bottom, left:right] *= 1 - amount[..., None] * _SHADOW_TINT


def _line_cover(place: Array) -> tuple[Array, Array, Array]:
    """Of lines at whole metres: a pixel at distance d has cover clip(middle - slope * d, 0, 1) * dark."""
    pixel = np.hypot(np.gradient(place, axis=0), np.gradient(place, axis=1))
    pixel = np.maximum(pixel, 1e-4).astype(np.float32)
    width = np.maximum(_LINE_WIDTH, pixel)
    return 0.5 + width / 2 / pixel, 1 / pixel, _LINE_WIDTH / width


def _shadow(vertices: Array, slant: Array) -> tuple[Array, Array]:
    """Soft shadow of a surface: contact (straight down, fading with height) and cast (along the key light)."""
    from scipy.ndimage import gaussian_filter

    centre = (vertices[:, [0, 2]].min(0) + vertices[:, [0, 2]].max(0)) / 2
    corner = (centre - _SHADOW_CELL * _SHADOW_CELLS / 2).astype(np.float32)
    height = np.maximum(vertices[:, 1:2], 0)
    maps = []
    for places, weight in (
        (vertices[:, [0, 2]], np.exp(-height[:, 0] / 0.12)),
        (vertices[:, [0, 2]] + slant * height, np.exp(-height[:, 0] / 1.5)),
    ):
        cells = ((places - corner) / _SHADOW_CELL).astype(np.int64)
        inside = ((cells >= 0) & (cells < _SHADOW_CELLS)).all(1)
        cell = cells[inside, 0] * _SHADOW_CELLS + cells[inside, 1]
        count = np.bincount(cell, weight[inside], _SHADOW_CELLS**2)
        maps.append(count.reshape(_SHADOW_CELLS, _SHADOW_CELLS).astype(np.float32))
    density = 5000 / len(vertices)
    contact = 1 - np.exp(-gaussian_filter(maps[0], 1.3) * density * 0.35)
    cast = 1 - np.exp(-gaussian_filter(maps[1], 2.6) * density * 0.8)
    return corner, np.maximum(0.55 * contact, 0.30 * cast) + 0.12 * np.minimum(contact, cast)


def _fit(
    joints: Array,
    axes: Array,
    size: tuple[int, int],
    margins: tuple[float, float],
    fps: float,
    follow: bool | None,
) -> tuple[Camera, Array]:
    """A camera and, for each frame, how far it is moved (T, 3): as still as fits the whole motion at a good size."""
    from scipy.ndimage import gaussian_filter1d

    focal = size[1] / 2 / np.tan(_FIELD / 2)
    points = joints.reshape(len(joints), -1, 3)
    root = points[:, 0] * np.array([1, 0, 1], np.float32)
    middle = (points.min((0, 1)) + points.max((0, 1))) / 2 * np.array([1, 0, 1], np.float32)
    tall = max(float(points[..., 1].max()), 0.5)
    slopes = (size[0] / 2 / focal, size[1] * (1 - sum(margins)) / 2 / focal)
    candidates = [np.repeat(middle[None], len(points), axis=0)]
    for seconds in (2.0, 1.0, 0.5, 0.25):
        candidates.append(gaussian_filter1d(root, seconds * fps, axis=0, mode="nearest"))
    candidates.append(root)
    if follow is not None:
        candidates = candidates[-1:] if follow else candidates[:1]
    limit = 1.15 * _distance(points - root[:, None], axes, slopes, tall)
    for targets in candidates:
        distance = _distance(points - targets[:, None], axes, slopes, tall)
        if distance <= limit:
            break
    lift = (margins[0] - margins[1]) / 2 * size[1] / focal * distance
    target = np.array([0, tall / 2 + lift, 0], np.float32)
    position = target - axes[2] * distance
    return Camera(position.astype(np.float32), axes, focal, size), targets.astype(np.float32)


def _distance(points: Array, axes: Array, slopes: tuple[float, float], tall: float) -> float:
    """The least distance from which every point (..., 3), around a target on the floor, is inside the picture."""
    x, y, depth = np.moveaxis((points - np.array([0, tall / 2, 0])) @ axes.T, -1, 0)
    across = ((np.abs(x) + _MARGIN) / slopes[0] - depth).max()
    return float(max(across, ((np.abs(y) + _MARGIN) / slopes[1] - depth).max(), 1.0))


def _sole(ankle: Array, toe: Array) -> Array:
    """Outline (K, 2) of a shoe sole on the floor around the ankle and the ball of the foot."""
    ahead = toe - ankle
    ahead = ahead / max(float(np.linalg.norm(ahead)), 1e-6)
    side = np.array([-ahead[1], ahead[0]])
    heel, ball = ankle - 0.035 * ahead, toe + 0.035 * ahead
    turn = np.linspace(-np.pi / 2, np.pi / 2, 9)[:, None]
    front = ball + 0.047 * (np.cos(turn) * ahead + np.sin(turn) * side)
    back = heel - 0.034 * (np.cos(turn) * ahead + np.sin(turn) * side)
    return np.concatenate((front, back)).astype(np.float32)


def _thin(path: Array) -> npt.NDArray[np.int64]:
    """Indices of points of a path at least 2 cm apart, with both ends."""
    length = np.concatenate(([0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))))
    kept = np.flatnonzero(np.diff((length / 0.02).astype(int), prepend=-1))
    return np.unique(np.concatenate((kept, [len(path) - 1])))


def _on_floor(points: Array) -> Array:
    return np.stack((points[:, 0], np.zeros_like(points[:, 0]), points[:, 1]), axis=1)


def _pixels(camera: Camera, points: Array) -> list[tuple[float, float]]:
    """Pixels of points; those behind the camera are left out."""
    ahead = (points - camera.position) @ camera.axes[2] > 0.2
    return [(float(x), float(y)) for x, y in camera.project(points[ahead])[0]]

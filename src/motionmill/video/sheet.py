"""A motion from a video -> a picture of it beside the video: what the camera saw, the motion from there, and aside.

Columns are moments. Rows: the video around the person; the mannequin seen from the camera's side; the same from the
left of the picture. The lines in the drawings are the floor, a metre apart.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionmill.formats.figure import figure
from motionmill.formats.raster import Camera, look, paint
from motionmill.motion.motion import Motion
from motionmill.video.candidate import PersonClip, RejectedCandidate
from motionmill.video.config import FrameConfig
from motionmill.video.frames import Picture, Span, clip_frames, probe

Array = NDArray[Any]

_SIZE: Final = (180, 220)  # of a panel, pixels
_FIELD: Final = 0.45  # of view of the drawings, radians
_DISTANCE: Final = 5.2  # of their camera, metres
_ELEVATION: Final = 0.08
_VIEWS: Final = (0.0, -math.pi / 2)  # azimuths: from the camera, from the left of the picture
_PAPER: Final = 238


def video_sheet(
    video: Path,
    person: PersonClip | RejectedCandidate,
    path: Path,
    *,
    columns: int = 8,
    config: FrameConfig = FrameConfig(),  # noqa: B008
) -> None:
    """Writes a sheet (.png). Of a rejected candidate without a motion only the video is shown.

    Args:
        video: that the person was found in.
        person: as `extract` gives it.
        path: of the picture.
        columns: moments.
        config: how the video is read.

    Raises:
        ValueError: a candidate that is nobody (a rejected shot), or another suffix.
    """
    from PIL import Image

    if path.suffix.lower() != ".png":
        raise ValueError(f"{path.name}: a sheet is written as .png")
    if person.times is None or person.boxes is None or not len(person.times):
        raise ValueError(
            f"candidate {person.id} is a clip without a person; there is nothing to draw"
        )
    start, end = person.frames
    frames = next(clip_frames(probe(video, config), [Span(start, end, start, end)], config))
    moments = np.linspace(person.times[0], person.times[-1], columns)
    rows = [
        [
            _crop(frames.images[_nearest(frames.times, t)], person.boxes[_nearest(person.times, t)])
            for t in moments
        ]
    ]
    if person.motion is not None:
        rows += [_drawn(person.motion, moments - person.times[0], azimuth) for azimuth in _VIEWS]
    sheet = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    partial = path.with_name(f".partial-{path.name}")
    Image.fromarray(sheet).save(partial, "PNG")
    partial.replace(path)


def _nearest(times: Array, time: float) -> int:
    return int(np.abs(times - time).argmin())


def _crop(image: Picture, box: Array) -> Picture:
    """The picture around a box, in the shape of a panel; grey where there is none."""
    from PIL import Image

    height, width = image.shape[:2]
    middle = (box[:2] + box[2:]) / 2 * (width, height)
    tall = 1.15 * max((box[3] - box[1]) * height, (box[2] - box[0]) * width * _SIZE[1] / _SIZE[0])
    half = np.array([tall * _SIZE[0] / _SIZE[1], tall]) / 2
    corners = (*(middle - half), *(middle + half))
    part = Image.fromarray(image).transform(
        _SIZE, Image.Transform.EXTENT, corners, Image.Resampling.BILINEAR, fillcolor=(_PAPER,) * 3
    )
    return np.asarray(part)


def _drawn(motion: Motion, seconds: Array, azimuth: float) -> list[Picture]:
    """The mannequin at some times, the camera following it."""
    shape = figure(motion)
    axes = look(azimuth, _ELEVATION)
    focal = _SIZE[1] / 2 / math.tan(_FIELD / 2)
    pictures = []
    for time in seconds:
        frame = min(round(float(time) * motion.fps), len(motion) - 1)
        root = motion.root[frame].float().numpy()
        target = np.array([root[0], 0.85, root[2]], np.float32)
        camera = Camera(target - axes[2] * np.float32(_DISTANCE), axes, focal, _SIZE)
        image = np.full((_SIZE[1], _SIZE[0], 3), _PAPER, np.float32)
        _floor_lines(image, camera, root)
        vertices = shape.vertices(frame)
        lit = shape.mesh.triangles, 255 * shape.mesh.shade(vertices, camera)
        paint(image, *camera.project(vertices), lit, 2)
        pictures.append(image.clip(0, 255).astype(np.uint8))
    return pictures


def _floor_lines(image: Array, camera: Camera, root: Array) -> None:
    """Lines a metre apart on the floor, drawn as points."""
    near = np.round(root[[0, 2]])
    steps = np.arange(-3, 4)
    along = np.linspace(-3, 3, 1200)
    for axis in (0, 1):
        points = np.zeros((len(steps), len(along), 3))
        points[..., 0 if axis == 0 else 2] = (near[axis] + steps)[:, None]
        points[..., 2 if axis == 0 else 0] = near[1 - axis] + along
        pixels, depth = camera.project(points.reshape(-1, 3).astype(np.float32))
        pixels = pixels[depth > 0.2].round().astype(int)
        inside = ((pixels >= 0) & (pixels < (image.shape[1], image.shape[0]))).all(axis=1)
        image[pixels[inside, 1], pixels[inside, 0]] = 190

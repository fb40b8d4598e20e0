"""The pictures of a clip and where people are -> how the camera turned, from the background.

A camera that turns about itself (hand-held, panning) is undone; one that travels or zooms changes the background in a
way that no turn explains, and is flagged. Camera axes: x to the right of the picture, y down, z away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionmill.video.frames import Frames
from motionmill.video.opencv import opencv
from motionmill.video.people import Array, Track

UNCOMPENSATED: Final = "camera_motion_uncompensated"
_SIDE = 320  # longer side of the pictures that are compared, pixels
_POINTS = 150
_FEWEST = 12  # background points that agree
_STATIC = 0.12  # median shift between pictures of a camera on a stand, pixels at the edge of the small picture
_MOST_SCALE = 0.12  # change of scale over the clip, as a logarithm, from which it travels or zooms
_MOST_BAD = 0.1  # share of pictures without an estimate


@dataclass(frozen=True, eq=False)
class CameraPath:
    """How the camera of a clip turned.

    Attributes:
        turns: (T, 3, 3) rotations from the axes of the first picture to those of each.
        measurements: camera_turn_degrees (largest from the first picture), camera_scale (largest change, as a
            logarithm), camera_unknown (share of pictures whose background could not be followed).
        flags: "camera_motion_uncompensated" where a turn does not explain what the background does.
    """

    turns: Array
    measurements: dict[str, float] = field(default_factory=dict)
    flags: tuple[str, ...] = ()


def camera_path(frames: Frames, tracks: Sequence[Track], focal: float) -> CameraPath:
    """Follows points of the background.

    Args:
        frames: of the clip.
        tracks: people, who are no background.
        focal: focal length over the longer side of the picture.
    """
    cv2 = opencv()
    count = len(frames)
    scale = min(1.0, _SIDE / max(frames.width, frames.height))
    size = (max(2, round(frames.width * scale)), max(2, round(frames.height * scale)))
    masks = _background(count, size, tracks)
    length = focal * max(size)
    steps = np.zeros((count, 4))  # right, down, roll, log of the scale
    bad = np.zeros(count, dtype=bool)
    before: Any = None
    for place, image in enumerate(frames.images):
        grey = cv2.cvtColor(
            cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
        )
        if before is not None:
            step = _step(cv2, before, grey, masks[place - 1])
            bad[place] = step is None
            steps[place] = 0.0 if step is None else step
        before = grey
    corners = np.abs(steps[1:, 2:]).sum(axis=1) * max(size) / 2
    shift = np.hypot(steps[1:, 0], steps[1:, 1]) + corners if count > 1 else np.zeros(1)
    if float(np.median(shift)) < _STATIC and float(bad.mean()) < 0.5:
        steps[:] = 0.0
    return _path(steps, bad, length)


def _path(steps: Array, bad: NDArray[np.bool_], length: float) -> CameraPath:
    turns = [np.eye(3)]
    for right, down, roll, _ in steps[1:]:
        turns.append(_rotation(np.array([-down / length, right / length, roll])) @ turns[-1])
    traces = np.array([np.trace(turn) for turn in turns])
    angles = np.degrees(np.arccos(np.clip((traces - 1) / 2, -1, 1)))
    zoom = float(np.abs(np.cumsum(steps[:, 3])).max())
    share = float(bad[1:].mean()) if len(bad) > 1 else 0.0
    measurements = {
        "camera_turn_degrees": float(angles.max()),
        "camera_scale": zoom,
        "camera_unknown": share,
    }
    flags = (UNCOMPENSATED,) if zoom > _MOST_SCALE or share > _MOST_BAD else ()
    return CameraPath(np.stack(turns), measurements, flags)


def _step(cv2: Any, before: Any, after: Any, mask: Any) -> Array | None:
    """Shift of the picture's middle, roll and log of the scale of the background between two pictures."""
    points = cv2.goodFeaturesToTrack(before, _POINTS, 0.01, 6, mask=mask)
    if points is None or len(points) < _FEWEST:
        return None
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        before, after, points, None, winSize=(15, 15), maxLevel=3
    )
    good = found.ravel() == 1
    middle = np.array([before.shape[1] / 2, before.shape[0] / 2])
    start, end = points[good, 0] - middle, moved[good, 0] - middle
    if len(start) < _FEWEST:
        return None
    cv2.setRNGSeed(0)  # RANSAC's choices follow from the pictures alone
    matrix, inside = cv2.estimateAffinePartial2D(start, end, ransacReprojThreshold=1.0)
    if matrix is None or int(inside.sum()) < max(_FEWEST, 0.3 * len(start)):
        return None
    return np.array(
        [
            matrix[0, 2],
            matrix[1, 2],
            math.atan2(matrix[1, 0], matrix[0, 0]),
            math.log(math.hypot(matrix[0, 0], matrix[1, 0])),
        ]
    )


def _background(count: int, size: tuple[int, int], tracks: Sequence[Track]) -> NDArray[np.uint8]:
    """(T, h, w) 255 where nobody is."""
    masks = np.full((count, size[1], size[0]), 255, np.uint8)
    for track in tracks:
        for place, box in zip(track.places.tolist(), track.boxes, strict=True):
            corners = np.clip(box.reshape(2, 2), 0, 1) * size
            (left, top), (right, bottom) = corners.round().astype(int)
            masks[place, top:bottom, left:right] = 0
    return masks


def _rotation(axis_angle: Array) -> Array:
    """(3,) axis times angle, radians -> (3, 3)."""
    x, y, z = axis_angle
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = float(np.linalg.norm(axis_angle))
    if angle < 1e-9:
        return np.eye(3) + skew
    return (
        np.eye(3) + math.sin(angle) / angle * skew + (1 - math.cos(angle)) / angle**2 * skew @ skew
    )

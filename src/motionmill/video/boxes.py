"""A track -> measurements that say whether it is worth a pose, each with its threshold in `BoxConfig`.

Boxes are left, top, right, bottom as shares of the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from motionmill.video.candidate import Failure
from motionmill.video.config import BoxConfig
from motionmill.video.frames import Frames, Picture
from motionmill.video.opencv import opencv
from motionmill.video.people import Array, Track, intersection

_LOWER_EDGE = 0.99  # of the picture's height
_LOOKS = 8  # pictures of a track whose sharpness is measured
_PATCH = 128  # pixels to which boxes are brought before, so that sharpness compares


def box_measurements(frames: Frames, track: Track, others: Sequence[Track]) -> dict[str, float]:
    """Measurements of a track.

    Args:
        frames: of the clip.
        track: the person's.
        others: all tracks of the clip; the track itself among them does not count.

    Returns:
        confidence: median score.
        height_pixels: median height of the box in the video itself.
        truncation: mean share of the box that is beyond the picture's edge.
        cut_off_seconds: longest time in which the box reaches the lower edge, where landmarks of feet are guesses.
        occlusion: mean share of the box that lies under that of somebody nearer to the camera.
        sharpness: median standard deviation of the Laplacian in the box brought to 128 pixels, grey levels.
        seconds: time from first to last sight, within the clip (not its context).
        visible: share of the pictures of that time in which it is in sight.
        frames: pictures in which it is in sight.
    """
    inside = inside_clip(frames, track)
    boxes, places = track.boxes[inside], track.places[inside]
    if not len(boxes):
        return {"seconds": 0.0, "frames": 0.0}
    step = float(np.median(np.diff(frames.times))) if len(frames) > 1 else 0.0
    heights = (boxes[:, 3] - boxes[:, 1]) * frames.height * frames.scale
    whole = np.array([0.0, 0.0, 1.0, 1.0])
    seen = [intersection(box, whole) / max(_area(box), 1e-9) for box in boxes]
    looks = np.unique(np.linspace(0, len(places) - 1, _LOOKS).round().astype(int))
    return {
        "confidence": float(np.median(track.scores[inside])),
        "height_pixels": float(np.median(heights)),
        "truncation": float(1 - np.mean(seen)),
        "cut_off_seconds": _longest(boxes[:, 3] > _LOWER_EDGE, places) * step,
        "occlusion": _occlusion(boxes, places, [other for other in others if other is not track]),
        "sharpness": float(
            np.median([_sharpness(frames.images[places[k]], boxes[k]) for k in looks])
        ),
        "seconds": float(frames.times[places[-1]] - frames.times[places[0]]) + step,
        "visible": len(places) / float(places[-1] - places[0] + 1),
        "frames": float(len(places)),
    }


def first_box_failure(measurements: Mapping[str, float], config: BoxConfig) -> Failure | None:
    """The first threshold missed: time, sight, size, truncation of all and of the feet, confidence, occlusion, blur."""
    checks = (
        ("seconds", config.min_seconds, True),
        ("visible", config.min_visible, True),
        ("height_pixels", config.min_height_pixels, True),
        ("truncation", config.max_truncation, False),
        ("cut_off_seconds", config.max_cut_off_seconds, False),
        ("confidence", config.min_confidence, True),
        ("occlusion", config.max_occlusion, False),
        ("sharpness", config.min_sharpness, True),
    )
    for name, threshold, least in checks:
        value = measurements[name]
        if (value < threshold) if least else (value > threshold):
            return Failure("boxes", name, value, threshold)
    return None


def inside_clip(frames: Frames, track: Track) -> NDArray[np.bool_]:
    """(N,) bool: which of a track's places are in the clip, not in its context."""
    return (track.places >= frames.inside[0]) & (track.places < frames.inside[1])


def _longest(chosen: NDArray[np.bool_], places: NDArray[np.int64]) -> int:
    """Pictures from the first to the last of the longest run of chosen places."""
    most, start = 0, -1
    for place, yes in zip(places.tolist(), chosen.tolist(), strict=True):
        start = (place if start < 0 else start) if yes else -1
        most = max(most, place - start + 1 if yes else 0)
    return most


def _occlusion(boxes: Array, places: NDArray[np.int64], others: Sequence[Track]) -> float:
    """Mean over frames of the largest share of a box under another's whose feet are lower in the picture."""
    shares = np.zeros(len(places))
    for other in others:
        _, ours, theirs = np.intersect1d(places, other.places, return_indices=True)
        for mine, their in zip(ours, theirs, strict=True):
            box, cover = boxes[mine], other.boxes[their]
            if cover[3] > box[3]:
                share = intersection(box, cover) / max(_area(box), 1e-9)
                shares[mine] = max(shares[mine], share)
    return float(shares.mean())


def _sharpness(image: Picture, box: Array) -> float:
    cv2 = opencv()
    height, width = image.shape[:2]
    corners = np.clip(box.reshape(2, 2), 0, 1) * (width, height)
    (left, top), (right, bottom) = corners.round().astype(int)
    part = image[top:bottom, left:right]
    if min(part.shape[:2]) < 8:
        return 0.0
    grey = cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2GRAY)
    scale = _PATCH / max(grey.shape)
    grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(grey, cv2.CV_64F).std())


def _area(box: Array) -> float:
    return float(np.prod(np.maximum(box[2:] - box[:2], 0)))

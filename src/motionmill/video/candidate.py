"""What stages 1 to 4 give: a person's motion, or why there is none, with every measurement on the way.

Shapes: T frames. Boxes are left, top, right, bottom as shares of the picture (0..1; beyond it where a body is cut off).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from motionmill.motion.motion import Motion

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Failure:
    """The first threshold that a candidate missed.

    Attributes:
        stage: shots, people, boxes or pose.
        reason: name of the measurement, as in `measurements`.
        value: measured.
        threshold: allowed.
    """

    stage: str
    reason: str
    value: float
    threshold: float

    def __str__(self) -> str:
        return f"{self.stage}: {self.reason} {self.value:.3g}, threshold {self.threshold:.3g}"


@dataclass(frozen=True, eq=False)
class Candidate:
    """One person in one clip of a video, or (track -1) a clip without anybody to follow.

    Attributes:
        id: "SHOT.CLIP.TRACK", unique in its video.
        shot: number of the shot.
        clip: number of the clip in it.
        track: number of the person in the clip; -1 where the clip itself was rejected.
        frames: first and last frame (exclusive) in the video, as decoded.
        seconds: start and end in the video.
        measurements: every measurement that was made.
        flags: what a user should know, such as "camera_motion_uncompensated".
    """

    id: str
    shot: int
    clip: int
    track: int
    frames: tuple[int, int]
    seconds: tuple[float, float]
    measurements: Mapping[str, float]
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class PersonClip(Candidate):
    """A candidate that became motion.

    Attributes:
        motion: on our skeleton at the configured rate (30 fps), floor at y = 0, facing as in the first frame's camera:
            +Z is towards the camera, +X to the right of the picture.
        times: (N,) seconds of the frames in which the person was seen.
        boxes: (N, 4) the person's boxes in these frames.
    """

    motion: Motion = field(kw_only=True)
    times: Array = field(kw_only=True)
    boxes: Array = field(kw_only=True)


@dataclass(frozen=True, eq=False)
class RejectedCandidate(Candidate):
    """A candidate that did not, and why. `motion` is there when the pose stage came to an end."""

    failure: Failure = field(kw_only=True)
    motion: Motion | None = field(default=None, kw_only=True)
    times: Array | None = field(default=None, kw_only=True)
    boxes: Array | None = field(default=None, kw_only=True)

"""A video -> the motion of every person in it: the four stages in order, each candidate with its measurements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from motionmill.video.candidate import PersonClip, RejectedCandidate
from motionmill.video.config import VideoConfig

if TYPE_CHECKING:
    from motionmill.video.people import PersonTracker
    from motionmill.video.pose import PoseEstimator


@dataclass(frozen=True, eq=False)
class Extraction:
    """What a video gave.

    Attributes:
        people: candidates that became motion, in the order of their ids.
        rejects: candidates that did not, each with its stage, reason, value and threshold.
        measurements: of the video: width, height, fps, frames, seconds, shots, clips.
        cuts: frames at which shots start, without the first.
    """

    people: list[PersonClip]
    rejects: list[RejectedCandidate]
    measurements: dict[str, float]
    cuts: list[int]


def extract(
    path: Path,
    config: VideoConfig,
    *,
    estimator: PoseEstimator | None = None,
    tracker: PersonTracker | None = None,
    progress: Callable[[float], None] | None = None,
) -> Extraction:
    """Shots, people, box filter, pose: a video -> motion.

    Args:
        path: any video that FFmpeg decodes.
        config: options and thresholds.
        estimator: how a followed person becomes motion; MediaPipe's landmarks, lifted, by default.
        tracker: how people are found and followed; MediaPipe's detector and landmarks by default.
        progress: called with the share that is done, 0..1.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a video, no frames, or too large; one line that names the file.
        MissingExtraError: the extra `video` is not installed.
    """
    raise NotImplementedError

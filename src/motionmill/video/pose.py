"""The seam between a followed person and a motion: the protocol that pose estimators keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from motionmill.motion.motion import Motion
    from motionmill.video.camera import CameraPath
    from motionmill.video.candidate import Failure
    from motionmill.video.frames import Frames
    from motionmill.video.people import Track


@dataclass(frozen=True, eq=False)
class Estimate:
    """A person's motion as a pose estimator sees it.

    Attributes:
        motion: on our skeleton, Y up, +Z towards the camera of the clip's first frame; None where there is none.
        measurements: how well it fits, by name.
        flags: what a user should know.
        failure: why there is no motion.
    """

    motion: Motion | None
    measurements: Mapping[str, float] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    failure: Failure | None = None


class PoseEstimator(Protocol):
    """One person's track in a clip -> motion. Nobody there is no exception but `Estimate(None, failure=...)`."""

    def estimate(self, frames: Frames, track: Track, camera: CameraPath) -> Estimate:
        """The motion of one person over the frames of the track, resampled to an even frame rate."""
        ...

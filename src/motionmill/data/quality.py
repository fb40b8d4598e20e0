"""A motion -> measurements of its transitions and its movement -> whether it is kept, and where long motion is cut.

Stages 5 and 6 of the data engine. Measuring knows no threshold, so that thresholds can change later without it.
Shapes: T frames, J = 22 joints; all at 30 fps. Definitions of the physical measures: `motion.physics`.
"""

from __future__ import annotations

from collections.abc import Mapping

from motionmill.data.quality_config import CutConfig, MotionFilterConfig, TransitionConfig
from motionmill.motion.motion import Motion


def measurements(motion: Motion) -> dict[str, float]:
    """All that stages 5 and 6 measure, with one pass of forward kinematics: use this, not the two below, for speed."""
    return transition_measurements(motion) | motion_measurements(motion)


def transition_measurements(motion: Motion) -> dict[str, float]:
    """What changes most between two frames: see the table of `LIMITS`; `turn_degrees.JOINT` for each joint."""
    raise NotImplementedError


def motion_measurements(motion: Motion) -> dict[str, float]:
    """How the clip moves: jerk, feet, floor, stillness, joint limits, length."""
    raise NotImplementedError


def first_failure(
    measured: Mapping[str, float], transition: TransitionConfig, motion: MotionFilterConfig
) -> tuple[str, str, float, float] | None:
    """The first limit that the measurements break: (stage, reason, value, threshold), or None for a sound clip."""
    raise NotImplementedError


def breaks(motion: Motion, config: TransitionConfig) -> list[int]:
    """Frames that do not follow from the frame before them; a take falls apart there, and is not bridged."""
    raise NotImplementedError


def cut_points(motion: Motion, config: CutConfig) -> list[tuple[int, int]]:
    """Frame ranges (start, stop) of a sound motion, each of at most `max_frames`, that together are all of it."""
    raise NotImplementedError

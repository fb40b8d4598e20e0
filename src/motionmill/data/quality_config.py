"""Thresholds of the transition filter, the motion filter, cutting and duplicates; torch-free.

Each is a limit of one measurement of `data.quality`. The defaults were set on all eight real sources: they reject what
contact sheets showed to be broken (docs/data-quality.md).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from motionmill.config import Config


class TransitionConfig(Config):
    """Limits of what may change between two frames at 30 fps; more is a cut, a flip or a teleport.

    A turn is the angle of the axis-angle between two frames; a flip is by how much it is more than the median of the
    five turns around it, and a jump the same for the way of the root.
    """

    max_root_speed: float = Field(12.0, gt=0, description="metres a second")
    max_root_jump_metres: float = Field(0.25, gt=0)
    max_root_turn_degrees: float = Field(60.0, gt=0)
    max_root_flip_degrees: float = Field(25.0, gt=0)
    max_joint_turn_degrees: float = Field(150.0, gt=0, description="of any joint in the world")
    max_joint_flip_degrees: float = Field(110.0, gt=0)


class MotionFilterConfig(Config):
    """Limits of what a sound clip shows. The paper's set has 60 to 300 frames, ours from 20."""

    min_frames: int = Field(20, gt=0)
    max_frames: int = Field(300, gt=0)
    max_jitter: float = Field(12.0, gt=0, description="mean jerk, 100 m/s^3")
    max_jitter_peak: float = Field(40.0, gt=0, description="over a third of a second, 100 m/s^3")
    max_foot_slide_mm: float = Field(40.0, gt=0, description="a frame")
    max_floating_percent: float = Field(60.0, gt=0, description="of the frames")
    max_penetration_mm: float = Field(25.0, gt=0)
    max_deep_percent: float = Field(10.0, gt=0, description="of the frames, 5 cm under the floor")
    max_frozen_seconds: float = Field(0.5, gt=0, description="without any movement")
    max_still_percent: float = Field(95.0, gt=0, description="of the frames, under 5 cm/s")
    min_extent_metres: float = Field(0.03, ge=0, description="of the joint that moves most")
    max_hinge_degrees: float = Field(20.0, gt=0, description="knee or elbow bent backwards")
    max_over_limit_percent: float = Field(25.0, gt=0, description="of the frames")


class CutConfig(Config):
    """How a take that is longer than `max_frames` is cut into parts of about `window_frames`."""

    min_frames: int = Field(20, gt=0)
    max_frames: int = Field(300, gt=0)
    window_frames: int = Field(200, gt=0)
    cut_at: Literal["low speed", "equal parts"] = "low speed"


class DuplicateConfig(Config):
    """When two clips show the same recording; two real takes of one gesture are 8 mm apart at the least."""

    max_distance_metres: float = Field(
        0.0075, gt=0, description="of the joints over the overlap, root mean square"
    )
    max_share_of_movement: float = Field(
        0.5, gt=0, description="the distance, of how far the joints move, root mean square"
    )
    min_overlap: float = Field(0.5, gt=0, le=1, description="of the shorter clip")
    drop: bool = Field(True, description="reject clips that another one of their cluster contains")

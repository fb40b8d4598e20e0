"""Thresholds of the transition filter, the motion filter, cutting and duplicates; torch-free.

Every threshold is a limit of one measurement of `data.quality`; the table there says which.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from motionmill.config import Config


class TransitionConfig(Config):
    """Limits of what may change between two frames at 30 fps; more is a cut, a flip or a teleport."""

    max_root_speed: float = Field(12.0, gt=0, description="metres a second")
    max_root_turn_degrees: float = Field(60.0, gt=0, description="of the root, between two frames")
    max_joint_turn_degrees: float = Field(
        90.0, gt=0, description="of any joint in the world, between two frames"
    )


class MotionFilterConfig(Config):
    """Limits of what a sound clip shows."""

    min_frames: int = Field(20, gt=0)
    max_frames: int = Field(300, gt=0)
    max_jitter: float = Field(10.0, gt=0, description="mean jerk, 100 m/s^3")


class CutConfig(Config):
    """How a take that is longer than `max_frames` is cut."""

    max_frames: int = Field(300, gt=0)
    min_frames: int = Field(20, gt=0)
    window_frames: int = Field(160, gt=0, description="length of the parts that cutting aims at")
    at: Literal["low speed", "equal parts"] = "low speed"


class DuplicateConfig(Config):
    """When two clips show the same recording."""

    max_distance_metres: float = Field(0.0075, gt=0, description="root mean square over joints")
    max_share_of_movement: float = Field(
        0.5, gt=0, description="of how far the joints move in the overlap, root mean square"
    )
    min_overlap: float = Field(0.5, gt=0, le=1, description="of the shorter clip")
    drop: bool = Field(True, description="reject all of a cluster that one of its clips contains")

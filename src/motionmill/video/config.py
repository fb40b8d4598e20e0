"""How a video becomes motion: options and thresholds of its four stages; torch-free.

Every threshold is compared with the measurement of the same name without `min_` or `max_` (`frame_count` for
`min_frames`), which is kept whether a candidate passes or not.
"""

from __future__ import annotations

from pydantic import Field

from motionmill.config import Config


class FrameConfig(Config):
    """How a video is read."""

    fps: float = Field(30.0, gt=0, le=60, description="most frames a second that are looked at")
    working_side: int = Field(
        720, ge=64, le=4096, description="longer side of the pictures worked on, pixels"
    )
    max_megapixels: float = Field(64.0, gt=0, description="larger pictures are not decoded")
    max_hours: float = Field(12.0, gt=0, description="longer videos are to be cut first")


class ShotConfig(Config):
    """Cuts, fades, and the clips that shots are cut into."""

    cut_threshold: float = Field(
        15.0, gt=0, description="change of hue, saturation, brightness and edges that is a cut"
    )
    adaptive_ratio: float = Field(
        3.0, gt=1, description="and this many times that of the frames around it"
    )
    fade_level: float = Field(6.0, ge=0, lt=255, description="mean brightness of a black picture")
    max_seconds: float = Field(10.0, gt=0.5, le=60, description="longest clip")
    context_seconds: float = Field(
        0.5, ge=0, le=5, description="frames around a clip for tracking, within its shot"
    )
    min_frames: int = Field(20, gt=0, description="decoded frames of a shot")
    min_fps: float = Field(10.0, gt=0, description="frames a second of the video itself")


class PeopleConfig(Config):
    """Finding people and following them."""

    detect_every_seconds: float = Field(0.25, gt=0, le=2)
    min_score: float = Field(0.5, gt=0, lt=1, description="of the person detector")
    max_people: int = Field(6, gt=0, le=50, description="largest ones, in one clip")
    max_gap_seconds: float = Field(0.2, ge=0, le=1, description="a longer gap ends a track")
    max_jump: float = Field(
        0.35, gt=0, description="step of a box between frames, of its height, that breaks a track"
    )
    max_overlap: float = Field(
        0.7,
        gt=0,
        le=1,
        description="two tracks nearer than this (intersection over union) are broken",
    )
    min_likeness: float = Field(
        0.35,
        ge=0,
        le=1,
        description="colours of a person from second to second; less breaks a track",
    )


class BoxConfig(Config):
    """Which tracks are worth a pose. Medians over a track's frames unless said."""

    min_confidence: float = Field(0.6, ge=0, le=1)
    min_height_pixels: float = Field(80.0, ge=0, description="of the box in the video")
    max_truncation: float = Field(
        0.12, ge=0, le=1, description="share of the body beyond the frame's edge, mean over frames"
    )
    max_cut_off_seconds: float = Field(
        0.5, ge=0, description="longest time with the feet at or beyond the lower edge"
    )
    max_occlusion: float = Field(
        0.35, ge=0, le=1, description="share of the box under other people's, mean over frames"
    )
    min_sharpness: float = Field(
        4.0, ge=0, description="standard deviation of the Laplacian inside the box, grey levels"
    )
    min_seconds: float = Field(20 / 30, ge=0, description="from first to last sight")
    min_visible: float = Field(0.8, ge=0, le=1, description="share of that time in sight")


class PoseConfig(Config):
    """Landmarks -> motion."""

    fps: float = Field(30.0, gt=0, le=120, description="of the motion")
    focal: float = Field(
        1.0, gt=0.2, le=10, description="focal length over the longer side of the picture"
    )
    min_visibility: float = Field(
        0.5, ge=0, le=1, description="of hips, knees, ankles, shoulders, elbows, wrists, mean"
    )
    max_residual: float = Field(
        0.04, gt=0, description="landmarks from their projection, of the body's height, mean"
    )
    smoothing_seconds: float = Field(0.06, ge=0, le=1, description="of landmarks")
    depth_smoothing_seconds: float = Field(0.5, ge=0, le=5, description="of the distance")
    clean: bool = Field(True, description="floor, foot contacts and trembling by motion.cleanup")


class VideoConfig(Config):
    """Everything from a video to motion."""

    frames: FrameConfig = FrameConfig()
    shots: ShotConfig = ShotConfig()
    people: PeopleConfig = PeopleConfig()
    boxes: BoxConfig = BoxConfig()
    pose: PoseConfig = PoseConfig()


WHOLE_SHOTS = VideoConfig(
    shots=ShotConfig(max_seconds=20.0)
)  # for one video that is to become motion at once

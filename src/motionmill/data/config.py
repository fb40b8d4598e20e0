"""How a data set is built; torch-free, so that the command line can show it at once."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from motionmill.config import Config
from motionmill.data.quality_config import (
    CutConfig,
    DuplicateConfig,
    MotionFilterConfig,
    TransitionConfig,
)
from motionmill.data.split_config import SPLITS as SPLITS
from motionmill.data.split_config import HeldOutPair as HeldOutPair
from motionmill.data.split_config import Split as Split
from motionmill.data.split_config import SplitConfig
from motionmill.data.words_config import CaptionConfig, RewriteConfig
from motionmill.video.config import VideoConfig


class ReadConfig(Config):
    """What is taken of the inputs."""

    format: str | None = Field(None, description="of motion files that do not say it themselves")
    fps: float | None = Field(None, gt=0, description="of motion files that do not say it")
    exclude: dict[str, str] = Field(
        default_factory=dict, description="id of a recording -> why it is not used"
    )
    licences: dict[str, str] = Field(
        default_factory=dict, description="source -> terms of use, where the input does not say"
    )


class UnitConfig(Config):
    """How much is done at once: a unit is one task of a worker, one file of every part, one shard."""

    recordings: int = Field(
        512,
        gt=0,
        le=100_000,
        description="at most; an input of few is cut into about 64 units, as far as each gets 32",
    )
    videos: int = Field(1, gt=0, le=10_000)


class LabelConfig(Config):
    """Captions from what a source says of its clips, by our grammar, where no model captions."""

    captions: int = Field(32, gt=0, le=1000, description="of a clip, at most")
    seed: int = 0


class DataConfig(Config):
    """Everything that decides what is in a data set; where and on how many workers it is made is no part of it."""

    read: ReadConfig = ReadConfig()
    units: UnitConfig = UnitConfig()
    video: VideoConfig = VideoConfig()
    estimator: Literal["mediapipe", "work list"] = Field(
        "mediapipe",
        description="who finds poses in videos; with a work list another program does: see DATASET/work",
    )
    transition: TransitionConfig = TransitionConfig()
    motion: MotionFilterConfig = MotionFilterConfig()
    cut: CutConfig = CutConfig()
    labels: LabelConfig = LabelConfig()
    caption: CaptionConfig = CaptionConfig()
    rewrite: RewriteConfig = RewriteConfig()
    duplicates: DuplicateConfig = DuplicateConfig()
    splits: SplitConfig = SplitConfig()


THRESHOLDS = ("video.boxes", "video.pose", "transition", "motion", "duplicates")
"""The parts of a `DataConfig` whose limits can change in a data set that is there: `motionmill data refilter`."""

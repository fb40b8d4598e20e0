"""How a data set is built; torch-free, so that the command line can show it at once."""

from __future__ import annotations

from pydantic import Field

from motionmill.data.split_config import SPLITS as SPLITS
from motionmill.data.split_config import HeldOutPair as HeldOutPair
from motionmill.data.split_config import Split as Split
from motionmill.data.split_config import SplitConfig


class DataConfig(SplitConfig):
    """Thresholds and choices of `motionmill data run`.

    Clips longer than `max_frames` are cut into equal windows of about `window_frames`. Held-out fractions are taken of
    the recording groups of each source; sources named in `train_only` give none.
    """

    min_frames: int = Field(20, gt=0)
    max_frames: int = Field(240, gt=0)
    window_frames: int = Field(160, gt=0)
    exclude: dict[str, str] = Field(default_factory=dict)
    max_root_speed: float = Field(
        12.0, gt=0, description="metres a second; faster is a broken clip"
    )
    max_turn_degrees: float = Field(60.0, gt=0, description="root rotation between two frames")
    captions_per_clip: int = Field(32, gt=0)
    clips_per_shard: int = Field(512, gt=0)
    workers: int = Field(2, gt=0)

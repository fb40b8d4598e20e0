"""How a data set is built; torch-free, so that the command line can show it at once."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from motionmill.config import Config

Split = Literal["train", "val", "test", "val_pairs", "test_pairs"]
SPLITS: tuple[Split, ...] = ("train", "val", "test", "val_pairs", "test_pairs")


class HeldOutPair(Config):
    """A (content, style) combination that training never sees, in judge classes (see `data.captions`)."""

    content: str
    style: str
    split: Literal["val_pairs", "test_pairs"]


class DataConfig(Config):
    """Thresholds and choices of `motionmill data run`.

    Clips longer than `max_frames` are cut into equal windows of about `window_frames`. Held-out fractions are taken of
    the recording groups of each source; sources named in `train_only` give none.
    """

    min_frames: int = Field(20, gt=0)
    max_frames: int = Field(240, gt=0)
    window_frames: int = Field(160, gt=0)
    val_fraction: float = Field(0.04, ge=0, lt=1)
    test_fraction: float = Field(0.06, ge=0, lt=1)
    train_only: tuple[str, ...] = ()
    held_out_pairs: tuple[HeldOutPair, ...] = ()
    exclude: dict[str, str] = Field(default_factory=dict)
    max_root_speed: float = Field(
        12.0, gt=0, description="metres a second; faster is a broken clip"
    )
    max_turn_degrees: float = Field(60.0, gt=0, description="root rotation between two frames")
    captions_per_clip: int = Field(32, gt=0)
    seed: int = 0
    clips_per_shard: int = Field(512, gt=0)
    workers: int = Field(2, gt=0)

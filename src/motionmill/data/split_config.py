"""How clips are assigned to splits; torch-free."""

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


class SplitConfig(Config):
    """Held-out fractions are taken of the recording groups of each source; sources in `train_only` give none."""

    val_fraction: float = Field(0.04, ge=0, lt=1)
    test_fraction: float = Field(0.06, ge=0, lt=1)
    train_only: tuple[str, ...] = ()
    held_out_pairs: tuple[HeldOutPair, ...] = ()
    stratify: bool = Field(
        False, description="hold out the same fraction of every content of a source"
    )
    seed: int = 0

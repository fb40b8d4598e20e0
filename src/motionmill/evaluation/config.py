"""What evaluators are made of; torch-free, so that the command line can show it at once."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from motionmill.config import Config, parse_config
from motionmill.data.config import Split
from motionmill.training.config import TrainingConfig


class EvaluatorConfig(Config):
    """Architecture of the evaluator; the defaults are the official one's (with DistilBERT's states)."""

    width: int = Field(512, gt=0)
    num_layers: int = Field(4, gt=0)
    num_heads: int = Field(4, gt=0)
    feed_forward: int = Field(1024, gt=0)
    dropout: float = Field(0.1, ge=0, lt=1)
    text_width: int = Field(768, gt=0)
    max_frames: int = Field(300, gt=0)
    stride: int = Field(1, gt=0, description="every how many frames the motion encoder looks")

    @model_validator(mode="after")
    def _check(self) -> EvaluatorConfig:
        if self.width % self.num_heads or self.width % 2:
            raise ValueError(
                f"width {self.width}; expected an even multiple of num_heads {self.num_heads}"
            )
        return self


class EvaluatorDataConfig(Config):
    """How pairs of caption and motion are drawn; see `evaluation.task`."""

    batch_size: int = Field(64, gt=1)
    mirror: bool = True
    balance: float = Field(
        0.5, ge=0, le=1, description="a class of n clips is drawn n^balance times"
    )
    captions_per_clip: int = Field(8, gt=0)
    word_dropout: float = Field(0.1, ge=0, lt=1)
    noise: float = Field(0.05, ge=0, description="of the normalised features")
    commercial_only: bool = False


class EvaluatorLossConfig(Config):
    """Weights of the evaluator's losses; each term is described in `evaluation.task`."""

    contrast: float = 1.0
    temperature: float = Field(0.1, gt=0)
    same_text: float = Field(
        0.85, gt=0, le=1, description="texts at least so similar are not negatives of each other"
    )
    reconstruction: float = 1.0
    latent: float = 1e-2
    divergence: float = 1e-4


class EvaluatorRunConfig(Config):
    """Everything that `motionmill train evaluator` needs beside the data set."""

    model: EvaluatorConfig = EvaluatorConfig(
        width=192, num_layers=3, feed_forward=384, text_width=384, max_frames=600, stride=3
    )
    data: EvaluatorDataConfig = EvaluatorDataConfig()
    losses: EvaluatorLossConfig = EvaluatorLossConfig()
    training: TrainingConfig = TrainingConfig()


class ProtocolConfig(Config):
    """Which clips are measured, and how; results of different protocols do not compare.

    `v2` is this project's; `legacy` is the official code's, whose defects it keeps: see docs/evaluation.md.
    """

    name: Literal["v2", "legacy"] = "v2"
    split: Split = "test"
    seeds: int = Field(20, gt=0, le=1000, description="0, 1, 2, ...: of sampling and of pools")
    min_frames: int = Field(60, gt=0)
    max_frames: int = Field(300, gt=0)
    max_clips: int | None = Field(None, gt=1, description="a fixed choice of so many clips")
    pool_size: int = Field(32, gt=1)
    diversity_pairs: int = Field(300, gt=0)
    multimodality_pairs: int = Field(10, gt=0)
    free_length: bool = Field(True, description="also measure motions that end by themselves")

    @model_validator(mode="after")
    def _check(self) -> ProtocolConfig:
        if self.min_frames > self.max_frames:
            raise ValueError(f"min_frames {self.min_frames} above max_frames {self.max_frames}")
        return self


LEGACY_MAX_TOKENS = 50


def protocol_config(name: str, **changes: object) -> ProtocolConfig:
    """A protocol with the values that are not None.

    Raises:
        ValueError: a value that does not go.
    """
    base: dict[str, object] = {"name": name}
    if name == "legacy":
        base |= {"seeds": 1, "max_frames": 200, "free_length": False}
    given = {key: value for key, value in changes.items() if value is not None}
    return parse_config(ProtocolConfig, {**base, **given}, source=f"protocol {name}")

"""What evaluators are made of; torch-free, so that the command line can show it at once."""

from __future__ import annotations

from pydantic import Field, model_validator

from motionmill.config import Config
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

"""What evaluators are made of; torch-free, so that the command line can show it at once."""

from __future__ import annotations

from pydantic import Field, model_validator

from motionmill.config import Config


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

"""What a tokenizer is made of; torch-free, so that the command line can show it at once."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from motionmill.config import Config
from motionmill.training.config import TrainingConfig


class TokenizerConfig(Config):
    """Architecture of the motion tokenizer.

    The official one is width 512, code_width 512, levels (8, 8, 8, 5, 5, 5), num_downsamples 1, depth 3,
    nothing causal. Frames can be streamed when the decoder is causal; the encoder works on whole clips and may look
    ahead.
    """

    num_features: int = 272
    width: int = Field(192, gt=0)
    code_width: int = Field(192, gt=0)
    levels: tuple[int, ...] = (8, 8, 6, 5)
    num_downsamples: int = Field(2, ge=0, le=6)
    depth: int = Field(2, gt=0)
    dilation_growth: int = Field(3, gt=0)
    kernel_size: int = Field(3, gt=0)
    activation: Literal["relu", "silu", "gelu"] = "relu"
    norm: Literal["layer", "group", "none"] = "layer"
    causal_encoder: bool = False
    causal_decoder: bool = True
    patch_size: int = Field(1, gt=0)

    @model_validator(mode="after")
    def _check(self) -> TokenizerConfig:
        if self.patch_size & (self.patch_size - 1):
            raise ValueError(
                f"patch_size {self.patch_size}; expected a power of two (Haar levels halve the time)"
            )
        if not self.levels or min(self.levels) < 2:
            raise ValueError(
                f"levels {self.levels}; expected at least one level of two or more values"
            )
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size {self.kernel_size}; expected an odd number")
        return self

    @property
    def frames_per_token(self) -> int:
        return self.patch_size * 2**self.num_downsamples

    @property
    def num_codes(self) -> int:
        product = 1
        for level in self.levels:
            product *= level
        return product


class TokenizerLossConfig(Config):
    """Weights of the tokenizer's losses; each term is described in `tokenizer.task`.

    The geometric terms (path, body, contact) grow from 0 over `ramp_steps`: from the start they would teach the model
    to stand still. The paper's loss is all 1, positions 0.5 and nothing else.
    """

    all: float = 1.0
    positions: float = 0.5
    root: float = 0.5
    feet: float = 0.5
    range: float = 0.1
    path: float = 0.5
    body: float = 0.5
    contact: float = 0.2
    position_change: float = 0.0
    position_acceleration: float = 0.0
    ramp_steps: int = Field(1000, gt=0)

    def used(self) -> frozenset[str]:
        """The terms that count; the others are not computed."""
        weights = self.model_dump(exclude={"ramp_steps"})
        return frozenset(name for name, weight in weights.items() if weight)

    def at_step(self, step: int) -> dict[str, float]:
        """The weight of each term at a step."""
        weights = self.model_dump(exclude={"ramp_steps"})
        ramp = min(1.0, step / self.ramp_steps)
        return {
            name: weight * ramp if name in ("path", "body", "contact") else weight
            for name, weight in weights.items()
        }


class TokenizerDataConfig(Config):
    """How training windows are drawn: clips by length times the weights of their source and of their words.

    1 where none is given; `word_weights` are those of `data.captions.word_weight`. With `stream` no more than some row
    groups of the shards are in memory, and every epoch goes through all clips once, a window of each.
    """

    window_frames: int = Field(64, gt=0)
    batch_size: int = Field(32, gt=0)
    mirror: bool = True
    commercial_only: bool = False
    source_weights: dict[str, float] = Field(default_factory=dict)
    word_weights: dict[str, float] = Field(default_factory=dict)
    compose: int = Field(
        0, ge=0, description="gestures of a style are composed of others until there are so many"
    )
    stream: bool = Field(False, description="read shards by range, in epochs; for large data sets")
    stream_gib: float = Field(
        2.0, gt=0, description="memory of a process for clips that are shuffled together"
    )

    @model_validator(mode="after")
    def _check(self) -> TokenizerDataConfig:
        if self.stream and (self.compose or self.source_weights or self.word_weights):
            raise ValueError(
                "stream with compose, source_weights or word_weights; epochs take every clip once"
            )
        return self


class TokenizerRunConfig(Config):
    """Everything that `motionmill train tokenizer` needs beside the data set.

    With `decoder_only`, a finished run is gone on with, and its tokens stay what they are.
    """

    model: TokenizerConfig = TokenizerConfig()
    data: TokenizerDataConfig = TokenizerDataConfig()
    losses: TokenizerLossConfig = TokenizerLossConfig()
    decoder_only: bool = False
    training: TrainingConfig = TrainingConfig()

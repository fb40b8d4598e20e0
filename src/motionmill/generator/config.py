"""What a generator is made of, how it samples; torch-free, so that the command line can show it at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from motionmill.config import Config, parse_config
from motionmill.training.config import TrainingConfig

MAX_SECONDS = 600.0
"""The longest motion that may be asked for."""

Precision = Literal["float32", "bfloat16", "int8"]


class GeneratorConfig(Config):
    """Architecture of the text-to-token transformer.

    The official presets have 64,000 codes, text_width 2048, max_tokens 150, and neither pooled nor duration state.
    """

    num_codes: int = Field(1920, gt=0)
    num_layers: int = Field(4, gt=0)
    num_heads: int = Field(4, gt=0)
    width: int = Field(256, gt=0)
    text_width: int = Field(384, gt=0)
    max_tokens: int = Field(75, gt=0, description="longest motion, in tokens")
    max_text: int = Field(64, gt=0, description="longest text prefix, in states")
    duration_state: bool = Field(
        True,
        description="a last prefix state that says how many tokens are asked for, or that none are",
    )
    length_head: bool = Field(
        False, description="predicts how many tokens a text asks for, when nobody says"
    )
    rotary_base: float = 10000.0
    dropout: float = Field(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _check(self) -> GeneratorConfig:
        if self.length_head and not self.duration_state:
            raise ValueError(
                "length_head without duration_state; the predicted length has nowhere to go"
            )
        if self.width % self.num_heads or self.width // self.num_heads % 2:
            raise ValueError(
                f"width {self.width} with {self.num_heads} heads; expected an even number of channels a head"
            )
        return self

    @property
    def vocabulary(self) -> int:
        """Codes, end and pad; pad is an input only, never an output."""
        return self.num_codes + 2

    @property
    def end(self) -> int:
        return self.num_codes

    @property
    def pad(self) -> int:
        return self.num_codes + 1

    @property
    def hidden_width(self) -> int:
        """Width of the feed-forward layer: 8/3 of the width, rounded up to a multiple of 256."""
        return -(-int(2 * 4 * self.width / 3) // 256) * 256


PRESETS: Mapping[str, tuple[int, int, int]] = {
    "44M": (8, 8, 512),
    "111M": (12, 12, 768),
    "343M": (24, 16, 1024),
    "775M": (36, 20, 1280),
    "1B": (48, 24, 1536),
    "3B": (24, 32, 3200),
    "5B": (24, 32, 4096),
    "6B": (28, 32, 4096),
    "7B": (36, 32, 4096),
    "13B": (40, 40, 5120),
}
"""Layers, heads and width of the official sizes; 3B and 7B are the released ones."""


def official_config(
    num_layers: int, num_heads: int, width: int, *, num_codes: int = 64_000, text_width: int = 2048
) -> GeneratorConfig:
    """A generator as the paper has it: up to 150 tokens, a text prefix of up to 150 states and nothing else in it."""
    return GeneratorConfig(
        num_codes=num_codes,
        num_layers=num_layers,
        num_heads=num_heads,
        width=width,
        text_width=text_width,
        max_tokens=150,
        max_text=150,
        duration_state=False,
    )


def preset(name: str) -> GeneratorConfig:
    """The official size of this name.

    Raises:
        ValueError: no such size.
    """
    if name not in PRESETS:
        raise ValueError(f"no preset {name!r}; there are {', '.join(PRESETS)}")
    return official_config(*PRESETS[name])


class SamplingConfig(Config):
    """How tokens are drawn, and when a motion of no given length may and must end.

    Guidance g moves the logits from those without text towards those with it: l0 + g (l1 - l0); 1 is none.
    Temperature 0 takes the likeliest token.
    """

    temperature: float = Field(0.7, ge=0)
    top_k: int | None = Field(None, gt=0)
    top_p: float | None = Field(None, gt=0, le=1)
    guidance: float = Field(2.0, ge=0)
    min_seconds: float | None = Field(None, ge=0, le=MAX_SECONDS)
    max_seconds: float | None = Field(None, gt=0, le=MAX_SECONDS)

    @model_validator(mode="after")
    def _check(self) -> SamplingConfig:
        low, high = self.min_seconds, self.max_seconds
        if low is not None and high is not None and low > high:
            raise ValueError(f"min_seconds {low:g} above max_seconds {high:g}")
        return self

    def changed(self, values: Mapping[str, float | int | None]) -> SamplingConfig:
        """A copy with the values that are not None, checked."""
        given = {name: value for name, value in values.items() if value is not None}
        return parse_config(SamplingConfig, {**self.model_dump(), **given}, source="sampling")


class ReleaseConfig(Config):
    """What a released model says of itself."""

    name: str
    licence: str
    attribution: str = ""
    text_encoder: Literal["minilm", "t5"] = "minilm"
    text_encoder_path: str = Field(
        "", description="folder or Hub name, for an encoder that is not in a package"
    )
    sampling: SamplingConfig = SamplingConfig()
    candidates: int = Field(
        1, gt=0, description="motions drawn of a text, of which the ranker takes the best"
    )
    fps: float = 30.0
    own_skeleton: bool = Field(
        True,
        description="all motions it was trained on are on the project's skeleton, as data sets of the project are; "
        "otherwise the size of the body is measured on each motion",
    )


class GeneratorDataConfig(Config):
    """How training rows are drawn; see `generator.task`."""

    batch_size: int = Field(32, gt=0)
    mirror: bool = True
    start_offsets: tuple[int, ...] = (0, 2)
    text_dropout: float = Field(0.1, ge=0, lt=1)
    word_dropout: float = Field(0.1, ge=0, lt=1)
    pooled_only: float = Field(0.15, ge=0, lt=1)
    token_noise: float = Field(0.1, ge=0, lt=1)
    duration_dropout: float = Field(0.5, ge=0, le=1)
    commercial_only: bool = False
    balance: float = Field(0.5, ge=0, le=1)
    source_weights: dict[str, float] = Field(default_factory=dict)
    word_weights: dict[str, float] = Field(
        default_factory=dict,
        description="clips of which most captions have a word that begins so are drawn so much more often",
    )
    compose: int = Field(
        0, ge=0, description="gestures of a style are composed of others until there are so many"
    )
    min_captions: int = Field(4, gt=0)
    max_captions: int = Field(24, gt=0)
    class_captions: int = Field(160, gt=0)


class PackingConfig(Config):
    """Training on packs instead of rows; see `generator.packed_task`.

    Clips are read from memory-mapped token files in epochs, each clip as often as its weights say (once where there are
    none); a micro-batch is one pack, and `data.batch_size`, `data.balance` and `data.compose` say nothing.
    """

    enabled: bool = False
    states: int = Field(2048, gt=0, description="places of a pack, text and tokens together")
    crop: float = Field(
        0.0, ge=0, le=1, description="how often the first or the last token is left out"
    )


class TextConfig(Config):
    """Which frozen language model reads the captions, and when."""

    encoder: Literal["minilm", "t5"] = "minilm"
    path: str = Field("", description="folder or Hub name of a T5 encoder, as google/flan-t5-xl")
    on_the_fly: bool = Field(
        False, description="encode the captions of each pack anew instead of storing all states"
    )

    @model_validator(mode="after")
    def _check(self) -> TextConfig:
        if self.encoder == "t5" and not self.path:
            raise ValueError("text.encoder t5 without text.path; name a folder or a Hub name")
        return self


class RankerConfig(Config):
    """Size of the ranker, which scores how well motions fit a text."""

    text_width: int = Field(384, gt=0)
    width: int = Field(128, gt=0)
    embedding: int = Field(128, gt=0)
    num_queries: int = Field(4, gt=0)
    stride: int = Field(2, gt=0, description="it looks at every second frame")
    dropout: float = Field(0.2, ge=0, lt=1)


class RankerDataConfig(GeneratorDataConfig):
    """How pairs of caption and motion are drawn; see `generator.ranker_task`."""

    batch_size: int = Field(64, gt=1)
    noise: float = Field(0.1, ge=0, description="of the normalised features")


class GeneratorRunConfig(Config):
    """Everything that `motionmill train generator` needs beside the data set and the tokenizer.

    `model.num_codes` follows the tokenizer.
    """

    model: GeneratorConfig = GeneratorConfig()
    data: GeneratorDataConfig = GeneratorDataConfig()
    packing: PackingConfig = PackingConfig()
    text: TextConfig = TextConfig()
    training: TrainingConfig = TrainingConfig()

    @model_validator(mode="after")
    def _check(self) -> GeneratorRunConfig:
        if self.packing.enabled and self.data.compose:
            raise ValueError("packing with data.compose; composed gestures are in rows only")
        if self.text.on_the_fly and not self.packing.enabled:
            raise ValueError("text.on_the_fly without packing; rows take stored states")
        largest = self.model.max_text + self.model.max_tokens + 1
        if self.packing.enabled and self.packing.states < largest:
            raise ValueError(
                f"packing.states {self.packing.states}; the longest sample has {largest} (max_text, max_tokens, 1)"
            )
        return self


class RankerRunConfig(Config):
    """Everything that `motionmill train ranker` needs beside the data set and the tokenizer."""

    model: RankerConfig = RankerConfig()
    data: RankerDataConfig = RankerDataConfig()
    training: TrainingConfig = TrainingConfig()


class LoraConfig(Config):
    """Size of low-rank adapters: their rank, and by how much they count (alpha / rank)."""

    rank: int = Field(16, gt=0)
    alpha: float = Field(32.0, gt=0)
    dropout: float = Field(0.05, ge=0, lt=1)


class FinetuneConfig(Config):
    """What `motionmill finetune` does beside reading clips.

    Rows are drawn from own clips and, as many as `known` says, from what the model itself makes of `prompts` before it
    is trained: `motions_a_prompt` motions of each. The model's ranker, where it has one, is trained on as
    `ranker_training` says: it has to know the new action too, or it would choose others.
    """

    lora: LoraConfig = LoraConfig()
    data: GeneratorDataConfig = GeneratorDataConfig()
    training: TrainingConfig = TrainingConfig()
    ranker_training: TrainingConfig = TrainingConfig(steps=300, learning_rate=3e-4)
    known: float = Field(0.5, ge=0, lt=1)
    motions_a_prompt: int = Field(4, gt=0)
    prompts: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> FinetuneConfig:
        if self.known and not self.prompts:
            raise ValueError(
                "known above 0 without prompts; the model needs texts to show what it knows"
            )
        return self

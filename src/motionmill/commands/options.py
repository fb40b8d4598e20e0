"""Options that mean the same in every command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from pydantic import Field

from motionmill.config import Config
from motionmill.generator.config import Precision

if TYPE_CHECKING:
    from motionmill.generator.rewrite import Rewriting
    from motionmill.pipeline import TextToMotion

Output = Annotated[Path, tyro.conf.arg(aliases=["-o"])]
Outputs = Annotated[tuple[Path, ...], tyro.conf.arg(aliases=["-o"]), tyro.conf.UseAppendAction]


class ModelOptions(Config):
    """Which model, and where and how it runs."""

    model: str = Field("mini", description='"mini", "open" (for any use), or a release folder')
    device: str | None = Field(None, description="cpu, cuda, mps; a GPU when there is one")
    text_device: str | None = Field(
        None,
        description="where a T5 text encoder runs, such as cpu beside a GPU; as --device by default",
    )
    text_cache: Path | None = Field(
        None,
        description="a folder that keeps what the text encoder made of each prompt; a known prompt needs no encoder",
    )
    precision: Precision = Field(
        "float32",
        description="int8 is fastest for one prompt with a large model, bfloat16 for many; neither gives the very "
        "motion that float32 gives",
    )

    def load(self) -> TextToMotion:
        """Raises FileNotFoundError or ValueError where there is no such model or device."""
        from motionmill.pipeline import TextToMotion

        return TextToMotion.from_pretrained(
            self.model,
            device=self.device,
            text_device=self.text_device,
            text_cache=self.text_cache,
            precision=self.precision,
        )


class SamplingOptions(Config):
    """What is other than the model's own sampling."""

    min_seconds: float | None = Field(
        None, description="a motion that ends by itself lasts at least so long"
    )
    max_seconds: float | None = Field(None, description="and at most so long")
    temperature: float | None = Field(
        None, description="0 takes the likeliest token; the model's own by default"
    )
    top_k: int | None = Field(None, description="draw among the k likeliest tokens")
    top_p: float | None = Field(
        None, description="draw among the likeliest tokens that hold this much probability"
    )
    guidance: float | None = Field(None, description="how closely to follow the text; 1 is none")


class RewriteOptions(Config):
    """A language model that puts prompts into the model's style."""

    rewrite: bool = Field(
        False,
        description="have a language model put the prompt into the model's style and estimate the length; any "
        "OpenAI-compatible chat endpoint (its key, if it needs one, from MOTIONMILL_CHAT_KEY)",
    )
    rewrite_url: str = Field(
        "",
        description="base address of the endpoint, such as http://localhost:8000/v1; MOTIONMILL_CHAT_URL by default",
    )
    rewrite_model: str = Field(
        "", description="name of the language model there; MOTIONMILL_CHAT_MODEL by default"
    )

    def rewriting(self) -> Rewriting | None:
        """None where nobody asked for it. Raises ValueError for an endpoint without --rewrite, or none with it."""
        from motionmill.generator.rewrite import chat_rewriting

        if (self.rewrite_url or self.rewrite_model) and not self.rewrite:
            raise ValueError("--rewrite-url and --rewrite-model are of use with --rewrite only")
        return (
            chat_rewriting(url=self.rewrite_url, model=self.rewrite_model) if self.rewrite else None
        )


def say_once(path: Path) -> None:
    """Print a result; of several processes the main one does."""
    from motionmill.training.processes import main_process

    if main_process():
        print(f"{path}")

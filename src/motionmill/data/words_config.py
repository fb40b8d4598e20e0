"""How clips are described, captioned and rewritten; torch-free, so that the command line can show it at once."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from motionmill.config import Config


class CaptionConfig(Config):
    """Who captions: a vision-language model behind an endpoint, or the description alone where no address is given.

    The key is never part of a config: it is read from MOTIONMILL_CHAT_KEY.
    """

    url: str = Field("", description="address of an OpenAI-compatible endpoint; empty for none")
    model: str = Field("", description="the model's name at that endpoint")
    pictures: Literal["sheet", "none"] = Field("sheet", description="what a model is shown")
    timeout_seconds: float = Field(60.0, gt=0, le=3600)
    attempts: int = Field(4, ge=1, le=20)
    prompt_price: float = Field(0.0, ge=0, description="dollars a million tokens asked")
    answer_price: float = Field(0.0, ge=0, description="dollars a million tokens answered")


class RewriteConfig(Config):
    """Who rewrites captions: a language model behind an endpoint, or our own rules where no address is given."""

    count: int = Field(20, ge=0, le=20, description="rewrites of a caption at most")
    url: str = Field("", description="address of an OpenAI-compatible endpoint; empty for none")
    model: str = Field("", description="the model's name at that endpoint")
    timeout_seconds: float = Field(60.0, gt=0, le=3600)
    attempts: int = Field(4, ge=1, le=20)
    prompt_price: float = Field(0.0, ge=0, description="dollars a million tokens asked")
    answer_price: float = Field(0.0, ge=0, description="dollars a million tokens answered")

"""A clip's description, and pictures of it -> its caption: by a vision-language model, or the description itself.

A model that is configured and fails leaves the clip pending (`PendingError`): nothing else takes its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from motionmill.chat import Chat, Usage
from motionmill.data.describe import Facts
from motionmill.data.description import Description
from motionmill.data.words_config import CaptionConfig
from motionmill.motion.motion import Motion


class PendingError(RuntimeError):
    """A model gave no usable answer: the clip waits for another run. `permanent`: it will not answer others either."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


@dataclass(frozen=True)
class Scene:
    """What a captioner is given of a clip.

    Attributes:
        description: what was measured.
        facts: what a caption must not contradict; None for no check.
        pictures: PNG, JPEG, GIF or WebP files: frames of the video, or a contact sheet (`contact_pictures`).
        labels: what the source says of the clip (label, title, file name), as untrusted hints; may be empty.
    """

    description: Description
    facts: Facts | None = None
    pictures: Sequence[bytes] = ()
    labels: Sequence[str] = ()


@dataclass(frozen=True)
class Caption:
    """The words of a clip.

    Attributes:
        text: the caption: one sentence that says what is done.
        short, long: other lengths where they are known; else "".
        body_parts: what moves.
        style, emotion, age, environment: as seen; "" where nothing is.
        origin: "description", or the name of the model that answered.
    """

    text: str
    short: str = ""
    long: str = ""
    body_parts: tuple[str, ...] = ()
    style: str = ""
    emotion: str = ""
    age: str = ""
    environment: str = ""
    origin: str = "description"


class Captioner(Protocol):
    """Clips -> captions; threads may share one."""

    @property
    def usage(self) -> Usage:
        """Requests, tokens and dollars until now."""

    def caption(self, scene: Scene) -> Caption:
        """One clip. Raises PendingError where no caption could be had."""


class DescriptionCaptioner:
    """The description is the caption."""

    usage = Usage()

    def caption(self, scene: Scene) -> Caption:
        raise NotImplementedError


class ChatCaptioner:
    """Asks a vision-language model."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat

    @property
    def usage(self) -> Usage:
        return self.chat.usage

    def caption(self, scene: Scene) -> Caption:
        raise NotImplementedError


def make_captioner(config: CaptionConfig, *, cache: Path | None = None) -> Captioner:
    """The captioner of a config; answers of an endpoint are kept in the folder `cache` by the hash of what was asked."""
    raise NotImplementedError


def contact_pictures(motion: Motion) -> tuple[bytes, ...]:
    """A contact sheet of a motion as a PNG file in memory, for a vision-language model."""
    raise NotImplementedError

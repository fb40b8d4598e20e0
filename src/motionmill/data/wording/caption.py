"""A clip's description, and pictures of it -> its caption: by a vision-language model, or the description itself.

A model that is configured and fails leaves the clip pending (`PendingError`): nothing else takes its place.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Protocol

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from motionmill.chat import Chat, ChatError, Endpoint, Usage
from motionmill.data.describing.describe import Facts, contradicts
from motionmill.data.describing.description import Description
from motionmill.data.words_config import CaptionConfig, RewriteConfig

_MAX_LABELS: Final = 8
_MAX_LABEL_LETTERS: Final = 120
_SEEN_PICTURE: Final = re.compile(
    r"\b(?:image|picture|photo|screenshot|contact sheet|mannequin|grey figure|gray figure|orange|blue|camera|caption"
    r"|instruction|https?|www)\b|[<>{}\[\]`\\@]",
    re.IGNORECASE,
)


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
        pictures: PNG, JPEG, GIF or WebP files: frames of the video, or a contact sheet (`pictures.contact_pictures`).
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

    @property
    def usage(self) -> Usage:
        return Usage()

    def caption(self, scene: Scene) -> Caption:
        """The description's sentence; its short and long form beside it."""
        told = scene.description
        parts = {part for each in told.events for part in _parts(each.part)}
        return Caption(told.sentence, told.short, told.long, tuple(sorted(parts)))


_Short = Annotated[str, StringConstraints(strip_whitespace=True, max_length=60)]


class SceneAnswer(BaseModel):
    """What a vision-language model answers of a clip."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=8, max_length=400)
    ] = Field(description="one sentence: who moves, and what the body does, in the order of time")
    body_parts: list[_Short] = Field(max_length=12)
    style: _Short
    emotion: _Short
    age: _Short
    environment: _Short


class ChatCaptioner:
    """Asks a vision-language model; never falls back to the description."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat

    @property
    def usage(self) -> Usage:
        return self.chat.usage

    def caption(self, scene: Scene) -> Caption:
        """One clip: its measurements, labels and pictures are sent, never its file's path.

        Raises:
            PendingError: no usable answer in all attempts; `permanent` where the endpoint refuses for good.
            ValueError: a picture of an unknown kind.
        """
        try:
            answer = self.chat.ask(
                SceneAnswer,
                _question(scene),
                system=prompt("caption"),
                images=scene.pictures,
                check=functools.partial(_check_answer, scene.facts),
            )
        except ChatError as error:
            raise PendingError(str(error), permanent=error.permanent) from None
        told = scene.description
        return Caption(
            _plain(answer.action),
            told.short,
            told.long,
            tuple(part for part in answer.body_parts if part),
            answer.style,
            answer.emotion,
            answer.age,
            answer.environment,
            self.chat.endpoint.model,
        )


def make_captioner(config: CaptionConfig, *, cache: Path | None = None) -> Captioner:
    """The captioner of a config; answers of an endpoint are kept in the folder `cache` by the hash of what was asked.

    Raises:
        ValueError: an address without a model, or one that is no address.
    """
    if not config.url:
        return DescriptionCaptioner()
    return ChatCaptioner(make_chat(config, cache=cache))


def make_chat(config: CaptionConfig | RewriteConfig, *, cache: Path | None) -> Chat:
    """The client of a config's endpoint; the key comes from MOTIONMILL_CHAT_KEY."""
    from_environment = Endpoint.from_environment(url=config.url, model=config.model)
    endpoint = Endpoint(
        from_environment.url,
        from_environment.model,
        from_environment.key,
        config.prompt_price,
        config.answer_price,
    )
    return Chat(
        endpoint, cache=cache, timeout_seconds=config.timeout_seconds, attempts=config.attempts
    )


@functools.cache
def prompt(name: str) -> str:
    """The text of `prompts/NAME.md`."""
    file = importlib.resources.files("motionmill.data.wording") / "prompts" / f"{name}.md"
    return file.read_text(encoding="utf-8")


def _question(scene: Scene) -> str:
    """The measurements in words, and the labels as what they are: strings that somebody wrote."""
    told = scene.description
    lines = [f"In short: {told.sentence}.", f"Measured: {told.long}"]
    if hints := [_harmless(label) for label in scene.labels if label.strip()][:_MAX_LABELS]:
        lines.append(f"<labels>{json.dumps(hints)}</labels>")
    return "\n".join(lines)


def _harmless(label: str) -> str:
    """A label without control characters or brackets that could close the place it stands in, cut to its size."""
    plain = "".join(letter if letter.isprintable() else " " for letter in label)
    return " ".join(re.sub(r"[<>{}\[\]]", " ", plain).split())[:_MAX_LABEL_LETTERS]


def _check_answer(facts: Facts | None, answer: SceneAnswer) -> None:
    """Raises ValueError, in words for the model, for an answer that has the shape but is no caption of the clip."""
    if found := _SEEN_PICTURE.search(" ".join((answer.action, answer.style, answer.environment))):
        raise ValueError(f"it says {found[0]!r}; describe the person's movement, not the material")
    if not 3 <= len(answer.action.split()) <= 60:
        raise ValueError(f"action has {len(answer.action.split())} words; expected 3 to 40")
    if facts is not None and (why := contradicts(answer.action, facts)):
        raise ValueError(f"action is against the measurements: {why}")


def _plain(action: str) -> str:
    """One line, a small first letter, no full stop: as all our captions."""
    text = " ".join(action.split()).rstrip(" .")
    return text if re.match(r"[A-Z]{2}", text) else text[:1].lower() + text[1:]


def _parts(part: str) -> tuple[str, ...]:
    return ("whole body",) if part == "body" else (part,)

"""A user's prompt -> a caption in the model's style and how long it takes, by a language model; off by default.

A rewrite must keep what the prompt says of sides and directions, in its order. Where it does not, or where nothing
comes back, the prompt is used as it is and the user is told why.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from pydantic import BaseModel, ConfigDict, Field

from motionmill.chat import Chat, ChatError, Endpoint
from motionmill.config import home
from motionmill.data.wording.directions import check_directions as check_directions

logger = logging.getLogger(__name__)

MAX_SECONDS: Final = 120.0
_AT_ONCE: Final = 8
_MAX_FAILURES: Final = 3  # one after the other, before no more is asked

_RULES: Final = """\
You prepare prompts for a model that makes motion of one human body from text. It was trained on captions such as:
"a person walks forward", "someone waves with the right hand", "a tired man bows deeply",
"a person jumps, then sits down", "a child runs in a circle to the left", "an old woman walks slowly with a cane".

Rewrite the user's prompt, whatever its language, as one such caption in plain English:
- who moves and how: keep age, mood and manner in a word or two ("a tired old man"); "a person" where nothing is said;
- what the body does: visible movement of body, arms, legs and head, in the present tense and in order of time;
- leave out places, objects that do not change the movement, faces, fingers, sounds, clothes, names and reasons;
- one body only: where several people act, the one whose action is described most;
- keep every left, right, both hands, forward, backward, clockwise and the like exactly as it is said and in its order,
  and add none to a prompt that has some;
- at most 40 words. A prompt that is such a caption already stays as it is.
Estimate how many seconds the motion takes: a wave or a bow 2 to 4, a walk or a dance 5 to 10, each further action 2
to 4 more; a length that the prompt says itself is kept."""


class Rewrite(BaseModel):
    """What to make instead of a prompt: a caption, and its length; None where the model is to decide."""

    model_config = ConfigDict(frozen=True)

    prompt: str = Field(min_length=3, max_length=300)
    seconds: float | None = Field(ge=0.5, le=MAX_SECONDS)


class Rewriter(Protocol):
    """Prompts -> captions in a model's style."""

    def rewrite(self, prompt: str) -> Rewrite:
        """One prompt. Raises RuntimeError, OSError or ValueError, with a reason in one line, where it cannot."""


class ChatRewriter:
    """Rewrites by a chat endpoint; threads may share it."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        self._lock = threading.Lock()
        self._failures = 0
        self._given_up: ChatError | None = None

    def rewrite(self, prompt: str) -> Rewrite:
        """A prompt -> a caption that keeps its sides and directions, and its estimated seconds.

        Raises:
            ChatError: no usable answer. An endpoint that refuses for good, or that failed three times in a row, is
                not asked again.
        """
        if self._given_up is not None:
            raise self._given_up
        try:
            made = self.chat.ask(
                Rewrite,
                prompt,
                system=_RULES,
                check=lambda answer: check_directions(prompt, answer.prompt),
                max_tokens=512,
            )
        except ChatError as error:
            with self._lock:
                self._failures += 1
                if error.permanent or self._failures >= _MAX_FAILURES:
                    self._given_up = error
            raise
        with self._lock:
            self._failures = 0
        return made


class Rewriting:
    """Any rewriter, many prompts at once; one that cannot be rewritten stays as it is, and the log says why."""

    def __init__(self, rewriter: Rewriter) -> None:
        self._rewriter = rewriter
        self._told: set[str] = set()

    def __call__(self, prompts: Sequence[str]) -> list[Rewrite]:
        """One rewrite a prompt; the prompt itself, and no length, where there is none. A reason is told once."""
        if len(prompts) == 1:
            results = [self._attempt(prompts[0])]
        else:
            with ThreadPoolExecutor(_AT_ONCE) as workers:
                results = list(workers.map(self._attempt, prompts))
        for prompt, (_, reason) in zip(prompts, results, strict=True):
            if reason and reason not in self._told:
                self._told.add(reason)
                logger.warning("the prompt is used as it is, %r: %s", prompt[:60], reason)
        return [made for made, _ in results]

    def _attempt(self, prompt: str) -> tuple[Rewrite, str]:
        """What to make of a prompt, and why it stays as it is, if it does."""
        try:
            made = self._rewriter.rewrite(prompt)
            check_directions(prompt, made.prompt)
        except (RuntimeError, OSError, ValueError) as error:
            kept = Rewrite.model_construct(prompt=prompt, seconds=None)
            return kept, " ".join(str(error).split()) or type(error).__name__
        return made, ""


def chat_rewriting(*, url: str = "", model: str = "") -> Rewriting:
    """Rewriting by a chat endpoint; what is not given comes from MOTIONMILL_CHAT_URL, _MODEL and _KEY.

    Answers are kept in the cache folder.

    Raises:
        ValueError: no endpoint, or an address that is none.
    """
    endpoint = Endpoint.from_environment(url=url, model=model)
    chat = Chat(endpoint, cache=home() / "chat", timeout_seconds=30.0, attempts=3)
    return Rewriting(ChatRewriter(chat))

"""Questions -> answers of a given shape: validated, retried, cached by all that was asked, counted.

An answer is one JSON object that a pydantic model accepts; an endpoint that sends something else is told what was wrong
and asked again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from motionmill.chat.endpoint import KEY_VARIABLE, Endpoint, Reply, TryAgainError, post

logger = logging.getLogger(__name__)

MAX_IMAGE_BYTES = 20 << 20
_FIRST_WAIT_SECONDS = 0.5
_LONGEST_ANSWER_TOKENS = 16_384
# What not every endpoint knows: left out, for good, once an endpoint has refused it by name.
_OPTIONAL = ("response_format", "temperature", "seed", "max_tokens")
_IMAGE_KINDS = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpeg",
    b"GIF8": "gif",
    b"RIFF": "webp",
}

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Usage:
    """What was asked so far: answers from the cache, requests (repeated ones too), tokens and dollars."""

    cached: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    dollars: float = 0.0


class Chat:
    """A client of one endpoint; any number of threads may ask through it."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        cache: Path | None = None,
        timeout_seconds: float = 60.0,
        attempts: int = 4,
        max_wait_seconds: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Nothing is sent yet.

        Args:
            cache: folder of earlier answers, by the hash of all that was asked.
            timeout_seconds: for one request, from connecting to the last byte of its answer.
            attempts: requests for one question at most.
            max_wait_seconds: between two attempts; an endpoint that asks for more (Retry-After) has failed.
        """
        if attempts < 1 or timeout_seconds <= 0:
            raise ValueError(
                f"{attempts} attempts of {timeout_seconds} seconds; expected 1 or more, above 0"
            )
        self.endpoint, self._cache = endpoint, cache
        self._timeout, self._attempts, self._max_wait = timeout_seconds, attempts, max_wait_seconds
        self._sleep = sleep
        self._usage, self._lock = Usage(), threading.Lock()
        self._refused: set[str] = set()

    @property
    def usage(self) -> Usage:
        """Counted until now."""
        return self._usage

    def ask(
        self,
        shape: type[M],
        question: str,
        *,
        system: str = "",
        images: Sequence[bytes] = (),
        check: Callable[[M], None] = lambda answer: None,
        temperature: float = 0.0,
        seed: int | None = None,
        max_tokens: int = 1024,
    ) -> M:
        """A question, with pictures if any -> an answer of the given shape.

        Args:
            shape: a pydantic model; its JSON schema is part of the question.
            system: what the model is to be.
            images: files of PNG, JPEG, GIF or WebP pictures, sent as data URLs.
            check: raises ValueError, with words for the model, for an answer that has the shape but is wrong.
            seed: another seed, another answer (with a temperature above 0), in the cache too.
            max_tokens: of the answer; doubled where an answer was cut short.

        Raises:
            ValueError: a picture of another kind.
            ChatError: no usable answer in all attempts, or the endpoint refuses.
        """
        schema = json.dumps(shape.model_json_schema(), sort_keys=True)
        rules = (
            f"{system}\n\nAnswer with one JSON object and nothing else. Its JSON schema: {schema}"
        )
        messages = [
            {"role": "system", "content": rules.strip()},
            {"role": "user", "content": _content(question, images)},
        ]
        payload: dict[str, Any] = {
            "model": self.endpoint.model,
            "messages": messages,
            "temperature": temperature,
        }
        if seed is not None:
            payload["seed"] = seed
        place = self._place(payload)

        def accept(text: str) -> M:
            answer = shape.model_validate(find_json(text))
            check(answer)
            return answer

        known = _recall(place, accept)
        if known is not None:
            self._count(cached=1)
            return known
        payload["max_tokens"] = max_tokens
        payload["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": shape.__name__, "schema": json.loads(schema)},
        }
        answer = self._converse(payload, accept)
        _remember(place, answer)
        return answer

    def _converse(self, payload: dict[str, Any], accept: Callable[[str], M]) -> M:
        """Send until an answer is accepted; each further attempt knows what was wrong with the one before."""
        question = payload["messages"]
        reason = ""
        for attempt in range(self._attempts):
            try:
                text = self._send(payload)
            except TryAgainError as failure:
                reason, wait = str(failure), failure.wait_seconds
                if wait is not None and wait > self._max_wait:
                    raise self.endpoint.error(
                        f"{reason}; asks to wait {wait:.0f} s, {self._max_wait:.0f} s are waited at most"
                    ) from None
                if failure.too_short:
                    longer = min(2 * payload["max_tokens"], _LONGEST_ANSWER_TOKENS)
                    payload = {**payload, "max_tokens": longer}
                elif attempt + 1 < self._attempts:
                    self._sleep(self._backoff(attempt) if wait is None else wait)
                continue
            try:
                return accept(text)
            except ValueError as error:
                reason = _problem(error)
            complaint = (
                f"This answer is not usable: {reason}. Answer again, with the JSON object only."
            )
            repeat = [
                {"role": "assistant", "content": text[:4000]},
                {"role": "user", "content": complaint},
            ]
            payload = {**payload, "messages": [*question, *repeat]}
        raise self.endpoint.error(
            f"no usable answer in {self._attempts} attempts; the last: {reason}"
        )

    def _backoff(self, attempt: int) -> float:
        """Twice as long each time, and not the same for all who were turned away together."""
        longest = min(self._max_wait, _FIRST_WAIT_SECONDS * 2**attempt)
        return longest * (0.5 + 0.5 * random.random())

    def _send(self, payload: dict[str, Any]) -> str:
        """One request -> the text of its answer; what the endpoint refuses by name is left out and tried without."""
        for _ in range(1 + len(_OPTIONAL)):
            self._count(requests=1)
            reply = post(self.endpoint, self._spoken(payload), timeout_seconds=self._timeout)
            if reply.status in (400, 422) and (refused := self._refusal(reply.body, payload)):
                self._refused.add(refused)
                continue
            return self._text(reply)
        raise self.endpoint.error("refuses every way to ask")

    def _spoken(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The payload without what this endpoint does not know."""
        spoken = {key: value for key, value in payload.items() if key not in self._refused}
        if "max_tokens" in self._refused:
            spoken["max_completion_tokens"] = payload["max_tokens"]
        return spoken

    def _refusal(self, body: bytes, payload: dict[str, Any]) -> str | None:
        """The optional part of the payload that an error names."""
        text = body.decode("utf-8", "replace")
        names = ("json_schema", *_OPTIONAL)
        named = next((name for name in names if name in text), None)
        named = "response_format" if named == "json_schema" else named
        return named if named in payload and named not in self._refused else None

    def _text(self, reply: Reply) -> str:
        """The answer in a reply. Raises ChatError where asking again is no use, else `TryAgainError`."""
        status, said = reply.status, self._said(reply.body)
        if status in (401, 403):
            raise self.endpoint.error(
                f"{status}, the key is refused{said}; set {KEY_VARIABLE}", permanent=True
            )
        if status == 404:
            raise self.endpoint.error(f"404, no such address or model{said}", permanent=True)
        if 300 <= status < 400:
            reason = f"{status}, redirects to {reply.location}; name that address"
            raise self.endpoint.error(reason, permanent=True)
        if status in (408, 409, 425, 429) or status >= 500:
            raise TryAgainError(f"{status}{said}", wait_seconds=reply.retry_after)
        if not 200 <= status < 300:
            raise self.endpoint.error(f"{status}{said}")
        try:
            completion = json.loads(reply.body)
            self._count_tokens(completion.get("usage"))
            choice = completion["choices"][0]
            text, ending = choice["message"].get("content"), choice.get("finish_reason")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise TryAgainError(f"its reply is no chat completion{said}") from None
        if ending == "length":
            raise TryAgainError("its answer was cut short", too_short=True)
        if not isinstance(text, str) or not text.strip():
            raise TryAgainError("its answer is empty")
        return text

    def _said(self, body: bytes) -> str:
        """What an endpoint says of an error, in brackets: one short line, without our key."""
        text = body[:4000].decode("utf-8", "replace")
        try:
            error = json.loads(body)["error"]
            text = str(error["message"] if isinstance(error, dict) else error)
        except (ValueError, LookupError, TypeError, RecursionError):
            pass
        line = " ".join(self.endpoint.redacted(text).split())
        return f" ({line[:200]})" if line else ""

    def _count(self, **more: float) -> None:
        with self._lock:
            values = {name: getattr(self._usage, name) + value for name, value in more.items()}
            self._usage = replace(self._usage, **values)

    def _count_tokens(self, usage: Any) -> None:
        """Take over what a reply says of its tokens and its cost, as far as it makes sense."""
        told = usage if isinstance(usage, dict) else {}

        def number(name: str) -> float | None:
            value = told.get(name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                return None
            return value if 0 <= value < 1e12 else None

        prompt = int(number("prompt_tokens") or 0)
        answer = int(number("completion_tokens") or 0)
        price = prompt * self.endpoint.prompt_price + answer * self.endpoint.answer_price
        cost = number("cost")
        self._count(
            prompt_tokens=prompt,
            answer_tokens=answer,
            dollars=price / 1e6 if cost is None else cost,
        )

    def _place(self, payload: dict[str, Any]) -> Path | None:
        """The file of the answer to a question; the key is no part of it."""
        if self._cache is None:
            return None
        asked = json.dumps({"address": self.endpoint.address, **payload}, sort_keys=True)
        name = hashlib.sha256(asked.encode()).hexdigest()
        return self._cache / name[:2] / f"{name}.json"


def find_json(text: str) -> Any:
    """The JSON object in a model's answer: alone, in a Markdown fence, or after thoughts and pleasantries.

    Raises:
        ValueError: there is none, or it is not complete.
    """
    decoder = json.JSONDecoder(parse_constant=_no_number)
    text = text.rpartition("</think>")[2]
    place, problem = text.find("{"), "it holds no JSON object"
    for _ in range(64):
        if place < 0:
            break
        try:
            return decoder.raw_decode(text, place)[0]
        except (ValueError, RecursionError) as error:
            problem = f"its JSON is not complete or not valid ({str(error)[:80]})"
            place = text.find("{", place + 1)
    raise ValueError(problem)


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _problem(error: ValueError) -> str:
    """What is wrong with an answer, in one line."""
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())[:300]
    details = error.errors(include_url=False, include_input=False)
    named = (f"{'.'.join(map(str, each['loc'])) or 'it'}: {each['msg']}" for each in details)
    return "; ".join(named)[:300]


def _content(question: str, images: Sequence[bytes]) -> Any:
    """The content of a message: words alone, or words and pictures."""
    if not images:
        return question
    pictures = [{"type": "image_url", "image_url": {"url": image_url(data)}} for data in images]
    return [{"type": "text", "text": question}, *pictures]


def image_url(data: bytes) -> str:
    """A picture file -> a data URL. Raises ValueError for another kind of file or one that is too large."""
    kind = next((kind for start, kind in _IMAGE_KINDS.items() if data.startswith(start)), None)
    if kind is None or (kind == "webp" and data[8:12] != b"WEBP"):
        raise ValueError(
            f"a picture that begins with {data[:8]!r}; expected PNG, JPEG, GIF or WebP"
        )
    if len(data) > MAX_IMAGE_BYTES:
        raise ValueError(f"a picture of {len(data)} bytes; expected {MAX_IMAGE_BYTES} at most")
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _recall(place: Path | None, accept: Callable[[str], M]) -> M | None:
    """An earlier answer, if it is there, whole and still acceptable."""
    if place is None:
        return None
    try:
        return accept(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _remember(place: Path | None, answer: BaseModel) -> None:
    """Keep an answer, written aside first; an answer is not lost because its cache cannot be written."""
    if place is None:
        return
    partial = place.with_name(f".partial-{os.getpid()}-{threading.get_ident()}-{place.name}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(answer.model_dump_json(), encoding="utf-8")
        partial.replace(place)
    except OSError as error:
        logger.warning("%s: answers are not kept (%s)", place.parent, error)

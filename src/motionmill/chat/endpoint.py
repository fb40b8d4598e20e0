"""Where to ask, and one request: an address, a model and a key -> the reply, or why there is none.

Keys are sent in one header and nowhere else: not to where an endpoint redirects, not into errors, logs or the cache.
"""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit, urlunsplit

URL_VARIABLE = "MOTIONMILL_CHAT_URL"
MODEL_VARIABLE = "MOTIONMILL_CHAT_MODEL"
KEY_VARIABLE = "MOTIONMILL_CHAT_KEY"
_MAX_REPLY_BYTES = 8 << 20


class ChatError(RuntimeError):
    """An endpoint gave no usable answer; `permanent` where it will not answer other questions either."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class TryAgainError(Exception):
    """A request failed in a way that may pass."""

    def __init__(
        self, reason: str, *, wait_seconds: float | None = None, too_short: bool = False
    ) -> None:
        super().__init__(reason)
        self.wait_seconds, self.too_short = wait_seconds, too_short


@dataclass(frozen=True)
class Endpoint:
    """Where to ask.

    Attributes:
        url: base address, such as http://localhost:8000/v1; one without a path gets /v1.
        model: the model's name there.
        key: sent as bearer token; empty for none.
        prompt_price, answer_price: dollars a million tokens, where the endpoint does not say what an answer cost.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    prompt_price: float = 0.0
    answer_price: float = 0.0

    def __post_init__(self) -> None:
        """Raises ValueError for what no endpoint can have; the key is not repeated."""
        parts = _parts(self.url)
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(
                f"chat endpoint {_shown(self.url)!r}: expected an address such as http://localhost:8000/v1 "
                f"(or set {URL_VARIABLE})"
            )
        if parts.username or parts.password:
            raise ValueError(
                f"chat endpoint {_shown(self.url)!r}: holds a user name or password; put the key into {KEY_VARIABLE}"
            )
        if not self.model.strip():
            raise ValueError(f"no chat model; name one (or set {MODEL_VARIABLE})")
        if not (self.key.isascii() and self.key.isprintable()) or " " in self.key:
            raise ValueError(f"the chat key ({KEY_VARIABLE}) has spaces or unprintable characters")

    @classmethod
    def from_environment(cls, *, url: str = "", model: str = "") -> Endpoint:
        """What is given, else MOTIONMILL_CHAT_URL and MOTIONMILL_CHAT_MODEL; the key is MOTIONMILL_CHAT_KEY."""
        return cls(
            (url or os.environ.get(URL_VARIABLE, "")).strip(),
            model or os.environ.get(MODEL_VARIABLE, ""),
            os.environ.get(KEY_VARIABLE, "").strip(),
        )

    @property
    def address(self) -> str:
        """Where completions are asked for."""
        parts = urlsplit(self.url)
        path = parts.path.rstrip("/") or "/v1"
        if not path.endswith("/chat/completions"):
            path += "/chat/completions"
        return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))

    @property
    def shown(self) -> str:
        """The address for people, without what may be secret."""
        return _shown(self.address)

    def redacted(self, text: str) -> str:
        """A text in one line, without the key."""
        line = " ".join(text.split())
        return line.replace(self.key, "***") if self.key else line

    def error(self, reason: str, *, permanent: bool = False) -> ChatError:
        """What to raise: which endpoint, and why."""
        return ChatError(
            self.redacted(f"chat endpoint {self.shown}: {reason}"), permanent=permanent
        )


class Reply(NamedTuple):
    """Status, body, and the seconds after which the endpoint wants to be asked again, if it says so."""

    status: int
    body: bytes
    retry_after: float | None
    location: str


def post(endpoint: Endpoint, payload: dict[str, Any], *, timeout_seconds: float) -> Reply:
    """One request and its reply, whatever its status.

    Raises:
        TryAgainError: no connection, a broken one, or none of it in time.
        ChatError: a certificate that is not valid.
    """
    from http.client import HTTPException
    from ssl import SSLCertVerificationError
    from urllib.error import URLError
    from urllib.request import Request

    headers = {"Content-Type": "application/json", "User-Agent": "motionmill"}
    if endpoint.key:
        headers["Authorization"] = f"Bearer {endpoint.key}"
    request = Request(endpoint.address, json.dumps(payload).encode(), headers)
    deadline = time.monotonic() + timeout_seconds
    try:
        with _opener(endpoint.address).open(request, timeout=timeout_seconds) as answer:
            body = _read(answer, deadline)
            place = _shown(str(answer.headers.get("Location", "elsewhere")))
            return Reply(answer.status, body, _retry_after(answer.headers), place)
    except (OSError, HTTPException) as error:
        cause = error.reason if isinstance(error, URLError) else error
        if isinstance(cause, TimeoutError):
            raise TryAgainError(f"no answer within {timeout_seconds:g} s") from None
        if isinstance(cause, SSLCertVerificationError):
            raise endpoint.error(
                f"its certificate is not valid ({cause})", permanent=True
            ) from None
        reason = endpoint.redacted(str(cause) or type(cause).__name__)
        raise TryAgainError(f"no connection ({reason})") from None


def _opener(address: str) -> Any:
    """Opens addresses, and gives replies of any status as they are.

    It never follows a redirect, which would carry the key along, and uses no proxy to this machine itself.
    """
    from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler

    here = urlsplit(address).hostname in ("localhost", "127.0.0.1", "::1")
    opener = OpenerDirector()
    for handler in (ProxyHandler({} if here else None), HTTPHandler(), HTTPSHandler()):
        opener.add_handler(handler)
    return opener


def _read(reply: Any, deadline: float) -> bytes:
    """The body, within its size and time."""
    body = bytearray()
    while block := reply.read1(1 << 16):
        body += block
        if len(body) > _MAX_REPLY_BYTES:
            raise TryAgainError(f"its reply is longer than {_MAX_REPLY_BYTES} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError
    announced = reply.headers.get("Content-Length") or ""
    if announced.isdecimal() and len(body) < int(announced):
        raise ConnectionResetError("the connection broke in the middle of the reply")
    return bytes(body)


def _retry_after(headers: Any) -> float | None:
    """Seconds that a Retry-After header asks for: a number or a date."""
    from email.utils import parsedate_to_datetime

    value = (headers.get("Retry-After") or "").strip()
    if value.isdecimal() and len(value) < 10:
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _shown(url: str) -> str:
    """An address without user, password, query and fragment, which may hold secrets."""
    parts = _parts(url)
    if parts is None:
        return "that is none"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _parts(url: str) -> SplitResult | None:
    """The parts of an address; None for what is none."""
    try:
        parts = urlsplit(url)
        sound = parts.port != 0 and not re.search(r"[^!-~]", url)
    except ValueError:
        return None
    return parts if sound else None

"""What every request passes: size, token, host, and the headers that every answer has (an ASGI middleware)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from hmac import compare_digest
from typing import Any

from fastapi import HTTPException

from motionmill.server.metrics import Metrics
from motionmill.server.schemas import Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' blob:; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
MAX_JSON_BYTES = 64 << 10
_MAX_DRAINED_BYTES = 4 << 20
_DRAIN_SECONDS = 2.0
MAX_UPLOADS = 8  # at the same time, which bounds the memory that they take
_UPLOADS = {"/v1/motions/convert": 32 << 20, "/v1/motions/extract": 64 << 20}
# What needs no token: the page itself and its files, which say nothing of anybody's motions; and raters' pages, whose
# addresses are secrets of their own.
_OPEN = ("/static/", "/healthz", "/rate/")
_LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}


class Guard:
    """Wraps the application."""

    def __init__(
        self, application: Application, *, token: str | None, only_loopback: bool, metrics: Metrics
    ) -> None:
        self._application, self._metrics = application, metrics
        self._token = token.encode() if token is not None else None
        self._only_loopback = only_loopback
        self._uploading = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        headers = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _with(message.get("headers", ()), scope["path"])
                self._metrics.requests[(_known(scope["method"]), message["status"])] += 1
            await send(message)

        refusal = self._refusal(scope["path"], headers)
        if refusal is not None:
            await _drain(receive)
            await _refuse(answer, *refusal)
            return
        uploads = scope["path"] in _UPLOADS
        most = _UPLOADS.get(scope["path"], MAX_JSON_BYTES)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > 12 or int(length) > most:
            await _drain(receive)
            await _refuse(answer, 413, "Content Too Large", f"expected {most} bytes at most")
            return
        seen = 0

        async def bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                if message.get("more_body", False):
                    await _drain(receive)
                raise HTTPException(413, f"expected {most} bytes at most")
            return message

        if uploads and self._uploading >= MAX_UPLOADS:
            await _drain(receive)
            await _refuse(answer, 503, "Service Unavailable", "busy; come again", retry_after=5)
            return
        self._uploading += uploads
        try:
            await self._application(scope, bounded, answer)
        finally:
            self._uploading -= uploads

    def _refusal(self, path: str, headers: dict[str, str]) -> tuple[int, str, str] | None:
        """Status, title, detail of what is wrong with a request."""
        host = headers.get("host", "")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if self._only_loopback and name not in _LOOPBACK:
            return 421, "Misdirected Request", "this server answers on localhost only"
        if headers.get("sec-fetch-site") == "cross-site" and path.startswith("/v1/"):
            return 403, "Forbidden", "requests of other sites are not answered"
        if self._token is not None and path != "/" and not path.startswith(_OPEN):
            kind, _, given = headers.get("authorization", "").partition(" ")
            sent = given.strip().encode("latin-1", "replace")
            if kind.lower() != "bearer" or not compare_digest(sent, self._token):
                return 401, "Unauthorized", "send the header `Authorization: Bearer TOKEN`"
        return None


def _known(method: str) -> str:
    """The method, if it is one of few: what a client makes up must not fill the memory."""
    return method if method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS") else "other"


def _with(headers: Iterable[tuple[bytes, bytes]], path: str) -> list[tuple[bytes, bytes]]:
    result = list(headers)
    present = {key.lower() for key, _ in result}
    more = _HEADERS | {"cache-control": "no-cache" if path.startswith("/static/") else "no-store"}
    result += [
        (key.encode(), value.encode()) for key, value in more.items() if key.encode() not in present
    ]
    return result


async def _drain(receive: Receive) -> None:
    """Read on for a while before refusing: a client that is cut off while it sends does not hear why."""
    seen, more = 0, True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while more and seen < _MAX_DRAINED_BYTES:
                message = await receive()
                seen += len(message.get("body", b""))
                more = message.get("more_body", False)


async def _refuse(
    send: Send, status: int, title: str, detail: str, *, retry_after: int | None = None
) -> None:
    body = json.dumps(Problem(title=title, status=status, detail=detail).model_dump()).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

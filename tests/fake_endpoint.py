"""A chat endpoint on this machine that answers by a script, well or badly, and keeps what it was asked."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from motionmill.chat import Chat, Endpoint

Behaviour = Callable[[BaseHTTPRequestHandler], None]


class FakeEndpoint:
    """Plays its script one request at a time; the last behaviour is repeated for ever."""

    def __init__(self) -> None:
        self.script: list[Behaviour] = [says("{}")]
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with outer._lock:
                    outer.asked.append(json.loads(body))
                    outer.headers.append(dict(self.headers))
                    outer.paths.append(self.path)
                    more = len(outer.script) > 1
                    behave = outer.script.pop(0) if more else outer.script[0]
                behave(self)

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args: Any) -> None:
                pass  # a client that hangs up is part of the script

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def question(self, number: int = -1) -> str:
        """The user's words in a request."""
        content = self.asked[number]["messages"][1]["content"]
        return str(content if isinstance(content, str) else content[0]["text"])


def chat_with(address: Endpoint, cache: Path | None = None, timeout_seconds: float = 30.0) -> Chat:
    """A chat that tries twice, without a pause between."""
    return Chat(
        address,
        cache=cache,
        timeout_seconds=timeout_seconds,
        attempts=2,
        sleep=lambda seconds: None,
    )


@contextmanager
def running() -> Iterator[FakeEndpoint]:
    endpoint = FakeEndpoint()
    thread = threading.Thread(target=endpoint.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.server.shutdown()
        endpoint.server.server_close()
        thread.join(5)


def sends(status: int, body: str | bytes, **headers: str) -> Behaviour:
    """A reply of any kind; underscores in header names become hyphens."""
    data = body.encode() if isinstance(body, str) else body

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return behave


def says(content: Any, *, finish: str = "stop", usage: Any = None) -> Behaviour:
    """A well-formed chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}}
    told = usage or {"prompt_tokens": 100, "completion_tokens": 10}
    reply = {"choices": [{**choice, "finish_reason": finish}], "usage": told}
    return sends(200, json.dumps(reply), Content_Type="application/json")


def fails(status: int, message: str = "no luck", **headers: str) -> Behaviour:
    return sends(status, json.dumps({"error": {"message": message}}), **headers)


def hangs(seconds: float = 60.0) -> Behaviour:
    """Takes the request and says nothing; longer than any client here waits, however busy the machine is."""
    return lambda handler: time.sleep(seconds)


def drips(seconds: float = 60.0) -> Behaviour:
    """A byte now and then, each of them within any time-out."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(int(seconds / 0.05)):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)

    return behave


def resets() -> Behaviour:
    """Breaks the connection without a word."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()

    return behave


def breaks_off() -> Behaviour:
    """Announces more than it sends."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        handler.wfile.write(b'{"choices": [')

    return behave

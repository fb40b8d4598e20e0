"""`motionmill serve` as a process: killed and started again, told to stop, read slowly."""

from __future__ import annotations

import json
import signal
import socket
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra server is not installed")

from tests.web.browser import Served, free_port

pytestmark = pytest.mark.slow


def start(folder: Path, port: int) -> Served:
    return Served(["serve", "--folder", str(folder), "--port", str(port)], lines=1)


def call(port: int, path: str, value: Any = None) -> Any:
    data = None if value is None else json.dumps(value).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def ended(port: int, job: str, *, within: float = 300) -> str:
    until = time.monotonic() + within
    while time.monotonic() < until:
        state = call(port, f"/v1/jobs/{job}")["state"]
        if state not in ("queued", "running"):
            return str(state)
        time.sleep(0.2)
    raise AssertionError(f"{job} has not ended")


def test_killed_stopped_and_read_slowly(tmp_path: Path) -> None:
    port = free_port()
    server = start(tmp_path, port)
    try:
        done = call(port, "/v1/motions", {"prompt": "a person bows", "seconds": 1})["id"]
        assert ended(port, done) == "done"
        long = {"prompt": "a person walks", "seconds": 60, "samples": 4}
        jobs = [call(port, "/v1/motions", long)["id"]]
        jobs += [
            call(port, "/v1/motions", {"prompt": "a person waves", "seconds": 1})["id"]
            for _ in range(3)
        ]
        server.kill()

        server = start(tmp_path, port)
        assert call(port, f"/v1/jobs/{done}")["state"] == "done"
        readers = []
        for _ in range(50):  # streams that are never read, and requests that never end
            reader = socket.create_connection(("127.0.0.1", port))
            reader.send(
                f"GET /v1/jobs/{jobs[0]}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
            )
            half = socket.create_connection(("127.0.0.1", port))
            half.send(b"GET / HTTP/1.1\r\nHost:")
            readers += [reader, half]
        assert [ended(port, job) for job in jobs[1:]] == ["done"] * 3

        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(30)
        print(f"ended after {time.monotonic() - begun:.1f} s")
        for each in readers:
            each.close()
        server.reader.join(10)

        server = start(tmp_path, port)
        assert ended(port, jobs[0]) == "done"
    finally:
        server.kill()

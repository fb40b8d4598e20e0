"""`motionmill serve` as a process: killed and started again, told to stop, filled up, read slowly; what it forgets."""

from __future__ import annotations

import json
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra server is not installed")

from tests.ports import free_port
from tests.server.test_arena import motion_folders
from tests.web.browser import Served

pytestmark = pytest.mark.slow
SHORT = {"prompt": "a person waves", "seconds": 1, "seed": 1}
MINUTES = [{"prompt": "a person walks", "seconds": 60}, {"prompt": "a person waves", "seconds": 60}]
LONG = {
    "timeline": MINUTES,
    "samples": 8,
    "candidates": 4,
}  # not done before the short ones, on any machine
STOPS_WITHIN = 10


class Process:
    """The server of a folder."""

    def __init__(self, folder: Path, *options: str, lines: int = 1) -> None:
        self.port = free_port()
        words = ["serve", "--folder", str(folder), "--port", str(self.port), *options]
        self.served = Served(words, lines=lines)

    def call(self, path: str, value: Any = None) -> Any:
        data = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def refused(self, path: str, value: Any = None) -> urllib.error.HTTPError:
        """What the server says to a request that it does not fulfil."""
        with pytest.raises(urllib.error.HTTPError) as caught:
            self.call(path, value)
        caught.value.close()
        return caught.value

    def ask(self, request: dict[str, Any]) -> str:
        return str(self.call("/v1/motions", request)["id"])

    def job(self, name: str, *, until: tuple[str, ...] = ("done", "failed", "cancelled")) -> Any:
        """A job when it is in one of these states."""
        end = time.monotonic() + 300
        while (job := self.call(f"/v1/jobs/{name}"))["state"] not in until:
            assert time.monotonic() < end, job
            time.sleep(0.1)
        return job

    def stop(self) -> float:
        """As a service manager does it; how many seconds it took."""
        begun = time.monotonic()
        self.served.process.send_signal(signal.SIGTERM)
        self.served.process.wait(STOPS_WITHIN)
        taken = time.monotonic() - begun
        self.served.kill()  # which also closes its pipe
        return taken


@contextmanager
def serving(folder: Path, *options: str, lines: int = 1) -> Iterator[Process]:
    process = Process(folder, *options, lines=lines)
    try:
        yield process
    finally:
        process.served.kill()


def test_killed_at_work(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        done = server.ask(SHORT)
        assert server.job(done)["state"] == "done"
        long = server.ask(LONG)
        server.job(long, until=("running",))
        waiting = [server.ask(SHORT) for _ in range(3)]
    for attempt in range(3):
        with serving(tmp_path) as server:
            assert server.call(f"/v1/jobs/{done}")["state"] == "done"
            if attempt < 2:
                server.job(long, until=("running",))
                assert [server.job(name)["state"] for name in waiting] == ["done"] * 3
            else:
                lost = server.job(long)
                assert lost["state"] == "failed"
                assert lost["reason"] == "lost: the server ended 3 times while it ran"
            motion = server.call(f"/v1/jobs/{done}")["motions"][0]["id"]
            with urllib.request.urlopen(
                f"http://127.0.0.1:{server.port}/v1/motions/{motion}.bvh", timeout=60
            ) as answer:
                assert answer.read().startswith(b"HIERARCHY")


def test_told_to_stop_at_work(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        long = server.ask(LONG)
        server.job(long, until=("running",))
        waiting = server.ask(SHORT | {"samples": 8})
        streams = []
        for name in (long, waiting):
            for _ in range(20):
                stream = socket.create_connection(("127.0.0.1", server.port))
                stream.sendall(
                    f"GET /v1/jobs/{name}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
                )
                streams.append(stream)
        taken = server.stop()
        for stream in streams:
            stream.close()
        print(f"ended after {taken:.1f} s")
        assert taken < STOPS_WITHIN
    with serving(tmp_path) as server:
        assert server.job(waiting)["state"] == "done"
        assert server.call(f"/v1/jobs/{long}")["state"] in ("queued", "running", "done")


def test_full_slow_and_forgetful(tmp_path: Path) -> None:
    limits = ["--max-queued", "2", "--max-running", "8", "--job-seconds", "4"]
    with serving(tmp_path, *limits) as server:
        done = server.ask(SHORT)
        server.job(done)
        late = server.ask(LONG)
        server.job(late, until=("running",))
        for _ in range(2):
            server.ask(SHORT)
        refusal = server.refused("/v1/motions", SHORT)
        assert refusal.code == 429
        assert int(refusal.headers["Retry-After"]) >= 1
        failed = server.job(late)
        assert failed["state"] == "failed"
        assert failed["reason"] == "took longer than 4 seconds"
        newest = server.ask(SHORT)
        server.job(newest)
        server.stop()
    motions = tmp_path / "motions"
    size = max(path.stat().st_size for path in motions.glob("*.npz"))
    assert len(list(motions.glob("*.npz"))) == 4
    with serving(tmp_path, "--keep-gigabytes", str(1.5 * size / 2**30)) as server:
        assert server.call(f"/v1/jobs/{newest}")["state"] == "done"
        assert server.refused(f"/v1/jobs/{done}").code == 404
        assert [path.name for path in motions.glob("*.npz")] == [f"{newest}-0.npz"]
        server.stop()
    with serving(tmp_path, "--keep-days", "1e-6") as server:
        assert server.call("/v1/jobs")["jobs"] == []
        assert list(motions.iterdir()) == []


def test_many_readers_of_whom_none_reads(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        long = server.ask(LONG)
        readers = []
        for _ in range(100):  # streams that are never read, and requests that never end
            reader = socket.create_connection(("127.0.0.1", server.port))
            reader.sendall(
                f"GET /v1/jobs/{long}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
            )
            half = socket.create_connection(("127.0.0.1", server.port))
            half.sendall(b"GET / HTTP/1.1\r\nHost:")
            readers += [reader, half]
        for _ in range(3):
            assert server.job(server.ask(SHORT))["state"] == "done"
        for reader in readers:
            reader.close()


def test_a_folder_has_one_server(tmp_path: Path) -> None:
    with serving(tmp_path):
        second = Process(tmp_path)
        assert "another server has this folder" in second.served.lines[0]
        assert second.served.process.wait(10) == 2
        second.served.kill()


def test_folders_are_rated_on_its_pages(tmp_path: Path) -> None:
    suite, folders = motion_folders(tmp_path)
    rate = ["--rate", *map(str, folders), "--suite", str(suite), "--raters", "2"]
    known = []
    for _ in range(2):
        with serving(tmp_path / "studio", *rate, lines=3) as server:
            studio, *raters = server.served.lines
            assert studio.startswith("motionmill studio: ")
            assert [line.split(": ")[0] for line in raters] == ["rater-1", "rater-2"]
            link = raters[0].partition("/rate/")[2]
            task = server.call(f"/rate/{link}task")["task"]
            assert task["prompt"].startswith("prompt <b>")
            assert server.call(f"/rate/{link}task/{task['name']}/0")["frames"] == 40
            known.append((link, task))
            server.stop()
    assert known[0] == known[1]  # links and open questions stay over a restart

"""Load on `motionmill serve`, started here as a second process on loopback: how fast, whether flat, and among whom.

python benchmarks/bench_server.py -o benchmarks/results/server.json [--parts clients large ...] [--repeats 3]

The parts write into the same file, so that they can run one after another.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from host import host
from torch import Tensor

from motionmill.generator.config import SamplingConfig, official_config
from motionmill.generator.engine import Engine, Request
from motionmill.generator.model import Generator
from motionmill.generator.release import load_release
from motionmill.generator.size import num_parameters
from motionmill.pipeline import DEFAULT_MODEL

REQUEST = {"prompt": "a person walks forward {} steps", "seconds": 4}  # {}: another text every time
ALONE = REQUEST | {"candidates": 1}
REQUESTS = {
    "8 candidates (the model's own)": REQUEST,
    "1 candidate": ALONE,
    "1 candidate, one text for all": ALONE | {"prompt": "a person walks forward"},
}
BLOCK = {"prompt": "a person walks forward", "seconds": 60, "samples": 8, "candidates": 1}
PARTS = ("clients", "short", "large", "steps", "memory", "crowd", "first", "processes")
JOBS = {1: 12, 8: 80, 32: 96}
LARGE = official_config(
    12, 12, 768, num_codes=1920, text_width=384
)  # the layers of the official 111M
TOGETHER = (1, 8, 64)
IDLE, UNREAD, HALF = 1000, 64, 200
_NUMBERS = itertools.count(1)


class Server:
    """The process, and calls to it."""

    def __init__(self, folder: str, model: str, precision: str) -> None:
        words = ["serve", "--port", "0", "--folder", folder, "--max-queued", "128"]
        words += ["--model", model, "--precision", precision]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "motionmill", *words],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.address = line.split()[2].rstrip("/")
        self.port = int(self.address.rpartition(":")[2])

    def call(self, path: str, value: Any = None, method: str | None = None) -> bytes:
        data = None if value is None else json.dumps(value).encode()
        kind = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.address + path, data, kind, method=method)
        with urllib.request.urlopen(request, timeout=600) as answer:
            return bytes(answer.read())

    def ask(self, request: dict[str, Any]) -> str:
        """The id of a new job; comes again when it is told to."""
        while True:
            try:
                return str(json.loads(self.call("/v1/motions", request))["id"])
            except urllib.error.HTTPError as error:
                if error.code != 429:
                    raise
                time.sleep(float(error.headers["Retry-After"]))

    def events(self, job: str) -> Iterator[bytes]:
        """The lines of its events, as they come."""
        with urllib.request.urlopen(f"{self.address}/v1/jobs/{job}/events", timeout=600) as answer:
            yield from answer

    def connect(self, words: str) -> socket.socket:
        """A client that says something and reads nothing."""
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", self.port))
        client.sendall(words.encode())
        return client

    def memory(self) -> float:
        for line in self.call("/metrics").decode().splitlines():
            if line.startswith("motionmill_memory_bytes "):
                return round(float(line.split()[1]) / 2**20, 1)
        raise RuntimeError("no memory in /metrics")

    def beside(self) -> list[float]:
        """MiB of the processes that the server has started, on Linux."""
        number = self.process.pid
        children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
        states = [Path(f"/proc/{child}/status").read_text() for child in children]
        return [round(int(state.split("VmRSS:")[1].split()[0]) / 2**10, 1) for state in states]


@contextmanager
def serving(model: str = DEFAULT_MODEL, precision: str = "float32") -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder, model, precision)
        try:
            for request in REQUESTS.values():
                load(server, request, 2, 4)
            yield server
        finally:
            server.process.terminate()
            server.process.wait(30)


def watch(server: Server, job: str, start: float) -> tuple[float, float, bool]:
    """Seconds to the first frames and to the end of the events, and whether a motion came."""
    first, good = float("nan"), False
    for line in server.events(job):
        if line.startswith(b"event: frames") and first != first:
            first = time.perf_counter() - start
        good = good or line.startswith(b"event: done")
    return first, time.perf_counter() - start, good


def one(server: Server, request: dict[str, Any], seed: int) -> tuple[float, float, bool]:
    start = time.perf_counter()
    return watch(server, server.ask(worded(request) | {"seed": seed}), start)


def worded(request: dict[str, Any]) -> dict[str, Any]:
    """The request with the next number in its text, if there is a place for one."""
    return request | {"prompt": request["prompt"].format(next(_NUMBERS))}


def load(server: Server, request: dict[str, Any], num_clients: int, jobs: int) -> dict[str, Any]:
    """So many clients, each asking again when it was answered."""
    seen: list[tuple[float, float, bool]] = []
    seeds = iter(range(jobs))
    lock = threading.Lock()

    def client() -> None:
        while True:
            with lock:
                seed = next(seeds, None)
            if seed is None:
                return
            seen.append(one(server, request, seed))

    start = time.perf_counter()
    together([client] * num_clients)
    whole = time.perf_counter() - start
    good = sum(came for *_, came in seen)
    return {
        "clients": num_clients,
        "jobs": jobs,
        "lost": jobs - good,
        "motions per second": round(good / whole, 3),
        "seconds p50, p95, p99, most": percentiles([seconds for _, seconds, _ in seen]),
        "first frames p50, p95, p99, most": percentiles([s for s, *_ in seen if s == s]),
    }


def together(tasks: Sequence[Any]) -> None:
    threads = [threading.Thread(target=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def percentiles(seconds: Sequence[float]) -> list[float]:
    if len(seconds) < 2:
        return [round(s, 3) for s in seconds]
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return [round(value, 3) for value in (cuts[49], cuts[94], cuts[98], max(seconds))]


def clients(server: Server, repeats: int) -> dict[str, Any]:
    """One, eight and thirty-two clients, in turn."""
    return {name: compared(server, request, JOBS, repeats) for name, request in REQUESTS.items()}


def compared(
    server: Server, request: dict[str, Any], jobs: dict[int, int], repeats: int
) -> dict[str, Any]:
    """Some numbers of clients, each with so many jobs, in turn."""
    rows = [load(server, request, count, jobs[count]) for _ in range(repeats) for count in jobs]
    rates = {
        count: statistics.median(
            row["motions per second"] for row in rows if row["clients"] == count
        )
        for count in jobs
    }
    over_one = {
        f"{count} clients over 1": round(rates[count] / rates[1], 2) for count in jobs if count > 1
    }
    return {"rows": rows, "motions per second": rates} | over_one


def short(repeats: int) -> dict[str, Any]:
    """As `clients`, of a server whose generator is in bfloat16."""
    with serving(precision="bfloat16") as server:
        return clients(server, repeats)


def large(repeats: int) -> dict[str, Any]:
    """One and eight clients of a server whose model is the size of the official 111M, untrained."""
    with tempfile.TemporaryDirectory() as folder:
        shipped = load_release(DEFAULT_MODEL)
        torch.manual_seed(0)
        replace(shipped, generator=Generator(LARGE)).save(Path(folder) / "large", "untrained")
        with serving(f"{folder}/large") as server:
            jobs = {1: 4, 8: 24}
            report = compared(server, REQUESTS["1 candidate"], jobs, repeats)
    return report | {"parameters": num_parameters(LARGE)}


def steps(repeats: int) -> dict[str, Any]:
    """What batching can win at most: milliseconds of one step of the engine alone, by the requests that share it."""
    torch.manual_seed(0)
    models = {
        "shipped": load_release(DEFAULT_MODEL).generator,
        "shipped, bfloat16": load_release(DEFAULT_MODEL, precision="bfloat16").generator,
        "large": Generator(LARGE).eval(),
    }
    numbers = torch.randn(2, 10, 384) / 20
    report = {}
    for name, model in models.items():
        texts = numbers.to(model.embedding.weight.dtype)
        found: dict[int, list[float]] = {count: [] for count in TOGETHER}
        for _ in range(repeats):
            for count in TOGETHER:
                found[count].append(step_of(model, texts, count))
        medians = {count: statistics.median(rows) for count, rows in found.items()}
        report[name] = {
            "milliseconds a step": {count: round(ms, 2) for count, ms in medians.items()},
            "milliseconds a step and request": {
                count: round(ms / count, 3) for count, ms in medians.items()
            },
            "most that 8 requests can win": round(8 * medians[1] / medians[8], 2),
            "most that 64 requests can win over 8": round(8 * medians[8] / medians[64], 2),
        }
    return report


def step_of(model: Generator, texts: Tensor, count: int, length: int = 30) -> float:
    """Milliseconds a step while so many requests with guidance run, with a thread as in the server."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // 2))
    engine = Engine(model, max_rows=2 * count)
    sampling = SamplingConfig(guidance=4.0)
    for seed in range(count):
        engine.submit(
            Request(texts[0], sampling, seed=seed, duration=length, unconditional=texts[1])
        )
    engine.step()  # the texts
    start = time.perf_counter()
    for _ in range(length - 2):
        engine.step()
    seconds = time.perf_counter() - start
    torch.set_num_threads(threads)
    return 1e3 * seconds / (length - 2)


def memory(server: Server, jobs: int = 500) -> dict[str, Any]:
    """MiB of the server's process after every fifty jobs."""
    request = REQUESTS["1 candidate"]
    found, lost = [server.memory()], 0
    before = server.beside()
    for _ in range(0, jobs, 50):
        lost += load(server, request, 8, 50)["lost"]
        found.append(server.memory())
    return {
        "jobs": jobs,
        "lost": lost,
        "MiB after every 50 jobs": found,
        "MiB of other processes, before and after": [before, server.beside()],
    }


def crowd(server: Server, repeats: int) -> dict[str, Any]:
    """Jobs that wait behind a long one are let go; the other clients that are there meanwhile differ."""
    kinds = ("nobody", "idle streams", "streams that are not read", "half-open connections")
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(repeats):
        for kind in kinds:
            rates[kind].append(among(server, kind))
    numbers = {"idle streams": IDLE, "streams that are not read": UNREAD, kinds[3]: HALF}
    return {
        kind: {
            "connections": numbers.get(kind, 0),
            "motions per second": round(statistics.median(found), 3),
            "all": found,
        }
        for kind, found in rates.items()
    }


def among(server: Server, kind: str, jobs: int = 32) -> float:
    """Motions a second of jobs that are done while others hold connections."""
    blocks = [server.ask(BLOCK) for _ in range(2)]
    measured = [server.ask(worded(REQUEST) | {"seed": seed}) for seed in range(jobs)]
    behind = [server.ask(worded(REQUEST)) for _ in range(20)]
    stream = "GET /v1/jobs/{}/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
    words = {
        "nobody": [],
        "idle streams": [stream.format(behind[k % 20]) for k in range(IDLE)],
        "streams that are not read": [stream.format(measured[k % jobs]) for k in range(UNREAD)],
        "half-open connections": ["GET / HTTP/1.1\r\nHost:"] * HALF,
    }[kind]
    others = [server.connect(each) for each in words]
    time.sleep(1.0)  # all are there
    for block in blocks:
        server.call(f"/v1/jobs/{block}", method="DELETE")
    start = time.perf_counter()
    good: list[bool] = []
    together([lambda job=job: good.append(watch(server, job, start)[2]) for job in measured])
    seconds = time.perf_counter() - start
    for other in others:
        other.close()
    for job in behind:
        try:
            server.call(f"/v1/jobs/{job}", method="DELETE")
        except urllib.error.HTTPError:
            list(server.events(job))  # it has just ended
    assert sum(good) == jobs, f"{jobs - sum(good)} jobs lost among {kind}"
    return round(jobs / seconds, 3)


def processes(server: Server, repeats: int) -> dict[str, Any]:
    """Eight clients of one process, and four each of two that have folders of their own, in turn."""
    one, two = [], []
    with serving() as other:
        for _ in range(repeats):
            one.append(load(server, REQUEST, 8, 40)["motions per second"])
            start = time.perf_counter()
            together([lambda at=at: load(at, REQUEST, 4, 20) for at in (server, other)])
            two.append(round(40 / (time.perf_counter() - start), 3))
    return {
        "motions per second": {
            "one process, 8 clients": one,
            "two processes, 4 clients each": two,
        },
        "two over one": round(statistics.median(two) / statistics.median(one), 2),
    }


def first(server: Server) -> dict[str, Any]:
    """Seconds from the request to the first frames of a 4-second motion, nobody else being there."""
    alone = load(server, REQUEST, 1, 20)
    return {
        "p50, p95, p99, most": alone["first frames p50, p95, p99, most"],
        "whole motion": alone["seconds p50, p95, p99, most"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    known = json.loads(arguments.output.read_text()) if arguments.output.is_file() else {}
    report: dict[str, Any] = known | {"host": host(), "requests": REQUESTS}
    parts = {
        "clients": lambda server: clients(server, arguments.repeats),
        "memory": memory,
        "crowd": lambda server: crowd(server, arguments.repeats),
        "first": first,
        "processes": lambda server: processes(server, arguments.repeats),
    }
    alone = {
        "short": short,
        "large": large,
        "steps": steps,
    }  # these need no server, or start another
    for name in arguments.parts:
        if name in alone:
            report[name] = alone[name](arguments.repeats)
        else:
            with serving() as server:
                report[name] = parts[name](server)
        arguments.output.write_text(json.dumps(report, indent=2) + "\n")
        print(json.dumps({name: report[name]}, indent=2), flush=True)


if __name__ == "__main__":
    main()

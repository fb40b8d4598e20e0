"""Load on `motionmill serve`, started here as a second process: latencies of 1, 8 and 32 clients, and its memory.

python benchmarks/bench_server.py -o benchmarks/results/server.json [--jobs 500]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from host import host

REQUEST = {"prompt": "a person walks forward", "seconds": 4}
CLIENTS = (1, 8, 32)


class Server:
    """The process, and calls to it."""

    def __init__(self, folder: str) -> None:
        words = ["serve", "--port", "0", "--folder", folder, "--max-queued", "64"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "motionmill", *words],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.address = line.split()[2].rstrip("/")

    def call(self, path: str, value: Any = None) -> bytes:
        data = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(
            self.address + path, data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=600) as answer:
            return bytes(answer.read())

    def memory(self) -> float:
        for line in self.call("/metrics").decode().splitlines():
            if line.startswith("motionmill_memory_bytes "):
                return float(line.split()[1]) / 2**20
        raise RuntimeError("no memory in /metrics")


def one(server: Server, seed: int) -> tuple[float, bool]:
    """Seconds from the request to the end of the events, and whether a motion came."""
    start = time.perf_counter()
    while True:
        try:
            job = json.loads(server.call("/v1/motions", REQUEST | {"seed": seed}))["id"]
            break
        except urllib.error.HTTPError as error:
            if error.code != 429:
                raise
            time.sleep(float(error.headers["Retry-After"]))
    events = server.call(f"/v1/jobs/{job}/events").decode()
    return time.perf_counter() - start, "event: done" in events


def load(server: Server, num_clients: int, jobs: int) -> dict[str, Any]:
    """So many clients, each asking again when it was answered."""
    times: list[float] = []
    good: list[bool] = []
    seeds = iter(range(jobs))
    lock = threading.Lock()

    def client() -> None:
        while True:
            with lock:
                seed = next(seeds, None)
            if seed is None:
                return
            seconds, came = one(server, seed)
            times.append(seconds)
            good.append(came)

    threads = [threading.Thread(target=client) for _ in range(num_clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = time.perf_counter() - start
    cuts = statistics.quantiles(times, n=20) if len(times) > 1 else times * 19
    return {
        "clients": num_clients,
        "jobs": jobs,
        "lost": jobs - sum(good),
        "motions per second": round(sum(good) / whole, 3),
        "seconds p50, p95, most": [round(x, 2) for x in (cuts[9], cuts[18], max(times))],
        "memory MiB": round(server.memory(), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument(
        "--jobs", type=int, default=48, help="of 32 clients; fewer clients do fewer"
    )
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder)
        try:
            load(server, 1, 2)
            rows = [
                load(server, clients, max(4, arguments.jobs * clients // 32))
                for _ in range(arguments.repeats)
                for clients in CLIENTS
            ]
        finally:
            server.process.terminate()
            server.process.wait(30)
    rates = {
        clients: statistics.median(
            row["motions per second"] for row in rows if row["clients"] == clients
        )
        for clients in CLIENTS
    }
    report = {
        "host": host(),
        "request": REQUEST,
        "rows": rows,
        "throughput of 8 clients over 1": round(rates[8] / rates[1], 2),
        "throughput of 32 clients over 1": round(rates[32] / rates[1], 2),
    }
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()

"""What more processes bring to `motionmill convert` -> JSON with the host's facts.

    python benchmarks/bench_convert.py [--files 20 300] [--runs 3] [-o RESULT.json]

Folders of BVH files of 300 frames become GLB by whole commands, start and all: with one process, with one a core and
with as many as the command takes by itself, in turn, so that other work on the machine meets all alike. Medians of the
clock; beside them, where Linux tells, the processor seconds of all processes of the command together, so that what is
measured on a busy machine can be judged.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from bench_formats import swing
from host import host

from motionmill.formats.files import save
from motionmill.formats.workers import num_cores


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, nargs="*", default=[20, 300])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    adopt_orphans()
    result: dict[str, Any] = {"host": host(), "runs": arguments.runs}
    with tempfile.TemporaryDirectory() as folder:
        result["convert"] = [
            convert(Path(folder), files, arguments.runs) for files in arguments.files
        ]
    result["load at the end"] = host()["load"]
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


def convert(folder: Path, files: int, runs: int) -> dict[str, Any]:
    """Seconds of the command for a folder of BVH files of 300 frames to GLB, with some numbers of processes."""
    sources = folder / f"of-{files}"
    sources.mkdir()
    save(swing(300), sources / "0.bvh")
    for index in range(1, files):
        shutil.copy(sources / "0.bvh", sources / f"{index}.bvh")
    cores = num_cores()
    cases = {"1": ["--workers", "1"], str(cores): ["--workers", str(cores)], "by itself": []}
    command = [sys.executable, "-m", "motionmill", "convert", str(sources), "--to", "glb", "-o"]
    spent: dict[str, list[float]] = defaultdict(list)
    used: dict[str, list[float]] = defaultdict(list)
    for turn in range(runs):
        for case, words in cases.items():
            target = folder / f"to-{files}-{case}-{turn}"
            before, start = processor_seconds_of_children(), time.perf_counter()
            subprocess.run([*command, str(target), *words], check=True, stdout=subprocess.DEVNULL)
            spent[case].append(time.perf_counter() - start)
            used[case].append(processor_seconds_of_children() - before)
            assert len(list(target.iterdir())) == files
            shutil.rmtree(target)
    seconds = {case: statistics.median(times) for case, times in spent.items()}
    return {
        "files": files,
        "frames_each": 300,
        "seconds_by_processes": {case: round(value, 2) for case, value in seconds.items()},
        "seconds_each": {case: [round(value, 2) for value in each] for case, each in spent.items()},
        "processor_seconds": {
            case: round(statistics.median(times), 2) for case, times in used.items()
        },
        "times_faster": round(seconds["1"] / seconds[str(cores)], 2),
    }


def adopt_orphans() -> None:
    """Makes processes whose parent ended ours, so that what they used is told (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def processor_seconds_of_children() -> float:
    """What the processes that were started and have ended used; waits for those that are about to end."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()

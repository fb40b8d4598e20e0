"""Damaged files of every kind, from a seed, and a process that reads them: what must not happen is told as JSON.

    python tests/formats/corpus.py READER[,READER...] --count 2000 --seed 1

Each input is a valid small file with something done to it. A reader may refuse it with a ValueError (or
FileNotFoundError) of one line, or read it; anything else is a finding: another exception, a warning, a hang, a message
of several lines, a motion that is not finite, code that was run, memory above the limit.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import torch
from damage import READERS, mutated, seeds

from motionmill.formats.files import load
from motionmill.motion.joint_map import load_joint_map
from motionmill.motion.skeleton import adult_skeleton

SECONDS = 10.0
MEMORY = 1 << 30


class HangError(BaseException):
    """A reader took longer than `SECONDS`."""


def read(
    reader: str, folder: Path, index: int, seed: int, files: list[tuple[str, bytes]]
) -> str | None:
    """Reads one damaged file. Returns what was wrong with how it was read, or None."""
    draw = random.Random(f"{seed} {reader} {index}")
    name, data = draw.choice(files)
    (folder / name).write_bytes(mutated(data, name, draw))
    path = folder / ("1_1.amc" if reader == "amc" else name)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of CPU time, so that a busy machine is no hang
    try:
        if reader == "map":
            load_joint_map(path)
            return None
        motion = load(path)
        joints = motion.joints()
        good = bool(joints.isfinite().all()) and len(motion) > 0
        return None if good else "a motion that is not finite"
    except (ValueError, FileNotFoundError) as error:
        one_line = "\n" not in str(error) and 0 < len(str(error)) < 1500
        return (
            None if one_line else f"a message of several lines, or too long: {str(error)[:300]!r}"
        )
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-3:]
        where = " < ".join(
            f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(place)
        )
        return f"{type(error).__name__}: {str(error)[:200]} ({where})"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        for other, content in files:
            if reader == "amc":
                (folder / other).write_bytes(content)


def run(readers: list[str], count: int, seed: int) -> dict[str, Any]:
    all_files = seeds()
    called: list[str] = []
    traps = (
        "os.system",
        "subprocess.Popen",
        "os.exec",
        "os.posix_spawn",
        "os.fork",
        "socket.connect",
    )
    sys.addaudithook(lambda event, _: called.append(event) if event in traps else None)
    adult_skeleton()
    findings: dict[str, list[str]] = {}
    slowest: dict[str, float] = {}

    def hang(*_: Any) -> None:
        raise HangError(f"more than {SECONDS} s")

    signal.signal(signal.SIGPROF, hang)
    warnings.simplefilter("error")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tempfile.tempdir = name
        for reader in readers:
            for file, content in all_files[
                reader
            ]:  # the undamaged ones are read, and warm everything up
                (folder / file).write_bytes(content)
                if reader not in ("map", "amc"):
                    load(folder / file)
        base_size, base_peak = memory("VmSize"), memory("VmHWM")
        limit = base_size + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for reader in readers:
            findings[reader] = []
            for index in range(count):
                start = time.process_time()
                wrong = read(reader, folder, index, seed, all_files[reader])
                slowest[reader] = max(slowest.get(reader, 0.0), time.process_time() - start)
                if called or (folder / "sprung").exists():
                    wrong = f"ran code: {called}"
                    called.clear()
                if wrong:
                    findings[reader].append(f"{reader} {index}: {wrong}")
                    print(findings[reader][-1], file=sys.stderr, flush=True)
    return {
        "findings": findings,
        "slowest_seconds": {reader: round(value, 2) for reader, value in slowest.items()},
        "peak_bytes": memory("VmHWM") - base_peak,
    }


def memory(what: str) -> int:
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"{what}:\s+(\d+)", status)[1])  # type: ignore[index]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("readers", help=f"of {', '.join(READERS)}, with commas, or all")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    readers = list(READERS) if arguments.readers == "all" else arguments.readers.split(",")
    print(json.dumps(run(readers, arguments.count, arguments.seed)))


if __name__ == "__main__":
    main()

"""How fast each format is written and read -> JSON with the host's facts.

    python benchmarks/bench_formats.py [--frames 1800] [--runs 3] [-o RESULT.json]

A made-up motion of our skeleton is written and read back. Frames a second are of CPU time of one process, the median of
a few runs with all formats in turn, so that other load on the machine hits them alike; wall time stands beside it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from host import host

from motionmill.formats.files import READERS, WRITERS, load, save
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_axis_angle
from motionmill.motion.skeleton import adult_skeleton

PICTURES = (".mp4", ".gif", ".png")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=1800)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        result = {
            "host": host(),
            "frames": arguments.frames,
            "runs": arguments.runs,
            "formats": formats(Path(folder), arguments.frames, arguments.runs),
        }
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


def swing(frames: int) -> Motion:
    """Limbs swing, each at its own pace, and the root walks a curve."""
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(frames, dtype=torch.float64)[:, None, None] / 30
    pace = 1 + torch.rand(22, 1, generator=generator, dtype=torch.float64)
    wide = 0.4 * torch.randn(22, 3, generator=generator, dtype=torch.float64)
    turns = torch.sin(2 * torch.pi * pace * time) * wide
    way = torch.cumsum(torch.full((frames,), 1.2 / 30, dtype=torch.float64), dim=0)
    root = torch.stack((torch.sin(way), torch.full_like(way, 0.94), way), dim=-1)
    return Motion(matrix_from_axis_angle(turns), root, 30.0, adult_skeleton(), "limbs swing")


def formats(folder: Path, frames: int, runs: int) -> dict[str, Any]:
    """Frames a second written and read for each suffix; pictures with a tenth of the frames."""
    motion = swing(frames)
    spent: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    save(motion[:2], folder / "first.glb")  # makes the mannequin
    for turn in range(runs + 1):
        for suffix in WRITERS:
            path = folder / f"motion{suffix}"
            part = motion[: frames // 10] if suffix in PICTURES else motion
            written = timed(lambda part=part, path=path: save(part, path))
            read = timed(lambda path=path: load(path)) if suffix in READERS else None
            if turn:  # the first turn loads the libraries
                spent[suffix, "written"].append(written)
                if read is not None:
                    spent[suffix, "read"].append(read)
    table: dict[str, Any] = {}
    for (suffix, what), seconds in spent.items():
        count = frames // 10 if suffix in PICTURES else frames
        cpu, wall = (statistics.median(each) for each in zip(*seconds, strict=True))
        row = table.setdefault(suffix, {"bytes": (folder / f"motion{suffix}").stat().st_size})
        row[f"{what}_frames_per_cpu_second"] = round(count / cpu)
        row[f"{what}_frames_per_second"] = round(count / wall)
    return table


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall seconds of a call."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


if __name__ == "__main__":
    main()

"""How long pictures take: films, GIFs and contact sheets of the mannequin -> JSON with the facts of the host.

    python benchmarks/bench_render.py [--data ../shared/data/bandai] [--frames 300] [-o RESULT.json]

CPU seconds of one process; the median of a few runs of a clip on the spot (still camera) and of a walk (moving camera).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from host import host

from motionmill.formats import packed, render
from motionmill.motion import cleanup
from motionmill.motion.motion import Motion, concatenate
from motionmill.motion.retarget import retarget

DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "bandai"
CLIPS = {
    "on the spot": "dataset-1_guide_normal_001",
    "walking": "dataset-2_walk_masculine_019",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    result: dict[str, Any] = {"host": host(), "frames": arguments.frames, "size": [640, 480]}
    clips = {clip.id: clip for clip in packed.read_folder(arguments.data)}
    for name, clip_id in CLIPS.items():
        motion = cleanup.to_floor(retarget(clips[clip_id].motion()))
        motion = concatenate([motion] * -(-arguments.frames // len(motion)))[: arguments.frames]
        result[name] = {}
        with tempfile.TemporaryDirectory() as folder:
            for suffix in render.SUFFIXES:
                path = Path(folder) / f"clip{suffix}"
                render.save(motion[:2], path)  # makes the mannequin, loads the codecs
                seconds = [timed(motion, path) for _ in range(arguments.runs)]
                result[name][suffix] = {
                    "cpu_seconds": round(statistics.median(seconds), 2),
                    "bytes": path.stat().st_size,
                }
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


def timed(motion: Motion, path: Path) -> float:
    start = time.process_time()
    render.save(motion, path)
    return time.process_time() - start


if __name__ == "__main__":
    main()

"""What deciding on all clips at once takes: memory, seconds, and the decisions' digest, by the number of clips -> JSON.

    python benchmarks/bench_decide.py DATASET --clips 10000 100000 [--folder FOLDER] [-o RESULTS.json]

Deciding (stages 10 and 11: thresholds, copies, splits) is the one step of the data engine that sees all clips. The
clips are made of those of a data set of real motion as `bench_duplicates.py` makes them, a fifth of them planted
copies, and lie as candidates in a folder; `--folder` keeps it, so that another version of the code can be run on it.
Each size is decided twice, from nothing and again with all splits known, each time in a process of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_duplicates import KINDS, SHARE, Joints, another, joints_of, sign
from host import host, peak_megabytes

from motionmill.data.candidates import Candidate, read_candidates, write_candidates
from motionmill.data.config import DataConfig
from motionmill.data.engine.decisions import decide_all
from motionmill.data.folder import Folder
from motionmill.data.loader import load_clips

CLIPS_A_UNIT, CLIPS_A_RECORDING = 512, 3
MANY = 2_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path, help="real motion, with its candidates")
    parser.add_argument("--clips", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--folder", type=Path, help="keeps the candidates that are made")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.one is not None:
        print(json.dumps(decide_one(arguments.one)))
        return
    result: dict[str, Any] = {"host": host(), "sizes": []}
    with tempfile.TemporaryDirectory() as name:
        for count in arguments.clips:
            folder = (arguments.folder or Path(name)) / f"decide{count}"
            if not folder.is_dir():
                make(arguments.dataset, folder, count)
            Folder(folder).decisions.unlink(missing_ok=True)
            result["sizes"] += [{"clips": count, "splits": how} | in_process(arguments.dataset, folder)
                                for how in ("new", "known")]  # fmt: skip
            print(json.dumps(result["sizes"][-2:], indent=1), file=sys.stderr)
    result["at_scale"] = at_scale(result["sizes"])
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n", encoding="utf-8")


def in_process(dataset: Path, folder: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, str(dataset), "--one", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def decide_one(root: Path) -> dict[str, Any]:
    """Decide in this process."""
    folder = Folder(root)
    units = sorted(path.stem for path in (root / "candidates").glob("*.parquet"))
    imported, begun, processor = peak_megabytes(), time.perf_counter(), time.process_time()
    kept = decide_all(folder, DataConfig(), units)
    return {
        "kept": kept,
        "seconds": round(time.perf_counter() - begun, 1),
        "processor_seconds": round(time.process_time() - processor, 1),
        "megabytes_imports": imported,
        "megabytes_peak": peak_megabytes(),
        "sha256": hashlib.sha256(folder.decisions.read_bytes()).hexdigest()[:16],
    }


def at_scale(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Memory and time a clip between the smallest and the largest size, and what follows for many."""
    told = {}
    for how in ("new", "known"):
        small, *_, large = [row for row in rows if row["splits"] == how] * 2
        if small["clips"] == large["clips"]:
            continue
        clips = large["clips"] - small["clips"]
        kilobytes = 1024 * (large["megabytes_peak"] - small["megabytes_peak"]) / clips
        seconds = (large["processor_seconds"] - small["processor_seconds"]) / clips
        told[f"{how}: kilobytes_a_clip"] = round(kilobytes, 2)
        told[f"{how}: gigabytes of {MANY} clips"] = round(kilobytes * MANY / 1024**2, 1)
        told[f"{how}: processor minutes of {MANY} clips"] = round(seconds * MANY / 60, 1)
    return told


def make(dataset: Path, root: Path, count: int) -> None:
    """Candidates in a folder, of three parts a recording."""
    folder = Folder(root)
    folder.make()
    motions = [clip for part in load_clips(dataset).values() for clip in part]
    joints = [joints_of(clip) for clip in sorted(motions, key=lambda clip: clip.id)]
    paths = sorted((dataset / "candidates").glob("*.parquet"))[:4]
    seen = [one for path in paths for one in read_candidates(path, without=("features",))]
    unit: list[Candidate] = []
    for number, made in enumerate(clips(joints, count)):
        like = seen[number % len(seen)]
        recording = f"made/recording_{number // CLIPS_A_RECORDING:08}"
        unit.append(
            Candidate(
                f"{recording}@{number % CLIPS_A_RECORDING}",
                "made",
                like.licence,
                like.commercial,
                recording,
                like.content,
                like.style,
                len(made),
                measurements={**like.measurements, "frames": len(made)},
                signature=sign(made),
            )
        )
        if len(unit) == CLIPS_A_UNIT or number + 1 == count:
            name = f"made-{number // CLIPS_A_UNIT:06}"
            write_candidates(unit, folder.file("candidates", name), made_from=name)
            unit = []


def clips(real: list[Joints], count: int) -> Iterator[Joints]:
    """Real clips and others made of them; each planted copy is far from what it is a copy of."""
    rng = np.random.default_rng(count)
    names = list(KINDS)
    copies = int(SHARE * count)
    waiting: list[Joints] = []
    for number in range(count - copies):
        motion = real[number] if number < len(real) else another(real, rng)
        if number < copies:
            motion, copy = KINDS[names[number % len(names)]](motion, rng)
            waiting.append(copy)
        yield motion
    yield from waiting


if __name__ == "__main__":
    main()

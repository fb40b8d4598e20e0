"""What a clip costs in the data engine, and whether that grows with the data set -> JSON with the facts of the host.

    python benchmarks/bench_data.py [--clips 1000 10000] [--seconds 2] [--runs 3] [-o RESULT.json]
    python benchmarks/bench_data.py --clips 1000 10000 100000      # 100 k: some 20 GB of disk under $TMPDIR
    python benchmarks/bench_data.py --clips 3000 --workers 1 2     # two workers against one, in turns

Synthetic people who walk and gesticulate, each in their own way, go as packed shards through stages 5 to 12, each size
in a process of its own, whose peak of memory is told step by step. With several --workers the command `motionmill data
run` itself is timed, from its start to its end, imports and start of the workers included. Ten-second clips are timed
stage by stage. From the costs follows what 2 million clips and 2,000 hours of video take on --cores cores and --gpus
GPUs.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from host import forget_peak, host, peak_megabytes

from motionmill.config import save_config
from motionmill.data.config import DataConfig
from motionmill.data.engine.build import build
from motionmill.data.engine.clock import Clock
from motionmill.data.engine.measure import candidates
from motionmill.data.engine.pool import ProcessPool
from motionmill.data.engine.sources import find_inputs, recordings
from motionmill.data.folder import Folder, Journal
from motionmill.motion.skeleton import SMPL_22_NAMES, adult_skeleton

FPS = 30
CLIPS_A_FILE, CLIPS_A_FOLDER = 500, 5000
NUMBERED_STAGES = ("transition", "motion", "describe")  # 5, 6 and 7
CLIPS_ASKED = 60.0  # ten-second clips a second of one core
MANY_CLIPS, MANY_HOURS = 2_000_000, 2_000
VIDEO_FPS = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a clip")
    parser.add_argument("--workers", type=int, nargs="+", default=[1])
    parser.add_argument(
        "--runs", type=int, default=3, help="of the ten-second clips, and of several --workers"
    )
    parser.add_argument("--cores", type=int, default=64)
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument(
        "--video-fps", type=float, help="frames a second that one core, or one GPU, makes of videos"
    )
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.one is not None:
        print(json.dumps(one_run(arguments.one, arguments.workers[0])))
        return

    result: dict[str, Any] = {"host": host(), "seconds_a_clip": arguments.seconds}
    several = len(arguments.workers) > 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not several:
            result["ten_second_clips"] = ten_seconds(folder, arguments.runs)
        result["sizes"] = [
            row
            for count in arguments.clips
            for row in at_size(folder, count, arguments.seconds, arguments.workers, arguments.runs)
        ]
    costs = [row["cpu_ms_a_clip"] for row in result["sizes"] if row["workers"] == 1]
    if len(costs) > 1:
        result["dearest_over_cheapest"] = round(max(costs) / min(costs), 3)
        result["asked_dearest_over_cheapest"] = 1.2
    if several:
        result["speed_up"] = speed_up(result["sizes"])
        result["asked_speed_up_of_2_workers"] = 1.8
    else:
        result["at_scale"] = at_scale(result, arguments.cores, arguments.gpus, arguments.video_fps)
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n", encoding="utf-8")


def at_size(
    folder: Path, count: int, seconds: float, workers: list[int], runs: int
) -> list[dict[str, Any]]:
    """Runs on so many clips; with several numbers of workers the command, in turns."""
    source = folder / f"walkers{count}"
    make_clips(source, count, seconds)
    rows = []
    for _ in range(runs if len(workers) > 1 else 1):
        for number in workers:
            run = one_command if len(workers) > 1 else one_process
            rows.append(run(source, number))
            print(json.dumps(rows[-1]), file=sys.stderr)
    shutil.rmtree(source)
    return rows


def one_process(source: Path, workers: int) -> dict[str, Any]:
    """`one_run` in a process of its own."""
    command = [sys.executable, __file__, "--one", str(source), "--workers", str(workers)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def one_command(source: Path, workers: int) -> dict[str, Any]:
    """`motionmill data run` as a user gives it, on the clock; processor seconds of all its processes."""
    output = source.parent / f"dataset-{time.time_ns()}"
    recipe = source.parent / "loose.yaml"
    save_config(loose(), recipe)
    command = [sys.executable, "-m", "motionmill", "data", "run", str(recipe)]
    command += ["--input", str(source), "-o", str(output), "--workers", str(workers)]
    begun, clock = time.perf_counter(), time.time()
    watch = Workers()
    watch.start()
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}  # one worker is one thread
    with tempfile.TemporaryFile(
        "w+"
    ) as told:  # a pipe would also wait for what ends after the command
        done = subprocess.run(command, stdout=told, stderr=told, check=False, env=alone)
        seconds = time.perf_counter() - begun
        watch.stop()
        if done.returncode:
            told.seek(0)
            raise RuntimeError(told.read()[-2000:])
    stages, clips = tallies(output)
    steps = steps_on_the_clock(output, clock, clock + seconds)
    shutil.rmtree(output)
    return {
        "clips": clips,
        "workers": workers,
        "seconds": round(seconds, 2),
        "seconds_of_steps": steps,
        "clips_a_second": round(clips / seconds, 1),
        "cpu_ms_a_clip": round(1e3 * watch.seconds / clips, 3),
        "stage_ms_a_clip": {name: round(1e3 * value / clips, 3) for name, value in stages.items()},
    }


def steps_on_the_clock(dataset: Path, begun: float, end: float) -> dict[str, float]:
    """How long each step took, from the start of the command to its end."""
    steps = [("start", begun)]
    for entry in Journal(Folder(dataset)):
        if "begun" in entry:
            steps.append((entry["step"], entry["begun"]))
    steps.append(("", end))
    return {name: round(stop - at, 2) for (name, at), (_, stop) in itertools.pairwise(steps)}


def tallies(dataset: Path) -> tuple[dict[str, float], int]:
    """Seconds of every stage, as the journal tells them, and how many clips there are."""
    stages: dict[str, float] = defaultdict(float)
    clips = 0
    for entry in Journal(Folder(dataset)):
        tally = entry.get("tally", {})
        clips += tally.get("candidates", 0)
        for key, value in tally.items():
            if key.startswith("seconds."):
                stages[key.removeprefix("seconds.")] += value
    return stages, clips


def one_run(source: Path, workers: int) -> dict[str, Any]:
    """One build in this process; the peak counts workers too, each for itself."""
    output = source.parent / f"dataset-{time.time_ns()}"
    watch = Workers()
    watch.start()
    begun, processor = time.perf_counter(), time.process_time()
    peaks = Peaks()
    pool = ProcessPool(workers)
    summary = build([source], output, loose(), executor=pool, progress=peaks.begin)
    peaks.end()
    seconds, processor = time.perf_counter() - begun, time.process_time() - processor
    watch.stop()
    processor += watch.seconds
    stages, clips = tallies(output)
    assert clips == summary.kept + summary.rejected
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    shutil.rmtree(output)
    return {
        "clips": clips,
        "kept": summary.kept,
        "workers": workers,
        "seconds": round(seconds, 2),
        "clips_a_second": round(clips / seconds, 1),
        "cpu_ms_a_clip": round(1e3 * processor / clips, 3),
        "peak_megabytes": {
            "driver": peaks.megabytes,
            "largest_worker": round(watch.peak_kilobytes / 1024, 1),
        },
        "kilobytes_a_clip": round(size / clips / 1e3, 1),
        "stage_ms_a_clip": {name: round(1e3 * value / clips, 3) for name, value in stages.items()},
    }


class Peaks:
    """The most memory that this process has in each step."""

    def __init__(self) -> None:
        self.megabytes: dict[str, float | None] = {}
        self._step = "start"

    def begin(self, step: str, done: int, total: int) -> None:
        """Told of every unit; the first word of a step is that none is done."""
        if done == 0:
            self.end()
            self._step = step

    def end(self) -> None:
        self.megabytes[self._step] = peak_megabytes()
        forget_peak()


class Workers(threading.Thread):
    """What the processes that this one has started use, looked at ten times a second (on Linux)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._end = threading.Event()
        self._seconds: dict[str, float] = {}
        self.peak_kilobytes = 0

    @property
    def seconds(self) -> float:
        """Processor seconds, all processes together."""
        return sum(self._seconds.values())

    def stop(self) -> None:
        self._end.set()
        self.join()

    def run(self) -> None:
        while not self._end.wait(0.1):
            for process in _descendants(os.getpid()):
                with contextlib.suppress(OSError):
                    self._look(process)

    def _look(self, process: str) -> None:
        status = Path(f"/proc/{process}/status").read_text()
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        self._seconds[process] = ticks / os.sysconf("SC_CLK_TCK")
        peak = re.search(r"VmHWM:\s+(\d+) kB", status)
        self.peak_kilobytes = max(self.peak_kilobytes, int(peak[1]) if peak else 0)


def _descendants(process: int | str) -> Iterator[str]:
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in path.read_text().split():
                yield child
                yield from _descendants(child)


def ten_seconds(folder: Path, runs: int) -> dict[str, Any]:
    """Ten-second clips through everything that is done with one clip, in this process on one core."""
    source = folder / "ten"
    make_clips(source, 40, 10.0)
    config = loose()
    takes = list(recordings(find_inputs([source], config.read)[0], config.read))
    for take in takes[:5]:
        list(candidates(take, config))
    rounds = []
    for _ in range(runs):
        clock = Clock(time.process_time)
        made = sum(len(list(candidates(take, config, clock))) for take in takes)
        assert made == len(takes)
        rounds.append({key.removeprefix("seconds."): value for key, value in clock.tally().items()})
    stages = {
        name: 1e3 * statistics.median(one[name] for one in rounds) / len(takes)
        for name in rounds[0]
    }
    numbered = sum(stages[name] for name in NUMBERED_STAGES)
    return {
        "stage_ms_a_clip": {name: round(value, 3) for name, value in stages.items()},
        "stages_5_to_7_clips_a_second": round(1e3 / numbered, 1),
        "asked_clips_a_second": CLIPS_ASKED,
        "all_clips_a_second": round(1e3 / sum(stages.values()), 1),
    }


def speed_up(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Median seconds of one worker over those of more."""
    seconds: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        seconds[row["workers"]].append(row["seconds"])
    alone = statistics.median(seconds[1])
    return {
        f"{workers} workers": round(alone / statistics.median(times), 2)
        for workers, times in seconds.items()
        if workers > 1
    }


def at_scale(
    result: dict[str, Any], cores: int, gpus: int, video_fps: float | None
) -> dict[str, Any]:
    """What much data takes, from the costs that were measured."""
    largest = max(
        (row for row in result["sizes"] if row["workers"] == 1), key=lambda row: row["clips"]
    )
    stages = largest["stage_ms_a_clip"]
    alone = stages.get("decide", 0.0) + stages.get("card", 0.0)  # what one process does
    shared = sum(stages.values()) - alone
    hours = MANY_CLIPS / 3.6e6
    told: dict[str, Any] = {
        "cores": cores,
        f"{MANY_CLIPS} clips of {result['seconds_a_clip']:g} s": {
            "core_hours": round(shared * hours, 2),
            f"hours_on_{cores}_cores": round(shared * hours / cores + alone * hours, 2),
            "of_these_hours_in_one_process": round(alone * hours, 2),
            "terabytes": round(largest["kilobytes_a_clip"] * MANY_CLIPS / 1e9, 2),
        },
    }
    if video_fps:
        one = MANY_HOURS * VIDEO_FPS / video_fps
        told[f"{MANY_HOURS} hours of video at {video_fps:g} frames a second"] = {
            f"hours_on_{cores}_cores_if_each_makes_so_many": round(one / cores, 1),
            f"hours_on_{gpus}_gpus_if_each_makes_so_many": round(one / gpus, 1),
        }
    return told


def loose() -> DataConfig:
    """Thresholds that every synthetic clip passes, so that none is cheap because it is rejected early."""
    config = DataConfig()
    changes: dict[str, Any] = {}
    for part in ("transition", "motion"):
        values = getattr(config, part).model_dump()
        for name, value in values.items():
            if name.startswith("max_") and not isinstance(value, bool):
                values[name] = type(value)(1_000_000)
            elif name.startswith("min_"):
                values[name] = 1 if isinstance(value, int) else 0.0
        changes[part] = values
    changes["cut"] = {"max_frames": 300}
    return DataConfig.model_validate(config.model_dump() | changes)


def make_clips(folder: Path, count: int, seconds: float) -> None:
    """Folders of packed shards (see `formats.packed`) with people who walk and gesticulate, no two alike."""
    for start in range(0, count, CLIPS_A_FOLDER):
        part = folder / f"{folder.name}-{start:07}"
        part.mkdir(parents=True)
        make_folder(part, range(start, min(count, start + CLIPS_A_FOLDER)), round(seconds * FPS))


def make_folder(folder: Path, numbers: range, frames: int) -> None:
    skeleton = adult_skeleton()
    three = ["Zrotation", "Yrotation", "Xrotation"]
    record = {
        "joints": list(SMPL_22_NAMES),
        "parents": list(skeleton.parents),
        "offsets": (100 * skeleton.offsets).tolist(),
        "channels": [["Xposition", "Yposition", "Zposition", *three], *[three] * 21],
        "scale_to_cm": 1.0,
    }
    (folder / "skeletons.json").write_text(json.dumps({"adult": record}), encoding="utf-8")
    with (folder / "manifest.jsonl").open("w", encoding="utf-8") as manifest:
        for start in range(numbers.start, numbers.stop, CLIPS_A_FILE):
            arrays = {}
            shard = f"clips-{start:07}.npz"
            for number in range(start, min(numbers.stop, start + CLIPS_A_FILE)):
                arrays[f"c{number}"] = walker(np.random.default_rng(number), frames)
                line = {"id": f"walker{number:07}", "shard": shard, "key": f"c{number}"}
                line |= {"skeleton": "adult", "fps": FPS, "frames": frames, "licence": "CC0"}
                manifest.write(json.dumps(line) + "\n")
            np.savez_compressed(folder / shard, **arrays)


def walker(rng: np.random.Generator, frames: int) -> np.ndarray:
    """(C, T) int32 differences of channels in thousandths: centimetres and degrees."""
    times = np.arange(frames) / FPS
    channels = np.zeros((6 + 21 * 3, frames))
    pace, speed = rng.uniform(0.6, 1.3), rng.uniform(40, 160)
    heading = np.cumsum(rng.uniform(-40, 40) * np.ones(frames) / FPS) + rng.uniform(-180, 180)
    way = np.radians(heading)
    channels[0] = np.cumsum(speed * np.sin(way)) / FPS
    channels[2] = np.cumsum(speed * np.cos(way)) / FPS
    channels[1] = 93 + 1.5 * np.sin(4 * np.pi * pace * times)
    channels[4] = heading
    angles = channels[6:].reshape(21, 3, frames)
    for wave in range(4):
        sizes = rng.normal(0, 8 / (1 + wave), (21, 3, 1))
        phases = rng.uniform(0, 2 * np.pi, (21, 3, 1))
        angles += sizes * np.sin(2 * np.pi * (0.3 + 0.5 * wave) * pace * times + phases)
    swing = rng.uniform(15, 35) * np.sin(2 * np.pi * pace * times)
    angles[0, 2] += swing
    angles[1, 2] -= swing
    steps = np.rint(channels * 1000).astype(np.int64)
    return np.diff(steps, axis=1, prepend=0).astype(np.int32)


if __name__ == "__main__":
    main()

"""How fast motion files are read -> JSON with the facts of the host.

    python benchmarks/bench_readers.py [--frames 10000] [--runs 3] [--originals FOLDER] [-o RESULT.json]

A BVH file of 31 joints at 120 fps, read by us and, in turns, by the naive way (a float and a rotation matrix at a
time, on a tenth of the frames); one of ten minutes (72,000 frames); every other kind that we can write a file of; and
recordings of kinds that we cannot write, of which there must be a folder. Medians; CPU seconds and those of the clock.
"""

from __future__ import annotations

import argparse
import json
import math
import pickle
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from host import host

from motionmill.formats import bvh, bvh_text
from motionmill.formats.files import load, save
from motionmill.formats.humanml3d import save_features as save_263
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_axis_angle, matrix_to_axis_angle
from motionmill.motion.skeleton import Skeleton, adult_skeleton

JOINTS = 31
ORIGINALS = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "originals"
RECORDINGS = {"amc": "cmu_asfamc/02_01.amc", "deepmimic": "deepmimic_json/humanoid3d_walk.txt"}
TEN_MINUTES = 72_000  # frames at 120 a second


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--originals", type=Path, default=ORIGINALS)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    result: dict[str, Any] = {"host": host(), "frames": arguments.frames, "joints": JOINTS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bvh.save(wriggling(arguments.frames, JOINTS), folder / "long.bvh")
        bvh.save(wriggling(arguments.frames // 10, JOINTS), folder / "short.bvh")
        bvh.load(folder / "short.bvh")
        ours, naive = [], []
        for _ in range(arguments.runs):
            ours.append(timed(lambda: bvh.load(folder / "long.bvh")))
            naive.append(timed(lambda: read_naively(folder / "short.bvh")))
        result["bvh"] = medians(ours) | {
            "megabytes": round((folder / "long.bvh").stat().st_size / 1e6, 1),
            "naive_cpu_seconds_for_as_many": round(
                10 * statistics.median(cpu for cpu, _ in naive), 2
            ),
        }
        bvh.save(wriggling(TEN_MINUTES, JOINTS), folder / "ten.bvh")
        ten = medians([timed(lambda: bvh.load(folder / "ten.bvh")) for _ in range(arguments.runs)])
        result["bvh of ten minutes"] = ten | {
            "frames": TEN_MINUTES,
            "clock_seconds_a_10000_frames": round(1e4 / TEN_MINUTES * ten["clock_seconds"], 3),
        }
        for kind, path in files(folder, arguments.frames).items():
            load(path, fps=30.0)
            result[kind] = medians(
                [timed(lambda p=path: load(p, fps=30.0)) for _ in range(arguments.runs)]
            )
        for kind, name in RECORDINGS.items():
            path = arguments.originals / name
            if path.is_file():
                length = {"frames": len(load(path))}
                result[kind] = length | medians(
                    [timed(lambda p=path: load(p)) for _ in range(arguments.runs)]
                )
        for values in result.values():
            if isinstance(values, dict) and "cpu_seconds" in values:
                frames = values.get("frames", arguments.frames)
                values["frames_per_cpu_second"] = round(frames / values["cpu_seconds"])
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


def wriggling(frames: int, joints: int) -> Motion:
    """Every joint turns smoothly; on our skeleton, or on a chain of bones."""
    times = torch.arange(frames, dtype=torch.float64)[:, None, None] / 30
    phases = torch.arange(joints * 3, dtype=torch.float64).view(1, joints, 3)
    turns = 0.3 * torch.sin(times + phases)
    if joints == adult_skeleton().num_joints:
        skeleton = adult_skeleton()
    else:
        offsets = torch.tensor([[0.0, 0.1, 0.0]], dtype=torch.float64).repeat(joints, 1)
        names = tuple(f"joint{index}" for index in range(joints))
        skeleton = Skeleton(names, tuple(range(-1, joints - 1)), offsets)
    root = torch.cat((torch.sin(times[:, 0]), 0.9 + 0 * times[:, 0], times[:, 0] / 10), dim=1)
    return Motion(
        matrix_from_axis_angle(turns), root, 120.0 if joints == JOINTS else 30.0, skeleton
    )


def files(folder: Path, frames: int) -> dict[str, Path]:
    """One file of each kind on SMPL's 22 joints."""
    motion = wriggling(frames, 22)
    paths = {
        "glb": folder / "a.glb",
        "npz": folder / "a.npz",
        "motionmillion 272": folder / "272.npy",
        "humanml3d 263": folder / "263.npy",
        "joint positions": folder / "joints.npy",
        "smpl pickle": folder / "a.pkl",
    }
    for kind in ("glb", "npz", "motionmillion 272"):
        save(motion, paths[kind])
    save_263(wriggling(frames * 3 // 2, 22), paths["humanml3d 263"])
    np.save(paths["joint positions"], motion.joints().float().numpy())
    poses = matrix_to_axis_angle(motion.rotations).flatten(1).numpy()
    content = {"poses": poses, "trans": motion.root.numpy()}
    paths["smpl pickle"].write_bytes(pickle.dumps(content))
    return paths


def read_naively(path: Path) -> list[list[Any]]:
    """What the reader does, one number and one 3 x 3 product at a time."""
    text = path.read_text()
    hierarchy, _, _ = bvh_text.parse(text, path.name)
    frames = []
    for line in text.splitlines()[-len(text.split("Frame Time")[1].splitlines()) + 1 :]:
        values, column, matrices = [float(word) for word in line.split()], 0, []
        for channels in hierarchy.channels:
            matrix = np.eye(3)
            for channel in channels:
                if channel.endswith("rotation"):
                    matrix = matrix @ turn(channel[0], math.radians(values[column]))
                column += 1
            matrices.append(matrix)
        frames.append(matrices)
    return frames


def turn(axis: str, angle: float) -> Any:
    cos, sin = math.cos(angle), math.sin(angle)
    rows = {
        "X": [[1, 0, 0], [0, cos, -sin], [0, sin, cos]],
        "Y": [[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]],
        "Z": [[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]],
    }
    return np.array(rows[axis])


def timed(action: Callable[[], Any]) -> tuple[float, float]:
    """CPU and clock seconds."""
    cpu, clock = time.process_time(), time.perf_counter()
    action()
    return time.process_time() - cpu, time.perf_counter() - clock


def medians(times: list[tuple[float, float]]) -> dict[str, float]:
    return {
        "cpu_seconds": round(statistics.median(cpu for cpu, _ in times), 3),
        "clock_seconds": round(statistics.median(clock for _, clock in times), 3),
    }


if __name__ == "__main__":
    main()

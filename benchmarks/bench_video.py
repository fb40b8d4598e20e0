"""How fast a video becomes motion -> JSON with the facts of the host.

    python benchmarks/bench_video.py VIDEO... [--runs 3] [-o RESULT.json]

Each video is extracted from file to motion by one process; the first run, which also loads the models, is told apart.
CPU seconds and those of the clock; of the stages, CPU seconds of one more run. Frames a second are those of the video,
and of people: frames times the people in them. The naive way, run in turns: MediaPipe's own pipeline, one person, no
motion made.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from host import host

from motionmill.video import extract as extraction
from motionmill.video.camera import camera_path
from motionmill.video.config import WHOLE_SHOTS
from motionmill.video.frames import clip_frames, probe, small_frames
from motionmill.video.mediapipe_pose import MediaPipePose
from motionmill.video.people import LandmarkTracker
from motionmill.video.shots import clips_of, find_shots


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    result: dict[str, Any] = {"host": host(), "runs": arguments.runs}
    result["models_loaded"] = timed(lambda: LandmarkTracker(WHOLE_SHOTS.people))
    for video in arguments.videos:
        ours, naive = [], []
        found = extraction.extract(video, WHOLE_SHOTS)
        for _ in range(arguments.runs):
            ours.append(timed(lambda v=video: extraction.extract(v, WHOLE_SHOTS)))
            naive.append(timed(lambda v=video: run_naively(v)))
        frames = int(found.measurements["frames"])
        seen = sum(
            int(one.measurements.get("frames", 0)) for one in (*found.people, *found.rejects)
        )
        result[video.name] = {
            "size": [int(found.measurements[name]) for name in ("width", "height")],
            "frames": frames,
            "frames_of_people": seen,
            "motions": len(found.people),
            "ours": rates(ours, frames),
            "mediapipe_alone": rates(naive, frames),
            "stages_cpu_seconds": stages(video),
        }
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


def timed(run: Callable[[], object]) -> dict[str, float]:
    cpu, clock = time.process_time(), time.perf_counter()
    run()
    return {
        "cpu_seconds": round(time.process_time() - cpu, 3),
        "seconds": round(time.perf_counter() - clock, 3),
    }


def rates(runs: list[dict[str, float]], frames: int) -> dict[str, float]:
    cpu = statistics.median(run["cpu_seconds"] for run in runs)
    clock = statistics.median(run["seconds"] for run in runs)
    return {
        "cpu_seconds": cpu,
        "seconds": clock,
        "frames_per_cpu_second": round(frames / cpu, 1),
        "frames_per_second": round(frames / clock, 1),
    }


def run_naively(video: Path) -> None:
    """MediaPipe's own solution on every frame, and nothing more."""
    import mediapipe

    pose = mediapipe.solutions.pose.Pose(model_complexity=1, smooth_landmarks=False)
    info = probe(video, WHOLE_SHOTS.frames)
    for image in (image for _, image in full_frames(info)):
        pose.process(image)
    pose.close()


def full_frames(info: Any) -> Any:
    import av

    with av.open(str(info.path)) as container:
        for frame in container.decode(video=0):
            yield frame.time, frame.to_ndarray(format="rgb24")


def stages(video: Path) -> dict[str, float]:
    """CPU seconds of each stage, one after the other."""
    config = WHOLE_SHOTS
    spent: dict[str, float] = {}

    def measure(name: str, run: Callable[[], Any]) -> Any:
        start = time.process_time()
        value = run()
        spent[name] = round(spent.get(name, 0.0) + time.process_time() - start, 3)
        return value

    info = probe(video, config.frames)
    shots = measure("shots", lambda: find_shots(small_frames(info), config.shots))
    spans = [
        span
        for shot in shots.spans
        if shot[1] - shot[0] >= config.shots.min_frames
        for span in clips_of(shot, shots.times, config.shots)
    ]
    clips = clip_frames(info, spans, config.frames)
    tracker, pose = LandmarkTracker(config.people), MediaPipePose(config.pose)
    while (frames := measure("frames", lambda: next(clips, None))) is not None:
        tracks = measure("people", lambda f=frames: tracker.track(f))
        camera = measure("camera", lambda f=frames, t=tracks: camera_path(f, t, config.pose.focal))
        for track in tracks:
            measure("pose", lambda f=frames, t=track, c=camera: pose.estimate(f, t, c))
    return spent


if __name__ == "__main__":
    main()

"""What the transition and motion filters measure on real motion, what they reject, and how fast -> JSON and pictures.

    python benchmarks/bench_filters.py SHARED/data/{bandai,cmu,cmu2,cmu_acrnn,extra,game_cc0,snu2,uiprmd} -o FOLDER

Takes are carried over to our skeleton, calibration poses at their ends left out, and cut into equal parts of at most
ten seconds; breaks are not cut out, so that the transition filter meets all of them. FOLDER gets `filters.json`
(percentiles of every measurement, rejects a limit and source, clips a second), a contact sheet of the worst ten of
every limit, and one of ten clips kept at random.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from host import host
from measure import interleaved

from motionmill.data.config import ReadConfig
from motionmill.data.engine.calibration import between_t_poses
from motionmill.data.engine.cutting import cut_points
from motionmill.data.engine.quality import (
    LIMITS,
    beyond_neighbours,
    first_failure,
    measurements,
    turns,
)
from motionmill.data.engine.sources import find_inputs, recordings
from motionmill.data.quality_config import CutConfig, MotionFilterConfig, TransitionConfig
from motionmill.formats.render import contact_sheet
from motionmill.motion import physics
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import retarget

TRANSITION, MOTION = TransitionConfig(), MotionFilterConfig()
CUT = CutConfig(cut_at="equal parts", window_frames=300)
PERCENTILES = (1, 5, 50, 95, 99, 99.5, 99.9, 100)


@dataclass(frozen=True)
class Measured:
    name: str
    source: str
    motion: Motion
    values: dict[str, float]

    @property
    def failure(self) -> tuple[str, str, float, float] | None:
        return first_failure(self.values, TRANSITION, MOTION)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("inputs", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--no-sheets", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.output.mkdir(parents=True, exist_ok=True)
    clips = list(measured(arguments.inputs))
    results = {"host": host(), **table(clips), "speed": speed(clips)}
    (arguments.output / "filters.json").write_text(json.dumps(results, indent=1) + "\n")
    if not arguments.no_sheets:
        draw(clips, arguments.output)


def measured(inputs: list[Path]) -> Iterator[Measured]:
    for one in find_inputs(inputs, ReadConfig()):
        for recording in recordings(one, ReadConfig()):
            if recording.unusable:
                continue
            motion = retarget(recording.read()).resample(physics.MEASURE_FPS)
            start, stop = between_t_poses(motion.joints())
            if stop - start < MOTION.min_frames:
                continue
            inner = motion[start:stop]
            for first, last in cut_points(inner, CUT):
                part = inner[first:last]
                name = f"{recording.id}@{start + first}"
                yield Measured(name, recording.source, part, measurements(part))


def table(clips: list[Measured]) -> dict[str, Any]:
    names = [name for name in clips[0].values if "." not in name]
    columns = {name: np.array([clip.values[name] for clip in clips]) for name in names}
    over: dict[str, Counter[str]] = defaultdict(Counter)
    first: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    for clip in clips:
        for stage, name, least, field, reason in LIMITS:
            limit = getattr(TRANSITION if stage == "transition" else MOTION, field)
            value = clip.values[name]
            if value < limit if least else value > limit:
                over[f"{reason} ({field} {limit:g})"][clip.source] += 1
        if clip.failure is None:
            kept[clip.source] += 1
        else:
            first[clip.failure[1]] += 1
    return {
        "clips": len(clips),
        "kept": sum(kept.values()),
        "clips_a_source": dict(Counter(clip.source for clip in clips)),
        "kept_a_source": dict(kept),
        "over_the_limit": {name: dict(counts) for name, counts in over.items()},
        "first_reason": dict(first.most_common()),
        "percentiles": {
            name: {str(q): round(float(np.percentile(values, q)), 4) for q in PERCENTILES}
            for name, values in columns.items()
        },
        "flips_of_the_root": {
            clip.name: round(clip.values["root_flip_degrees"], 1)
            for clip in clips
            if clip.values["root_flip_degrees"] > TRANSITION.max_root_flip_degrees
        },
    }


def speed(clips: list[Measured]) -> dict[str, Any]:
    """Ten-second clips a second of one core: ours, and by the measures of `motion.physics` one after the other."""
    some = [clip.motion for clip in clips if len(clip.motion) > 290][:40]

    def ours() -> None:
        for motion in some:
            first_failure(measurements(motion), TRANSITION, MOTION)

    def one_by_one() -> None:
        for motion in some:
            physics.foot_slide(motion)
            physics.floating(motion)
            physics.penetration(motion)
            physics.jitter(motion)
            physics.floor(motion)
            turns(motion.world_rotations())

    timings = interleaved(
        {"stages 5 and 6": ours, "five measures one by one": one_by_one}, repeats=5
    )
    return {
        name: {
            "clips_a_second": round(len(some) / timing.median, 1),
            "clips_a_processor_second": round(len(some) / min(timing.processor), 1),
        }
        for name, timing in timings.items()
    }


def draw(clips: list[Measured], folder: Path) -> None:
    for _, name, least, field, _ in LIMITS:
        if name == "frames":
            continue
        ordered = sorted(clips, key=lambda clip: clip.values[name] * (1 if least else -1))
        worst, takes = [], set[str]()
        for clip in ordered:
            take = clip.name.split("@")[0]
            if take not in takes:
                takes.add(take)
                worst.append(clip)
        chosen = list(itertools.islice(worst, 10))
        captions = [f"{clip.name} {name} = {clip.values[name]:.3g}" for clip in chosen]
        motions = [around(clip, name) for clip in chosen]
        contact_sheet(motions, captions, folder / f"worst-{field}.png")
    kept = [clip for clip in clips if clip.failure is None]
    chosen = random.Random(0).sample(kept, 10)
    contact_sheet(
        [clip.motion for clip in chosen], [clip.name for clip in chosen], folder / "kept.png"
    )


def around(clip: Measured, name: str) -> Motion:
    """The clip; for transitions the eight frames around the worst."""
    motion = clip.motion
    if not name.startswith(("root_", "joint_")):
        return motion
    joints, world = motion.skeleton.forward_kinematics(motion.rotations, motion.root)
    changes = turns(world) if "degrees" in name else torch.diff(joints[:, :1], dim=0).norm(dim=-1)
    if name.startswith("root_"):
        changes = changes[:, :1]
    if "flip" in name or "jump" in name:
        changes = beyond_neighbours(changes)
    frame = int(changes.amax(dim=1).argmax())
    return motion[max(0, frame - 3) : frame + 5]


if __name__ == "__main__":
    main()

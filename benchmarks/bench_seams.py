"""Long motions and timelines of prompts -> how far the velocity jumps at their seams, beside elsewhere.

A seam is where the model's context slides, or where a timeline goes over to its next prompt.

python benchmarks/bench_seams.py [MODEL] -o benchmarks/results/seams.json

The velocity jump of a frame is how much the velocities of the joints change from the frame before, metres a second,
mean over joints. At a seam it is the largest of the frames around it, elsewhere likewise of windows of as many frames.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from host import host
from torch import Tensor

from motionmill.motion.physics import foot_slide, jitter
from motionmill.motion.seams import REACH, velocity_jumps
from motionmill.pipeline import DEFAULT_MODEL, TextToMotion

PROMPTS = (
    "a person walks forward",
    "a person runs in a circle",
    "a person dances",
    "someone boxes",
    "a person stands and waves with the right hand",
    "a tired man walks slowly",
)
TIMELINES = (
    (
        ("a person walks forward", 3.0),
        ("a person waves with the right hand", 2.0),
        ("a person sits down", 3.0),
    ),
    (("a person stands still", 2.0), ("a person runs forward", 3.0), ("a person jumps", 2.0)),
    (("someone boxes", 3.0), ("someone kicks with the left leg", 2.0), ("a person bows", 2.0)),
    (("a person dances", 3.0), ("a tired man walks slowly", 3.0), ("a person turns around", 2.0)),
    (("a person walks forward", 3.0), ("a person waves", 2.5), ("a person bows", 2.5)),
    (("a person kicks", 2.5), ("a person walks backward", 3.0), ("someone punches", 2.0)),
    (
        ("a person runs", 3.0),
        ("a person turns left", 2.0),
        ("a person raises the left hand", 2.0),
    ),
    (("a person jumps", 2.0), ("a person crawls", 3.0), ("a person stands up", 2.0)),
)
LIMIT = 1.5  # of a seam's jump over its clip's mean


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", nargs="?", default=DEFAULT_MODEL)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--seeds", type=int, default=8, help="of each timeline")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    pipeline = TextToMotion.from_pretrained(arguments.model, device="cpu")
    rows = {
        name: report(pipeline, arguments.seconds, cleanup)
        for name, cleanup in (("as decoded", 0.0), ("after clean-up", 1.0))
    }
    result = {
        "host": host(),
        "model": arguments.model,
        "seconds": arguments.seconds,
        "context, seconds": pipeline.context_seconds,
        "velocity jump, m/s": rows,
        "timelines of three prompts": between_prompts(pipeline, arguments.seeds),
    }
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


def report(pipeline: TextToMotion, seconds: float, cleanup: float) -> dict[str, float]:
    motions = pipeline.generate(PROMPTS, seconds=seconds, cleanup=cleanup)
    at_seams, elsewhere = [], []
    for motion in motions:
        jumps = velocity_jumps(motion)
        seams = seam_frames(pipeline, len(motion))
        near = torch.zeros(len(jumps), dtype=torch.bool)
        for frame in seams:
            near[max(0, frame - 2 * REACH) : frame + 2 * REACH + 1] = True
            at_seams.append(jumps[frame])
        elsewhere.append(jumps[~near])
    seam, rest = torch.stack(at_seams), torch.cat(elsewhere)
    return {
        "seams": len(seam),
        "at seams, mean": round(float(seam.mean()), 4),
        "elsewhere, mean": round(float(rest.mean()), 4),
        "ratio of the means": round(float(seam.mean() / rest.mean()), 3),
        "at seams, largest": round(float(seam.max()), 4),
        "elsewhere, largest": round(float(rest.max()), 4),
    }


def between_prompts(pipeline: TextToMotion, num_seeds: int) -> dict[str, dict[str, float]]:
    """The jump at the seams of timelines over the mean of its clip, as drawn and with softened seams."""
    drawn = [
        tokens_of(pipeline, parts, 1000 * seed) for parts in TIMELINES for seed in range(num_seeds)
    ]
    return {
        f"{kind}, {name}": jumps_of(pipeline, drawn, cleanup=cleanup, soft=soft)
        for kind, soft in (("as drawn", False), ("softened", True))
        for name, cleanup in (("as decoded", 0.0), ("after clean-up", 1.0))
    }


def tokens_of(
    pipeline: TextToMotion, parts: Sequence[tuple[str, float]], seed: int
) -> tuple[Tensor, list[int]]:
    """What `pipeline.timeline` draws, and the first tokens of its parts but the first."""
    tokens, starts = torch.empty(0, dtype=torch.long), []
    for number, (prompt, seconds) in enumerate(parts):
        starts.append(len(tokens))
        length = pipeline.tokens.count(seconds)
        new = pipeline.tokens([prompt], [length], [seed + number], history=tokens)[0]
        tokens = torch.cat((tokens, new))
    return tokens, starts[1:]


def jumps_of(
    pipeline: TextToMotion,
    drawn: Sequence[tuple[Tensor, list[int]]],
    *,
    cleanup: float,
    soft: bool,
) -> dict[str, float]:
    ratios, others, motions = [], [], []
    for tokens, starts in drawn:
        motion = pipeline.decode(tokens, cleanup=cleanup, starts=starts if soft else ())
        jumps = velocity_jumps(motion)
        relative = jumps / jumps.mean()
        ratios += [
            float(relative[start * pipeline.release.codec.frames_per_token]) for start in starts
        ]
        others.append(relative)
        motions.append(motion)
    found = torch.tensor(ratios)
    return {
        "seams": len(found),
        "jump over the clip's mean, mean": round(float(found.mean()), 3),
        "jump over the clip's mean, median": round(float(found.median()), 3),
        "jump over the clip's mean, largest": round(float(found.max()), 3),
        f"seams above {LIMIT}, percent": round(float((found > LIMIT).double().mean()) * 100, 1),
        f"all frames above {LIMIT}, percent": round(
            float((torch.cat(others) > LIMIT).double().mean()) * 100, 1
        ),
        "foot slide, mm a frame": round(sum(map(foot_slide, motions)) / len(motions), 3),
        "jitter, 100 m/s^3": round(sum(map(jitter, motions)) / len(motions), 3),
    }


def seam_frames(pipeline: TextToMotion, num_frames: int) -> list[int]:
    """First frame after each place where the context slid: at its end, and then every time the new part is full."""
    context = pipeline.release.generator.config.max_tokens
    new = context - pipeline.engine.overlap
    unit = pipeline.release.codec.frames_per_token
    return list(range(context * unit, num_frames, new * unit))


if __name__ == "__main__":
    main()

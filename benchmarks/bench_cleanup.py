"""What the clean-up does to real and to spoilt real motion, and how fast: JSON with the facts of the host.

    python benchmarks/bench_cleanup.py [--data ../shared/data/bandai] [--clips 80] [-o RESULT.json]

Each clip is measured as it is, with a root that walks at random (2 mm a frame), with joints that tremble (1 cm) and
with feet that slide as generated ones do; before and after. Slide weights come from the clean clip, its floor at y = 0.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from host import host

from motionmill.formats import packed
from motionmill.motion import cleanup, physics
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import retarget
from motionmill.motion.rotations import matrix_from_axis_angle

DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "bandai"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--clips", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    clips = packed.read_folder(arguments.data)
    chosen = random.Random(arguments.seed).sample(clips, min(arguments.clips, len(clips)))
    real = [cleanup.to_floor(retarget(clip.motion())[:400]) for clip in chosen]
    generator = torch.Generator().manual_seed(arguments.seed)
    result: dict[str, Any] = {"host": host(), "clips": len(real), "frames": sum(map(len, real))}
    result["real"] = measures(real, real)
    for spoil in (as_it_is, drifting, trembling, sliding):
        before = [spoil(motion, generator) for motion in real]
        start = time.process_time()
        after = [cleanup.clean(motion) for motion in before]
        seconds = time.process_time() - start
        result[spoil.__name__] = {
            "before": measures(before, real),
            "after": measures(after, real),
            "changed_mm": mean(distance(a, b) for a, b in zip(after, before, strict=True)),
            "held_slide_mm_per_frame": held_slide(before),
            "frames_per_cpu_second": round(result["frames"] / seconds),
        }
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


def measures(motions: list[Motion], real: list[Motion]) -> dict[str, float]:
    """Means over clips of the physics measures and of the distance to the real motion."""
    pairs = list(zip(motions, real, strict=True))
    return {
        "foot_slide_mm_per_frame": mean(physics.foot_slide(m, r) for m, r in pairs),
        "foot_slide_own_weights": mean(physics.foot_slide(m) for m in motions),
        "jitter_100_m_per_s3": mean(physics.jitter(m) for m in motions),
        "penetration_mm": mean(physics.penetration(m) for m in motions),
        "floating_percent": mean(physics.floating(m) for m in motions),
        "from_real_mm": mean(distance(m, r) for m, r in pairs),
    }


def held_slide(motions: list[Motion]) -> dict[str, float]:
    """Movement in 3D, mm a frame, of foot joints while the clean-up holds them for sure."""
    moves = []
    for motion in motions:
        smooth = cleanup.smooth(cleanup.to_floor(motion))
        feet = physics.foot_indices(smooth.skeleton)
        heights = physics.foot_heights(smooth)
        sure = cleanup.resting(smooth.joints()[:, feet], heights, smooth.fps) == 1
        steps = cleanup.lock_feet(smooth).joints()[:, feet].diff(dim=0).norm(dim=-1) * 1000
        moves.append(steps[sure[1:] & sure[:-1]])
    steps = torch.cat(moves)
    names = {"median": 0.5, "95 %": 0.95, "99 %": 0.99}
    values = {name: round(float(steps.quantile(share)), 4) for name, share in names.items()}
    return {"mean": round(float(steps.mean()), 4), **values}


def as_it_is(motion: Motion, generator: torch.Generator) -> Motion:
    return motion


def drifting(motion: Motion, generator: torch.Generator) -> Motion:
    """The root walks at random by 2 mm a frame."""
    steps = torch.randn(len(motion), 3, generator=generator).double() * 0.002 / 3**0.5
    return replace(motion, root=motion.root + steps.cumsum(0))


def trembling(motion: Motion, generator: torch.Generator) -> Motion:
    """All joints turn by independent noise in each frame, so that they are about 1 cm from where they were."""
    angles = torch.randn(*motion.rotations.shape[:2], 3, generator=generator).double() * 0.014
    return replace(motion, rotations=motion.rotations @ matrix_from_axis_angle(angles))


def sliding(motion: Motion, generator: torch.Generator) -> Motion:
    """Slow errors: of the root's velocity (4 mm a frame and axis) and of the rotations (0.9 degrees)."""
    velocity = slow(torch.randn(len(motion), 2, generator=generator).double(), 5) * 0.004
    path = F.pad(velocity.cumsum(0), (0, 1))[:, [0, 2, 1]]
    angles = slow(torch.randn(len(motion), 66, generator=generator).double(), 4) * 0.015
    turns = matrix_from_axis_angle(angles.unflatten(1, (22, 3)))
    return replace(motion, root=motion.root + path, rotations=motion.rotations @ turns)


def slow(noise: torch.Tensor, sigma: float) -> torch.Tensor:
    """(T, C) white noise, low-passed to changes over `sigma` frames, standard deviation 1."""
    offsets = torch.arange(-3 * sigma, 3 * sigma + 1).double()
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    filtered = F.conv1d(noise.T[:, None], kernel[None, None], padding="same")[:, 0].T
    return filtered / kernel.norm()


def distance(first: Motion, second: Motion) -> float:
    """Mean distance of the joints, mm."""
    return 1000 * float((first.joints() - second.joints()).norm(dim=-1).mean())


def mean(values: Any) -> float:
    return round(statistics.fmean(values), 3)


if __name__ == "__main__":
    main()

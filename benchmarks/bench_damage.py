"""Whether the metrics tell known damage, the more of it the worse -> a table, and a word for each kind.

python benchmarks/bench_damage.py DATASET -o benchmarks/results/damage.json

Real motion is damaged in known ways and measured as any system is. A metric that ought to see a damage must get worse
with every step of its strength.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from host import host
from torch import Tensor

from motionmill.evaluation.config import ProtocolConfig
from motionmill.evaluation.evaluate import evaluate
from motionmill.evaluation.instruments import load_instruments
from motionmill.evaluation.protocol import Sample, samples_of
from motionmill.evaluation.systems import Progress
from motionmill.motion.features import from_motion, mirror, to_motion
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_axis_angle

Damage = Callable[[Sequence[Tensor], float, torch.Generator], list[Tensor]]


def noise(motions: Sequence[Tensor], degrees: float, draw: torch.Generator) -> list[Tensor]:
    """Every joint of every frame turned at random."""
    return [_with_noise(motion, degrees, draw) for motion in motions]


def _with_noise(features: Tensor, degrees: float, draw: torch.Generator) -> Tensor:
    motion = to_motion(features)
    turns = torch.randn(len(motion), 22, 3, generator=draw) * torch.deg2rad(torch.tensor(degrees))
    rotations = motion.rotations @ matrix_from_axis_angle(turns.to(motion.rotations))
    return from_motion(Motion(rotations, motion.root, motion.fps, motion.skeleton)).float()


def time_warp(motions: Sequence[Tensor], factor: float, draw: torch.Generator) -> list[Tensor]:
    """Played so many times as fast."""
    made = []
    for features in motions:
        motion = to_motion(features)
        slower = Motion(motion.rotations, motion.root, 30.0 / factor, motion.skeleton)
        quick = slower.resample(30.0) if factor < 1 else motion.resample(30.0 / factor)
        made.append(from_motion(Motion(quick.rotations, quick.root, 30.0, quick.skeleton)).float())
    return made


def foot_slide(motions: Sequence[Tensor], speed: float, draw: torch.Generator) -> list[Tensor]:
    """Carried sideways at so many metres a second."""
    made = []
    for features in motions:
        moved = features.clone()
        moved[1:, 0] += speed / 30
        made.append(moved)
    return made


def swapped(motions: Sequence[Tensor], share: float, draw: torch.Generator) -> list[Tensor]:
    """So many of the motions go round among their texts."""
    made = list(motions)
    chosen = torch.randperm(len(made), generator=draw)[: round(share * len(made))].tolist()
    for place, other in zip(chosen, [*chosen[1:], *chosen[:1]], strict=True):
        made[place] = motions[other]
    return made


def mirrored(motions: Sequence[Tensor], share: float, draw: torch.Generator) -> list[Tensor]:
    """So many are mirrored, and their texts are not."""
    chosen = set(
        torch.randperm(len(motions), generator=draw)[: round(share * len(motions))].tolist()
    )
    return [mirror(motion) if place in chosen else motion for place, motion in enumerate(motions)]


def collapsed(motions: Sequence[Tensor], share: float, draw: torch.Generator) -> list[Tensor]:
    """So many are one and the same motion."""
    chosen = set(
        torch.randperm(len(motions), generator=draw)[: round(share * len(motions))].tolist()
    )
    return [motions[0] if place in chosen else motion for place, motion in enumerate(motions)]


# Damage, its strengths, and the metrics that must see it: +1 where more is worse.
KINDS: Mapping[str, tuple[Damage, tuple[float, ...], Mapping[str, int]]] = {
    "noise, degrees": (noise, (0.0, 2.0, 6.0, 18.0), {"fid_real": 1, "jitter": 1}),
    "time warp, times as fast": (time_warp, (1.0, 1.3, 1.7, 2.2), {"fid_real": 1, "jitter": 1}),
    "foot slide, m/s": (foot_slide, (0.0, 0.1, 0.3, 0.9), {"foot_slide_mm": 1, "fid_real": 1}),
    "captions swapped, share": (
        swapped,
        (0.0, 0.25, 0.5, 1.0),
        {"r_at_1": -1, "r_at_3": -1, "mm_distance": 1},
    ),
    "mirrored with unmirrored text, share": (
        mirrored,
        (0.0, 0.5, 1.0),
        {"r_at_1": -1, "mm_distance": 1},
    ),
    "collapsed, share": (collapsed, (0.0, 0.3, 0.6, 0.9), {"diversity": -1, "fid_real": 1}),
}
SIDES = ("left", "right")


class Damaged:
    """Real motion, damaged."""

    seeds: int | None = None
    version = ""
    variants: tuple[str, ...] = ("matched",)
    failures: Mapping[str, str] = {}

    def __init__(self, name: str, damage: Damage, strength: float) -> None:
        self.name, self.damage, self.strength = f"{name} {strength:g}", damage, strength

    def make(
        self, samples: Sequence[Sample], seed: int, variant: str, progress: Progress
    ) -> list[Tensor | None]:
        draw = torch.Generator().manual_seed(seed)
        return [*self.damage([sample.features for sample in samples], self.strength, draw)]

    def codes(
        self, samples: Sequence[Sample], seed: int, variant: str
    ) -> tuple[Tensor, int] | None:
        return None

    def reconstruct(self, samples: Sequence[Sample]) -> list[Tensor | None]:
        return [None] * len(samples)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--evaluator", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    protocol = ProtocolConfig(seeds=arguments.seeds)
    instruments = load_instruments(arguments.evaluator)
    samples = samples_of(arguments.data, protocol)
    sided = [sample for sample in samples if any(side in sample.text for side in SIDES)]
    rows: dict[str, Any] = {}
    for name, (damage, strengths, watched) in KINDS.items():
        chosen = sided if damage is mirrored else samples
        values: dict[str, list[float]] = {metric: [] for metric in watched}
        for strength in strengths:
            with tempfile.TemporaryDirectory() as folder:
                found = evaluate(
                    Damaged(name, damage, strength), chosen, instruments, protocol, Path(folder)
                )
            for metric, series in values.items():
                interval = found.interval("length matched", metric)
                assert interval is not None
                series.append(interval.mean)
        seen = {
            metric: all(
                sign * after > sign * before for before, after in itertools.pairwise(series)
            )
            for (metric, sign), series in zip(watched.items(), values.values(), strict=True)
        }
        rows[name] = {"strengths": strengths, "values": values, "worse with every step": seen}
        print(name, json.dumps(rows[name]), flush=True)
    result = {
        "host": host(),
        "evaluator": instruments.evaluator.version,
        "samples": len(samples),
        "samples with a side": len(sided),
        "seeds": arguments.seeds,
        "damage": rows,
    }
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

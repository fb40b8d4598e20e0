"""What the clean-up does to real, spoilt, reconstructed and generated motion, and how fast: a table and JSON.

    python benchmarks/bench_cleanup.py [--clips 60] [--others 8] [--sheets FOLDER] [-o RESULT.json]

The same real clips everywhere: Bandai's, whose captions the model is asked for at the clips' lengths, and clips of
the other sources. They are spoilt by a root that walks at random (2 mm a frame), by joints that tremble (1 cm) and by
slow errors as a model makes them; reconstructed by the tokenizer of `mini`; and `mini` generates from their captions,
one each and three in a row. What a model makes is cleaned as the pipeline does it: its floor is at y = 0. Strengths 0
(as it came), 0.5 and 1. For motion made from a clean clip the weights of the slide come from that clip. "Held" is the
slide of the feet that the clean-up holds, "again" the most by which a second clean-up moves a clip.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from host import host
from torch import Tensor
from worst import draw_worst

from motionmill.formats import packed
from motionmill.generator.tokens_to_motion import tokens_to_motion
from motionmill.motion import cleanup, physics
from motionmill.motion.features import from_motion
from motionmill.motion.motion import Motion, concatenate
from motionmill.motion.retarget import retarget
from motionmill.motion.rotations import heading, matrix_from_axis_angle, yaw_matrix
from motionmill.pipeline import TextToMotion

DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
OTHERS = ("snu2", "uiprmd", "cmu2", "cmu", "cmu_acrnn", "extra", "game_cc0")
STRENGTHS = (0.0, 0.5, 1.0)
MOST_FRAMES = 300
_COLUMNS = {
    "slide": ("slide_mm", "mm/frame"),
    "floating": ("floating_percent", "%"),
    "jitter": ("jitter", "100 m/s^3"),
    "below": ("penetration_mm", "mm"),
    "held": ("held_slide_mm", "mm/frame"),
    "moved": ("from_input_mm", "mm"),
    "from real": ("from_real_mm", "mm"),
    "again": ("again_most_mm", "mm"),
    "frames/s": ("frames_per_cpu_second", ""),
}


@dataclass(frozen=True)
class Pair:
    """A motion to clean and what it was made from; `made_from_real` where both show the same movement, `by_model`
    where a model made it."""

    motion: Motion
    real: Motion
    made_from_real: bool = True
    by_model: bool = False

    def cleaned(self, strength: float) -> Motion:
        return cleanup.clean(self.motion, strength=strength, floor_at_zero=self.by_model)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--clips", type=int, default=60, help="of Bandai")
    parser.add_argument("--others", type=int, default=8, help="of each other source")
    parser.add_argument("--repeats", type=int, default=3, help="of the timing")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--sheets", type=Path, help="folder for pictures of the worst ten a kind")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    kinds = collect(arguments)
    result: dict[str, Any] = {"host": host(), "seed": arguments.seed, "model": arguments.model}
    print(f"{'kind':<22}{'strength':>9}" + "".join(f"{name:>11}" for name in _COLUMNS), flush=True)
    for kind, pairs in kinds.items():
        result[kind] = {"clips": len(pairs), "frames": sum(len(pair.motion) for pair in pairs)}
        for strength in STRENGTHS:
            row, cleaned = measured(pairs, strength, arguments.repeats)
            result[kind][f"strength {strength:g}"] = row
            print(line(kind, strength, row), flush=True)
        if arguments.sheets:
            arguments.sheets.mkdir(parents=True, exist_ok=True)
            before = [pair.motion for pair in pairs]
            worst = draw_worst(arguments.sheets / kind.replace(", ", "-"), before, cleaned)
            result[kind]["worst"] = worst
        if kind == "sliding":
            result[kind]["root_error_mm"] = {p.motion.name: root_error(p) for p in pairs}
    result["long"] = long(kinds["real, Bandai"])
    print(f"long: {result['long']}")
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")


def long(pairs: Sequence[Pair], frames: int = 100_000) -> dict[str, float]:
    """Time and memory of the clean-up of one endless motion, single precision as the model makes it."""
    motions = [replace(pair.motion, name="") for pair in pairs]
    whole = concatenate(motions * (frames // sum(map(len, motions)) + 1))[:frames]
    whole = replace(whole, rotations=whole.rotations.float(), root=whole.root.float())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    cleanup.clean(whole)
    seconds = time.process_time() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "frames": frames,
        "motion_mib": round(whole.rotations.nbytes / 2**20),
        "more_memory_mib": round((after - before) / 1024),
        "frames_per_cpu_second": round(frames / seconds),
    }


def collect(arguments: argparse.Namespace) -> dict[str, list[Pair]]:
    """Kind -> motions to clean."""
    rng = random.Random(arguments.seed)
    clips = sample(arguments.data / "bandai", arguments.clips, rng)
    bandai = [real_motion(clip) for clip in clips]
    others = [
        real_motion(clip)
        for source in OTHERS
        for clip in sample(arguments.data / source, arguments.others, rng)
    ]
    generator = torch.Generator().manual_seed(arguments.seed)
    real = bandai + others
    kinds = {
        "real, Bandai": [Pair(motion, motion) for motion in bandai],
        "real, others": [Pair(motion, motion) for motion in others],
    }
    for spoil in (drifting, trembling, sliding):
        kinds[spoil.__name__] = [Pair(spoil(motion, generator), motion) for motion in real]
    pipeline = TextToMotion.from_pretrained(arguments.model, device="cpu")
    kinds["reconstructed"] = [
        Pair(made, motion[: len(made)], by_model=True)
        for motion in real
        if (made := reconstruct(pipeline, motion)) is not None
    ]
    made = pipeline.generate(
        [clip.captions[0] for clip in clips],
        seconds=[min(10.0, max(1.0, motion.seconds)) for motion in bandai],
        cleanup=0,
    )
    kinds["generated"] = [Pair(m, r, False, True) for m, r in zip(made, bandai, strict=True)]
    kinds["timelines"] = [
        Pair(motion, motion, False, True) for motion in timelines(pipeline, clips)
    ]
    return kinds


def timelines(pipeline: TextToMotion, clips: Sequence[packed.PackedClip]) -> list[Motion]:
    """Motions that do three things one after the other, three seconds each."""
    prompts = [clip.captions[0] for clip in clips]
    return [
        pipeline.timeline([(prompt, 3.0) for prompt in prompts[at : at + 3]], cleanup=0)
        for at in range(0, len(prompts) - 2, 3)
    ]


def sample(folder: Path, count: int, rng: random.Random) -> list[packed.PackedClip]:
    clips = packed.read_folder(folder)
    return rng.sample(clips, min(count, len(clips)))


def real_motion(clip: packed.PackedClip) -> Motion:
    return cleanup.to_floor(retarget(clip.motion()).resample(30)[:MOST_FRAMES])


def reconstruct(pipeline: TextToMotion, motion: Motion) -> Motion | None:
    """The motion through the tokenizer and back, where it began; None where it is too short for a token."""
    codec = pipeline.release.codec
    if len(motion) < codec.frames_per_token:
        return None
    made = tokens_to_motion(codec, codec.encode(from_motion(motion).float()), name=motion.name)
    turn = yaw_matrix(heading(motion.rotations[0, 0]))
    return made.transformed(turn, motion.root[0] * motion.root.new_tensor([1.0, 0.0, 1.0]))


def measured(
    pairs: Sequence[Pair], strength: float, repeats: int
) -> tuple[dict[str, float], list[Motion]]:
    """Means over clips, and the cleaned motions; the time is the median of `repeats` runs over all of them."""
    seconds = []
    for _ in range(repeats if strength else 1):
        start = time.process_time()
        cleaned = [pair.cleaned(strength) for pair in pairs]
        seconds.append(time.process_time() - start)
    both = list(zip(cleaned, pairs, strict=True))
    row = {
        "slide_mm": mean(
            physics.foot_slide(m, p.real if p.made_from_real else None) for m, p in both
        ),
        "floating_percent": mean(map(physics.floating, cleaned)),
        "jitter": mean(map(physics.jitter, cleaned)),
        "penetration_mm": mean(map(physics.penetration, cleaned)),
        "from_input_mm": mean(distance(m, p.motion) for m, p in both),
        "from_input_most_mm": max(distance(m, p.motion) for m, p in both),
    }
    if all(pair.made_from_real for pair in pairs):
        row["from_real_mm"] = mean(distance(m, p.real) for m, p in both)
        ratios = sorted(physics.jitter(m) / physics.jitter(p.real) for m, p in both)
        row["jitter_to_real_p50"], row["jitter_to_real_p90"] = (
            round(ratios[int(share * len(ratios))], 3) for share in (0.5, 0.9)
        )
    row |= held_slide(cleaned, pairs)
    if strength:
        frames = sum(len(pair.motion) for pair in pairs)
        row["frames_per_cpu_second"] = round(frames / statistics.median(seconds))
    if strength == 1:
        again = [distance(replace(p, motion=m).cleaned(1), m) for m, p in both]
        row["again_most_mm"] = round(max(again), 4)
    return row, cleaned


def held_slide(cleaned: Sequence[Motion], pairs: Sequence[Pair]) -> dict[str, float]:
    """Movement across the floor, mm a frame, of foot joints while the clean-up holds them for sure."""
    moves = []
    for motion, pair in zip(cleaned, pairs, strict=True):
        sure = held(pair)
        steps = foot_steps(motion)
        moves.append(steps[sure[1:] & sure[:-1]])
    steps = torch.cat(moves)
    shares = {"held_slide_p95_mm": 0.95, "held_slide_p99_mm": 0.99}
    return {"held_slide_mm": float(steps.mean())} | {
        name: float(steps.quantile(share)) for name, share in shares.items()
    }


def held(pair: Pair) -> Tensor:
    """(T, 4) bool: which foot joints the clean-up of a motion holds for sure."""
    return cleanup.prepared(pair.motion, floor_at_zero=pair.by_model).held == 1


def foot_steps(motion: Motion) -> Tensor:
    """(T - 1, 4) mm across the floor."""
    feet = motion.joints()[:, physics.foot_indices(motion.skeleton)]
    return 1000 * feet[..., [0, 2]].diff(dim=0).norm(dim=-1)


def line(kind: str, strength: float, row: dict[str, float]) -> str:
    cells = [row.get(key) for key, _ in _COLUMNS.values()]
    texts = ["-" if c is None else f"{c:.0f}" if c > 1000 else f"{c:.2f}" for c in cells]
    return f"{kind:<22}{strength:>9g}" + "".join(f"{text:>11}" for text in texts)


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


def slow(noise: Tensor, sigma: float) -> Tensor:
    """(T, C) white noise, low-passed to changes over `sigma` frames, standard deviation 1."""
    offsets = torch.arange(-3 * sigma, 3 * sigma + 1).double()
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    padded = F.pad(noise.T[:, None], (3 * sigma, 3 * sigma))
    return F.conv1d(padded, kernel[None, None])[:, 0].T / kernel.norm()


def root_error(pair: Pair) -> float:
    """Mean distance across the floor, mm, of an error of the root path from its mean: about as far as somebody who
    stands has to be moved so that the feet stand still."""
    error = (pair.motion.root - pair.real.root)[:, [0, 2]]
    return round(1000 * float((error - error.mean(dim=0)).norm(dim=-1).mean()), 1)


def distance(first: Motion, second: Motion) -> float:
    """Mean distance of the joints, mm."""
    return 1000 * float((first.joints() - second.joints()).norm(dim=-1).mean())


def mean(values: Any) -> float:
    return round(statistics.fmean(values), 4)


if __name__ == "__main__":
    main()

"""Why cleaned motion is as far from real motion as it is: Fréchet distances, step by step, and JSON.

    motionmill evaluate mini --data DATASET --seeds 2 -o RESULTS
    python benchmarks/bench_likeness.py RESULTS --data DATASET [--seeds 2] [-o RESULT.json]

The motions that `evaluate` drew, by its evaluator. A decoder gives 272 numbers a frame, of which those of the rotations
are no rotations: where it is not sure they are means of several, shorter than a rotation's. So each motion is measured
as decoded, as decoded but with true rotations, as a motion (what a file holds without clean-up), after each step of the
clean-up, and cleaned but with the rotations' numbers as short as they were. Real motion is measured cleaned, too.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from host import host
from torch import Tensor

from motionmill.evaluation.config import protocol_config
from motionmill.evaluation.instruments import load_instruments
from motionmill.evaluation.metrics import frechet_distance, retrieval
from motionmill.evaluation.protocol import samples_of
from motionmill.generator.tokens_to_motion import tokens_to_motion
from motionmill.motion import cleanup, physics
from motionmill.motion.features import ROTATIONS, from_motion, to_motion
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_6d, matrix_to_6d
from motionmill.motion.smoothing import smooth
from motionmill.pipeline import TextToMotion
from motionmill.training.weights import load_tensors

Row = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, help="folder of `motionmill evaluate`")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    bench = Bench(arguments.data)
    pipeline = TextToMotion.from_pretrained(arguments.model, device="cpu")
    real = [to_motion(sample.features.double()) for sample in bench.samples]
    table = {
        "real": bench.row([sample.features for sample in bench.samples], real),
        "real, cleaned": bench.motions([cleanup.clean(motion) for motion in real]),
    }
    parts: dict[str, list[Row]] = {}
    names = {"reconstructed": ["real-0"]}
    names["generated"] = [f"matched-{seed}" for seed in range(arguments.seeds)]
    for kind, files in names.items():
        for file in files:
            held = load_tensors(arguments.results / "drawn" / f"{file}.safetensors")
            tokens = held["tokens"].split(held["counts"].tolist())
            for name, row in bench.steps(pipeline, tokens).items():
                parts.setdefault(f"{kind}, {name}", []).append(row)
    for name, rows in parts.items():
        table[name] = {key: statistics.fmean(row[key] for row in rows) for key in rows[0]}
    for name, row in table.items():
        values = "".join(f"  {key} {value:.3f}" for key, value in row.items())
        print(f"{name:<52}{values}")
    if arguments.output:
        facts: dict[str, Any] = {
            "host": host(),
            "model": arguments.model,
            "seeds": arguments.seeds,
            "samples": len(bench.samples),
            "evaluator": bench.evaluator.version,
        }
        text = json.dumps({**facts, "rows": table}, indent=1) + "\n"
        arguments.output.write_text(text, encoding="utf-8")


class Bench:
    """The samples of the test split and the evaluator's view of them."""

    def __init__(self, data: Path) -> None:
        self.samples = samples_of(data, protocol_config("v2"))
        self.evaluator = load_instruments().evaluator
        self.texts = self.evaluator.embed_texts([sample.text for sample in self.samples])
        self.real = self.embed([sample.features for sample in self.samples])

    def embed(self, features: Sequence[Tensor]) -> Tensor:
        longest = self.evaluator.model.config.max_frames
        return self.evaluator.embed_motions([part[:longest].float() for part in features])

    def steps(self, pipeline: TextToMotion, tokens: Sequence[Tensor]) -> dict[str, Row]:
        """What is measured of the motions of all samples."""
        codec = pipeline.release.codec
        decoded = [codec.decode(row) for row in tokens]
        motions = [tokens_to_motion(codec, row) for row in tokens]
        smoothed = [smooth(m, torch.zeros(len(m), dtype=torch.bool)) for m in motions]
        on_floor = [cleanup.prepared(m, floor_at_zero=True).legs.motion for m in motions]
        cleaned = [cleanup.clean(m, floor_at_zero=True) for m in motions]
        short = [
            _with_rotations(from_motion(motion), lambda sixd, part=part: sixd * _lengths(part))
            for motion, part in zip(cleaned, decoded, strict=True)
        ]
        return {
            "as decoded": self.row(decoded, motions),
            "as decoded, true rotations": self.row(
                [_with_rotations(part, lambda sixd: matrix_to_6d(matrix_from_6d(sixd))) for part in decoded],
                motions,
            ),
            "as a motion": self.motions(motions),
            "smoothed": self.motions(smoothed),
            "smoothed and on the floor": self.motions(on_floor),
            "cleaned": self.motions(cleaned),
            "cleaned, rotations as short as decoded": self.row(short, cleaned),
        }  # fmt: skip

    def motions(self, motions: Sequence[Motion]) -> Row:
        return self.row([from_motion(motion) for motion in motions], motions)

    def row(self, features: Sequence[Tensor], motions: Sequence[Motion]) -> Row:
        """Likeness by features, physics by motions."""
        embeddings = self.embed(features)
        draws = [torch.Generator().manual_seed(seed) for seed in range(20)]
        found = [
            retrieval(self.texts, embeddings, pool_size=32, generator=draw).r_precision[0]
            for draw in draws
        ]
        measures = {
            "slide_mm": physics.foot_slide,
            "floating_percent": physics.floating,
            "penetration_mm": physics.penetration,
            "jitter": physics.jitter,
        }
        return {
            "fid": frechet_distance(embeddings, self.real),
            "r_at_1": statistics.fmean(found),
            **{name: statistics.fmean(map(measure, motions)) for name, measure in measures.items()},
        }


def _with_rotations(features: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Features (T, 272) whose 6D rotations (T, 22, 6) are changed."""
    made = features.clone()
    sixd = made[:, ROTATIONS].unflatten(-1, (22, 6))
    made[:, ROTATIONS] = change(sixd).flatten(1)
    return made


def _lengths(features: Tensor) -> Tensor:
    """(T, 272) -> (T, 22, 6) lengths of the two vectors of each 6D rotation."""
    pairs = features[:, ROTATIONS].unflatten(-1, (22, 2, 3))
    return pairs.norm(dim=-1, keepdim=True).expand(pairs.shape).flatten(-2)


if __name__ == "__main__":
    main()

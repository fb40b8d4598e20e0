"""How long the evaluation takes, generation apart: FID beside the usual square root, and 1,000 motions of 20 seeds.

python benchmarks/bench_evaluation.py [--data DATASET] -o benchmarks/results/evaluation.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from host import host
from measure import interleaved
from torch import Tensor

from motionmill.evaluation.config import ProtocolConfig
from motionmill.evaluation.evaluate import evaluate
from motionmill.evaluation.instruments import load_instruments
from motionmill.evaluation.metrics import frechet_distance
from motionmill.evaluation.protocol import Sample, samples_of
from motionmill.evaluation.systems import Progress


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="a data set; without it only FID is timed")
    parser.add_argument("--evaluator", type=Path)
    parser.add_argument("--motions", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    result: dict[str, Any] = {"host": host(), "FID of 10,000 x 512": fid()}
    if arguments.data:
        result["evaluation"] = whole(arguments)
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


def fid() -> dict[str, Any]:
    draw = torch.Generator().manual_seed(0)
    first, second = (
        torch.randn(10_000, 512, generator=draw) @ torch.randn(512, 512, generator=draw)
        for _ in range(2)
    )
    cases = {
        "ours": lambda: frechet_distance(first, second),
        "square root of the product (scipy), as the reference": lambda: usual(first, second),
    }
    rows: dict[str, Any] = {name: t.row() for name, t in interleaved(cases).items()}
    rows["relative difference"] = abs(usual(first, second) / frechet_distance(first, second) - 1)
    return rows


def usual(first: Tensor, second: Tensor) -> float:
    """The textbook formula with scipy's matrix square root."""
    import numpy as np
    from scipy.linalg import sqrtm

    one, other = first.numpy(), second.numpy()
    means = one.mean(axis=0) - other.mean(axis=0)
    spreads = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    root = sqrtm(spreads[0] @ spreads[1]).real
    return float(means @ means + np.trace(spreads[0]) + np.trace(spreads[1]) - 2 * np.trace(root))


class Prepared:
    """Real motions with a little noise; the time that it takes to make them is kept apart."""

    name = "real with noise"
    seeds: int | None = None
    version = ""
    variants: tuple[str, ...] = ("matched",)
    failures: Mapping[str, str] = {}

    def __init__(self) -> None:
        self.making = 0.0

    def make(
        self, samples: Sequence[Sample], seed: int, variant: str, progress: Progress
    ) -> list[Tensor | None]:
        started = time.perf_counter()
        draw = torch.Generator().manual_seed(seed)
        made: list[Tensor | None] = [
            sample.features + 0.01 * torch.randn(sample.features.shape, generator=draw)
            for sample in samples
        ]
        self.making += time.perf_counter() - started
        return made

    def codes(
        self, samples: Sequence[Sample], seed: int, variant: str
    ) -> tuple[Tensor, int] | None:
        return None

    def reconstruct(self, samples: Sequence[Sample]) -> list[Tensor | None]:
        return self.make(samples, -1, "", lambda done, total: None)


def whole(arguments: argparse.Namespace) -> dict[str, Any]:
    """Real clips of the training split, which is large enough, as samples."""
    protocol = ProtocolConfig(
        seeds=arguments.seeds, split="train", min_frames=60, max_clips=arguments.motions
    )
    samples = samples_of(arguments.data, protocol)
    instruments = load_instruments(arguments.evaluator)
    system = Prepared()
    with tempfile.TemporaryDirectory() as folder:
        clock, processor = time.perf_counter(), time.process_time()
        evaluate(system, samples, instruments, protocol, Path(folder))
        seconds = time.perf_counter() - clock - system.making
        processor = time.process_time() - processor - system.making
    frames = sum(len(sample.features) for sample in samples) / len(samples)
    return {
        "motions": len(samples),
        "seeds": arguments.seeds,
        "frames a motion": round(frames, 1),
        "seconds": round(seconds, 1),
        "processor seconds": round(processor, 1),
        "asked, seconds": 120,
    }


if __name__ == "__main__":
    main()

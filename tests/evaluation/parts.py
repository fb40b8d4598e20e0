"""A small set, evaluator and judge for tests of the evaluation: motions and texts whose answers are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from motionmill.data.clip import Clip
from motionmill.data.shards import write_shard
from motionmill.evaluation.measure import Instruments
from motionmill.evaluation.protocol import Sample
from motionmill.evaluation.recognition import Verdict
from motionmill.evaluation.systems import Progress
from motionmill.motion.features import from_motion
from tests.motions import wandering


def sample_set(count: int = 64, frames: int = 70) -> list[Sample]:
    """Samples whose texts are their numbers."""
    made = []
    for number in range(count):
        features = from_motion(wandering(number, frames + number % 5)).float()
        truth = Verdict("walk", "happy" if number % 2 else "sad") if number % 4 else None
        made.append(Sample(f"set/{number:03d}", f"motion {number}", features, truth))
    return made


class KnownEvaluator:
    """Embeds a motion by its mean features, and a text by those of the sample that it names: a perfect evaluator."""

    version = "known"

    def __init__(self, samples: Sequence[Sample]) -> None:
        draw = torch.Generator().manual_seed(0)
        self.projection = torch.randn(272, 16, generator=draw)
        self.by_text = {sample.text: self.embed_motions([sample.features])[0] for sample in samples}
        self.model = type("Model", (), {"config": type("Config", (), {"max_frames": 300})})

    def embed_motions(self, motions: Sequence[Tensor]) -> Tensor:
        if not motions:
            return torch.zeros(0, 16)
        return torch.stack([motion.mean(0) @ self.projection for motion in motions])

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        nothing = torch.randn(len(texts), 16, generator=torch.Generator().manual_seed(1))
        return torch.stack(
            [self.by_text.get(text, nothing[place]) for place, text in enumerate(texts)]
        )


class KnownJudge:
    """Sees a happy walk in everything."""

    model = type(
        "Model",
        (),
        {"config": type("Config", (), {"contents": ("run", "walk"), "styles": ("happy", "sad")})},
    )

    def __call__(self, motions: Sequence[Tensor]) -> list[Verdict]:
        return [Verdict("walk", "happy") for _ in motions]


def instruments(samples: Sequence[Sample]) -> Instruments:
    return Instruments(KnownEvaluator(samples), KnownJudge())  # type: ignore[arg-type]


class KnownSystem:
    """Gives back the real motions with noise on them; counts what it is asked for."""

    def __init__(self, noise: float, *, missing: int = 0) -> None:
        self.name, self.noise, self.missing = f"noise-{noise:g}", noise, missing
        self.seeds: int | None = None
        self.version = ""
        self.variants: tuple[str, ...] = ("matched",)
        self.failures: Mapping[str, str] = {}
        self.asked: list[tuple[int, str]] = []

    def make(
        self, samples: Sequence[Sample], seed: int, variant: str, progress: Progress
    ) -> list[Tensor | None]:
        self.asked.append((seed, variant))
        draw = torch.Generator().manual_seed(seed)
        made: list[Tensor | None] = []
        for number, sample in enumerate(samples):
            noise = torch.randn(272, generator=draw) * self.noise
            made.append(None if number < self.missing else sample.features + noise)
        return made

    def codes(
        self, samples: Sequence[Sample], seed: int, variant: str
    ) -> tuple[Tensor, int] | None:
        return None

    def reconstruct(self, samples: Sequence[Sample]) -> list[Tensor | None]:
        return [sample.features + 0.001 for sample in samples]


def data_set(folder: Path, samples: Sequence[Sample], split: str = "test") -> Path:
    """A data set of these samples, all in one split."""
    (folder / "shards").mkdir(parents=True)
    (folder / "splits").mkdir()
    clips = [
        Clip(s.id, s.features, (s.text, f"another {s.text}"), "set", "CC0", True, s.id)
        for s in samples
    ]
    write_shard(clips, folder / "shards" / "set-00000.parquet")
    for name in ("train", "val", "test", "val_pairs", "test_pairs"):
        ids = [sample.id for sample in samples] if name == split else []
        (folder / "splits" / f"{name}.txt").write_text("".join(f"{i}\n" for i in ids))
    return folder

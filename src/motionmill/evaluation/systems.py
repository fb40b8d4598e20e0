"""Who makes the motions that are measured: a model of ours, or a folder that any system has filled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from torch import Tensor

from motionmill.evaluation.config import LEGACY_MAX_TOKENS, ProtocolConfig
from motionmill.evaluation.folder import MotionFolder
from motionmill.evaluation.protocol import Sample
from motionmill.motion.features import FEATURES_FPS, from_motion
from motionmill.pipeline import TextToMotion

Progress = Callable[[int, int], None]
_AT_ONCE = 16  # prompts in the engine together


class System(Protocol):
    """Makes motions of texts."""

    @property
    def name(self) -> str:
        """How it is called in tables."""

    @property
    def seeds(self) -> int | None:
        """How many seeds it has; None for as many as asked."""

    @property
    def lengths(self) -> tuple[str, ...]:
        """What it can make: "matched" to the real lengths, "free", "as given"."""

    def make(
        self, samples: Sequence[Sample], seed: int, lengths: str, progress: Progress
    ) -> list[Tensor | None]:
        """Features (T, 272) for each sample, None where it has none."""

    @property
    def failures(self) -> Mapping[str, str]:
        """What could not be had, by seed and id, and why."""

    def reconstruct(self, samples: Sequence[Sample]) -> list[Tensor | None]:
        """The real motions as its tokenizer gives them back; all None where it has no tokenizer."""


class ModelSystem:
    """A released model. Motions are as decoded, before the clean-up, as every published number is."""

    def __init__(
        self, pipeline: TextToMotion, protocol: ProtocolConfig, *, cleanup: float = 0.0
    ) -> None:
        self._pipeline, self._protocol, self._cleanup = pipeline, protocol, cleanup
        self.seeds: int | None = None
        self.failures: Mapping[str, str] = {}
        self.lengths: tuple[str, ...] = (
            ("matched", "free") if protocol.free_length else ("matched",)
        )

    @property
    def name(self) -> str:
        return self._pipeline.release.config.name

    def make(
        self, samples: Sequence[Sample], seed: int, lengths: str, progress: Progress
    ) -> list[Tensor | None]:
        codec = self._pipeline.release.codec
        legacy = self._protocol.name == "legacy"
        sampling = self._pipeline.release.config.sampling
        candidates = None
        most = round(self._protocol.max_frames / codec.frames_per_token)
        if legacy:
            sampling, candidates = sampling.changed({"temperature": 0.0, "guidance": 1.0}), 1
            most = LEGACY_MAX_TOKENS
        sampling = sampling.changed({"max_seconds": most * codec.frames_per_token / FEATURES_FPS})
        made: list[Tensor | None] = []
        for start in range(0, len(samples), _AT_ONCE):
            part = samples[start : start + _AT_ONCE]
            durations = [
                0
                if lengths == "free"
                else min(most, max(1, round(len(sample.features) / codec.frames_per_token)))
                for sample in part
            ]
            tokens = self._pipeline.tokens(
                [sample.text for sample in part],
                durations,
                [seed * 1_000_003 + start + place for place in range(len(part))],
                sampling,
                candidates=candidates,
            )
            if self._cleanup:
                motions = [self._pipeline.decode(row, cleanup=self._cleanup) for row in tokens]
                made += [from_motion(motion).float() for motion in motions]
            else:
                made += [codec.decode(row).float() for row in tokens]
            progress(len(made), len(samples))
        return made

    def reconstruct(self, samples: Sequence[Sample]) -> list[Tensor | None]:
        codec = self._pipeline.release.codec
        return [codec.decode(codec.encode(sample.features)).float() for sample in samples]


class FolderSystem:
    """Motion files of any system: `FOLDER/SEED/ID.SUFFIX`, or `FOLDER/ID.SUFFIX` for one seed."""

    def __init__(self, folder: MotionFolder) -> None:
        self._folder = folder
        self.name = folder.name
        self.seeds: int | None = folder.seeds
        self.lengths: tuple[str, ...] = ("as given",)

    @property
    def failures(self) -> Mapping[str, str]:
        return self._folder.failures

    def make(
        self, samples: Sequence[Sample], seed: int, lengths: str, progress: Progress
    ) -> list[Tensor | None]:
        made = []
        for number, sample in enumerate(samples):
            made.append(self._folder.features(sample.id, seed))
            progress(number + 1, len(samples))
        return made

    def reconstruct(self, samples: Sequence[Sample]) -> list[Tensor | None]:
        return [None] * len(samples)


def open_system(
    model: str | Path, protocol: ProtocolConfig, *, device: str | None = None
) -> System:
    """A shipped model by name, a release folder, or a folder of motion files.

    Raises:
        FileNotFoundError, ValueError: neither is there, or it is damaged.
    """
    folder = Path(model)
    if folder.is_dir() and not (folder / "config.json").is_file():
        return FolderSystem(MotionFolder(folder))
    return ModelSystem(TextToMotion.from_pretrained(model, device=device), protocol)

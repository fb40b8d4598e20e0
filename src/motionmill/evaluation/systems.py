"""Who makes the motions that are measured: a model of ours, or a folder that any system has filled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import torch
from torch import Tensor

from motionmill.evaluation.config import LEGACY_MAX_TOKENS, ProtocolConfig
from motionmill.evaluation.folder import MotionFolder
from motionmill.evaluation.protocol import Sample
from motionmill.evaluation.setting import Setting, setting_of
from motionmill.generator.release import shipped_models
from motionmill.motion.features import FEATURES_FPS, from_motion
from motionmill.pipeline import TextToMotion
from motionmill.training.weights import load_tensors, save_tensors

Progress = Callable[[int, int], None]
# How motions are made -> the row of the table that they are.
VARIANTS: Final = {
    "matched": "length matched",
    "free": "length free",
    "cleaned": "length matched, cleaned up",
    "as given": "as given",
}
_AT_ONCE = 16  # prompts in the engine together


class System(Protocol):
    """Makes motions of texts."""

    @property
    def name(self) -> str:
        """How it is called in tables."""

    @property
    def version(self) -> str:
        """Tells what may make other motions under the same name."""

    @property
    def seeds(self) -> int | None:
        """How many seeds it has; None for as many as asked."""

    @property
    def variants(self) -> tuple[str, ...]:
        """What it can make, of `VARIANTS`."""

    def make(
        self, samples: Sequence[Sample], seed: int, variant: str, progress: Progress
    ) -> list[Tensor | None]:
        """Features (T, 272) for each sample, None where it has none."""

    @property
    def failures(self) -> Mapping[str, str]:
        """What could not be had, by seed and id, and why."""

    def reconstruct(self, samples: Sequence[Sample]) -> list[Tensor | None]:
        """The real motions as its representation gives them back; all None where nothing is lost."""

    def codes(
        self, samples: Sequence[Sample], seed: int, variant: str
    ) -> tuple[Tensor, int] | None:
        """Tokens (N,) of all motions of a variant, or of "real" ones, and how many there are in the codebook."""


class ModelSystem:
    """A released model. Motions are as decoded, as every published number is; "cleaned" ones as a user gets them."""

    def __init__(
        self, pipeline: TextToMotion, setting: Setting, protocol: ProtocolConfig, *, drawn: Path
    ) -> None:
        """Args: drawn: a folder that keeps the tokens of each seed, so that none is drawn twice."""
        self._pipeline, self._setting, self._protocol = pipeline, setting, protocol
        self._drawn = drawn
        self.name, self.version = setting.name, setting.version
        self.seeds: int | None = None
        self.failures: Mapping[str, str] = {}
        lengths = ("matched", "free") if protocol.free_length else ("matched",)
        self.variants: tuple[str, ...] = (*lengths, "cleaned") if protocol.name == "v2" else lengths

    def make(
        self, samples: Sequence[Sample], seed: int, variant: str, progress: Progress
    ) -> list[Tensor | None]:
        made: list[Tensor | None] = []
        for tokens in self._tokens(samples, seed, variant, progress):
            if variant == "cleaned":
                made.append(from_motion(self._pipeline.decode(tokens)).float())
            else:
                made.append(self._pipeline.tokens.decode(tokens).float())
        return made

    def reconstruct(self, samples: Sequence[Sample]) -> list[Tensor | None]:
        tokens = self._tokens(samples, 0, "real")
        return [self._pipeline.tokens.decode(row).float() for row in tokens]

    def codes(
        self, samples: Sequence[Sample], seed: int, variant: str
    ) -> tuple[Tensor, int] | None:
        tokens = torch.cat(self._tokens(samples, seed, variant))
        return tokens, self._pipeline.release.generator.config.num_codes

    def _tokens(
        self,
        samples: Sequence[Sample],
        seed: int,
        variant: str,
        progress: Progress = lambda done, total: None,
    ) -> list[Tensor]:
        """(N,) tokens for each sample, from disk where they are there."""
        name = "matched" if variant == "cleaned" else variant
        path = self._drawn / f"{name}-{seed}.safetensors"
        if not path.is_file():
            if variant == "real":
                codec = self._pipeline.release.codec
                drawn = [codec.encode(sample.features).cpu() for sample in samples]
            else:
                drawn = self._draw(samples, seed, name, progress)
            path.parent.mkdir(parents=True, exist_ok=True)
            counts = torch.tensor([len(tokens) for tokens in drawn])
            save_tensors({"tokens": torch.cat(drawn), "counts": counts}, path)
        held = load_tensors(path)
        return [*held["tokens"].split(held["counts"].tolist())]

    def _draw(
        self, samples: Sequence[Sample], seed: int, lengths: str, progress: Progress
    ) -> list[Tensor]:
        """(N,) tokens for each sample."""
        unit = self._pipeline.release.codec.frames_per_token
        sampling, candidates = self._setting.sampling, self._setting.candidates
        most = round(self._protocol.max_frames / unit)
        if self._protocol.name == "legacy":
            sampling, candidates = sampling.changed({"temperature": 0.0, "guidance": 1.0}), 1
            most = LEGACY_MAX_TOKENS
        sampling = sampling.changed({"max_seconds": most * unit / FEATURES_FPS})
        drawn: list[Tensor] = []
        for start in range(0, len(samples), _AT_ONCE):
            part = samples[start : start + _AT_ONCE]
            durations = [
                0 if lengths == "free" else min(most, max(1, round(len(sample.features) / unit)))
                for sample in part
            ]
            drawn += self._pipeline.tokens(
                [sample.text for sample in part],
                durations,
                [seed * 1_000_003 + start + place for place in range(len(part))],
                sampling,
                candidates=candidates,
            )
            progress(len(drawn), len(samples))
        return drawn


class FolderSystem:
    """Motion files of any system: `FOLDER/SEED/ID.SUFFIX`, or `FOLDER/ID.SUFFIX` for one seed.

    Where they are joint positions, real motion that went through positions is what they are to be compared with, and
    takes the place of reconstructed motion.
    """

    def __init__(self, folder: MotionFolder) -> None:
        self._folder = folder
        self.name = folder.name
        self.version = folder.version
        self.seeds: int | None = folder.seeds
        self.variants: tuple[str, ...] = ("as given",)

    @property
    def failures(self) -> Mapping[str, str]:
        return self._folder.failures

    def make(
        self, samples: Sequence[Sample], seed: int, variant: str, progress: Progress
    ) -> list[Tensor | None]:
        made = []
        for number, sample in enumerate(samples):
            made.append(self._folder.features(sample.id, seed))
            progress(number + 1, len(samples))
        return made

    def reconstruct(self, samples: Sequence[Sample]) -> list[Tensor | None]:
        if not self._folder.holds_positions:
            return [None] * len(samples)
        return [self._folder.through_positions(sample.features) for sample in samples]

    def codes(
        self, samples: Sequence[Sample], seed: int, variant: str
    ) -> tuple[Tensor, int] | None:
        return None


def open_system(
    model: str | Path,
    protocol: ProtocolConfig,
    *,
    drawn: Path,
    device: str | None = None,
    changes: Mapping[str, float | int | None] | None = None,
    candidates: int | None = None,
) -> System:
    """A shipped model by name, a release folder, or a folder of motion files.

    Args:
        drawn: where a model keeps what it has drawn.
        changes, candidates: other than the model's own sampling and number of candidates.

    Raises:
        FileNotFoundError, ValueError: neither is there, or it is damaged; settings where there is nothing to set.
    """
    folder = Path(model)
    if not folder.is_dir() and model not in (known := shipped_models()):
        raise FileNotFoundError(
            f"{model}: neither a folder of motion files nor a model; {', '.join(known)} ship, others are folders"
        )
    files = folder.is_dir() and not (folder / "config.json").is_file()
    asked = candidates is not None or any(value is not None for value in (changes or {}).values())
    if asked and (files or protocol.name == "legacy"):
        what = (
            f"{folder} holds motion files" if files else "the legacy protocol has its own sampling"
        )
        raise ValueError(f"{what}; leave out the settings of sampling and candidates")
    if files:
        return FolderSystem(MotionFolder(folder))
    pipeline = TextToMotion.from_pretrained(model, device=device)
    setting = setting_of(model, pipeline, changes=changes, candidates=candidates)
    return ModelSystem(pipeline, setting, protocol, drawn=drawn)

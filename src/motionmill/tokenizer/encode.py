"""Trained tokenizer <-> folder, with the statistics that it needs; clips -> tokens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from motionmill.motion.features import Normalizer, leg_length
from motionmill.motion.skeleton import adult_skeleton
from motionmill.tokenizer.config import TokenizerConfig
from motionmill.tokenizer.model import Tokenizer
from motionmill.training.weights import (
    load_config,
    load_into,
    load_tensors,
    save_tensors,
    save_weights,
)

STATISTICS_NAME = "statistics.safetensors"
_BATCH_FRAMES = 8192


@dataclass(frozen=True, eq=False)
class MotionCodec:
    """Features in metres <-> tokens: a tokenizer with its normaliser.

    Attributes:
        tokenizer: and
        normalizer: as they were trained.
        own_skeleton: whether all that it was trained on is on our skeleton, or on bodies of many sizes.
    """

    tokenizer: Tokenizer
    normalizer: Normalizer
    own_skeleton: bool = True

    @classmethod
    def load(
        cls,
        folder: Path,
        statistics: Path,
        *,
        device: torch.device | None = None,
        own_skeleton: bool = True,
    ) -> MotionCodec:
        """From a tokenizer folder and a statistics file. Raises FileNotFoundError or ValueError when damaged."""
        tokenizer = Tokenizer(load_config(TokenizerConfig, folder))
        load_into(tokenizer, folder, device=device)
        tensors = load_tensors(statistics)
        return cls(tokenizer.eval(), Normalizer(tensors["mean"], tensors["std"]), own_skeleton)

    def save(self, folder: Path, statistics: Path, *, dtype: torch.dtype = torch.float32) -> None:
        """Into a tokenizer folder and a statistics file."""
        save_weights(self.tokenizer, self.tokenizer.config, folder, dtype=dtype)
        save_tensors({"mean": self.normalizer.mean, "std": self.normalizer.std}, statistics)

    @property
    def frames_per_token(self) -> int:
        return self.tokenizer.config.frames_per_token

    def encode(self, features: Tensor) -> Tensor:
        """(T, 272) features -> (T // frames_per_token,) tokens."""
        whole = features[: len(features) // self.frames_per_token * self.frames_per_token]
        device = self.tokenizer.project_in.weight.device
        return self.tokenizer.encode(self.normalizer.normalize(whole).to(device).unsqueeze(0))[0]

    def decode(self, tokens: Tensor) -> Tensor:
        """(N,) tokens -> (N * frames_per_token, 272) features, float64."""
        return self.normalizer.denormalize(self.tokenizer.decode(tokens.unsqueeze(0)).cpu())[0]

    def leg_length(self, features: Tensor) -> Tensor:
        """Thigh plus shin of the body that decoded features (T, 272) are on, metres.

        Where it is always our skeleton, nothing is measured: the positions of a motion that the decoder is not sure of
        are means of many, and a mean of bones that point elsewhere is a short bone.
        """
        if self.own_skeleton:
            return features.new_tensor(adult_skeleton().leg_length)
        return leg_length(features)

    def encode_all(self, clips: Sequence[Tensor]) -> Iterator[Tensor]:
        """The tokens of many clips of (T, 272), clips of equal length in one batch."""
        unit = self.frames_per_token
        lengths = [len(clip) // unit * unit for clip in clips]
        tokens: dict[int, Tensor] = {}
        for part, length in _batches(lengths, _BATCH_FRAMES):
            batch = [self.normalizer.normalize(clips[index][:length]) for index in part]
            tokens.update(zip(part, self.tokenizer.encode(torch.stack(batch)), strict=True))
        yield from (tokens[index] for index in range(len(clips)))

    def decode_all(
        self, tokens: Sequence[Tensor], *, dtype: torch.dtype = torch.float16
    ) -> Iterator[Tensor]:
        """The features (T, 272) of many rows of tokens, on the CPU, rows of equal length in one batch."""
        device = self.tokenizer.project_out.weight.device
        features: dict[int, Tensor] = {}
        limit = _BATCH_FRAMES // self.frames_per_token
        for part, _ in _batches([len(row) for row in tokens], limit):
            batch = torch.stack([tokens[index] for index in part]).to(device)
            decoded = self.normalizer.denormalize(self.tokenizer.decode(batch).cpu())
            features.update(zip(part, decoded.to(dtype), strict=True))
        yield from (features[index] for index in range(len(tokens)))


def _batches(lengths: Sequence[int], limit: int) -> Iterator[tuple[list[int], int]]:
    """Indices of equal length, together at most `limit` long, and that length."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for index, length in enumerate(lengths):
        by_length[length].append(index)
    for length, members in by_length.items():
        size = max(1, limit // max(1, length))
        for start in range(0, len(members), size):
            yield members[start : start + size], length

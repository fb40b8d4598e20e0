"""Texts and motions -> embeddings in one space, in which text-to-motion metrics are measured.

The architecture of the paper's evaluator (TMR-like): two transformer encoders, each with two learnt tokens in front of
its sequence whose outputs are the mean and the log variance of a Gaussian; the embedding is the mean. Shapes: B batch,
T frames, F features (272), P text states, W their width, E embedding. Source: the MotionMillion evaluation code.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionmill.evaluation.config import EvaluatorConfig
from motionmill.generator.ranker import pad_right
from motionmill.generator.text import TextEncoder
from motionmill.motion.features import NUM_FEATURES, Normalizer
from motionmill.training.weights import (
    load_config,
    load_into,
    load_tensors,
    save_tensors,
    save_weights,
)

STATISTICS_NAME = "statistics.safetensors"
_BATCH = 64


class Gaussian(NamedTuple):
    """(B, E) each."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """(B, E) drawn from it, differentiable."""
        noise = torch.randn(self.mean.shape, generator=generator).to(self.mean)
        return self.mean + noise * (self.log_variance / 2).exp()


class LatentEncoder(nn.Module):
    """(B, L, input width) and its (B, L) mask of what is real -> a Gaussian over E."""

    def __init__(self, config: EvaluatorConfig, input_width: int, *, rectify: bool) -> None:
        super().__init__()
        self.rectify = rectify
        self.mean_token = nn.Parameter(torch.randn(config.width))
        self.log_variance_token = nn.Parameter(torch.randn(config.width))
        self.input = nn.Linear(input_width, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                config.width,
                config.num_heads,
                config.feed_forward,
                config.dropout,
                activation="gelu",
                batch_first=True,
            )
            for _ in range(config.num_layers)
        )

    def forward(self, sequence: Tensor, mask: Tensor) -> Gaussian:
        if self.rectify:
            sequence = F.relu(sequence)
        batch = len(sequence)
        front = torch.stack((self.mean_token, self.log_variance_token)).expand(batch, -1, -1)
        hidden = torch.cat((front, self.input(sequence)), dim=1)
        hidden = self.dropout(hidden + positions(hidden.shape[1], hidden.shape[2]).to(hidden))
        padding = ~F.pad(mask, (2, 0), value=True)
        for layer in self.layers:
            hidden = layer(hidden, src_key_padding_mask=padding)
        return Gaussian(hidden[:, 0], hidden[:, 1])


class Evaluator(nn.Module):
    """The two encoders."""

    def __init__(self, config: EvaluatorConfig) -> None:
        super().__init__()
        self.config = config
        self.text = LatentEncoder(config, config.text_width, rectify=True)
        self.motion = LatentEncoder(config, NUM_FEATURES, rectify=False)


@dataclass(frozen=True, eq=False)
class TrainedEvaluator:
    """An evaluator with the normaliser of its features and the language model in front of its text encoder."""

    model: Evaluator
    normalizer: Normalizer
    words: TextEncoder

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """(N, E) of N texts. Each distinct text is encoded once."""
        distinct = sorted(set(texts), key=lambda text: (len(text), text))
        found: dict[str, Tensor] = {}
        for start in range(0, len(distinct), _BATCH):
            part = distinct[start : start + _BATCH]
            states, mask = pad_right(self.words.encode(part))
            found.update(zip(part, self.model.text(states, mask).mean, strict=True))
        return torch.stack([found[text] for text in texts])

    @torch.inference_mode()
    def embed_motions(self, motions: Sequence[Tensor]) -> Tensor:
        """(N, E) of N motions of (T, 272) features each, not normalised.

        Raises:
            ValueError: a motion without frames, or with more than the evaluator was made for.
        """
        longest = self.model.config.max_frames
        for place, motion in enumerate(motions):
            if not 0 < len(motion) <= longest:
                raise ValueError(
                    f"motion {place}: {len(motion)} frames; expected 1 to {longest}, cut it for this evaluator"
                )
        result = torch.empty(len(motions), self.model.config.width)
        order = sorted(range(len(motions)), key=lambda index: len(motions[index]))
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            seen = [self.normalizer.normalize(motions[row].float()) for row in rows]
            features, mask = pad_right([motion[:: self.model.config.stride] for motion in seen])
            result[rows] = self.model.motion(features, mask).mean
        return result

    @cached_property
    def version(self) -> str:
        """Hash of everything that an embedding depends on: results of different versions do not compare."""
        digest = hashlib.sha256(self.model.config.model_dump_json().encode())
        tensors = {**self.model.state_dict(), "statistics": self.normalizer.mean}
        tensors["deviation"] = self.normalizer.std
        for name in sorted(tensors):
            digest.update(name.encode())
            digest.update(tensors[name].detach().float().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def save(self, folder: Path, *, dtype: torch.dtype = torch.float32) -> None:
        """Write `config.json`, weights and statistics. The language model is not among them."""
        save_weights(self.model, self.model.config, folder, dtype=dtype)
        statistics = {"mean": self.normalizer.mean, "std": self.normalizer.std}
        save_tensors(statistics, folder / STATISTICS_NAME)

    @classmethod
    def load(cls, folder: Path, words: TextEncoder) -> TrainedEvaluator:
        """From its folder. Raises FileNotFoundError or ValueError when it is not there or damaged."""
        model = Evaluator(load_config(EvaluatorConfig, folder))
        load_into(model, folder)
        if words.width != model.config.text_width:
            raise ValueError(
                f"{folder}: made for text states of {model.config.text_width} numbers, got {words.width}"
            )
        tensors = load_tensors(folder / STATISTICS_NAME)
        return cls(model.eval(), Normalizer(tensors["mean"], tensors["std"]), words)


def positions(length: int, width: int) -> Tensor:
    """(length, width) sinusoids: sine on even, cosine on odd numbers, wavelengths 2 pi 10000^(2 i / width)."""
    place = torch.arange(length).unsqueeze(1)
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    table = torch.empty(length, width)
    table[:, 0::2], table[:, 1::2] = torch.sin(place * rate), torch.cos(place * rate)
    return table

"""How well a motion fits a text: text states and features -> a score; the best of several drawn motions is taken.

Two encoders into one space, trained so that a motion lies nearer to what is said of it than to what is said of others
(as in CLIP and TMR). Shapes: B batch, T frames, F features (272), P text states, W their width, E embedding.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionmill.generator.config import RankerConfig
from motionmill.generator.text import pad_left
from motionmill.motion.features import NUM_FEATURES, Normalizer
from motionmill.training.weights import load_config, load_into, save_weights


class MotionPooler(nn.Module):
    """(B, T, F) normalised features and their (B, T) mask -> (B, 3 width): mean, spread and peak of convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [NUM_FEATURES, width, width, width]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(inputs, outputs, 5, stride=2, padding=2)
            for inputs, outputs in itertools.pairwise(widths)
        )

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        hidden, weight = features.transpose(1, 2), mask.unsqueeze(1).float()
        hidden = hidden * weight
        for convolution in self.convolutions:
            weight = weight[..., ::2]
            hidden = F.gelu(convolution(hidden)) * weight
        count = weight.sum(-1).clamp(min=1.0)
        mean = hidden.sum(-1) / count
        spread = (((hidden - mean.unsqueeze(-1)) * weight).square().sum(-1) / count + 1e-6).sqrt()
        peak = hidden.masked_fill(weight == 0, -torch.inf).amax(-1)
        return torch.cat((mean, spread, peak), dim=-1)


class TextPooler(nn.Module):
    """(B, P, W) text states and their (B, P) mask -> (B, (queries + 1) width): the first state, and what some learnt
    queries find among the words."""

    def __init__(self, config: RankerConfig) -> None:
        super().__init__()
        self.first = nn.Linear(config.text_width, config.width)
        self.words = nn.Linear(config.text_width, config.width)
        self.queries = nn.Parameter(torch.randn(config.num_queries, config.width))

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        first = states[torch.arange(len(states), device=states.device), mask.long().argmax(-1)]
        words = self.words(states)
        scores = self.queries @ words.transpose(1, 2) / words.shape[-1] ** 0.5
        shares = scores.masked_fill(~mask.unsqueeze(1), -torch.inf).softmax(-1)
        return torch.cat((self.first(first).unsqueeze(1), shares @ words), dim=1).flatten(1)


class Ranker(nn.Module):
    """Texts and motions -> unit vectors; their product is the score."""

    entry_points = ("encode_motion", "encode_text", "scaled")

    def __init__(self, config: RankerConfig) -> None:
        super().__init__()
        self.config = config
        self.motion = MotionPooler(config.width)
        self.motion_output = nn.Linear(3 * config.width, config.embedding)
        self.text = TextPooler(config)
        self.text_output = nn.Linear((config.num_queries + 1) * config.width, config.embedding)
        self.dropout = nn.Dropout(config.dropout)
        self.log_scale = nn.Parameter(torch.tensor([2.3]))  # scalars cannot be sharded

    def encode_motion(self, features: Tensor, mask: Tensor) -> Tensor:
        """(B, T, F) normalised features and their (B, T) mask -> (B, E)."""
        pooled = self.dropout(self.motion(features, mask))
        return F.normalize(self.motion_output(pooled).float(), dim=-1)

    def encode_text(self, states: Tensor, mask: Tensor) -> Tensor:
        """(B, P, W) states and their (B, P) mask -> (B, E)."""
        pooled = self.dropout(F.gelu(self.text(states, mask)))
        return F.normalize(self.text_output(pooled).float(), dim=-1)

    def scaled(self, scores: Tensor) -> Tensor:
        """Products of vectors as logits for training."""
        return scores * self.log_scale.exp().clamp(max=100.0)


@dataclass(frozen=True, eq=False)
class TrainedRanker:
    """A ranker with the normaliser of its features."""

    model: Ranker
    normalizer: Normalizer

    @classmethod
    def load(
        cls, folder: Path, normalizer: Normalizer, *, device: torch.device | None = None
    ) -> TrainedRanker:
        """From a folder with `config.json` and weights. Raises FileNotFoundError or ValueError when damaged."""
        model = Ranker(load_config(RankerConfig, folder))
        load_into(model, folder, device=device)
        return cls(model.eval(), normalizer)

    def save(self, folder: Path, *, dtype: torch.dtype = torch.float32) -> None:
        save_weights(self.model, self.model.config, folder, dtype=dtype)

    @torch.inference_mode()
    def scores(self, states: Tensor, motions: Sequence[Tensor]) -> Tensor:
        """How well each motion fits a text.

        Args:
            states: (P, W) of the text.
            motions: (T, 272) features each.

        Returns:
            (B,) scores between -1 and 1.
        """
        device = self.model.motion_output.weight.device
        text = self.model.encode_text(*(part.to(device) for part in pad_left([states])))
        stride = self.model.config.stride
        seen = [self.normalizer.normalize(motion[::stride]) for motion in motions]
        features, mask = pad_right(seen)
        return (self.model.encode_motion(features.to(device), mask.to(device)) @ text[0]).cpu()


def pad_right(motions: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """B tensors (T_i, F) -> (B, T, F) with zeros behind, and the (B, T) mask."""
    size = max(len(motion) for motion in motions)
    features = torch.zeros(len(motions), size, motions[0].shape[-1], dtype=motions[0].dtype)
    mask = torch.zeros(len(motions), size, dtype=torch.bool)
    for row, motion in enumerate(motions):
        features[row, : len(motion)] = motion
        mask[row, : len(motion)] = True
    return features, mask

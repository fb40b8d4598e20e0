"""Training task of the evaluator: captioned clips -> two encoders into one space, by contrast and reconstruction.

Real motion only, and only of the training split. Losses after TMR and TEMOS (the paper's `mld` variant of them).
Shapes: B batch, T frames, F features (272), P text states, E embedding.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionmill.data.clip import Clip
from motionmill.data.wording.captions import mirror_caption
from motionmill.evaluation.config import EvaluatorConfig, EvaluatorDataConfig, EvaluatorLossConfig
from motionmill.evaluation.evaluator import Evaluator, Gaussian, positions
from motionmill.evaluation.metrics import retrieval
from motionmill.generator.ranker import pad_right
from motionmill.generator.text_states import TextStates
from motionmill.motion.features import NUM_FEATURES, Normalizer, mirror
from motionmill.training.device import move
from motionmill.training.task import Facts, Loss


class Pairs(NamedTuple):
    """A batch of B captions and their motions.

    Attributes:
        states, words: (B, P, W) text states and their (B, P) mask.
        motions, frames: (B, T, F) normalised features and their (B, T) mask.
        meanings: (B, W) unit vectors, alike for texts that mean the same.
        clips: ids.
    """

    states: Tensor
    words: Tensor
    motions: Tensor
    frames: Tensor
    meanings: Tensor
    clips: tuple[str, ...] = ()


class EvaluatorInTraining(nn.Module):
    """The evaluator and the decoder that its latents are taught by; the decoder is not kept."""

    entry_points = ("encode", "decode")

    def __init__(self, config: EvaluatorConfig) -> None:
        super().__init__()
        self.evaluator = Evaluator(config)
        self.decoder = nn.TransformerEncoderLayer(
            config.width,
            config.num_heads,
            config.feed_forward,
            config.dropout,
            activation="gelu",
            batch_first=True,
        )
        self.output = nn.Linear(config.width, NUM_FEATURES)

    def encode(self, batch: Pairs) -> tuple[Gaussian, Gaussian]:
        """Of the texts and of the motions."""
        return (
            self.evaluator.text(batch.states, batch.words),
            self.evaluator.motion(batch.motions, batch.frames),
        )

    def decode(self, latent: Tensor, frames: Tensor) -> Tensor:
        """(B, E) and the (B, T) mask of frames -> (B, T, F) normalised features."""
        places = positions(frames.shape[1], latent.shape[1]).to(latent)
        hidden = self.decoder(latent.unsqueeze(1) + places, src_key_padding_mask=~frames)
        made: Tensor = self.output(hidden)
        return made


class EvaluatorTask:
    """Symmetric contrast of captions and motions of a batch, reconstruction from both latents, and divergences."""

    def __init__(
        self,
        model: EvaluatorConfig,
        data: EvaluatorDataConfig,
        losses: EvaluatorLossConfig,
        train: Sequence[Clip],
        held_out: Sequence[Clip],
        states: TextStates,
        *,
        normalizer: Normalizer,
        seed: int = 0,
    ) -> None:
        """Args: states: of `captions_of` every clip, their mirrored forms, and the held-out clips' first captions."""
        self.config, self.data, self.losses, self.states = model, data, losses, states
        self.normalizer, self.seed = normalizer, seed
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.model: nn.Module = EvaluatorInTraining(model)
        self._train, self._held_out = list(train), list(held_out)
        sizes = Counter(_label(clip) for clip in train)
        self._weights = torch.tensor(
            [sizes[_label(clip)] ** (data.balance - 1) for clip in train], dtype=torch.float64
        )

    def batches(self, cursor: int, stride: int = 1) -> Iterator[Pairs]:
        return map(self._batch, itertools.count(cursor, stride))

    def facts(self, batch: Pairs) -> Facts:
        return Facts({"rows": float(len(batch.motions))}, batch.clips)

    def loss(self, batch: Pairs) -> Loss:
        model = self.model
        assert isinstance(model, EvaluatorInTraining)
        text, motion = (Gaussian(*(x.float() for x in part)) for part in model.encode(batch))
        latents = [text.sample(), motion.sample()]
        made = [model.decode(latent, batch.frames).float() for latent in latents]
        error = sum(
            F.smooth_l1_loss(each[batch.frames], batch.motions[batch.frames]) for each in made
        )
        standard = Gaussian(torch.zeros_like(text.mean), torch.zeros_like(text.mean))
        divergence = sum(
            _divergence(first, second)
            for first, second in (
                (text, motion),
                (motion, text),
                (text, standard),
                (motion, standard),
            )
        )
        contrast, right = self._contrast(text.mean, motion.mean, batch.meanings)
        values = {
            "contrast": contrast,
            "reconstruction": torch.as_tensor(error),
            "latent": F.smooth_l1_loss(latents[0], latents[1]),
            "divergence": torch.as_tensor(divergence),
        }
        weights = self.losses.model_dump()
        total = torch.stack([weights[name] * value for name, value in values.items()]).sum()
        shown = {name: value.detach() for name, value in values.items()}
        return Loss({"rows": total}, {"right": right, **shown})

    def render(self, model: nn.Module, count: int, path: Path) -> None:
        """An evaluator makes no motion."""

    def _contrast(self, texts: Tensor, motions: Tensor, meanings: Tensor) -> tuple[Tensor, Tensor]:
        """InfoNCE both ways over cosines; rows whose texts mean the same are no negatives of each other."""
        scores = F.normalize(texts, dim=-1) @ F.normalize(motions, dim=-1).T
        own = torch.eye(len(texts), dtype=torch.bool, device=texts.device)
        same = (meanings @ meanings.T > self.losses.same_text) & ~own
        scores = (scores / self.losses.temperature).masked_fill(same, -torch.inf)
        right = torch.arange(len(texts), device=texts.device)
        loss = (F.cross_entropy(scores, right) + F.cross_entropy(scores.T, right)) / 2
        return loss, (scores.argmax(-1) == right).float().mean()

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """R-precision of held-out clips with their first captions, in pools of 32, or of as many as there are."""
        assert isinstance(model, EvaluatorInTraining)
        if len(self._held_out) < 2:
            return {}
        texts, motions = [], []
        for start in range(0, len(self._held_out), 64):
            part = self._held_out[start : start + 64]
            batch = self._pairs(
                [clip.captions[0] for clip in part], [clip.features for clip in part], None
            )
            text, motion = model.encode(move(batch, model.output.weight.device))
            texts.append(text.mean.float().cpu())
            motions.append(motion.mean.float().cpu())
        pools = torch.Generator().manual_seed(0)
        size = min(32, len(self._held_out))
        found = retrieval(torch.cat(texts), torch.cat(motions), pool_size=size, generator=pools)
        return {f"r_at_{k + 1}": value for k, value in enumerate(found.r_precision)}

    def _batch(self, step: int) -> Pairs:
        draw = torch.Generator().manual_seed((self.seed << 40) + step)
        size = self.data.batch_size
        rows = torch.multinomial(self._weights, size, replacement=False, generator=draw).tolist()
        captions, motions = [], []
        for row, (which, flip, front, back) in zip(
            rows, torch.rand(size, 4, generator=draw).tolist(), strict=True
        ):
            clip = self._train[row]
            choice = captions_of(clip, self.data.captions_per_clip)
            caption, motion = choice[int(which * len(choice))], clip.features
            cut = len(motion) // 10
            motion = motion[int(front * cut) : len(motion) - int(back * cut)]
            if self.data.mirror and flip < 0.5:
                caption, motion = mirror_caption(caption), mirror(motion)
            captions.append(caption)
            motions.append(motion[: self.config.max_frames])
        clips = tuple(self._train[row].id for row in rows)
        return self._pairs(captions, motions, draw)._replace(clips=clips)

    def _pairs(
        self, captions: Sequence[str], motions: Sequence[Tensor], draw: torch.Generator | None
    ) -> Pairs:
        states = [self.states[caption] for caption in captions]
        meanings = F.normalize(torch.stack([state[0] for state in states]), dim=-1)
        stride = self.config.stride
        seen = [self.normalizer.normalize(motion[::stride].float()) for motion in motions]
        features, frames = pad_right(seen)
        if draw is not None:
            features = features + self.data.noise * torch.randn(features.shape, generator=draw)
            states = [self._thin(state, draw) for state in states]
        # The mean state says what the others say together; the encoder is to read the words.
        padded, words = pad_right([state[1:] for state in states])
        return Pairs(padded, words, features, frames, meanings)

    def _thin(self, states: Tensor, draw: torch.Generator) -> Tensor:
        keep = torch.rand(len(states), generator=draw) >= self.data.word_dropout
        keep[:2] = True
        return states[keep]


def captions_of(clip: Clip, count: int) -> tuple[str, ...]:
    """The first caption of a clip and `count` - 1 others, chosen by a hash, the same on every machine."""
    others = sorted(
        clip.captions[1:], key=lambda text: hashlib.sha256(f"{clip.id}/{text}".encode()).digest()
    )
    return (clip.captions[0], *others[: count - 1])


def _label(clip: Clip) -> tuple[str, str, str | None]:
    return clip.source, clip.content or clip.group, clip.style


def _divergence(first: Gaussian, second: Gaussian) -> Tensor:
    """Mean Kullback-Leibler divergence of the second from the first, diagonal Gaussians."""
    ratio = (first.log_variance - second.log_variance).exp()
    moved = (first.mean - second.mean).square() / second.log_variance.exp()
    log = second.log_variance - first.log_variance
    return ((ratio + moved - 1 + log) / 2).mean()

"""Training task of the ranker: captioned tokens -> a motion that fits its caption better than other motions do.

Motions are seen as the tokenizer gives them back, since that is what the ranker will choose among. Beside the motions
of the other rows every caption with a side in it meets its own motion mirrored. Shapes: B rows, T frames, E embedding.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionmill.data.wording.captions import mirror_caption
from motionmill.generator.config import RankerConfig, RankerDataConfig
from motionmill.generator.ranker import Ranker, pad_right
from motionmill.generator.task import Example
from motionmill.generator.text import pad_left
from motionmill.generator.text_states import TextStates
from motionmill.motion.features import Normalizer, mirror
from motionmill.training.device import move
from motionmill.training.task import Facts, Loss


class Pairs(NamedTuple):
    """A batch of B captions and their motions.

    Attributes:
        states, words: (B, P, W) text states and their (B, P) mask.
        motions, frames: (2 B, T, F) normalised features, the second half mirrored, and their (2 B, T) mask.
        wrong: (B, 2 B) True where a motion does not fit a caption.
        clips: ids of the rows' clips.
    """

    states: Tensor
    words: Tensor
    motions: Tensor
    frames: Tensor
    wrong: Tensor
    clips: tuple[str, ...] = ()


class RankerTask:
    """Contrast of captions and motions, with word dropout, trims and noise."""

    def __init__(
        self,
        model: RankerConfig,
        data: RankerDataConfig,
        train: Sequence[Example],
        held_out: Sequence[Example],
        states: TextStates,
        *,
        normalizer: Normalizer,
        decoded: Sequence[Tensor],
        decoded_held_out: Sequence[Tensor],
        start: Ranker | None = None,
        seed: int = 0,
    ) -> None:
        """Begin with random weights, or where `start` stands.

        Args:
            decoded: (T, 272) features that the tokenizer makes of each example's tokens; the same held out.
        """
        self.config, self.data, self.states, self.seed = model, data, states, seed
        self._mean, self._std = normalizer.mean.float(), normalizer.std.float()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.model: nn.Module = start or Ranker(model)
        self._train, self._held_out = list(train), list(held_out)
        self._decoded, self._decoded_held_out = decoded, decoded_held_out
        self._weights = torch.tensor([example.weight for example in train], dtype=torch.float64)

    def batches(self, cursor: int, stride: int = 1) -> Iterator[Pairs]:
        return map(self._batch, itertools.count(cursor, stride))

    def facts(self, batch: Pairs) -> Facts:
        return Facts({"rows": float(len(batch.wrong))}, batch.clips)

    def loss(self, batch: Pairs) -> Loss:
        model = self.model
        assert isinstance(model, Ranker)
        texts = model.encode_text(batch.states, batch.words)
        motions = model.encode_motion(batch.motions, batch.frames)
        scores = model.scaled(texts @ motions.T)
        right = torch.arange(len(texts), device=texts.device)
        own = F.one_hot(right, scores.shape[1]).bool()
        scores = scores.masked_fill(~(batch.wrong | own), -torch.inf)
        loss = F.cross_entropy(scores, right)
        loss = (loss + F.cross_entropy(scores[:, : len(texts)].T, right)) / 2
        return Loss({"rows": loss}, {"right": (scores.argmax(-1) == right).float().mean()})

    def render(self, model: nn.Module, count: int, path: Path) -> None:
        """A ranker makes no motion."""

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Held out: first captions that find their motion among 32, and sides told from the mirrored motion."""
        assert isinstance(model, Ranker)
        found = sided = told = 0
        parts = range(0, len(self._held_out) - 31, 32)
        for start in parts:
            chosen = self._held_out[start : start + 32]
            motions = self._decoded_held_out[start : start + 32]
            kinds = [example.kind for example in chosen]
            batch = self._pairs([example.captions[0] for example in chosen], motions, kinds, None)
            batch = move(batch, model.motion_output.weight.device)
            scores = model.encode_text(batch.states, batch.words)
            scores = scores @ model.encode_motion(batch.motions, batch.frames).T
            own, mirrored = scores.diagonal(), scores.diagonal(32)
            others = scores[:, :32].masked_fill(~batch.wrong[:, :32], -torch.inf).amax(-1)
            found += int((own > others).sum())
            differs = batch.wrong.diagonal(32)
            sided += int(differs.sum())
            told += int(((own > mirrored) & differs).sum())
        return {
            "found_of_32": found / max(1, 32 * len(parts)),
            "sides_told": told / max(1, sided),
        }

    def _batch(self, step: int) -> Pairs:
        draw = torch.Generator().manual_seed((self.seed << 40) + step)
        size = self.data.batch_size
        rows = torch.multinomial(self._weights, size, replacement=True, generator=draw).tolist()
        coins = torch.rand(size, 4, generator=draw).tolist()
        captions, motions, kinds = [], [], []
        for row, (which, flip, front, back) in zip(rows, coins, strict=True):
            example, motion = self._train[row], self._decoded[row]
            caption, kind = example.captions[int(which * len(example.captions))], example.kind
            cut = len(motion) // 10
            motion = motion[int(front * cut) : len(motion) - int(back * cut)]
            if flip < 0.5:
                caption, kind, motion = mirror_caption(caption), mirrored(kind), mirror(motion)
            captions.append(caption)
            motions.append(motion)
            kinds.append(kind)
        clips = tuple(self._train[row].clip for row in rows)
        return self._pairs(captions, motions, kinds, draw)._replace(clips=clips)

    def _pairs(
        self,
        captions: Sequence[str],
        motions: Sequence[Tensor],
        kinds: Sequence[str],
        draw: torch.Generator | None,
    ) -> Pairs:
        states = [self.states[caption] for caption in captions]
        seen, mask = pad_right([motion[:: self.config.stride].float() for motion in motions])
        features = (torch.cat((seen, mirror(seen))) - self._mean) / self._std
        frames = torch.cat((mask, mask))
        if draw is not None:
            states = [self._thin(state, draw) for state in states]
            features = features + self.data.noise * torch.randn(features.shape, generator=draw)
        shown = [*kinds, *map(mirrored, kinds)]
        wrong = torch.tensor([[kind != other for other in shown] for kind in kinds])
        # What is said of sides is not true of the same motion mirrored, and all else is.
        sided = torch.tensor([mirror_caption(caption) != caption for caption in captions])
        wrong.diagonal(len(kinds)).copy_(sided)
        return Pairs(*pad_left(states), features, frames, wrong)

    def _thin(self, states: Tensor, draw: torch.Generator) -> Tensor:
        keep = torch.rand(len(states), generator=draw) >= self.data.word_dropout
        keep[0] = True
        return states[keep]


def mirrored(kind: str) -> str:
    """What the mirrored motion counts as."""
    return kind.replace("left", "*").replace("right", "left").replace("*", "right")

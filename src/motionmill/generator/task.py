"""Training task of the generator: captioned tokens -> rows of text prefix and motion tokens -> cross entropy.

Shapes: B batch, P prefix states, N motion tokens.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionmill.data.clip import Clip
from motionmill.data.wording.captions import judge_classes
from motionmill.generator.config import GeneratorConfig, GeneratorDataConfig
from motionmill.generator.model import Generator, Prefix
from motionmill.generator.size import forward_operations
from motionmill.generator.text import pad_left
from motionmill.generator.text_states import TextStates
from motionmill.generator.views import label, views_of
from motionmill.tokenizer.encode import MotionCodec
from motionmill.training.device import move
from motionmill.training.task import Facts, Loss

_CLIPS_AT_ONCE = 256  # their views are in memory together


@dataclass(frozen=True, eq=False)
class Example:
    """One way to see a clip.

    Attributes:
        tokens: (N,) codes.
        captions: texts that are true of it.
        weight: how often it is drawn.
        kind: what it shows; examples of one kind fit each other's captions.
        clip: id of the clip.
    """

    tokens: Tensor
    captions: tuple[str, ...]
    weight: float
    kind: str = ""
    clip: str = ""


class Rows(NamedTuple):
    """A batch: prefix, input tokens (B, N), targets (B, N + 1) with -100 where nothing is learnt, lengths (B,), ids."""

    prefix: Prefix
    tokens: Tensor
    targets: Tensor
    lengths: Tensor
    clips: tuple[str, ...] = ()


class GeneratorTask:
    """Next-token prediction with text, word and duration dropout, and noise on the input tokens."""

    def __init__(
        self,
        model: GeneratorConfig,
        data: GeneratorDataConfig,
        train: Sequence[Example],
        held_out: Sequence[Example],
        states: TextStates,
        *,
        codec: MotionCodec | None = None,
        start: Generator | None = None,
        meta: bool = False,
        seed: int = 0,
    ) -> None:
        """Begin with random weights, or where `start` stands.

        Args:
            codec: the tokenizer, for pictures of samples.
            meta: leave the making of the weights to whoever spreads them over processes.
        """
        self.codec = codec
        self.config, self.data, self.states, self.seed = model, data, states, seed
        with torch.random.fork_rng(), torch.device("meta" if meta else "cpu"):
            torch.manual_seed(seed)
            self.model = start or Generator(model)
        self._train, self._held_out = list(train), list(held_out)
        self._weights = torch.tensor([example.weight for example in train], dtype=torch.float64)
        self._lengths = torch.tensor([len(example.tokens) for example in train])

    def batches(self, cursor: int, stride: int = 1) -> Iterator[Rows]:
        return map(self._batch, itertools.count(cursor, stride))

    def facts(self, batch: Rows) -> Facts:
        rows, width = batch.targets.shape
        states = rows * (batch.prefix.mask.shape[1] + width)
        flops = forward_operations(
            self.config, states, rows * width, attended=states * states / rows
        )
        counts = {"tokens": float((batch.targets != -100).sum()), "rows": float(rows)}
        return Facts(counts, batch.clips, flops)

    def loss(self, batch: Rows) -> Loss:
        logits = self.model(batch.prefix, batch.tokens).float()
        loss = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=-100)
        known = batch.targets != -100
        parts, values = {"tokens": loss}, {}
        if self.config.length_head:
            length = F.cross_entropy(self.model.predict_length(batch.prefix).float(), batch.lengths)
            values["length"] = length.detach()
            parts["rows"] = 0.1 * length
        right = (logits.argmax(-1) == batch.targets) & known
        return Loss(parts, {"accuracy": right.sum() / known.sum(), **values})

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Mean cross entropy of held-out clips with their first caption, nothing dropped."""
        total = count = 0.0
        for start in range(0, len(self._held_out), 32):
            part = self._held_out[start : start + 32]
            durations = [len(example.tokens) for example in part]
            rows = self._rows(part, [self.states[e.captions[0]] for e in part], durations, None)
            rows = move(rows, next(model.parameters()).device)
            logits = model(rows.prefix, rows.tokens).float().flatten(0, 1)
            targets = rows.targets.flatten()
            total += float(F.cross_entropy(logits, targets, ignore_index=-100, reduction="sum"))
            count += float((targets != -100).sum())
        return {"cross_entropy": total / max(1.0, count)}

    def render(self, model: nn.Module, count: int, path: Path) -> None:
        """What the model makes of the captions of held-out clips."""
        if self.codec is None:
            return
        from motionmill.generator.samples import draw_samples

        chosen = self._held_out[:: max(1, len(self._held_out) // count)][:count]
        texts = [example.captions[0] for example in chosen]
        lengths = [len(example.tokens) for example in chosen]
        draw_samples(
            model, self.codec, self.states.__getitem__, texts, lengths, path, seed=self.seed
        )

    def _batch(self, step: int) -> Rows:
        draw = torch.Generator().manual_seed((self.seed << 40) + step)
        size = self.data.batch_size
        # Rows of like length make a batch: four batches' worth are drawn, sorted, and one quarter of them taken.
        drawn = torch.multinomial(self._weights, 4 * size, replacement=True, generator=draw)
        order = self._lengths[drawn].argsort()
        quarter = int(torch.randint(4, (), generator=draw))
        chosen = [
            self._train[index]
            for index in drawn[order[quarter * size : (quarter + 1) * size]].tolist()
        ]
        coins = torch.rand(size, 4, generator=draw).tolist()
        states, durations = [], []
        for example, (which, drop_text, drop_words, drop_duration) in zip(
            chosen, coins, strict=True
        ):
            caption = example.captions[int(which * len(example.captions))]
            full = self.states["" if drop_text < self.data.text_dropout else caption]
            states.append(self.thin(full, drop_words, draw))
            unknown = drop_duration < self.data.duration_dropout
            durations.append(0 if unknown else len(example.tokens))
        return self._rows(chosen, states, durations, draw)

    def thin(self, states: Tensor, coin: float, draw: torch.Generator) -> Tensor:
        """Drop words now and then, or all of them but the mean: unseen wordings share the mean more than words."""
        if coin < self.data.pooled_only:
            return states[:1]
        keep = torch.rand(len(states), generator=draw) >= self.data.word_dropout
        keep[0] = True
        return states[keep]

    def _rows(
        self,
        examples: Sequence[Example],
        states: Sequence[Tensor],
        durations: Sequence[int],
        noise: torch.Generator | None,
    ) -> Rows:
        size = max(len(example.tokens) for example in examples)
        tokens = torch.full((len(examples), size), self.config.pad)
        targets = torch.full((len(examples), size + 1), -100)
        for row, example in enumerate(examples):
            length = len(example.tokens)
            tokens[row, :length] = example.tokens
            targets[row, :length] = example.tokens
            targets[row, length] = self.config.end
        if noise is not None and self.data.token_noise:
            hit = torch.rand(tokens.shape, generator=noise) < self.data.token_noise
            wrong = torch.randint(self.config.num_codes, tokens.shape, generator=noise)
            tokens = torch.where(hit & (tokens != self.config.pad), wrong, tokens)
        padded, mask = pad_left(states)
        lengths = torch.tensor([len(example.tokens) for example in examples])
        prefix = Prefix(padded, mask, torch.tensor(list(durations)))
        names = tuple(example.clip for example in examples)
        return Rows(prefix, tokens, targets, lengths, names)


def make_examples(
    clips: Sequence[Clip],
    codec: MotionCodec,
    config: GeneratorDataConfig,
    *,
    max_tokens: int,
    augment: bool,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Example]:
    """Tokens of clips: as they are and, when augmenting, mirrored and from every start offset.

    A class (content and style, or the recording group where a source has no labels) is drawn in proportion to its
    size to the power `balance`, times the weights of its source and of its words; a rare class keeps more captions a
    clip than a frequent one.
    """
    sizes = Counter(label(clip) for clip in clips)
    examples: list[Example] = []
    for start in range(0, len(clips), _CLIPS_AT_ONCE):
        part = clips[start : start + _CLIPS_AT_ONCE]
        views = [
            view
            for clip in part
            for view in views_of(
                clip,
                sizes[label(clip)],
                config,
                codec.frames_per_token,
                max_tokens,
                augment=augment,
            )
        ]
        tokens = codec.encode_all([view.features for view in views])
        examples += [
            Example(row, view.captions, view.weight, _kind(view.clip), view.clip.id)
            for row, view in zip(tokens, views, strict=True)
        ]
        progress(start + len(part), len(clips))
    return examples


def _kind(clip: Clip) -> str:
    """What a clip shows, in words: its classes, or its recording group where a source has no labels."""
    content, style = judge_classes(clip.content, clip.style)
    return f"{clip.source} {content or clip.group} {style}"

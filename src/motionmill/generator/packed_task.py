"""Training task of the generator on packs: token files and text states -> cross entropy, at any size of data.

Text is dropped for guidance, one of a clip's captions is drawn (rewrites are captions too), clips are seen mirrored
with their sides swapped in text, from later starts, cropped at token boundaries, and with corrupted inputs, as the
recipe says; see `generator.store` and `generator.epochs`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from motionmill.generator.config import GeneratorConfig, GeneratorDataConfig, PackingConfig
from motionmill.generator.epochs import Draw, Epochs, Integers
from motionmill.generator.packing import Pack, Sample, pack
from motionmill.generator.size import forward_operations
from motionmill.generator.store import Shard
from motionmill.generator.task import Example, GeneratorTask
from motionmill.generator.text import TextEncoder
from motionmill.generator.text_states import TextStates
from motionmill.tokenizer.encode import MotionCodec
from motionmill.training.task import Facts, Loss


class PackedTask:
    """Next-token prediction on packs; held-out clips are looked at in rows."""

    def __init__(
        self,
        model: GeneratorConfig,
        data: GeneratorDataConfig,
        packing: PackingConfig,
        shards: Sequence[Shard],
        held_out: Sequence[Example],
        states: TextStates,
        *,
        encoder: Callable[[], TextEncoder] | None = None,
        codec: MotionCodec | None = None,
        meta: bool = False,
        seed: int = 0,
    ) -> None:
        """Begin with random weights.

        Args:
            states: those of held-out captions and of the empty text, and those of all captions unless they are
                encoded on the fly.
            encoder: makes the encoder that encodes the captions of each pack.
            meta: leave the making of the weights to whoever spreads them over processes.
        """
        self._rows = GeneratorTask(
            model, data, [], held_out, states, codec=codec, meta=meta, seed=seed
        )
        self.model = self._rows.model
        self.config, self.data, self.packing = model, data, packing
        self.states, self.seed, self._shards = states, seed, shards
        self._make_encoder, self._encoder = encoder, None if encoder is None else encoder()
        self._empty = states[""]
        self._epochs = Epochs(
            shards,
            self._text_sizes,
            pack_states=packing.states,
            max_tokens=model.max_tokens,
            extra=int(model.duration_state),
            crop=packing.crop,
            text_dropout=data.text_dropout,
            seed=seed,
        )

    def batches(self, cursor: int, stride: int = 1) -> Iterator[Pack]:
        return map(self._pack, itertools.count(cursor, stride))

    def facts(self, batch: Pack) -> Facts:
        real = batch.samples[batch.samples >= 0]
        lengths = real.bincount().double()
        flops = forward_operations(
            self.config,
            float(len(real)),
            float(len(batch.targets)),
            attended=float(lengths.square().sum()),
        )
        counts = {"tokens": float(len(batch.targets)), "rows": float(len(batch.lengths))}
        return Facts(counts, batch.clips, flops)

    def loss(self, batch: Pack) -> Loss:
        logits = self.model.packed(batch).float()
        parts = {"tokens": F.cross_entropy(logits, batch.targets)}
        values = {"accuracy": (logits.argmax(-1) == batch.targets).float().mean()}
        if self.config.length_head:
            made = self.model.length_of(batch.text[batch.means]).float()
            length = F.cross_entropy(made, batch.lengths)
            values["length"] = length.detach()
            parts["rows"] = 0.1 * length
        return Loss(parts, values)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Mean cross entropy of held-out clips."""
        return self._rows.evaluate(model)

    def render(self, model: nn.Module, count: int, path: Path) -> None:
        """What the model makes of the captions of held-out clips."""
        self._rows.render(model, count, path)

    def _pack(self, number: int) -> Pack:
        """Pack `number` of the training."""
        draws = self._epochs.pack(number)
        random = torch.Generator().manual_seed((self.seed << 40) + number)
        texts = self._texts(draws)
        samples = [
            self._sample(draw, text, random) for draw, text in zip(draws, texts, strict=True)
        ]
        return pack(samples, self.config, size=self.packing.states)

    def _sample(self, draw: Draw, text: Tensor, random: torch.Generator) -> Sample:
        shard = self._shards[draw.shard]
        codes = torch.from_numpy(np.array(shard.codes[draw.start : draw.stop], np.int64))
        coins = torch.rand(2, generator=random).tolist()
        states = self._rows.thin(self._empty if draw.bare else text, coins[0], random)
        inputs = codes
        if self.data.token_noise:
            hit = torch.rand(len(codes), generator=random) < self.data.token_noise
            wrong = torch.randint(self.config.num_codes, codes.shape, generator=random)
            inputs = torch.where(hit, wrong, codes)
        asked = len(codes) if coins[1] >= self.data.duration_dropout else 0
        return Sample(states, inputs, codes, asked, shard.clip_id(draw.clip))

    def _texts(self, draws: Sequence[Draw]) -> list[Tensor]:
        """The (P, E) states of each sample's caption."""
        limit = self.config.max_text
        if self._encoder is None:
            rows = [
                int(self.states.rows(self._shards[d.shard].digests[d.caption : d.caption + 1])[0])
                for d in draws
            ]
            return [self.states.at(row)[:limit] for row in rows]
        texts = [self._shards[d.shard].text(d.caption) for d in draws]
        distinct = list(dict.fromkeys(texts))
        made = dict(zip(distinct, self._encoder.encode(distinct), strict=True))
        room = [d.size - int(self.config.duration_state) - (d.stop - d.start) for d in draws]
        return [made[text][:most] for text, most in zip(texts, room, strict=True)]

    def _text_sizes(self, shard: Shard, captions: Integers) -> Integers:
        """How many states captions have, or may have where they are not encoded yet."""
        limit = self.config.max_text
        if self._make_encoder is None:
            rows = self.states.rows(np.asarray(shard.digests)[captions])
            assert (rows >= 0).all(), "a caption without states"
            sizes = np.minimum(self.states.lengths(rows), limit)
        else:
            # A word piece has three letters or more, nearly always; a longer text loses its end.
            letters = shard.text_start[captions + 1] - shard.text_start[captions]
            sizes = np.minimum(letters // 3 + 4, limit)
        return np.maximum(sizes, len(self._empty))

"""Data set and tokenizer -> token files: the codes and captions of every way to see every clip, read where needed.

A file a shard, made once: N codes one after the other, where each view's begin, which captions belong to it. Nothing of
it stays in memory but what is touched. Shapes: C clips, V views (mirrored, from a later start), N codes, K captions.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from motionmill.data.clip import Clip
from motionmill.data.config import Split
from motionmill.data.loader import shard_paths, split_ids
from motionmill.data.shards import read_shard
from motionmill.generator.config import GeneratorDataConfig
from motionmill.generator.task import Example
from motionmill.generator.text_states import TextStates, digests_of
from motionmill.generator.views import views_of
from motionmill.tokenizer.encode import MotionCodec
from motionmill.training.mapped import Array, map_tensors
from motionmill.training.processes import Processes, wait_for
from motionmill.training.weights import save_tensors

_WHOLE = 1 << 30  # tokens; clips are stored whole and cut when they are drawn


class Shard(NamedTuple):
    """A token file.

    Attributes:
        codes: (N,) int32; view v has codes[code_start[v] : code_start[v + 1]].
        views: (C + 1,) clip c has views[c] .. views[c + 1] - 1.
        captions: (V, 2) first and last + 1 of the captions that are true of a view.
        texts, text_start: UTF-8 of all captions one after the other, and where each begins, (K + 1,).
        digests: (K, 16) of the captions, as `TextStates` knows them.
        weights: (C,) how often a clip is drawn in an epoch.
        ids, id_start: UTF-8 of the clips' ids, and where each begins.
    """

    codes: Array
    code_start: Array
    views: Array
    captions: Array
    texts: Array
    text_start: Array
    digests: Array
    weights: Array
    ids: Array
    id_start: Array

    def text(self, caption: int) -> str:
        """A caption."""
        return bytes(self.texts[self.text_start[caption] : self.text_start[caption + 1]]).decode()

    def clip_id(self, clip: int) -> str:
        """The id of a clip."""
        return bytes(self.ids[self.id_start[clip] : self.id_start[clip + 1]]).decode()

    def all_texts(self) -> Iterator[str]:
        return map(self.text, range(len(self.text_start) - 1))


def open_store(
    dataset: Path,
    codec: MotionCodec,
    config: GeneratorDataConfig,
    split: Split,
    processes: Processes,
    *,
    states: TextStates | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Shard]:
    """The token files of a split; those that are missing are made, by all processes together, shard by shard.

    Args:
        states: where the captions' text states go; none where they are made on the fly.

    Raises:
        FileNotFoundError, ValueError: no data set, no clips.
    """
    folder = dataset / "tokens" / _identity(codec, config, split)
    wanted = split_ids(dataset, split)
    sources = shard_paths(dataset)
    paths = [folder / f"{path.stem}-{_state_of(path)}.safetensors" for path in sources]
    folder.mkdir(parents=True, exist_ok=True)
    for number, (source, path) in enumerate(zip(sources, paths, strict=True)):
        if number % processes.count == processes.index and not path.is_file():
            clips = [
                clip
                for clip in read_shard(source)
                if clip.id in wanted and (clip.commercial or not config.commercial_only)
            ]
            _write(clips, codec, config, split, path)
        progress(number + 1, len(sources))
    wait_for(lambda: all(path.is_file() for path in paths))
    shards = [Shard(**map_tensors(path)) for path in paths]
    shards = [shard for shard in shards if len(shard.views) > 1]
    if not shards:
        raise ValueError(f"{dataset}: no clips in {split}")
    if states is not None:
        # One process encodes; the others find what it has written.
        if processes.main:
            for shard in shards:
                states.add(shard.all_texts())
        processes.wait()
        states.add([""])
    return shards


def examples_of(shards: Sequence[Shard], max_tokens: int, count: int) -> list[Example]:
    """At most `count` clips, evenly spread, as rows."""
    places = [(shard, clip) for shard in shards for clip in range(len(shard.views) - 1)]
    chosen = places[:: max(1, len(places) // count)][:count]
    return [_example(shard, clip, max_tokens) for shard, clip in chosen]


def _example(shard: Shard, clip: int, max_tokens: int) -> Example:
    view = int(shard.views[clip])
    start = int(shard.code_start[view])
    stop = min(int(shard.code_start[view + 1]), start + max_tokens)
    codes = torch.from_numpy(np.array(shard.codes[start:stop], np.int64))
    first, last = shard.captions[view]
    texts = tuple(shard.text(caption) for caption in range(int(first), int(last)))
    return Example(codes, texts, float(shard.weights[clip]), clip=shard.clip_id(clip))


def _write(
    clips: Sequence[Clip],
    codec: MotionCodec,
    config: GeneratorDataConfig,
    split: Split,
    path: Path,
) -> None:
    augment = split == "train"
    codes: list[torch.Tensor] = []
    captions: dict[tuple[str, ...], tuple[int, int]] = {}
    texts: list[str] = []
    ranges, view_counts, weights, ids = [], [], [], []
    for clip in clips:
        views = list(views_of(clip, 1, config, codec.frames_per_token, _WHOLE, augment=augment))
        if not views:
            continue
        codes += codec.encode_all([view.features for view in views])
        for view in views:
            if view.captions not in captions:
                captions[view.captions] = (len(texts), len(texts) + len(view.captions))
                texts += view.captions
            ranges.append(captions[view.captions])
        view_counts.append(len(views))
        weights.append(sum(view.weight for view in views))
        ids.append(clip.id)
    joined, starts = _joined(texts)
    names, name_starts = _joined(ids)
    lengths = torch.tensor([len(row) for row in codes], dtype=torch.int64)
    tensors = {
        "codes": torch.cat([*codes, torch.empty(0, dtype=torch.int64)]).int(),
        "code_start": torch.cat((torch.zeros(1, dtype=torch.int64), lengths.cumsum(0))),
        "views": torch.tensor([0, *itertools.accumulate(view_counts)]),
        "captions": torch.tensor(ranges, dtype=torch.int64).reshape(-1, 2),
        "texts": joined,
        "text_start": starts,
        "digests": torch.from_numpy(digests_of(texts)),
        "weights": torch.tensor(weights, dtype=torch.float32),
        "ids": names,
        "id_start": name_starts,
    }
    save_tensors(tensors, path)


def _joined(texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Texts -> their UTF-8 one after the other, and where each begins."""
    parts = [text.encode() for text in texts]
    data = np.frombuffer(b"".join(parts), np.uint8).copy()
    starts = torch.tensor([0, *itertools.accumulate(map(len, parts))], dtype=torch.int64)
    return torch.from_numpy(data), starts


def _identity(codec: MotionCodec, config: GeneratorDataConfig, split: Split) -> str:
    """A name for what the tokens depend on beside the clips: tokenizer, statistics, views, captions, weights."""
    fields = {
        "mirror",
        "start_offsets",
        "commercial_only",
        "source_weights",
        "word_weights",
        "max_captions",
        "min_captions",
        "class_captions",
    }
    digest = hashlib.sha256(json.dumps(config.model_dump(include=fields)).encode())
    for tensor in (
        *codec.tokenizer.state_dict().values(),
        codec.normalizer.mean,
        codec.normalizer.std,
    ):
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return f"{split}-{digest.hexdigest()[:16]}"


def _state_of(path: Path) -> str:
    """Changes when a shard is built again."""
    facts = path.stat()
    return hashlib.sha256(f"{facts.st_size} {facts.st_mtime_ns}".encode()).hexdigest()[:8]

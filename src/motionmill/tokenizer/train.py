"""`motionmill train tokenizer`: a data set and a recipe -> a run folder with a trained tokenizer.

The run folder holds `config.yaml`, `metrics.jsonl`, checkpoints, and at the end `tokenizer/`, `statistics.safetensors`
and `report.json` (errors on the held-out recordings of every source).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from motionmill.config import save_config
from motionmill.data.clip import Clip
from motionmill.data.compose import fill
from motionmill.data.loader import ShardedClips, load_clips, train_statistics
from motionmill.data.order import EpochOrder
from motionmill.data.split_config import Split
from motionmill.data.statistics import moments_of
from motionmill.data.wording.captions import word_weight
from motionmill.motion.features import Normalizer
from motionmill.tokenizer.config import TokenizerDataConfig, TokenizerRunConfig
from motionmill.tokenizer.encode import STATISTICS_NAME, MotionCodec
from motionmill.tokenizer.model import Tokenizer
from motionmill.tokenizer.task import TokenizerTask, reconstruction_report
from motionmill.training.loop import train
from motionmill.training.processes import main_process
from motionmill.training.weights import write_text

_MAX_CLIPS_WHILE_TRAINING = 60
_MAX_CLIPS_STREAMED = 500  # of the report, where not all held-out clips are in memory
T = TypeVar("T")


def train_tokenizer(
    config: TokenizerRunConfig,
    data: Path,
    output: Path,
    *,
    start: Path | None = None,
    device: torch.device | None = None,
    tensorboard: bool = False,
) -> Path:
    """Train, or go on with a run that was stopped; returns the run folder.

    Args:
        start: a finished run whose tokenizer and statistics this one begins with.
        tensorboard: write the numbers for TensorBoard too.

    Raises:
        FileNotFoundError, ValueError: no data set, or no clips in it; a start that does not fit.
    """
    begun = (
        None if start is None else MotionCodec.load(start / "tokenizer", start / STATISTICS_NAME)
    )
    if begun is not None and begun.tokenizer.config != config.model:
        raise ValueError(f"{start}: its tokenizer is not of the recipe's architecture")
    if config.decoder_only and begun is None:
        raise ValueError("this recipe trains a decoder alone; say of which run with --start")
    material = _streamed(config, data) if config.data.stream else _in_memory(config, data)
    output.mkdir(parents=True, exist_ok=True)
    if main_process():
        save_config(config, output / "config.yaml")
    normalizer = material.fit() if begun is None else begun.normalizer
    task = TokenizerTask(
        config.model,
        config.data,
        config.losses,
        material.clips,
        material.shown,
        normalizer=normalizer,
        weights=material.weights,
        order=material.order,
        name=material.name,
        micro_batches=config.training.micro_batches,
        start=None if begun is None else begun.tokenizer.train(),
        decoder_only=config.decoder_only,
        seed=config.training.seed,
    )
    model = train(task, config.training, output, device=device, tensorboard=tensorboard)
    if not main_process():
        return output
    assert isinstance(model, Tokenizer)
    codec = MotionCodec(model.cpu(), normalizer)
    codec.save(output / "tokenizer", output / STATISTICS_NAME)
    report = {
        source: reconstruction_report(codec.tokenizer, codec.normalizer, clips).as_dict()
        for source, clips in sorted(material.tested().items())
    }
    write_text(output / "report.json", json.dumps(report, indent=2) + "\n")
    return output


@dataclass(frozen=True, eq=False)
class _Material:
    """What a tokenizer is trained on.

    Attributes:
        clips: features of the training clips.
        shown: those of clips that are looked at while training.
        fit: makes the normaliser.
        tested: features by source, for the report in the end.
        weights, order, name: as in `TokenizerTask`.
    """

    clips: Sequence[Tensor]
    shown: Sequence[Tensor]
    fit: Callable[[], Normalizer]
    tested: Callable[[], Mapping[str, Sequence[Tensor]]]
    name: Callable[[int], str]
    weights: Tensor | None = None
    order: EpochOrder | None = None


def _in_memory(config: TokenizerRunConfig, data: Path) -> _Material:
    """All clips at once, drawn by weights."""
    clips = load_clips(data, commercial_only=config.data.commercial_only)
    training = [*clips["train"]]
    training += fill(training, config.data.compose, captions=1, seed=config.training.seed)

    def tested() -> Mapping[str, Sequence[Tensor]]:
        groups: dict[str, list[Tensor]] = defaultdict(list)
        for clip in (*clips["test"], *clips["test_pairs"]):
            groups[clip.source].append(clip.features)
        return groups

    return _Material(
        [clip.features for clip in training],
        [clip.features for clip in _spread(clips["val"], _MAX_CLIPS_WHILE_TRAINING)],
        lambda: fit_normalizer(training),
        tested,
        lambda row: training[row].id,
        weights=clip_weights(training, config.data),
    )


def _streamed(config: TokenizerRunConfig, data: Path) -> _Material:
    """Clips read from their shards when they are needed, in epochs."""

    def clips_of(split: Split) -> ShardedClips:
        return ShardedClips(
            data,
            split,
            commercial_only=config.data.commercial_only,
            memory_bytes=int(config.data.stream_gib * 2**30),
            may_be_empty=split != "train",
        )

    training, held_out = clips_of("train"), clips_of("val")

    def tested() -> Mapping[str, Sequence[Tensor]]:
        clips = clips_of("test")
        groups: dict[str, list[Tensor]] = defaultdict(list)
        for row in _spread(range(len(clips)), _MAX_CLIPS_STREAMED):
            groups[clips.name(row).partition("/")[0]].append(clips[row])
        return groups

    order = EpochOrder(training.group_sizes, window=training.window, seed=config.training.seed)

    def fit() -> Normalizer:
        """By the data set's own statistics where they are of these clips; else all are read once."""
        known = train_statistics(data)
        if known is None or known[0] != training.frames.sum():
            return normalizer_of(training)
        return Normalizer.fit(*known[1:])

    shown = [held_out[row] for row in _spread(range(len(held_out)), _MAX_CLIPS_WHILE_TRAINING)]
    return _Material(training, shown, fit, tested, training.name, order=order)


def normalizer_of(clips: Iterable[Tensor]) -> Normalizer:
    """Mean and block-wise standard deviation over the frames of (T, 272) features, read once."""
    moments = moments_of(clips)
    return Normalizer.fit(moments.mean, moments.std)


def fit_normalizer(clips: list[Clip]) -> Normalizer:
    """Mean and block-wise standard deviation over the frames of the clips."""
    return normalizer_of(clip.features for clip in clips)


def clip_weights(clips: list[Clip], config: TokenizerDataConfig) -> torch.Tensor:
    """Length of each clip times the weights of its source and of its words."""
    return torch.tensor(
        [
            len(clip)
            * config.source_weights.get(clip.source, 1.0)
            * word_weight(clip.captions, config.word_weights)
            for clip in clips
        ]
    )


def _spread(items: Sequence[T], count: int) -> Sequence[T]:
    """At most `count` of them, evenly spread."""
    return items[:: max(1, len(items) // count)][:count]

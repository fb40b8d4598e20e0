"""`motionmill train tokenizer`: a data set and a recipe -> a run folder with a trained tokenizer.

The run folder holds `config.yaml`, `metrics.jsonl`, checkpoints, and at the end `tokenizer/`, `statistics.safetensors`
and `report.json` (errors on the held-out recordings of every source).
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import torch

from motionmill.config import save_config
from motionmill.data.captions import word_weight
from motionmill.data.clip import Clip
from motionmill.data.compose import fill
from motionmill.data.loader import load_clips
from motionmill.motion.features import Normalizer
from motionmill.tokenizer.config import TokenizerDataConfig, TokenizerRunConfig
from motionmill.tokenizer.encode import STATISTICS_NAME, MotionCodec
from motionmill.tokenizer.model import Tokenizer
from motionmill.tokenizer.task import TokenizerTask, reconstruction_report
from motionmill.training.loop import train
from motionmill.training.weights import write_text

_MAX_CLIPS_WHILE_TRAINING = 60


def train_tokenizer(
    config: TokenizerRunConfig,
    data: Path,
    output: Path,
    *,
    start: Path | None = None,
    device: torch.device | None = None,
) -> Path:
    """Train, or go on with a run that was stopped; returns the run folder.

    Args:
        start: a finished run whose tokenizer and statistics this one begins with.

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
    clips = load_clips(data, commercial_only=config.data.commercial_only)
    training = [*clips["train"]]
    training += fill(training, config.data.compose, captions=1, seed=config.training.seed)
    output.mkdir(parents=True, exist_ok=True)
    save_config(config, output / "config.yaml")
    normalizer = fit_normalizer(training) if begun is None else begun.normalizer
    task = TokenizerTask(
        config.model,
        config.data,
        config.losses,
        [clip.features for clip in training],
        [clip.features for clip in _spread(clips["val"], _MAX_CLIPS_WHILE_TRAINING)],
        normalizer=normalizer,
        weights=clip_weights(training, config.data),
        names=[clip.id for clip in training],
        micro_batches=config.training.micro_batches,
        start=None if begun is None else begun.tokenizer.train(),
        decoder_only=config.decoder_only,
        seed=config.training.seed,
    )
    model = train(task, config.training, output, device=device)
    assert isinstance(model, Tokenizer)
    codec = MotionCodec(model.cpu(), normalizer)
    codec.save(output / "tokenizer", output / STATISTICS_NAME)
    held_out = [*clips["test"], *clips["test_pairs"]]
    write_text(
        output / "report.json", json.dumps(report_by_source(codec, held_out), indent=2) + "\n"
    )
    return output


def fit_normalizer(clips: list[Clip]) -> Normalizer:
    """Mean and block-wise standard deviation over the frames of the clips."""
    count = sum(len(clip) for clip in clips)
    mean = sum(clip.features.double().sum(0) for clip in clips) / count
    square = sum((clip.features.double() - mean).square().sum(0) for clip in clips) / count
    assert isinstance(mean, torch.Tensor)
    assert isinstance(square, torch.Tensor)
    return Normalizer.fit(mean, square.sqrt())


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


def report_by_source(codec: MotionCodec, clips: list[Clip]) -> dict[str, dict[str, float]]:
    """Reconstruction errors of every source on its own."""
    groups: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        groups[clip.source].append(clip)
    return {
        source: reconstruction_report(
            codec.tokenizer, codec.normalizer, [clip.features for clip in members]
        ).as_dict()
        for source, members in sorted(groups.items())
    }


def _spread(clips: list[Clip], count: int) -> list[Clip]:
    """At most `count` clips, evenly spread."""
    return clips[:: max(1, len(clips) // count)][:count]

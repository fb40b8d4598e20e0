"""`motionmill train generator`: a data set, a tokenizer run and a recipe -> a run folder with a trained generator.

The run folder holds `config.yaml`, `metrics.jsonl`, checkpoints, and at the end `generator/` beside copies of the
tokenizer and its statistics: all that `motionmill train export` needs.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from motionmill.config import save_config
from motionmill.data.loader import load_clips
from motionmill.generator.config import GeneratorRunConfig
from motionmill.generator.model import Generator
from motionmill.generator.task import Example, GeneratorTask, make_examples
from motionmill.generator.text import MiniLM, TextStates
from motionmill.tokenizer.encode import STATISTICS_NAME, MotionCodec
from motionmill.training.loop import train
from motionmill.training.progress import progress_bar
from motionmill.training.weights import save_weights

_MAX_HELD_OUT = 256


def train_generator(
    config: GeneratorRunConfig,
    data: Path,
    tokenizer_run: Path,
    output: Path,
    *,
    device: torch.device | None = None,
    cache: Path | None = None,
) -> Path:
    """Train, or go on with a run that was stopped; returns the run folder.

    Args:
        data: a data set of `motionmill data run`.
        tokenizer_run: a finished run of `motionmill train tokenizer`.
        cache: where text states are kept; `text-states` in the data set by default.

    Raises:
        FileNotFoundError, ValueError: no data set, no tokenizer.
    """
    codec = MotionCodec.load(tokenizer_run / "tokenizer", tokenizer_run / STATISTICS_NAME)
    model = config.model.model_copy(update={"num_codes": codec.tokenizer.config.num_codes})
    config = config.model_copy(update={"model": model})
    output.mkdir(parents=True, exist_ok=True)
    save_config(config, output / "config.yaml")
    _copy_tokenizer(tokenizer_run, output)
    if config.training.threads is not None:
        torch.set_num_threads(config.training.threads)

    training, held_out = load_examples(config, codec, data)
    states = TextStates(MiniLM, cache or data / "text-states")
    with progress_bar("captions") as progress:
        texts = {caption for example in training for caption in example.captions}
        states.add(["", *texts], progress=progress)
        states.add([example.captions[0] for example in held_out])
    task = GeneratorTask(
        config.model, config.data, training, held_out, states, seed=config.training.seed
    )
    result = train(task, config.training, output, device=device)
    assert isinstance(result, Generator)
    save_weights(result.cpu(), config.model, output / "generator")
    return output


def load_examples(
    config: GeneratorRunConfig, codec: MotionCodec, data: Path
) -> tuple[list[Example], list[Example]]:
    """Training examples with all their views, and held-out ones as they are."""
    clips = load_clips(data, commercial_only=config.data.commercial_only)
    with progress_bar("tokens") as progress:
        training = make_examples(
            clips["train"],
            codec,
            config.data,
            max_tokens=config.model.max_tokens,
            augment=True,
            progress=progress,
        )
    val = clips["val"][:: max(1, len(clips["val"]) // _MAX_HELD_OUT)]
    held_out = make_examples(
        val, codec, config.data, max_tokens=config.model.max_tokens, augment=False
    )
    return training, held_out


def _copy_tokenizer(tokenizer_run: Path, output: Path) -> None:
    shutil.copytree(tokenizer_run / "tokenizer", output / "tokenizer", dirs_exist_ok=True)
    names = {
        STATISTICS_NAME: STATISTICS_NAME,
        "report.json": "report.json",
        "config.yaml": "tokenizer.yaml",
    }
    for name, copy in names.items():
        if (tokenizer_run / name).is_file():
            shutil.copyfile(tokenizer_run / name, output / copy)

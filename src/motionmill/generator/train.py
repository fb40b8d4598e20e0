"""`motionmill train generator` and `train ranker`: a data set, a tokenizer run and a recipe -> a run folder.

The run folder holds `config.yaml`, `metrics.jsonl`, checkpoints, and at the end `generator/` (or `ranker/`) beside
copies of the tokenizer and its statistics: all that `motionmill train export` needs.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from motionmill.config import save_config
from motionmill.data.captions import mirror_caption
from motionmill.data.compose import fill
from motionmill.data.loader import load_clips
from motionmill.generator.config import GeneratorDataConfig, GeneratorRunConfig, RankerRunConfig
from motionmill.generator.model import Generator
from motionmill.generator.ranker import Ranker
from motionmill.generator.ranker_task import RankerTask
from motionmill.generator.task import Example, GeneratorTask, make_examples
from motionmill.generator.text import MiniLM
from motionmill.generator.text_states import TextStates
from motionmill.tokenizer.encode import STATISTICS_NAME, MotionCodec
from motionmill.training.loop import train
from motionmill.training.progress import progress_bar
from motionmill.training.weights import save_weights

_MAX_HELD_OUT = 256
_MAX_RANKED_TOKENS = 150


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

    training, held_out = load_examples(
        config.data, codec, data, max_tokens=config.model.max_tokens, seed=config.training.seed
    )
    states = TextStates(MiniLM, cache or data / "text-states")
    with progress_bar("captions") as progress:
        texts = {caption for example in training for caption in example.captions}
        states.add(["", *texts], progress=progress)
        states.add([example.captions[0] for example in held_out])
    task = GeneratorTask(
        config.model,
        config.data,
        training,
        held_out,
        states,
        codec=codec,
        seed=config.training.seed,
    )
    result = train(task, config.training, output, device=device)
    assert isinstance(result, Generator)
    save_weights(result.cpu(), config.model, output / "generator")
    return output


def train_ranker(
    config: RankerRunConfig,
    data: Path,
    tokenizer_run: Path,
    output: Path,
    *,
    device: torch.device | None = None,
    cache: Path | None = None,
) -> Path:
    """Train a ranker, or go on with a run that was stopped; arguments and errors as `train_generator`."""
    codec = MotionCodec.load(tokenizer_run / "tokenizer", tokenizer_run / STATISTICS_NAME)
    output.mkdir(parents=True, exist_ok=True)
    save_config(config, output / "config.yaml")
    if config.training.threads is not None:
        torch.set_num_threads(config.training.threads)
    drawn = config.data.model_copy(update={"mirror": False, "start_offsets": (0,)})
    training, held_out = load_examples(
        drawn, codec, data, max_tokens=_MAX_RANKED_TOKENS, seed=config.training.seed
    )
    states = TextStates(MiniLM, cache or data / "text-states")
    with progress_bar("captions") as progress:
        texts = {caption for example in training for caption in example.captions}
        states.add([*texts, *map(mirror_caption, texts)], progress=progress)
        states.add([example.captions[0] for example in held_out])
    task = RankerTask(
        config.model,
        config.data,
        training,
        held_out,
        states,
        normalizer=codec.normalizer,
        decoded=list(codec.decode_all([example.tokens for example in training])),
        decoded_held_out=list(codec.decode_all([example.tokens for example in held_out])),
        seed=config.training.seed,
    )
    result = train(task, config.training, output, device=device)
    assert isinstance(result, Ranker)
    save_weights(result.cpu(), config.model, output / "ranker")
    return output


def load_examples(
    config: GeneratorDataConfig, codec: MotionCodec, data: Path, *, max_tokens: int, seed: int
) -> tuple[list[Example], list[Example]]:
    """Training examples with all their views, and held-out ones as they are."""
    clips = load_clips(data, commercial_only=config.commercial_only)
    composed = fill(clips["train"], config.compose, seed=seed)
    with progress_bar("tokens") as progress:
        training = make_examples(
            [*clips["train"], *composed],
            codec,
            config,
            max_tokens=max_tokens,
            augment=True,
            progress=progress,
        )
    val = clips["val"][:: max(1, len(clips["val"]) // _MAX_HELD_OUT)]
    return training, make_examples(val, codec, config, max_tokens=max_tokens, augment=False)


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

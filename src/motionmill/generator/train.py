"""`motionmill train generator` and `train ranker`: a data set, a tokenizer run and a recipe -> a run folder.

The run folder holds `config.yaml`, `metrics.jsonl`, checkpoints, and at the end `generator/` (or `ranker/`) beside
copies of the tokenizer and its statistics: all that `motionmill train export` needs.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from motionmill.config import save_config
from motionmill.data.compose import fill
from motionmill.data.loader import load_clips
from motionmill.data.wording.captions import mirror_caption
from motionmill.generator.config import (
    GeneratorDataConfig,
    GeneratorRunConfig,
    RankerRunConfig,
    TextConfig,
)
from motionmill.generator.model import Generator
from motionmill.generator.packed_task import PackedTask
from motionmill.generator.ranker import Ranker
from motionmill.generator.ranker_task import RankerTask
from motionmill.generator.store import examples_of, open_store
from motionmill.generator.task import Example, GeneratorTask, make_examples
from motionmill.generator.text import T5, MiniLM, TextEncoder, version_of
from motionmill.generator.text_states import TextStates
from motionmill.tokenizer.encode import STATISTICS_NAME, MotionCodec
from motionmill.training.loop import train
from motionmill.training.processes import main_first, main_process, process_count, processes
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
    tensorboard: bool = False,
) -> Path:
    """Train, or go on with a run that was stopped; returns the run folder.

    Args:
        data: a data set of `motionmill data run`.
        tokenizer_run: a finished run of `motionmill train tokenizer`.
        cache: where text states are kept; `text-states` in the data set by default.
        tensorboard: write the numbers for TensorBoard too.

    Raises:
        FileNotFoundError, ValueError: no data set, no tokenizer, no text encoder.
    """
    codec = MotionCodec.load(tokenizer_run / "tokenizer", tokenizer_run / STATISTICS_NAME)
    model = config.model.model_copy(update={"num_codes": codec.tokenizer.config.num_codes})
    config = config.model_copy(update={"model": model})
    _begin(config, output, tokenizer_run)
    make = _packed_task if config.packing.enabled else _row_task
    task = make(config, codec, data, cache or _state_folder(data, config.text), device)
    result = train(task, config.training, output, device=device, tensorboard=tensorboard)
    if main_process():
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
    tensorboard: bool = False,
) -> Path:
    """Train a ranker, or go on with a run that was stopped; arguments and errors as `train_generator`."""
    codec = MotionCodec.load(tokenizer_run / "tokenizer", tokenizer_run / STATISTICS_NAME)
    _begin(config, output)
    drawn = config.data.model_copy(update={"mirror": False, "start_offsets": (0,)})
    training, held_out = load_examples(
        drawn, codec, data, max_tokens=_MAX_RANKED_TOKENS, seed=config.training.seed
    )
    texts = {caption for example in training for caption in example.captions}
    states = TextStates(MiniLM, cache or _state_folder(data, TextConfig()))
    _encode(states, [*texts, *map(mirror_caption, texts)], held_out, device)
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
    result = train(task, config.training, output, device=device, tensorboard=tensorboard)
    if main_process():
        assert isinstance(result, Ranker)
        save_weights(result.cpu(), config.model, output / "ranker")
    return output


def text_encoder(config: TextConfig, device: torch.device | None = None) -> TextEncoder:
    """The frozen language model that a recipe names. Raises FileNotFoundError where it is not there."""
    if config.encoder == "minilm":
        return MiniLM()
    return T5(config.path, device=device)


def _begin(
    config: GeneratorRunConfig | RankerRunConfig, output: Path, tokenizer_run: Path | None = None
) -> None:
    """The run folder with its settings, and the tokenizer that it needs."""
    output.mkdir(parents=True, exist_ok=True)
    if main_process():
        save_config(config, output / "config.yaml")
        if tokenizer_run is not None:
            _copy_tokenizer(tokenizer_run, output)
    if config.training.threads is not None:
        torch.set_num_threads(config.training.threads)


def _row_task(
    config: GeneratorRunConfig,
    codec: MotionCodec,
    data: Path,
    cache: Path,
    device: torch.device | None,
) -> GeneratorTask:
    """All clips in memory, drawn by weights."""
    training, held_out = load_examples(
        config.data, codec, data, max_tokens=config.model.max_tokens, seed=config.training.seed
    )
    states = TextStates(lambda: text_encoder(config.text, device), cache)
    texts = {caption for example in training for caption in example.captions}
    _encode(states, ["", *texts], held_out, device)
    return GeneratorTask(
        config.model,
        config.data,
        training,
        held_out,
        states,
        codec=codec,
        seed=config.training.seed,
    )


def _packed_task(
    config: GeneratorRunConfig,
    codec: MotionCodec,
    data: Path,
    cache: Path,
    device: torch.device | None,
) -> PackedTask:
    """Clips and text states read from disk, in epochs of packs."""

    def encoder() -> TextEncoder:
        return text_encoder(config.text, device)

    states = TextStates(encoder, cache)
    stored = None if config.text.on_the_fly else states
    with processes(device) as mine, progress_bar("tokens and captions") as progress:
        shards = open_store(
            data, codec, config.data, "train", mine, states=stored, progress=progress
        )
        held_out = open_store(data, codec, config.data, "val", mine)
        looked_at = examples_of(held_out, config.model.max_tokens, _MAX_HELD_OUT)
        if mine.main:
            states.add(["", *(example.captions[0] for example in looked_at)])
        mine.wait()
        states.add([""])
    return PackedTask(
        config.model,
        config.data,
        config.packing,
        shards,
        looked_at,
        states,
        encoder=encoder if config.text.on_the_fly else None,
        codec=codec,
        meta=config.training.parallel.shard is not None or process_count() > 1,
        seed=config.training.seed,
    )


def _state_folder(data: Path, config: TextConfig) -> Path:
    """Where the text states of an encoder are kept in a data set."""
    if config.encoder == "minilm":
        return data / "text-states"
    name = hashlib.sha256(version_of(config.path).encode()).hexdigest()[:16]
    return data / f"text-states-{name}"


def _encode(
    states: TextStates,
    texts: Sequence[str],
    held_out: Sequence[Example],
    device: torch.device | None,
) -> None:
    """Encode captions; of several processes one does, and the others find the results."""
    with main_first(device), progress_bar("captions") as progress:
        states.add(texts, progress=progress)
        states.add([example.captions[0] for example in held_out])


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

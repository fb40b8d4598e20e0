"""`motionmill finetune`: a release and own clips -> the release with a new action, by adapters beside its matrices.

Half of what is trained on are own clips; the other half is what the model itself makes of everyday prompts before it is
trained, so that it goes on knowing them. The ranker learns from both too, or it would choose what it knew before.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from motionmill.config import save_config
from motionmill.data.clip import Clip
from motionmill.data.config import DataConfig
from motionmill.data.engine.build import build
from motionmill.data.loader import load_clips
from motionmill.data.quality_config import DuplicateConfig
from motionmill.data.split_config import SplitConfig
from motionmill.data.wording.captions import mirror_caption
from motionmill.generator.config import (
    FinetuneConfig,
    RankerDataConfig,
    SamplingConfig,
    TextConfig,
)
from motionmill.generator.engine import Engine, Request
from motionmill.generator.lora import (
    add_adapters,
    load_adapters,
    merge_adapters,
    save_adapters,
)
from motionmill.generator.model import Generator
from motionmill.generator.plan import fitting
from motionmill.generator.ranker import Ranker, TrainedRanker
from motionmill.generator.ranker_task import RankerTask
from motionmill.generator.release import CARD_NAME, Release, find_release, load_release
from motionmill.generator.task import Example, GeneratorTask, make_examples
from motionmill.generator.text_states import TextStates
from motionmill.generator.train import text_encoder
from motionmill.tokenizer.encode import MotionCodec
from motionmill.tokenizer.task import reconstruction_report
from motionmill.training.loop import train
from motionmill.training.processes import process_count
from motionmill.training.progress import progress_bar

logger = logging.getLogger(__name__)

_MAX_LOST_MM = 80.0
_RANKER = "ranker"
_OWN = "own clips"
_KNOWN = "what the model makes"


def finetune(
    config: FinetuneConfig,
    release: str | Path,
    data: Path,
    output: Path,
    *,
    device: torch.device | None = None,
) -> None:
    """Train adapters and write `output`: a release with them merged in, and `adapter/` with them alone.

    Args:
        release: name of a shipped model, or a release folder.
        data: a data set, or a folder of motion files with captions beside them, which becomes one in `output`/data.

    Raises:
        FileNotFoundError, ValueError: no release, no clips, clips without captions; started by torchrun.
    """
    if process_count() > 1:
        raise ValueError("tuning is done by one process; start it without torchrun")
    whole = load_release(release)
    clips = _clips(data, output)
    model, codec = whole.generator, whole.codec
    limit = model.config.max_tokens
    gpu = device is not None and device.type == "cuda"
    if gpu:
        model.to(device, torch.bfloat16)
        memory = torch.cuda.get_device_properties(device).total_memory
        config = fitting(config, model.config, memory)
    _say_what_is_lost(whole, clips)
    own = make_examples(clips, codec, config.data, max_tokens=limit, augment=True)
    settings = TextConfig(encoder=whole.config.text_encoder, path=whole.config.text_encoder_path)
    states = TextStates(lambda: text_encoder(settings, device), output / "text-states")
    with progress_bar("captions") as progress:
        texts = {text for example in own for text in example.captions}
        everything = ["", *texts, *config.prompts]
        states.add([*everything, *map(mirror_caption, everything)], progress=progress)
    known = _known(config, model, states, seed=config.training.seed) if config.known else []
    rows = _weighed(own, 1 - config.known) + _weighed(known, config.known)
    output.mkdir(parents=True, exist_ok=True)
    save_config(config, output / "finetune.yaml")
    held_out = [example for example in own if example.captions][:8]
    task = GeneratorTask(
        model.config.model_copy(update={"length_head": False}),
        config.data,
        rows,
        held_out,
        states,
        codec=codec,
        start=add_adapters(model, config.lora),
        seed=config.training.seed,
    )
    tuned = train(task, config.training, output / "run", device=device)
    assert isinstance(tuned, Generator)
    ranker = None
    if whole.ranker is not None:
        ranker = _tuned_ranker(whole.ranker, codec, config, rows, states, output, device)
    changed = replace(whole, generator=tuned.cpu().float(), ranker=ranker)
    _write(changed, config, output, find_release(release))


def merge(release: str | Path, adapter: Path, output: Path) -> None:
    """A release and an adapter that was made of it -> a release with the adapter merged in.

    Raises:
        FileNotFoundError, ValueError: no release, no adapter, an adapter of another model.
    """
    whole = load_release(release)
    load_adapters(whole.generator, adapter)
    merge_adapters(whole.generator)
    if (adapter / _RANKER).is_dir():
        whole = replace(whole, ranker=TrainedRanker.load(adapter / _RANKER, whole.codec.normalizer))
    folder = find_release(release)
    card = (folder / CARD_NAME).read_text(encoding="utf-8")
    whole.save(output, f"{card.rstrip()}\n\nMerged with the adapter {adapter.name}.\n")


def _clips(data: Path, output: Path) -> list[Clip]:
    """All clips of a data set; files are made into one first."""
    if not (data / "splits").is_dir():
        built = output / "data"
        settings = DataConfig(
            duplicates=DuplicateConfig(drop=False),  # takes of one action may be much alike
            splits=SplitConfig(val_fraction=0.0, test_fraction=0.0),
        )
        with progress_bar("reading clips") as progress:
            made = build(
                [data], built, settings, progress=lambda step, done, total: progress(done, total)
            )
        if made.rejected:
            logger.warning(
                "%d clips left out, %d used; `motionmill data status %s` says why",
                made.rejected,
                made.kept,
                built,
            )
        data = built
    clips = [clip for part in load_clips(data).values() for clip in part]
    if silent := [clip.id for clip in clips if not clip.captions]:
        raise ValueError(f"{data}: {len(silent)} clips have no caption (first: {silent[0]})")
    _say_what_is_described(clips)
    return clips


def _say_what_is_described(clips: Sequence[Clip]) -> None:
    """Warn where a clip is called by what was measured, which seldom is the name of a new action."""
    described = [
        clip for clip in clips if clip.provenance.get("captions", {}).get("origin") == "description"
    ]
    if described:
        first = described[0]
        logger.warning(
            "%d of %d clips came without a caption and are learnt by a description (%s: %r); to name what they do, "
            "write captions beside each file, one a line of walk.txt beside walk.bvh, and begin with another --output",
            len(described),
            len(clips),
            first.id,
            first.captions[0],
        )


def _say_what_is_lost(whole: Release, clips: Sequence[Clip]) -> None:
    """Warn where the tokens cannot say what the clips show: the generator cannot learn it then."""
    some = [clip.features for clip in clips[:: max(1, len(clips) // 20)]]
    report = reconstruction_report(whole.codec.tokenizer, whole.codec.normalizer, some)
    if report.mpjpe_mm > _MAX_LOST_MM:
        logger.warning(
            "own clips come back from the tokens of %s with joints %.0f mm off: it may be that they cannot say this "
            "action; train the tokenizer's decoder further on such clips (motionmill train tokenizer --start)",
            whole.config.name,
            report.mpjpe_mm,
        )


def _known(
    config: FinetuneConfig, model: Generator, states: TextStates, *, seed: int
) -> list[Example]:
    """What the model makes of the prompts before it learns anything new."""
    engine = Engine(model)
    sampling = SamplingConfig(temperature=1.0, guidance=2.0)
    streams = [
        (
            prompt,
            engine.submit(
                Request(states[prompt], sampling, seed=seed + number, unconditional=states[""])
            ),
        )
        for number, prompt in enumerate(config.prompts * config.motions_a_prompt)
    ]
    with progress_bar("what the model knows") as progress:
        made: list[tuple[str, Tensor]] = []
        for prompt, stream in streams:
            made.append((prompt, stream.result()))
            progress(len(made), len(streams))
    return [Example(tokens, (prompt,), 1.0, clip=_KNOWN) for prompt, tokens in made]


def _weighed(examples: Sequence[Example], share: float) -> list[Example]:
    """The examples with weights that add up to a share."""
    total = sum(example.weight for example in examples)
    return [replace(example, weight=share * example.weight / total) for example in examples]


def _tuned_ranker(
    ranker: TrainedRanker,
    codec: MotionCodec,
    config: FinetuneConfig,
    rows: Sequence[Example],
    states: TextStates,
    output: Path,
    device: torch.device | None,
) -> TrainedRanker:
    """The ranker, trained on with the same rows; motions of the same captions are of one kind."""
    examples = [replace(row, kind="; ".join(sorted(row.captions))) for row in rows]
    task = RankerTask(
        ranker.model.config,
        RankerDataConfig(),
        examples,
        [],
        states,
        normalizer=codec.normalizer,
        decoded=list(codec.decode_all([row.tokens for row in rows])),
        decoded_held_out=[],
        start=ranker.model,
        seed=config.ranker_training.seed,
    )
    tuned = train(task, config.ranker_training, output / "run-ranker", device=device)
    assert isinstance(tuned, Ranker)
    return TrainedRanker(tuned.cpu(), codec.normalizer)


def _write(tuned: Release, config: FinetuneConfig, output: Path, source: Path) -> None:
    """`adapter/` and `release/` of a release whose generator has adapters."""
    save_adapters(tuned.generator, config.lora, output / "adapter")
    if tuned.ranker is not None:
        tuned.ranker.save(output / "adapter" / _RANKER)
    merge_adapters(tuned.generator)
    card = (source / CARD_NAME).read_text(encoding="utf-8").rstrip()
    note = (
        f"## Tuned\n\nTuned from {tuned.config.name} on {_OWN}; `finetune.yaml` has the settings."
    )
    named = tuned.config.model_copy(update={"name": f"{tuned.config.name}-tuned"})
    tuned.generator.eval()
    # What is needed while tuning is not part of the release.
    release_folder = output / "release"
    replace(tuned, config=named).save(release_folder, f"{card}\n\n{note}\n")
    shutil.copyfile(output / "finetune.yaml", release_folder / "finetune.yaml")

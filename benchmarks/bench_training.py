"""What packing brings, what the loop costs, how fast the tokenizer trains, and whether the memory formula holds.

python benchmarks/bench_training.py DATASET TOKENIZER_RUN -o benchmarks/results/training.json

Packed rows against rows padded to 301 as the reference has them (150 states of text, 150 tokens and an end), the same
model, samples and tokens in one run; the trainer's share of a step that is neither data, forward, backward nor the
optimiser; the training loop of the tokenizer at the official size as the reference has it (batches of 64 windows of 96
frames, float32, use of 64,000 codes counted by a one-hot matrix) beside ours; peak memory of small models against the
formula of `motionmill train plan`, each in a process of its own. `--only` takes some of these and leaves the others'
numbers in the file as they are.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from host import host
from measure import interleaved
from torch import Tensor, nn

from motionmill.config import load_recipe
from motionmill.data.loader import load_clips
from motionmill.generator.config import (
    FinetuneConfig,
    GeneratorConfig,
    GeneratorDataConfig,
    GeneratorRunConfig,
    PackingConfig,
    preset,
)
from motionmill.generator.lora import add_adapters
from motionmill.generator.model import Generator, Prefix
from motionmill.generator.official import OFFICIAL_TOKENIZER
from motionmill.generator.packed_task import PackedTask
from motionmill.generator.packing import Pack, Sample, pack
from motionmill.generator.plan import Load, finetune_memory, memory_of
from motionmill.generator.store import open_store
from motionmill.generator.task import Example, GeneratorTask
from motionmill.generator.text import MiniLM
from motionmill.generator.text_states import TextStates
from motionmill.generator.train import train_generator
from motionmill.motion.features import Normalizer
from motionmill.tokenizer.config import TokenizerConfig, TokenizerRunConfig
from motionmill.tokenizer.encode import STATISTICS_NAME, MotionCodec
from motionmill.tokenizer.fsq import FSQ
from motionmill.tokenizer.task import TokenizerTask
from motionmill.tokenizer.train import normalizer_of
from motionmill.training.loop import _Run
from motionmill.training.optim import build_optimizer
from motionmill.training.parallel import materialize, parallelize
from motionmill.training.processes import Processes

ALONE = Processes(0, 1, torch.device("cpu"))
TEXT, ROW = 150, 301
TUNED_SIZES = ("111M", "1B")
MEMORY_CASES = [(4, 128, 4096, 0), (6, 256, 2048, 0), (6, 256, 2048, 1), (8, 320, 2048, 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("tokenizer", type=Path, nargs="?")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument(
        "--only", nargs="*", choices=["packing", "loop", "tokenizer", "memory", "tuning"]
    )
    parser.add_argument("--memory-case", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--tuning-case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_case is not None:
        print(json.dumps(memory_case(*MEMORY_CASES[arguments.memory_case])))
        return
    if arguments.tuning_case is not None:
        print(json.dumps(tuning_case(arguments.tuning_case)))
        return
    torch.set_num_threads(1)
    data, run = arguments.data, arguments.tokenizer
    parts: dict[str, Callable[[], object]] = {
        "packing": lambda: packing(data, run, arguments.repeats),
        "loop": lambda: overhead(data, run, arguments.steps),
        "tokenizer": lambda: tokenizer_training(data, arguments.repeats),
        "memory": lambda: [measured_memory(number) for number in range(len(MEMORY_CASES))],
        "tuning": lambda: [in_own_process("--tuning-case", size) for size in TUNED_SIZES],
    }
    result: dict[str, Any] = {}
    if arguments.only and arguments.output and arguments.output.is_file():
        result = json.loads(arguments.output.read_text())
    for name in arguments.only or parts:
        result[name] = {"host": host(), "measured": parts[name]()}
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n")


def packing(data: Path, run: Path, repeats: int) -> dict[str, Any]:
    """Tokens a second of forward and backward passes, padded and packed, on the data set's own lengths."""
    codec = MotionCodec.load(run / "tokenizer", run / STATISTICS_NAME)
    config = GeneratorConfig(
        num_codes=codec.tokenizer.config.num_codes, num_layers=6, max_tokens=150, max_text=TEXT
    )
    draws = GeneratorDataConfig(start_offsets=(0,), text_dropout=0.0, pooled_only=0.0)
    draws = draws.model_copy(
        update={"word_dropout": 0.0, "token_noise": 0.0, "min_captions": 2, "max_captions": 2}
    )
    states = TextStates(MiniLM, data / "text-states")
    shards = open_store(data, codec, draws, "train", ALONE, states=states)
    settings = PackingConfig(enabled=True, states=4096)
    task = PackedTask(config, draws, settings, shards, [], states)
    batch = next(task.batches(0))
    model = task.model.train()
    rows = unpacked(batch, config)

    def step(logits: Tensor, targets: Tensor) -> None:
        F.cross_entropy(logits, targets, ignore_index=-100).backward()
        model.zero_grad()

    timings = interleaved(
        {
            "padded to 301": lambda: step(model(rows[0], rows[1]).flatten(0, 1), rows[2].flatten()),
            "packed": lambda: step(model.packed(batch), batch.targets),
        },
        repeats=repeats,
    )
    tokens = len(batch.targets)
    return {
        "samples": len(batch.lengths),
        "tokens": tokens,
        "mean tokens of a motion": round(float(batch.lengths.double().mean()), 1),
        **{f"{name}, tokens/s": round(tokens / timing.median) for name, timing in timings.items()},
        "ratio": round(timings["padded to 301"].median / timings["packed"].median, 2),
        "asked": 1.8,
        "timings": {name: timing.row() for name, timing in timings.items()},
    }


def unpacked(batch: Pack, config: GeneratorConfig) -> tuple[Prefix, Tensor, Tensor]:
    """The same samples in rows of 301: text padded to 150, tokens padded to 150."""
    count = len(batch.lengths)
    states = torch.zeros(count, TEXT, batch.text.shape[1])
    mask = torch.zeros(count, TEXT, dtype=torch.bool)
    tokens = torch.full((count, ROW - 1 - TEXT), config.pad)
    targets = torch.full((count, ROW - TEXT), -100)
    text_of = batch.samples[batch.text_places]
    target_of = batch.samples[batch.predicting]
    for number in range(count):
        text = batch.text[text_of == number]
        mine = batch.targets[target_of == number]
        states[number, TEXT - len(text) :] = text
        mask[number, TEXT - len(text) :] = True
        tokens[number, : len(mine) - 1] = mine[:-1]
        targets[number, : len(mine)] = mine
    return Prefix(states, mask, batch.durations), tokens, targets


def overhead(data: Path, run: Path, steps: int) -> dict[str, float]:
    """What the loop says of itself in a short run."""
    config = load_recipe(
        GeneratorRunConfig,
        "generator-5m",
        {
            "training.steps": steps,
            "training.log_every": max(1, steps // 3),
            "training.evaluate_every": 10 * steps,
            "data.max_captions": 2,
            "data.min_captions": 2,
            "data.start_offsets": [0],
            "training.precision": "bf16",
        },
    )
    with tempfile.TemporaryDirectory() as folder:
        train_generator(config, data, run, Path(folder))
        lines = (Path(folder) / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines][1:]
    names = ("overhead", "data_wait", "mfu", "tokens_per_second")
    return {"asked, overhead at most": 0.03} | {
        name: statistics.median(row[name] for row in rows) for name in names
    }


def tokenizer_training(data: Path, repeats: int, steps: int = 3) -> dict[str, Any]:
    """Frames a second of the official tokenizer's training, data and all: both loops in turn, on the same clips.

    A round is `steps` steps of 64 windows of 96 frames. Ours is the whole loop of `train_tokenizer` with the recipe of
    the paper (its losses, optimiser and schedule), in float32 as there and in bfloat16.
    """
    clips = [clip.features for clip in load_clips(data, ("val",))["val"] if len(clip) >= 96]
    normalizer = normalizer_of(clips)
    never = 10**9
    rhythm = {f"training.{name}": never for name in ("steps", "log_every", "evaluate_every")}
    batch = {"data.batch_size": 64, "training.checkpoint_seconds": float(never), **rhythm}
    loops: dict[str, Iterator[object]] = {"reference": reference_loop(clips, normalizer)}
    with tempfile.TemporaryDirectory() as folder:
        for name, precision in (("ours, float32", "fp32"), ("ours, bfloat16", "bf16")):
            changed = {**batch, "training.precision": precision}
            config = load_recipe(TokenizerRunConfig, "tokenizer-legacy", changed)
            task = TokenizerTask(
                config.model, config.data, config.losses, clips, [], normalizer=normalizer
            )
            loops[name] = _Run(task, config.training, Path(folder) / precision, ALONE).steps()

        def several(steps_of: Iterator[object]) -> None:
            for _ in range(steps):
                next(steps_of)

        cases = {name: partial(several, steps_of) for name, steps_of in loops.items()}
        timings = interleaved(cases, repeats=repeats)
        for steps_of in loops.values():
            steps_of.close()  # type: ignore[attr-defined]
    count = steps * 64 * 96
    reference = timings["reference"].median
    return {
        **{f"{name}, frames/s": round(count / timing.median) for name, timing in timings.items()},
        "ratio, float32": round(reference / timings["ours, float32"].median, 2),
        "ratio": round(reference / timings["ours, bfloat16"].median, 2),
        "asked": 3.0,
        "timings": {name: timing.row() for name, timing in timings.items()},
    }


def reference_loop(clips: Sequence[Tensor], normalizer: Normalizer) -> Iterator[object]:
    """The paper's tokenizer training: a loader that cuts and normalises in this process, float32, loss and AdamW.

    Every forward pass counts how often each code is used by a one-hot matrix of 64,000 rows. Layers are laid out as
    there: channels before frames, norms between two transpositions.
    """
    mean, std = normalizer.mean.numpy(), normalizer.std.numpy()
    arrays = [clip.double().numpy() for clip in clips]

    class Windows(torch.utils.data.Dataset[Tensor]):
        def __len__(self) -> int:
            return len(arrays)

        def __getitem__(self, row: int) -> Tensor:
            start = random.randint(0, len(arrays[row]) - 96)
            window = arrays[row][start : start + 96]
            return torch.from_numpy((window - mean) / std).float()

    loader = torch.utils.data.DataLoader(Windows(), 64, shuffle=True, drop_last=True)
    model = ChannelsFirst(OFFICIAL_TOKENIZER).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, betas=(0.9, 0.99), weight_decay=0.0)
    while True:
        for batch in loader:
            made, tokens = model(batch)
            used = torch.zeros(64_000, tokens.numel())
            used.scatter_(0, tokens.reshape(1, -1), 1.0)
            share = used.mean(-1)
            torch.exp(-torch.sum(share * torch.log(share + 1e-7)))
            loss = F.smooth_l1_loss(made, batch)
            loss = loss + 0.5 * F.smooth_l1_loss(made[..., 8:74], batch[..., 8:74])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.item()


class ChannelsFirst(nn.Module):
    """The official tokenizer laid out as in the paper's code: (B, D, T) through and through."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        width, features = config.width, config.num_features

        def blocks() -> list[nn.Module]:
            return [ChannelsFirstBlock(width, 3**power) for power in reversed(range(config.depth))]

        self.encoder = nn.Sequential(
            nn.Conv1d(features, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(width, width, 4, stride=2, padding=1),
            *blocks(),
            nn.Conv1d(width, width, 3, padding=1),
        )
        self.decoder = nn.Sequential(
            nn.Conv1d(width, width, 3, padding=1),
            nn.ReLU(),
            *blocks(),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv1d(width, width, 3, padding=1),
            nn.Conv1d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(width, features, 3, padding=1),
        )
        self.quantizer = FSQ(config.levels)
        self.project_in = nn.Linear(width, len(config.levels))
        self.project_out = nn.Linear(len(config.levels), width)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.encoder(features.transpose(1, 2)).transpose(1, 2)
        codes = self.quantizer(self.project_in(hidden))
        made = self.decoder(self.project_out(codes).transpose(1, 2)).transpose(1, 2)
        return made, self.quantizer.codes_to_indices(codes)


class ChannelsFirstBlock(nn.Module):
    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.conv1 = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.conv2 = nn.Conv1d(width, width, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        made = F.relu(self.norm1(hidden.transpose(1, 2)).transpose(1, 2))
        made = F.relu(self.norm2(self.conv1(made).transpose(1, 2)).transpose(1, 2))
        return hidden + self.conv2(made)


def measured_memory(number: int) -> dict[str, Any]:
    return in_own_process("--memory-case", str(number))


def in_own_process(*words: str) -> dict[str, Any]:
    """A memory case in a process of its own, whose allocator gives back what is freed."""
    environment = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    import os

    made = subprocess.run(
        [sys.executable, __file__, *words],
        env={**os.environ, **environment, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(made.stdout.splitlines()[-1])
    return result


def memory_case(layers: int, width: int, states: int, recompute: int) -> dict[str, Any]:
    """Peak resident memory of two training steps, beyond what was there before the model, against the formula."""
    torch.set_num_threads(1)
    _steps(_config(1, 64, 256, 0))  # libraries are loaded
    before = _status("VmRSS")
    config = _config(layers, width, states, recompute)
    load = _steps(config, parallelize)
    measured = _status("VmHWM") - before
    formula = memory_of(config, load, shards=1, element=4, side_by_side=True).total
    return {
        "layers, width, states, recomputed": [layers, width, states, recompute],
        "measured MB": round(measured / 1e6, 1),
        "formula MB": round(formula / 1e6, 1),
        "formula / measured": round(formula / measured, 3),
    }


def tuning_case(size: str) -> dict[str, Any]:
    """Peak resident memory of two steps of adapters beside an official size, as on a GPU, against the formula.

    Rows are as long as the model allows, and as many as the recipe says; matrices are bfloat16 and blocks recomputed.
    """
    torch.set_num_threads(1)
    config = load_recipe(
        FinetuneConfig, "finetune", {"training.parallel.checkpoint_activations": True}
    )
    _tune(preset("44M").model_copy(update={"num_layers": 1}), config)  # libraries are loaded
    before = _status("VmRSS")
    model = preset(size)
    seconds = _tune(model, config)
    measured = _status("VmHWM") - before
    formula = finetune_memory(model, config, recompute=True, side_by_side=True)
    return {
        "size": size,
        "rows": config.data.batch_size,
        "measured GiB": round(measured / 2**30, 3),
        "formula GiB": round(formula / 2**30, 3),
        "formula / measured": round(formula / measured, 3),
        "formula for a GPU GiB": round(finetune_memory(model, config, recompute=True) / 2**30, 3),
        "seconds a step": round(seconds, 1),
    }


def _tune(model: GeneratorConfig, config: FinetuneConfig) -> float:
    draw = torch.Generator().manual_seed(0)
    longest = model.max_text

    class Encoder:
        width = model.text_width

        def encode(self, texts: Sequence[str]) -> list[Tensor]:
            return [torch.randn(longest, self.width, generator=draw) for _ in texts]

        def cut(self, text: str) -> str:
            return ""

    states = TextStates(Encoder)
    states.add(["", "a"])
    rows = [
        Example(torch.randint(model.num_codes, (model.max_tokens,), generator=draw), ("a",), 1.0)
        for _ in range(config.data.batch_size)
    ]
    with torch.device("meta"):
        made = Generator(model).bfloat16()
    materialize(made, torch.device("cpu"))
    start = add_adapters(made, config.lora)
    draws = config.data.model_copy(update={"word_dropout": 0.0, "pooled_only": 0.0})
    task = GeneratorTask(model, draws, rows, [], states, start=start)
    training = config.training.model_copy(update={"checkpoint_seconds": 1e9})
    with tempfile.TemporaryDirectory() as folder:
        steps = _Run(task, training, Path(folder), ALONE).steps()
        next(steps)
        begun = time.perf_counter()
        next(steps)
        return time.perf_counter() - begun


def _config(layers: int, width: int, states: int, recompute: int) -> GeneratorRunConfig:
    return GeneratorRunConfig.model_validate(
        {
            "model": {"num_layers": layers, "num_heads": 4, "width": width},
            "packing": {"enabled": True, "states": states},
            "training": {"parallel": {"checkpoint_activations": bool(recompute)}},
        }
    )


def _steps(config: GeneratorRunConfig, parallelize: Any = None) -> Load:
    model = Generator(config.model).train()
    optimizer = build_optimizer(model, config.training)
    if parallelize is not None:
        parallelize(model, config.training.parallel, ALONE, compute=torch.float32)
    draw = torch.Generator().manual_seed(0)
    samples: list[Sample] = []
    filled = 0
    while True:
        texts = int(torch.randint(10, 30, (), generator=draw))
        length = int(torch.randint(15, 70, (), generator=draw))
        if filled + texts + 1 + length > config.packing.states:
            break
        tokens = torch.randint(config.model.num_codes, (length,), generator=draw)
        samples.append(Sample(torch.randn(texts, 384), tokens, tokens, 0, ""))
        filled += texts + 1 + length
    batch = pack(samples, config.model, size=config.packing.states)
    for _ in range(2):
        F.cross_entropy(model.packed(batch).float(), batch.targets).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
    longest = max(len(sample.states) + 1 + len(sample.tokens) for sample in samples)
    return Load(config.packing.states, len(batch.targets), len(samples), longest)


def _status(name: str) -> int:
    """A line of /proc/self/status in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


if __name__ == "__main__":
    main()

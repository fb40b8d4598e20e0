"""A recipe and some GPUs -> what training will take: parameters, memory, time, storage; before anything is spent.

Shapes: S states of a pack, M predicted places, D width, F feed-forward width, V outputs.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from motionmill.config import load_recipe
from motionmill.data.loader import shard_paths
from motionmill.generator.config import FinetuneConfig, GeneratorConfig, GeneratorRunConfig
from motionmill.generator.size import block_parameters, forward_operations, num_parameters
from motionmill.training.memory import StateMemory, state_memory

_PADDED_STATES = 150  # what the paper's code keeps of every text
_HALF = 2
_USABLE = 0.9  # of a GPU's memory


class Lengths(NamedTuple):
    """What a data set is like: tokens of a motion and states of a caption on average, different captions."""

    mean_tokens: float = 40.0
    mean_text: float = 20.0
    captions: int = 0


def lengths_of(data: Path, *, max_text: int, frames_per_token: int = 4) -> Lengths:
    """Count a data set's clips and captions; features are not read.

    A word piece is taken to have 4.5 letters, and three states of a text are no words.

    Raises:
        FileNotFoundError: no data set.
    """
    import pyarrow.parquet as pq

    frames = clips = states = 0
    distinct: set[bytes] = set()
    for path in shard_paths(data):
        for batch in pq.ParquetFile(path).iter_batches(256, columns=["frames", "captions"]):
            for row in batch.to_pylist():
                frames, clips = frames + row["frames"], clips + 1
                for text in row["captions"]:
                    digest = hashlib.sha256(text.encode()).digest()[:16]
                    if digest not in distinct:
                        distinct.add(digest)
                        states += min(max_text, 3 + math.ceil(len(text) / 4.5))
    if not distinct:
        raise ValueError(f"{data}: no captions")
    return Lengths(frames / clips / frames_per_token, states / len(distinct), len(distinct))


class Load(NamedTuple):
    """What a micro-batch is made of, on average.

    Attributes:
        states: S, padding included.
        tokens: M, tokens and ends.
        samples: how many motions.
        longest: states of the longest sample.
    """

    states: int
    tokens: int
    samples: int
    longest: int


def load_of(config: GeneratorRunConfig, lengths: Lengths) -> Load:
    """The micro-batch of a recipe on such data."""
    mean_tokens, mean_text, _ = lengths
    extra = int(config.model.duration_state)
    longest = config.model.max_text + extra + config.model.max_tokens
    if config.packing.enabled:
        samples = max(1, round(config.packing.states / (mean_text + extra + mean_tokens)))
        return Load(config.packing.states, round(samples * (mean_tokens + 1)), samples, longest)
    rows = config.data.batch_size
    width = round(mean_text + extra + mean_tokens)
    return Load(rows * width, round(rows * (mean_tokens + 1)), rows, width)


def activation_bytes(
    model: GeneratorConfig, load: Load, *, element: int, recompute: bool, side_by_side: bool
) -> int:
    """What the forward pass leaves for the backward pass.

    A block keeps its input, two normed inputs, queries, keys and values, what attention gives, the hidden state between
    its halves, and four times the feed-forward width; the mean squares of norms are small. Recomputed blocks keep their
    input, and one of them all.

    Args:
        element: bytes of an activation.
        recompute: activation checkpointing.
        side_by_side: attention as on a CPU: padded copies of queries, keys, values and result, and all probabilities.
    """
    block = load.states * (8 * model.width + 4 * model.hidden_width) * element
    if model.dropout:
        block += 2 * load.states * model.width
    if side_by_side:
        padded = load.samples * load.longest
        block += padded * 4 * model.width * element
        block += load.samples * model.num_heads * load.longest**2 * element
    if not recompute:
        return model.num_layers * block
    return model.num_layers * load.states * model.width * element + block


def logit_bytes(model: GeneratorConfig, load: Load) -> int:
    """In float32 log-softmax, its gradient and that of the logits, which are there together."""
    return load.tokens * (model.vocabulary - 1) * 3 * 4


class Memory(NamedTuple):
    """Bytes in one process."""

    state: StateMemory
    activations: int
    logits: int

    @property
    def total(self) -> int:
        return self.state.total + self.activations + self.logits


def memory_of(
    config: GeneratorRunConfig, load: Load, *, shards: int, element: int, side_by_side: bool
) -> Memory:
    """The most memory of a training step."""
    model = config.model
    outside = num_parameters(model) - model.num_layers * block_parameters(model)
    state = state_memory(
        num_parameters(model),
        shards=shards,
        largest_part=max(outside, block_parameters(model)),
        average=config.training.ema_decay is not None,
        compute_bytes=element,
    )
    recompute = config.training.parallel.checkpoint_activations
    activations = activation_bytes(
        model, load, element=element, recompute=recompute, side_by_side=side_by_side
    )
    return Memory(state, activations, logit_bytes(model, load))


@dataclass(frozen=True)
class Plan:
    """The answer, and how it was found.

    Attributes:
        tokens_per_second, hours: at the assumed share of the GPUs' speed.
        exchanged: bytes that a process receives in a step to gather parameters and reduce gradients.
        text_bytes, padded_text_bytes: of the stored states of all captions, as they are and padded to 150.
        tuning: bytes that `motionmill finetune` takes for a model of this size.
    """

    config: GeneratorRunConfig
    load: Load
    parameters: int
    gpus: int
    shards: int
    memory: Memory
    gpu_memory: float
    flops_per_token: float
    tokens_per_second: float
    tokens: float
    hours: float
    exchanged: float
    captions: int
    text_bytes: float
    padded_text_bytes: float
    tuning: int

    @property
    def fits(self) -> bool:
        """Whether nine tenths of the memory are enough; the rest is for fragments and the allocator."""
        return self.memory.total < _USABLE * self.gpu_memory


def plan(
    config: GeneratorRunConfig,
    *,
    gpus: int,
    gpu_memory_gib: float,
    peak_flops: float = 989e12,
    utilisation: float = 0.45,
    lengths: Lengths,
) -> Plan:
    """What a recipe takes on some GPUs.

    Args:
        peak_flops: operations a second of one GPU in bf16.
        utilisation: the share of them that training reaches.
        lengths: what the data set is like.

    Raises:
        ValueError: GPUs and micro-batches or shards that do not fit each other.
    """
    shards = config.training.parallel.shard or gpus
    if gpus % shards:
        raise ValueError(f"training.parallel.shard = {shards}: {gpus} GPUs are no multiple of it")
    micro = config.training.micro_batches
    if micro % gpus:
        raise ValueError(
            f"training.micro_batches = {micro}: {gpus} GPUs are to share them; it has to be a multiple of {gpus}"
        )
    load = load_of(config, lengths)
    model = config.model
    memory = memory_of(config, load, shards=shards, element=_HALF, side_by_side=False)
    size = load.states / load.samples
    operations = 3 * forward_operations(
        model, load.states, load.tokens, attended=load.samples * size**2
    )
    again = 4 / 3 if config.training.parallel.checkpoint_activations else 1.0
    speed = gpus * peak_flops * utilisation / (operations * again / load.tokens)
    tokens = float(config.training.steps * micro * load.tokens)
    parameters = num_parameters(model)
    passes = 3 if shards > 1 else 0  # gathered forwards and backwards, gradients reduced in float32
    return Plan(
        config=config,
        load=load,
        parameters=parameters,
        gpus=gpus,
        shards=shards,
        memory=memory,
        gpu_memory=gpu_memory_gib * 2**30,
        flops_per_token=operations / load.tokens,
        tokens_per_second=speed,
        tokens=tokens,
        hours=tokens / speed / 3600,
        exchanged=micro / gpus * parameters * (2 * _HALF + 4) * (passes > 0),
        captions=lengths.captions,
        text_bytes=lengths.captions * (lengths.mean_text * model.text_width * _HALF + 24),
        padded_text_bytes=lengths.captions * _PADDED_STATES * model.text_width * float(_HALF),
        tuning=finetune_memory(model, load_recipe(FinetuneConfig, "finetune"), recompute=True),
    )


def describe(made: Plan) -> str:
    """The plan as lines to read."""
    config, memory, model = made.config, made.memory, made.config.model
    micro = config.training.micro_batches
    gib = 2**30
    state = memory.state
    rows = [
        ("parameters", f"{made.parameters:,}"),
        ("layers, heads, width", f"{model.num_layers}, {model.num_heads}, {model.width}"),
        ("GPUs", f"{made.gpus}, one copy of the model over {made.shards}"),
        ("memory of one, GiB", f"{memory.total / gib:.2f} of {made.gpu_memory / gib:g}"),
        ("  parameters, gradients", f"{state.parameters / gib:.2f}, {state.gradients / gib:.2f}"),
        ("  optimiser, average", f"{state.optimizer / gib:.2f}, {state.average / gib:.2f}"),
        ("  gathered at a time", f"{state.unsharded / gib:.2f}"),
        ("  activations, logits", f"{memory.activations / gib:.2f}, {memory.logits / gib:.2f}"),
        (
            "a micro-batch",
            f"{made.load.states:,} states, {made.load.tokens:,} tokens, {made.load.samples} motions",
        ),
        (
            "a step",
            f"{micro} micro-batches, {micro * made.load.tokens:,} tokens",
        ),
        ("operations a token", f"{made.flops_per_token:.3g}"),
        ("tokens/s, assumed", f"{made.tokens_per_second:,.0f}"),
        (
            "the run",
            f"{config.training.steps:,} steps, {made.tokens:.3g} tokens, {made.hours:,.1f} hours",
        ),
        ("exchanged a step and GPU, GiB", f"{made.exchanged / gib:.2f}"),
    ]
    if made.captions:
        rows.append(
            (
                "text states, GB",
                f"{made.text_bytes / 1e9:,.1f} for {made.captions:,} captions "
                f"(padded to {_PADDED_STATES}: {made.padded_text_bytes / 1e9:,.1f})",
            )
        )
    rows.append(("motionmill finetune, GiB", f"{made.tuning / gib:.2f}, blocks recomputed"))
    lines = [f"{name:<30} {value}" for name, value in rows]
    if made.fits:
        lines.append("fits, with a tenth to spare")
    else:
        knobs = ["more GPUs"]
        if not config.training.parallel.checkpoint_activations:
            knobs.insert(0, "--training.parallel.checkpoint-activations")
        knobs.insert(
            0, "a smaller --packing.states (raise --training.micro-batches by the same factor)"
        )
        lines.append(f"DOES NOT FIT; what helps: {'; '.join(knobs)}")
    return "\n".join(lines)


def finetune_memory(
    model: GeneratorConfig,
    config: FinetuneConfig,
    *,
    recompute: bool,
    side_by_side: bool = False,
) -> int:
    """Bytes that tuning with adapters takes: the matrices in bfloat16, rows as long as the model allows.

    Adapters have `rank` numbers for every input and output of the adapted matrices, in float32 with their gradients,
    the optimiser's two means and the average.
    """
    width, hidden = model.width, model.hidden_width
    block = config.lora.rank * (width + 3 * width + 2 * width + 3 * (width + hidden))
    adapters = model.num_layers * block + config.lora.rank * (width + model.vocabulary - 1)
    rows = config.data.batch_size
    longest = model.max_text + int(model.duration_state) + model.max_tokens
    load = Load(rows * longest, rows * (model.max_tokens + 1), rows, longest)
    kept = activation_bytes(
        model, load, element=_HALF, recompute=recompute, side_by_side=side_by_side
    )
    return num_parameters(model) * _HALF + 20 * adapters + kept + logit_bytes(model, load)


def fitting(config: FinetuneConfig, model: GeneratorConfig, memory: float) -> FinetuneConfig:
    """The settings with blocks recomputed where a GPU of so many bytes would not hold what they keep."""
    if finetune_memory(model, config, recompute=False) < _USABLE * memory:
        return config
    parallel = config.training.parallel.model_copy(update={"checkpoint_activations": True})
    training = config.training.model_copy(update={"parallel": parallel})
    return config.model_copy(update={"training": training})

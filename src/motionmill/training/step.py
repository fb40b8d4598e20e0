"""One step of training: micro-batches of all processes -> the gradients of one large batch.

Every loss is a mean over items of a kind (tokens, rows). A micro-batch's part counts by its share of all items of the
step, so that it does not matter how they are cut into micro-batches and spread over processes.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from motionmill.training.config import TrainingConfig
from motionmill.training.device import move
from motionmill.training.processes import Processes
from motionmill.training.task import Facts, Task


class Gradients(NamedTuple):
    """What a step has computed.

    Attributes:
        loss: of all micro-batches of all processes.
        norm: of the gradient, before clipping.
        values: of this process's micro-batches, weighed by their share of the first kind of items; their sum over the
            processes is what is logged.
        flops: operations of the forward passes of all processes.
        items: how many items of the first kind, in all processes.
    """

    loss: float
    norm: float
    values: dict[str, Tensor]
    flops: float
    items: float


def compute_type(config: TrainingConfig, device: torch.device) -> torch.dtype:
    """The type that activations are computed in."""
    short = config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda")
    return torch.bfloat16 if short else torch.float32


def gradients(
    task: Task,
    model: nn.Module,
    config: TrainingConfig,
    processes: Processes,
    batches: Sequence[Any],
    facts: Sequence[Facts],
    *,
    first_index: int,
) -> Gradients:
    """Fill the parameters' gradients and clip them.

    Args:
        batches: this process's micro-batches of the step.
        first_index: number of the first of them in the whole run.

    Raises:
        ValueError: they do not fit the memory.
    """
    device = processes.device
    kinds = list(facts[0].counts)
    mine = [sum(fact.counts[kind] for fact in facts) for kind in kinds]
    *totals, flops = processes.sums([*mine, sum(fact.flops for fact in facts)])
    loss = 0.0
    values: dict[str, Tensor] = {}
    for number, (batch, fact) in enumerate(zip(batches, facts, strict=True)):
        shares = _shares(fact.counts, dict(zip(kinds, totals, strict=True)))
        if config.micro_batches > 1:
            # What is dropped depends on the micro-batch and not on the process that happens to compute it.
            index = first_index + number * processes.count
            torch.manual_seed((config.seed * 0x9E3779B97F4A7C15 + index) % 2**63)
        try:
            part, made = _forward_backward(task, config, processes, move(batch, device), shares)
        except (torch.OutOfMemoryError, RuntimeError) as error:
            _explain_memory(error, fact)
            raise
        loss += part
        share = shares[kinds[0]]
        for name, value in made.items():
            weighed = _times(value, share)
            values[name] = values[name] + weighed if name in values else weighed
    if processes.count > 1:
        loss = processes.sums([loss])[0]
    return Gradients(loss, _clip(model, config), values, flops, totals[0])


def _forward_backward(
    task: Task,
    config: TrainingConfig,
    processes: Processes,
    batch: Any,
    shares: Mapping[str, float],
) -> tuple[float, Mapping[str, Tensor]]:
    kind = compute_type(config, processes.device)
    with torch.autocast(
        processes.device.type, torch.bfloat16, enabled=kind == torch.bfloat16 and _alone(processes)
    ):
        loss = task.loss(batch)
    assert loss.parts.keys() <= shares.keys(), "a loss over items that nobody counted"
    total = reduce(operator.add, (_times(part, shares[name]) for name, part in loss.parts.items()))
    # Sharded gradients are averaged over the processes; their sum is what is wanted.
    _times(total, float(processes.count)).backward()
    return float(total.detach()), loss.values


def _alone(processes: Processes) -> bool:
    """Whether this process casts by itself; sharding has its own casts."""
    return not processes.together


def _shares(counts: Mapping[str, float], totals: Mapping[str, float]) -> dict[str, float]:
    return {
        kind: 1.0 if count == totals[kind] else count / totals[kind]
        for kind, count in counts.items()
    }


def _times(value: Tensor, factor: float) -> Tensor:
    """A product that leaves a value alone where the factor is 1."""
    return value if factor == 1.0 else value * factor


def _clip(model: nn.Module, config: TrainingConfig) -> float:
    """Clip the gradient where asked; returns its norm before."""
    parameters = [parameter for parameter in model.parameters() if parameter.grad is not None]
    limit = float("inf") if config.clip_norm is None else config.clip_norm
    norm = nn.utils.clip_grad_norm_(parameters, limit)
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)


def _explain_memory(error: RuntimeError, facts: Facts) -> None:
    """Raise ValueError with the knobs where the error is that memory ran out."""
    text = str(error)
    if not isinstance(error, torch.OutOfMemoryError) and "not enough memory" not in text:
        return
    size = " and ".join(f"{count:g} {kind}" for kind, count in list(facts.counts.items())[:2])
    raise ValueError(
        f"a batch of {size} does not fit the memory ({text.splitlines()[0][:120]}); lower the batch "
        "(data.batch_size, packing.states or data.window_frames) and raise training.micro_batches by the same "
        "factor, or give --training.parallel.checkpoint-activations; motionmill train plan says what is needed"
    ) from error

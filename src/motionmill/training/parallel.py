"""A single-device model -> one that is spread over processes and kept small: the only file that knows meshes.

Per block, in this order: recompute activations, compile, shard (`fully_shard`, FSDP2). Over many nodes a
two-dimensional mesh shards inside groups of processes and copies between them (HSDP).
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.utils.checkpoint import checkpoint

from motionmill.training.config import ParallelConfig
from motionmill.training.processes import Processes


def parallelize(
    model: nn.Module, config: ParallelConfig, processes: Processes, *, compute: torch.dtype
) -> nn.Module:
    """Prepare a model for training, in place.

    A model on the meta device gets its random numbers here, block by block, the same as if it had been made whole; no
    process holds more than a block of what it does not keep.

    Args:
        compute: type of parameters and activations in a sharded forward pass; gradients are reduced in float32.

    Raises:
        ValueError: the number of processes is no multiple of `config.shard`.
    """
    blocks = _blocks(model)
    shard = _sharder(config, processes, compute) if processes.together else _leave_whole
    for part in _in_order(model, blocks):
        materialize(part, processes.device)
        if part not in blocks:
            continue
        if config.checkpoint_activations:
            part.forward = functools.partial(checkpoint, part.forward, use_reentrant=False)
        if config.compile:
            part.compile()
        shard(part)
    materialize(model, processes.device)
    model.to(processes.device)
    shard(model)
    if processes.together:
        from torch.distributed.fsdp import register_fsdp_forward_method

        for name in getattr(model, "entry_points", ()):
            register_fsdp_forward_method(model, name)
    return model


def materialize(module: nn.Module, device: torch.device) -> None:
    """Give parameters on the meta device memory and the random numbers of their module's own initialisation."""
    for part in module.modules():
        own = list(part.parameters(recurse=False))
        if own and all(parameter.is_meta for parameter in own):
            part.to_empty(device=device, recurse=False)
            reset: Callable[[], None] | None = getattr(part, "reset_parameters", None)
            if reset is None:
                raise ValueError(
                    f"{type(part).__name__} cannot be made on the meta device: it has no reset_parameters"
                )
            reset()


def skeleton_of(model: nn.Module) -> nn.Module:
    """A copy without memory for its parameters, to take trained ones in the end."""
    memo: dict[int, Any] = {
        id(parameter): nn.Parameter(
            torch.empty_like(parameter, device="meta"), requires_grad=parameter.requires_grad
        )
        for parameter in model.parameters()
    }
    return copy.deepcopy(model, memo)


def whole_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Name and unsharded value of every tensor of the state, one by one on the CPU; every process has to take them."""
    for name, tensor in model.state_dict().items():
        whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        yield name, whole.detach().cpu()


def gathered(model: nn.Module, skeleton: nn.Module, processes: Processes) -> nn.Module:
    """The trained model as one plain module on the CPU: on the main process; on others it stays without parameters."""
    state = {}
    for name, tensor in whole_tensors(model):
        if processes.main:
            state[name] = tensor
    if processes.main:
        skeleton.load_state_dict(state, assign=True)
    return skeleton


def _blocks(model: nn.Module) -> list[nn.Module]:
    blocks = getattr(model, "blocks", ())
    return list(blocks)


def _in_order(model: nn.Module, blocks: list[nn.Module]) -> Iterator[nn.Module]:
    """The model's parts in the order in which they were made: children, and blocks one by one."""
    for child in model.children():
        if isinstance(child, nn.ModuleList) and set(child) == set(blocks) and blocks:
            yield from child
        else:
            yield child


def _leave_whole(module: nn.Module) -> None:
    """One process keeps all of it."""


def _sharder(
    config: ParallelConfig, processes: Processes, compute: torch.dtype
) -> Callable[[nn.Module], None]:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    group = config.shard or processes.count
    if processes.count % group:
        raise ValueError(
            f"training.parallel.shard = {group}: {processes.count} processes are no multiple of it"
        )
    kind = processes.device.type
    if group == processes.count:
        mesh = init_device_mesh(kind, (group,), mesh_dim_names=("shard",))
    else:
        shape = (processes.count // group, group)
        mesh = init_device_mesh(kind, shape, mesh_dim_names=("replicate", "shard"))
    policy = MixedPrecisionPolicy(
        param_dtype=None if compute == torch.float32 else compute, reduce_dtype=torch.float32
    )

    def shard(module: nn.Module) -> None:
        # The root too is sharded again after a forward pass, so that its parameters can be read between two.
        fully_shard(module, mesh=mesh, mp_policy=policy, reshard_after_forward=True)

    return shard

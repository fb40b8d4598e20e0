"""What a training state takes in a process: parameters, gradients, optimiser, average, sharded over processes."""

from __future__ import annotations

from typing import NamedTuple


class StateMemory(NamedTuple):
    """Bytes in one process; float32 all of them.

    Attributes:
        unsharded: parameters and gradients of the part that is whole for the time that it is computed.
    """

    parameters: int
    gradients: int
    optimizer: int
    average: int
    unsharded: int

    @property
    def total(self) -> int:
        return sum(self)


def state_memory(
    parameters: int, *, shards: int, largest_part: int, average: bool, compute_bytes: int
) -> StateMemory:
    """The formula.

    Args:
        parameters: how many the model has.
        shards: processes that share one copy of it.
        largest_part: how many parameters the largest part has that is gathered at a time (a block, or all that is in no
            block).
        compute_bytes: of a parameter in the forward pass.
    """
    own = -(-parameters // shards) * 4
    if shards == 1:  # mixed precision keeps a short copy of every parameter
        whole = parameters * compute_bytes if compute_bytes < 4 else 0
    else:  # two parts are there at a time, the next one being gathered; gradients are reduced in float32
        whole = largest_part * (2 * compute_bytes + 4)
    return StateMemory(own, own, 2 * own, own if average else 0, whole)

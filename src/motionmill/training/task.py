"""What a training task gives to the loop: a model, batches, a loss, numbers and pictures; the seam between them.

The loop knows no data format and no text. A batch is anything made of tensors: a tensor, a NamedTuple, a frozen
dataclass, a list or a dict of them; the loop moves it to the model's device.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn


class Facts(NamedTuple):
    """What the loop must know of a batch before it is computed.

    Attributes:
        counts: how many items of each kind the means in the loss are taken over, for example tokens and rows. The first
            kind is what speed is counted in. Gradients of several batches are added up by these counts, so that they
            are those of one large batch.
        clips: ids of the batch's clips, for messages.
        flops: floating-point operations of one forward pass, 0 where nobody counts them.
    """

    counts: Mapping[str, float]
    clips: Sequence[str] = ()
    flops: float = 0.0


class Loss(NamedTuple):
    """What is minimised, and what is logged.

    Attributes:
        parts: for each kind of `Facts.counts` a scalar: the weighed losses that are means over this kind. What is
            minimised is their sum.
        values: numbers for the log.
    """

    parts: Mapping[str, Tensor]
    values: Mapping[str, Tensor]


class Task(Protocol):
    """What is trained."""

    @property
    def model(self) -> nn.Module:
        """The module to train, on the CPU or on the meta device.

        Its attribute `blocks` (a ModuleList) is what is sharded, recomputed and compiled one by one; methods other than
        `forward` that use parameters are named in its class attribute `entry_points`.
        """

    def batches(self, cursor: int, stride: int = 1) -> Iterator[Any]:
        """The batches cursor, cursor + stride, cursor + 2 stride, ..., without end.

        Batch k depends on k alone: not on what was drawn before, nor on the number of processes.
        """

    def facts(self, batch: Any) -> Facts:
        """Counts, clips and operations of a batch."""

    def loss(self, batch: Any) -> Loss:
        """The loss of a batch, by `model` in training mode; the batch is on the model's device."""

    def evaluate(self, model: nn.Module) -> Mapping[str, float]:
        """Numbers on held-out data; `model` is in evaluation mode, on any device."""

    def render(self, model: nn.Module, count: int, path: Path) -> None:
        """Draw `count` samples of the model as a contact sheet into a .png file; tasks without pictures do nothing."""

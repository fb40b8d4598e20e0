"""Moving average of the parameters that learn: slower weights, which are evaluated and released."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor


class Average:
    """The mean of what the parameters have been, those of long ago counting less; sharded as they are."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._model, self._decay = model, decay
        self.values = {name: parameter.detach().clone() for name, parameter in self._learning()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the parameters after step `step` in; early on the average follows them faster."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, parameter in self._learning():
            local(self.values[name]).lerp_(local(parameter.detach()), 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside the context the model has the average's values."""
        kept = {name: local(value.detach()).clone() for name, value in self._learning()}
        self.copy_into_model()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in self._learning():
                    local(parameter).copy_(kept[name])

    @torch.no_grad()
    def copy_into_model(self) -> None:
        """Give the model the average's values for good."""
        for name, parameter in self._learning():
            local(parameter).copy_(local(self.values[name]))

    def _learning(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The others stay as they are, and may be most of the memory."""
        for name, parameter in self._model.named_parameters():
            if parameter.requires_grad:
                yield name, parameter


def local(tensor: Tensor) -> Tensor:
    """This process's part of a sharded tensor; another tensor as it is."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor

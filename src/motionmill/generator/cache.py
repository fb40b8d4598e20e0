"""Key-value cache: what attention has already computed; every row begins at slot 0 and grows on its own.

Shapes: L layers, R rows, H heads, S slots, C channels a head, n rows in use.
"""

from __future__ import annotations

import torch
from torch import Tensor

from motionmill.generator.config import GeneratorConfig


class KeyValueCache:
    """Keys and values of rows 0 .. n - 1; rows join at the end and the last one fills the place of one that leaves."""

    def __init__(
        self,
        config: GeneratorConfig,
        num_rows: int,
        num_slots: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
    ) -> None:
        size = config.width // config.num_heads
        shape = (config.num_layers, 2, num_rows, config.num_heads, num_slots, size)
        self._storage = torch.zeros(shape, dtype=dtype, device=device)
        self._slots = torch.arange(num_slots, device=device)
        self.num_rows, self.num_slots = num_rows, num_slots
        self.lengths: list[int] = []
        self._places = self._slots[:0]

    def join(self, mask: Tensor) -> list[PrefillView]:
        """Make room for new rows: their (B, P) mask is True where a state is real, one run a row.

        Returns:
            For each layer where to put keys and values of these P positions.
        """
        lengths = mask.sum(-1)
        first = mask.long().argmax(-1, keepdim=True)
        longest = int(lengths.max())
        source = (first + self._slots[:longest]).clamp(max=mask.shape[1] - 1)
        start = len(self.lengths)
        self.lengths += lengths.tolist()
        self._update()
        rows = slice(start, len(self.lengths))
        return [
            PrefillView(layer[0, rows, :, :longest], layer[1, rows, :, :longest], source)
            for layer in self._storage
        ]

    def leave(self, row: int) -> None:
        """Free a row; the last row moves into its place."""
        last = len(self.lengths) - 1
        if row != last:
            length = self.lengths[last]
            self._storage[:, :, row, :, :length] = self._storage[:, :, last, :, :length]
            self.lengths[row] = self.lengths[last]
        self.lengths.pop()
        self._update()

    def take(self, smaller: KeyValueCache) -> None:
        """Take over the rows of another cache."""
        self.lengths = list(smaller.lengths)
        rows, slots = len(self.lengths), max(self.lengths, default=0)
        self._storage[:, :, :rows, :, :slots] = smaller._storage[:, :, :rows, :, :slots]
        self._update()

    def step(self) -> tuple[Tensor, Tensor | None, list[StepView]]:
        """Room for one more state of every row.

        Returns:
            (n,) the slot (and position) of each row's new state, which slots it may see as a mask (n, 1, 1, S') or
            None where it is all of them, and for each layer where to put keys and values.
        """
        longest = max(self.lengths) + 1
        even = min(self.lengths) + 1 == longest
        places = self._places
        visible = None
        if not even:
            visible = (self._slots[:longest] <= places[:, None])[:, None, None]
        count = len(self.lengths)
        views = [
            StepView(
                layer[0, :count, :, :longest], layer[1, :count, :, :longest], places, even=even
            )
            for layer in self._storage
        ]
        return places, visible, views

    def advance(self) -> None:
        """All layers have stored the new state of every row."""
        self.lengths = [length + 1 for length in self.lengths]
        self._places = self._places + 1

    def _update(self) -> None:
        self._places = torch.tensor(self.lengths, dtype=torch.long, device=self._slots.device)


class PrefillView:
    """New rows of one layer."""

    def __init__(self, keys: Tensor, values: Tensor, source: Tensor) -> None:
        self._keys, self._values, self._source = keys, values, source

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store (B, H, P, C) keys and values from the first real state on; returns them as they are."""
        index = self._source[:, None, :, None].expand(-1, keys.shape[1], -1, keys.shape[3])
        self._keys.copy_(keys.gather(2, index))
        self._values.copy_(values.gather(2, index))
        return keys, values


class StepView:
    """One more state of every row of one layer."""

    def __init__(self, keys: Tensor, values: Tensor, places: Tensor, *, even: bool) -> None:
        self._keys, self._values, self._places, self._even = keys, values, places, even

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store (n, H, 1, C) keys and values; returns all up to the longest row, (n, H, S', C)."""
        if self._even:
            self._keys[:, :, -1:] = keys
            self._values[:, :, -1:] = values
        else:
            index = self._places[:, None, None, None].expand_as(keys)
            self._keys.scatter_(2, index, keys.to(self._keys.dtype))
            self._values.scatter_(2, index, values.to(self._values.dtype))
        return self._keys, self._values

"""Key-value cache: what attention has already computed; every row begins at slot 0 and grows on its own.

Shapes: L layers, R rows, H heads, S slots, C channels a head, n rows in use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from motionmill.generator.config import GeneratorConfig
from motionmill.generator.rotary import rotary_table


@dataclass(frozen=True, eq=False)
class NextSlots:
    """Room for one more state of every row.

    Attributes:
        rotary: (n, 1, 2, 1, 1, C) rotary table of the new states.
        visible: (n, 1, 1, S') the slots that they may see, None where it is all of them.
        views: for each layer where to put keys and values.
    """

    rotary: Tensor
    visible: Tensor | None
    views: Sequence[StepView]


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
        self._rows = torch.arange(num_rows, device=device)
        self._rotary = rotary_table(config, self._slots)
        self.num_rows, self.num_slots = num_rows, num_slots
        self.lengths: list[int] = []
        self.places = self._slots[:0]

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

    def repeat(self, start: int, sources: Sequence[int]) -> None:
        """Instead of the rows from `start` on copies of some of them, any number; `sources` counts from `start`."""
        lengths = self.lengths[start:]
        places = torch.tensor(sources, device=self._slots.device)
        rows, slots = slice(start, start + len(sources)), max(lengths)
        self._storage[:, :, rows, :, :slots] = self._storage[:, :, start + places, :, :slots]
        self.lengths[start:] = [lengths[source] for source in sources]
        self._update()

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

    def next_slots(self) -> NextSlots:
        """The next slot of every row, and no more of the others than the longest row needs."""
        longest = max(self.lengths) + 1
        if min(self.lengths) + 1 < longest:
            return self.fixed_slots(self.places, longest)
        views = [
            EvenView(layer[0], layer[1])
            for layer in self._storage[:, :, : len(self.lengths), :, :longest]
        ]
        return NextSlots(self._rotary[self.places].unsqueeze(1), None, views)

    def fixed_slots(self, places: Tensor, num_slots: int | None = None) -> NextSlots:
        """Slot `places[i]` of row i, with shapes that depend on nothing but the number of places.

        Args:
            places: (n,) slots, n at most the number of rows.
            num_slots: how many slots attention looks at, all by default.
        """
        stored = self._storage[:, :, : len(places), :, :num_slots]
        visible = (self._slots[:num_slots] <= places[:, None])[:, None, None]
        rows = self._rows[: len(places)]
        views = [UnevenView(layer[0], layer[1], rows, places) for layer in stored]
        return NextSlots(self._rotary[places].unsqueeze(1), visible, views)

    def advance(self) -> None:
        """All layers have stored the new state of every row."""
        self.lengths = [length + 1 for length in self.lengths]
        self.places = self.places + 1

    def _update(self) -> None:
        self.places = torch.tensor(self.lengths, dtype=torch.long, device=self._slots.device)


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


class EvenView:
    """One more state of every row of one layer, in its last slot."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self._keys, self._values = keys, values

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store (n, H, 1, C) keys and values; returns all, (n, H, S', C)."""
        self._keys[:, :, -1:] = keys
        self._values[:, :, -1:] = values
        return self._keys, self._values


class UnevenView:
    """One more state of every row of one layer, in a slot of its own."""

    def __init__(self, keys: Tensor, values: Tensor, rows: Tensor, places: Tensor) -> None:
        self._keys, self._values, self._rows, self._places = keys, values, rows, places

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store (n, H, 1, C) keys and values; returns all up to the longest row, (n, H, S', C)."""
        self._keys[self._rows, :, self._places] = keys[:, :, 0]
        self._values[self._rows, :, self._places] = values[:, :, 0]
        return self._keys, self._values


StepView = EvenView | UnevenView

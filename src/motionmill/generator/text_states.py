"""States of many texts, each encoded once: stored raggedly, float16, and read from disk where they are needed.

A file holds the states of some thousand texts one after the other; what is in memory is where each text's states are
(24 bytes a text). Shapes: P states of a text, E width of the text model, K texts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from motionmill.generator.text import TextEncoder
from motionmill.training.mapped import map_tensors
from motionmill.training.weights import save_tensors

Rows = npt.NDArray[np.int64]
Digests = npt.NDArray[np.uint8]

DIGEST_BYTES = 16


class TextStates:
    """Texts -> states, from a folder of earlier results or from the encoder."""

    def __init__(self, encoder: Callable[[], TextEncoder], cache: Path | None = None) -> None:
        """Args: encoder: makes the encoder when a text is new; cache: folder of results, in memory alone without."""
        self._make, self._cache = encoder, cache
        self._parts: list[Tensor | npt.NDArray[np.float16]] = []
        self._known: set[str] = set()
        self._digests: Digests = np.zeros((0, DIGEST_BYTES), np.uint8)
        self._part: Rows = np.zeros(0, np.int64)
        self._start: Rows = np.zeros(0, np.int64)
        self._length: Rows = np.zeros(0, np.int64)
        self._keys: npt.NDArray[np.uint64] = np.zeros(0, np.uint64)
        self._order: Rows = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self._digests)

    def __getitem__(self, text: str) -> Tensor:
        """(P, E) float32 states of a text.

        Raises:
            KeyError: it was not added.
        """
        row = int(self.rows(digests_of([text]))[0])
        if row < 0:
            raise KeyError(text)
        return self.at(row)

    def at(self, row: int) -> Tensor:
        """(P, E) float32 states of a row."""
        start, stop = int(self._start[row]), int(self._start[row] + self._length[row])
        part = self._parts[int(self._part[row])][start:stop]
        states = part if isinstance(part, Tensor) else torch.from_numpy(np.array(part))
        return states.float()

    def rows(self, digests: Digests) -> Rows:
        """(K, 16) digests of texts -> (K,) their rows, -1 where a text is not known."""
        keys = _keys(digests)
        place = np.searchsorted(self._keys, keys)
        found = np.full(len(keys), -1, np.int64)
        # Texts whose first eight bytes are equal lie side by side.
        for _ in range(2):
            inside = place < len(self._keys)
            row = self._order[np.where(inside, place, 0)] if len(self._order) else place * 0
            same = inside & (found < 0)
            same[same] &= (self._digests[row[same]] == digests[same]).all(-1)
            found[same] = row[same]
            place = place + 1
        return found

    def lengths(self, rows: Rows) -> Rows:
        """(K,) rows -> (K,) numbers of states."""
        return self._length[rows]

    def add(
        self,
        texts: Iterable[str],
        *,
        chunk: int = 4096,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Encode what is not known yet; results are written every `chunk` texts."""
        self._read()
        listed = list(dict.fromkeys(texts))
        missing = self.rows(digests_of(listed)) < 0
        new = [text for text, absent in zip(listed, missing, strict=True) if absent]
        wanted = sorted(new, key=lambda text: (len(text), text))
        if not wanted:
            return
        encoder = self._make()
        for start in range(0, len(wanted), chunk):
            part = wanted[start : start + chunk]
            made: list[Tensor] = []
            for first in range(0, len(part), 128):
                some = part[first : first + 128]
                # They are kept as float16 anyway, and bfloat16 encodes twice as fast on current processors.
                with torch.autocast("cpu", torch.bfloat16):
                    made += [states.half() for states in encoder.encode(some)]
                progress(start + first + len(some), len(wanted))
            self._keep(part, made)

    def _keep(self, texts: Sequence[str], made: Sequence[Tensor]) -> None:
        digests = digests_of(texts)
        lengths = torch.tensor([len(states) for states in made])
        states = torch.cat(list(made))
        if self._cache is None:
            self._take(digests, lengths.numpy(), states)
            return
        self._cache.mkdir(parents=True, exist_ok=True)
        name = f"{hashlib.sha256(digests.tobytes()).hexdigest()[:24]}.safetensors"
        tensors = {
            "digests": torch.from_numpy(digests).flatten(),
            "lengths": lengths,
            "states": states,
        }
        save_tensors(tensors, self._cache / name)
        self._read()

    def _read(self) -> None:
        """Take over the files of the cache that are not known yet."""
        if self._cache is None:
            return
        for path in sorted(self._cache.glob("*.safetensors")):
            if path.name not in self._known:
                tensors = map_tensors(path)
                digests = np.array(tensors["digests"]).reshape(-1, DIGEST_BYTES)
                self._take(digests, np.array(tensors["lengths"], np.int64), tensors["states"])
                self._known.add(path.name)

    def _take(self, digests: Digests, lengths: Rows, states: Any) -> None:
        """More rows, whose states lie one after the other in `states`."""
        if int(lengths.sum()) != len(states) or len(lengths) != len(digests):
            raise ValueError(f"{self._cache}: text states are damaged; remove the folder")
        starts = np.cumsum(lengths) - lengths
        self._digests = np.concatenate((self._digests, digests))
        self._part = np.concatenate((self._part, np.full(len(lengths), len(self._parts))))
        self._start = np.concatenate((self._start, starts))
        self._length = np.concatenate((self._length, lengths))
        self._parts.append(states)
        keys = _keys(self._digests)
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]


def digests_of(texts: Sequence[str]) -> Digests:
    """(K, 16) bytes that tell texts from each other."""
    joined = b"".join(hashlib.sha256(text.encode()).digest()[:DIGEST_BYTES] for text in texts)
    return np.frombuffer(joined, np.uint8).reshape(-1, DIGEST_BYTES).copy()


def _keys(digests: Digests) -> npt.NDArray[np.uint64]:
    """(K, 16) digests -> (K,) their first eight bytes as a number."""
    return np.ascontiguousarray(digests[:, :8]).view("<u8").reshape(-1)

"""A safetensors file -> arrays that are read from disk only where they are touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_TYPES = {"F16": "<f2", "F32": "<f4", "I32": "<i4", "I64": "<i8", "U8": "u1"}
_MAX_HEADER = 1 << 20


def map_tensors(path: Path) -> dict[str, Array]:
    """Name -> memory-mapped array, read-only; the format is that of the safetensors specification.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(size, _MAX_HEADER):
            raise ValueError(f"{path}: damaged; remove it, it is made again")
        text = file.read(length)
    arrays: dict[str, Array] = {}
    try:
        for name, entry in json.loads(text).items():
            if name == "__metadata__":
                continue
            kind = np.dtype(_TYPES[entry["dtype"]])
            start, stop = entry["data_offsets"]
            shape = tuple(entry["shape"])
            count = int(np.prod(shape, dtype=np.int64))
            if stop - start != count * kind.itemsize or 8 + length + stop > size:
                raise ValueError(name)
            if count == 0:
                arrays[name] = np.empty(shape, kind)
            else:
                place = 8 + length + start
                arrays[name] = np.memmap(path, kind, "r", offset=place, shape=shape)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path}: damaged; remove it, it is made again") from None
    return arrays

"""NumPy files (.npy, .npz) -> arrays; nothing is unpickled, and sizes are checked before anything is allocated.

Format: NumPy, "NEP 1: A Simple File Format for NumPy Arrays".
"""

from __future__ import annotations

import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Collection
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MAX_BYTES = 512 << 20  # of one array, or of all that is unpacked from one archive
_BOMB_BYTES = 32 << 20  # from here on an archive that packs more than _BOMB_RATIO to one is refused
_BOMB_RATIO = 200
_OBJECTS = "holds Python objects, which only pickle could read; expected an array of numbers"
_HEADER_ERRORS = (ValueError, TypeError, SyntaxError, KeyError, RecursionError, MemoryError,
                  OverflowError, UnicodeDecodeError, struct.error, tokenize.TokenError)  # fmt: skip


def read_npy(path: Path) -> Array:
    """The array of a .npy file.

    Raises:
        ValueError: not such a file, damaged, too large, or one that holds Python objects.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"{path.name}: {size} bytes; at most {MAX_BYTES} are read")
    array = _array(path.read_bytes(), path.name)
    if array is None:
        raise ValueError(f"{path.name}: {_OBJECTS}")
    return array


def npy_shape(path: Path) -> tuple[int, ...]:
    """The shape of the array of a .npy file, without reading it. Raises ValueError as `read_npy` does."""
    with path.open("rb") as file:
        shape, _, dtype, _ = _header(file.read(1 << 17), path.name)
    if dtype.hasobject:
        raise ValueError(f"{path.name}: {_OBJECTS}")
    return shape


def read_npz(path: Path, keys: Collection[str] | None = None) -> dict[str, Array]:
    """The arrays of a .npz archive that are not Python objects.

    Args:
        path: the archive.
        keys: names of the arrays to read, those that are there; all by default.

    Raises:
        ValueError: not such an archive, damaged, or one that unpacks to more than `MAX_BYTES`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {
                member.filename.removesuffix(".npy"): member
                for member in archive.infolist()
                if member.filename.endswith(".npy")
            }
            if keys is not None:
                members = {name: member for name, member in members.items() if name in keys}
            check_unpacked(path, list(members.values()))
            arrays = {}
            for name, member in members.items():
                array = _array(archive.read(member), f"{path.name}: {member.filename}")
                if array is not None:
                    arrays[name] = array
            return arrays
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, struct.error) as error:
        raise ValueError(
            f"{path.name}: not a NumPy archive, or damaged ({_short(error)})"
        ) from None
    except (OSError, NotImplementedError, MemoryError, OverflowError) as error:
        raise ValueError(f"{path.name}: damaged archive ({_short(error)})") from None


def npz_keys(path: Path) -> list[str]:
    """Names of the arrays of an archive, without reading them. Raises ValueError where it is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except (zipfile.BadZipFile, struct.error, NotImplementedError, OverflowError) as error:
        raise ValueError(
            f"{path.name}: not a NumPy archive, or damaged ({_short(error)})"
        ) from None


def check_unpacked(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Raises ValueError where members of an archive say that they unpack to too much: a zip bomb, or not a motion."""
    total = sum(member.file_size for member in members)
    if total > MAX_BYTES:
        raise ValueError(f"{path.name}: {total} bytes unpacked; at most {MAX_BYTES} are read")
    packed = max(1, sum(member.compress_size for member in members))
    if total > _BOMB_BYTES and total > _BOMB_RATIO * packed:
        raise ValueError(
            f"{path.name}: {packed} bytes that unpack to {total}: a zip bomb? At most {_BOMB_RATIO} to one is read"
        )


def numbers(array: Array, what: str) -> NDArray[np.float64]:
    """The array as float64. Raises ValueError where it holds no numbers, or some that are not finite."""
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{what} holds {array.dtype}; expected numbers")
    if not np.isfinite(array).all():
        raise ValueError(f"{what} has values that are not finite")
    return array.astype(np.float64)


def scalar(array: Array, what: str) -> float:
    """The only number of an array. Raises ValueError where there is another count."""
    values = numbers(array, what).reshape(-1)
    if len(values) != 1:
        raise ValueError(f"{what} has {len(values)} values; expected one number")
    return float(values[0])


def _array(content: bytes, where: str) -> Array | None:
    """Bytes of a .npy file -> the array (read-only, on these bytes); None for Python objects."""
    shape, fortran, dtype, start = _header(content, where)
    if dtype.hasobject:
        return None
    size = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or size != len(content) - start or dtype.itemsize == 0:
        raise ValueError(
            f"{where}: {len(content) - start} bytes for an array {shape} of {dtype}; the file is damaged"
        )
    array: Array = np.frombuffer(content, dtype, offset=start)
    return array.reshape(shape, order="F" if fortran else "C")


def _header(content: bytes, where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, whether in Fortran's order, type, and where the values begin."""
    data = BytesIO(content)
    read: Any = np.lib.format
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # headers written by Python 2
            old = read.read_magic(data) == (1, 0)
            header = read.read_array_header_1_0 if old else read.read_array_header_2_0
            shape, fortran, dtype = header(data)
    except _HEADER_ERRORS as error:
        raise ValueError(f"{where}: not a NumPy array, or damaged ({_short(error)})") from None
    return shape, fortran, dtype, data.tell()


def _short(error: BaseException) -> str:
    """What an error says, in one line that is not too long."""
    return " ".join(str(error).split())[:120] or type(error).__name__

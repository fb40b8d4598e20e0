"""Pickled dictionaries of NumPy arrays -> the same, by a reader that knows nothing else and runs no code.

A pickle is a program for a small stack machine. This one has the instructions that put together numbers, text, lists,
dictionaries and arrays; it has none that imports, calls or changes anything of Python. The names under which NumPy
pickles an array are recognised and stand for functions of this file.

Format: the comments of Python's `pickletools`.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from motionmill.formats.arrays import MAX_BYTES

_MAX_INSTRUCTIONS = 500_000
_WORDS = (
    "PROTO FRAME STOP MARK POP POP_MARK DUP MEMOIZE PUT BINPUT LONG_BINPUT GET BINGET LONG_BINGET NONE NEWTRUE "
    "NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE "
    "BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 EMPTY_TUPLE TUPLE TUPLE1 "
    "TUPLE2 TUPLE3 EMPTY_LIST LIST APPEND APPENDS EMPTY_DICT DICT SETITEM SETITEMS GLOBAL STACK_GLOBAL REDUCE BUILD"
)
_INSTRUCTIONS = frozenset(_WORDS.split())
_PACKED = (b"x^", b"x\x9c", b"x\x01", b"x\xda", b"\x1f\x8b", b"BZ", b"\xfd7")
_NUMBERS = re.compile(r"[fiu][1248]|b1")
_DAMAGED = (pickle.UnpicklingError, EOFError, TypeError, ValueError, KeyError, IndexError, AttributeError,
            OverflowError, RecursionError, MemoryError, struct.error)  # fmt: skip


def load(path: Path) -> Any:
    """What a pickle file holds: dictionaries, lists and tuples of NumPy arrays, numbers and text.

    Raises:
        ValueError: anything else is in it (the message names it), it is damaged, packed by joblib, or too large.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"{path.name}: {size} bytes; at most {MAX_BYTES} are read")
    return loads(path.read_bytes(), path.name)


def loads(content: bytes, file: str) -> Any:
    """As `load`, from bytes."""
    if content[:2] in _PACKED or b"joblib" in content[:100]:
        raise ValueError(
            f"{file}: written by joblib, or packed; write it with `pickle.dump`, or as .npz"
        )
    try:
        _check(content)
        machine = _Machine(io.BytesIO(content), encoding="latin1")
        return _finished(machine.load(), {}, 0)
    except _RefusedError as error:
        raise ValueError(f"{file}: {error}; only dictionaries of NumPy arrays are read") from None
    except _DAMAGED as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise ValueError(f"{file}: not a pickle, or damaged ({reason})") from None


class _RefusedError(Exception):
    """Something that is no array, list, dictionary, number or text."""


def _check(content: bytes) -> None:
    """Looks at the instructions without carrying them out."""
    stream = io.BytesIO(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # odd escapes in damaged texts
        for count, (instruction, _, position) in enumerate(pickletools.genops(stream)):
            if instruction.name not in _INSTRUCTIONS:
                name = instruction.name
                raise _RefusedError(f"the pickle's instruction {name} at byte {position}")
            if count >= _MAX_INSTRUCTIONS:
                raise _RefusedError(f"more than {_MAX_INSTRUCTIONS} instructions")


class _Kind:
    """What `numpy.dtype` becomes."""

    def __init__(self, code: str) -> None:
        if not isinstance(code, str) or not _NUMBERS.fullmatch(code):
            raise _RefusedError(f"an array of {str(code)[:20]!r}")
        self.code = code
        self.order = "<"

    def fill(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise _RefusedError("an array of unknown kind")
        self.order = "<" if state[1] in "|=" else state[1]

    def array(self, data: Any, shape: Any, fortran: bool) -> Any:
        """The bytes as an array."""
        dtype = np.dtype(self.order + self.code)
        if isinstance(data, str):
            data = data.encode("latin1")
        dims = (shape,) if isinstance(shape, int) else shape
        if not isinstance(data, bytes | bytearray) or not isinstance(dims, tuple):
            raise _RefusedError("an array without its bytes")
        if not all(isinstance(size, int) and size >= 0 for size in dims):
            raise _RefusedError(f"an array of shape {str(shape)[:40]}")
        if math.prod(dims) * dtype.itemsize != len(data):
            raise _RefusedError(f"{len(data)} bytes for an array of shape {str(shape)[:40]}")
        return np.frombuffer(data, dtype).reshape(dims, order="F" if fortran else "C")


class _Pending:
    """What `_reconstruct` becomes: an array whose content follows."""

    def __init__(self) -> None:
        self.value: Any = None

    def fill(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], _Kind):
            raise _RefusedError("an array of unknown kind")
        _, shape, kind, fortran, data = state
        self.value = kind.array(data, shape, bool(fortran))


def _reconstruct(*_: Any) -> _Pending:
    return _Pending()


def _kind(code: Any, *_: Any) -> _Kind:
    return _Kind(code)


def _number(kind: Any, data: Any) -> Any:
    if not isinstance(kind, _Kind):
        raise _RefusedError("a number of unknown kind")
    return kind.array(data, (), False).item()


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any = "C") -> Any:
    if not isinstance(kind, _Kind):
        raise _RefusedError("an array of unknown kind")
    return kind.array(bytes(data) if isinstance(data, bytearray) else data, shape, order == "F")


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise _RefusedError("bytes in an unknown encoding")
    return text.encode("latin1")


class _Function:
    """A name of NumPy's that a pickle may call."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function


_NAMES: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _reconstruct,
    ("numpy", "dtype"): _kind,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): lambda: b"",  # how old protocols write no bytes
    ("collections", "OrderedDict"): dict,
}
for _package in ("numpy.core", "numpy._core"):
    _NAMES[f"{_package}.multiarray", "_reconstruct"] = _reconstruct
    _NAMES[f"{_package}.multiarray", "scalar"] = _number
    _NAMES[f"{_package}.numeric", "_frombuffer"] = _from_buffer


class _Machine(pickle._Unpickler):
    """Python's own stack machine, without the parts that reach out of it."""

    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise _RefusedError(f"{str(module)[:60]}.{str(name)[:60]} in the pickle")
        return _Function(_NAMES[module, name])

    def _call(self) -> None:
        stack: list[Any] = self.stack  # type: ignore[attr-defined]
        arguments = stack.pop()
        function = stack[-1]
        if not isinstance(function, _Function) or not isinstance(arguments, tuple):
            raise _RefusedError("a call in the pickle")
        stack[-1] = function.function(*arguments)

    def _fill(self) -> None:
        stack: list[Any] = self.stack  # type: ignore[attr-defined]
        state = stack.pop()
        if not isinstance(stack[-1], _Kind | _Pending):
            raise _RefusedError("an object with a state in the pickle")
        stack[-1].fill(state)

    dispatch[pickle.REDUCE[0]] = _call
    dispatch[pickle.BUILD[0]] = _fill


def _finished(value: Any, done: dict[int, Any], depth: int) -> Any:
    """The value with arrays in the place of what stands for them; shared parts are visited once."""
    if depth > 50:
        raise _RefusedError("values nested more than 50 deep")
    if isinstance(value, _Pending):
        return value.value
    if isinstance(value, _Kind | _Function):
        raise _RefusedError("a type in the place of a value")
    if not isinstance(value, dict | list | tuple):
        return value
    if id(value) not in done:
        done[id(value)] = None  # what contains itself ends here
        if isinstance(value, dict):
            done[id(value)] = {key: _finished(item, done, depth + 1) for key, item in value.items()}
        else:
            done[id(value)] = [_finished(item, done, depth + 1) for item in value]
    return done[id(value)]

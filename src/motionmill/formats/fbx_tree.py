"""A tree of named nodes -> the bytes of a binary FBX 7.4 file: header, records, compressed arrays, footer.

Format: A. Gessler, "FBX binary file format specification", Blender Foundation, 2013 (public domain); Y. Osaki,
"fbx-book", chapter on the binary syntax of FBX 7.x. The format has no official description.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

VERSION = 7400

# Three byte strings that hang together: Autodesk's software checks the file's id and footer against its creation time.
# This triple is the one that other independent writers use; with it a file depends on nothing but its content.
CREATION_TIME = "1970-01-01 10:00:00:000"
FILE_ID = bytes.fromhex("28b32aebb624ccc2bfc8b02aa92bfcf1")
_FOOTER_ID = bytes.fromhex("fabcab09d0c8d466b176fb831cf7267e")

_MAGIC = b"Kaydara FBX Binary  \x00\x1a\x00"
_END_MAGIC = bytes.fromhex("f85a8c6adef5d97eece90ce3758f290b")
_NO_RECORD = b"\0" * 13
_COMPRESS_FROM = 128  # bytes; shorter arrays only get longer
_ARRAYS = {"f4": b"f", "f8": b"d", "i4": b"i", "i8": b"l"}
_MAX_BYTES = 0xFFFFFFFF  # positions in a 7.4 file are 32 bits wide

Value = bool | int | float | str | bytes | np.int64 | NDArray[Any]


@dataclass(frozen=True)
class Node:
    """A record of a file.

    Attributes:
        name: what it is.
        values: its properties. bool, int (32 bits), numpy.int64, float (64 bits), text, bytes, or a 1-D array of
            float32, float64, int32 or int64.
        children: the records in it.
    """

    name: str
    values: tuple[Value, ...] = ()
    children: tuple[Node, ...] = ()


def node(name: str, *values: Value, children: Iterable[Node] = ()) -> Node:
    """A record from its values, which is how most are written down."""
    return Node(name, values, tuple(children))


def properties(*rows: tuple[Value, ...]) -> Node:
    """The record of settings that objects have: each row is name, type, subtype, flags and the values."""
    return node("Properties70", children=[Node("P", row) for row in rows])


def encode(nodes: Iterable[Node]) -> bytes:
    """The whole file.

    Raises:
        ValueError: it would be larger than the format's positions reach (4 GiB).
    """
    data = bytearray(_MAGIC + struct.pack("<I", VERSION))
    for each in nodes:
        _append(data, each)
    data += _NO_RECORD + _FOOTER_ID
    data += b"\0" * (16 - len(data) % 16)
    data += b"\0" * 4 + struct.pack("<I", VERSION) + b"\0" * 120 + _END_MAGIC
    if len(data) > _MAX_BYTES:
        raise ValueError(f"an FBX file of {len(data)} bytes; version 7.4 reaches to {_MAX_BYTES}")
    return bytes(data)


def _append(data: bytearray, record: Node) -> None:
    start = len(data)
    name = record.name.encode("ascii")
    values = b"".join(map(_value, record.values))
    data += struct.pack("<IIIB", 0, len(record.values), len(values), len(name)) + name + values
    for child in record.children:
        _append(data, child)
    if record.children or not record.values:
        data += _NO_RECORD
    if len(data) > _MAX_BYTES:
        raise ValueError(f"an FBX file of over {_MAX_BYTES} bytes, which version 7.4 cannot hold")
    struct.pack_into("<I", data, start, len(data))


def _value(value: Value) -> bytes:
    """A value behind the letter of its type."""
    if isinstance(value, np.int64):
        return struct.pack("<cq", b"L", int(value))
    if isinstance(value, np.ndarray):
        return _array(value)
    match value:
        case bool():
            return struct.pack("<cB", b"C", value)
        case int():
            return struct.pack("<ci", b"I", value)
        case float():
            return struct.pack("<cd", b"D", value)
        case str():
            text = value.encode("utf-8")
            return struct.pack("<cI", b"S", len(text)) + text
        case bytes():
            return struct.pack("<cI", b"R", len(value)) + value


def _array(array: NDArray[Any]) -> bytes:
    letter = _ARRAYS[f"{array.dtype.kind}{array.dtype.itemsize}"]
    data = array.astype(array.dtype.newbyteorder("<")).tobytes()
    packed = zlib.compress(data, 6) if len(data) >= _COMPRESS_FROM else data
    return struct.pack("<cIII", letter, array.size, packed is not data, len(packed)) + packed

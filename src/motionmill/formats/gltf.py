"""The binary glTF 2.0 container: named arrays <-> a JSON document with buffer views and accessors in one chunk.

Format: Khronos Group, "glTF 2.0 Specification", sections 3.6 (binary data storage) and 4 (GLB file format).
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963

_MAGIC, _VERSION, _JSON, _BINARY = 0x46546C67, 2, 0x4E4F534A, 0x004E4942
_COMPONENTS: dict[int, str] = {
    5120: "i1",
    5121: "u1",
    5122: "i2",
    5123: "u2",
    5125: "u4",
    5126: "f4",
}
_TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
_MAX_ELEMENTS = 50_000_000


class Writer:
    """Collects arrays for one GLB file."""

    def __init__(self) -> None:
        self._binary = bytearray()
        self._views: list[dict[str, Any]] = []
        self._accessors: list[dict[str, Any]] = []

    def add(
        self,
        array: NDArray[Any],
        *,
        target: int | None = None,
        normalised: bool = False,
        bounds: bool = False,
    ) -> int:
        """Stores an array (N,) or (N, C) and gives the index of its accessor.

        Args:
            array: float32 or unsigned integers; rows are multiples of four bytes.
            target: what the array is bound to; None for animation and skin data.
            normalised: integers that stand for 0..1.
            bounds: whether to store the minimum and maximum (glTF asks for it of positions and times).
        """
        rows = array.reshape(len(array), -1)
        component = next(code for code, name in _COMPONENTS.items() if rows.dtype == np.dtype(name))
        self._binary += b"\0" * (-len(self._binary) % 4)
        view: dict[str, Any] = {
            "buffer": 0,
            "byteOffset": len(self._binary),
            "byteLength": rows.nbytes,
        }
        if target is not None:
            view["target"] = target
        self._binary += np.ascontiguousarray(rows).astype(rows.dtype.newbyteorder("<")).tobytes()
        accessor: dict[str, Any] = {
            "bufferView": len(self._views),
            "componentType": component,
            "count": len(rows),
            "type": _TYPES[rows.shape[1]],
        }
        if normalised:
            accessor["normalized"] = True
        if bounds:
            accessor["min"], accessor["max"] = rows.min(axis=0).tolist(), rows.max(axis=0).tolist()
        self._views.append(view)
        self._accessors.append(accessor)
        return len(self._accessors) - 1

    def file(self, document: dict[str, Any]) -> bytes:
        """The bytes of the GLB file with this document and the arrays that were added."""
        binary = bytes(self._binary + b"\0" * (-len(self._binary) % 4))
        document = document | {
            "accessors": self._accessors,
            "bufferViews": self._views,
            "buffers": [{"byteLength": len(binary)}],
        }
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        encoded = text.encode("utf-8")
        encoded += b" " * (-len(encoded) % 4)
        length = 12 + 8 + len(encoded) + 8 + len(binary)
        return b"".join(
            (
                struct.pack("<III", _MAGIC, _VERSION, length),
                struct.pack("<II", len(encoded), _JSON) + encoded,
                struct.pack("<II", len(binary), _BINARY) + binary,
            )
        )


class Reader:
    """The document and the arrays of one GLB file.

    Raises:
        ValueError: not a GLB file, cut off, or a number in it points outside the file.
    """

    def __init__(self, data: bytes, file: str) -> None:
        self._file = file
        if len(data) < 20 or struct.unpack_from("<I", data)[0] != _MAGIC:
            raise ValueError(f"{file}: not a binary glTF file (it does not start with 'glTF')")
        _, version, length = struct.unpack_from("<III", data)
        if version != _VERSION:
            raise ValueError(f"{file}: glTF version {version}; only version 2 is read")
        if length > len(data):
            raise ValueError(f"{file}: {len(data)} bytes of {length}; the file is cut off")
        chunks = self._chunks(data[:length])
        try:
            document = json.loads(chunks.get(_JSON, b"null").decode("utf-8"))
        except (UnicodeDecodeError, ValueError, RecursionError) as error:
            raise ValueError(f"{file}: its JSON chunk is damaged ({error})") from None
        if not isinstance(document, dict):
            raise ValueError(f"{file}: its JSON chunk holds no object")
        self.document: dict[str, Any] = document
        self._binary = chunks.get(_BINARY, b"")

    def items(self, kind: str) -> list[dict[str, Any]]:
        """The list of objects of one kind: "nodes", "skins", "animations" ...; empty where the file has none."""
        found = self.document.get(kind, [])
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise ValueError(f"{self._file}: {kind!r} is not a list of objects")
        return found

    def item(self, kind: str, index: Any) -> dict[str, Any]:
        """One object of a kind by its index."""
        found = self.items(kind)
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(found):
            raise ValueError(
                f"{self._file}: {kind} {index!r} does not exist; the file has {len(found)}"
            )
        return found[index]

    def array(self, index: Any) -> NDArray[np.float64]:
        """The values of an accessor: (N, C), normalised integers as numbers from -1 or 0 to 1."""
        accessor = self.item("accessors", index)
        where = f"{self._file}: accessor {index}"
        if "sparse" in accessor or "bufferView" not in accessor:
            raise ValueError(f"{where} is sparse; only plain arrays are read")
        view = self.item("bufferViews", accessor["bufferView"])
        if view.get("buffer") != 0 or "uri" in self.item("buffers", 0):
            raise ValueError(f"{where} lies in another file; only what is inside the GLB is read")
        name = _COMPONENTS.get(accessor.get("componentType", 0))
        width = {kind: size for size, kind in _TYPES.items()}.get(str(accessor.get("type")))
        if name is None or width is None:
            raise ValueError(f"{where}: unknown type {accessor.get('type')!r}")
        dtype = np.dtype(name).newbyteorder("<")
        count = self._number(accessor, "count", where)
        row = dtype.itemsize * width
        stride = self._number(view, "byteStride", where, row)
        start = self._number(view, "byteOffset", where, 0) + self._number(
            accessor, "byteOffset", where, 0
        )
        end = start + stride * (count - 1) + row
        if count == 0 or count > _MAX_ELEMENTS or stride < row or end > len(self._binary):
            raise ValueError(
                f"{where}: {count} elements of {row} bytes from byte {start} do not fit into "
                f"the {len(self._binary)} bytes of the file's data"
            )
        array: NDArray[Any] = np.ndarray(
            (count, width), dtype, self._binary, start, (stride, dtype.itemsize)
        )
        values = array.astype(np.float64)
        if accessor.get("normalized") and dtype.kind in "iu":
            values = np.maximum(values / np.iinfo(dtype).max, -1.0)
        return values

    def _number(
        self, item: dict[str, Any], key: str, where: str, default: int | None = None
    ) -> int:
        value = item.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError(f"{where}: {key} is {value!r}; expected a whole number")
        return value

    def _chunks(self, data: bytes) -> dict[int, bytes]:
        chunks: dict[int, bytes] = {}
        position = 12
        while position + 8 <= len(data):
            size, kind = struct.unpack_from("<II", data, position)
            position += 8
            if position + size > len(data):
                raise ValueError(
                    f"{self._file}: a chunk of {size} bytes runs past the end of the file"
                )
            chunks.setdefault(kind, data[position : position + size])
            position += size
        return chunks

"""Valid small files of every kind that is read, and what can be done to them, from a seed."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import re
import struct
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from motionmill.formats import deepmimic, glb, humanml3d, motionmillion, npz
from motionmill.formats.files import save
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_axis_angle
from motionmill.motion.skeleton import Skeleton

WORDS = "nan inf -inf -1 0 1e308 -1e308 1e-320 999999999 99999999999999999999 1,5 --5 0x10 1e 1_000 ٣ true"
NUMBERS = WORDS.split()
SHAPES = (
    "(6, 272)", "(6, 263)", "(10**9, 272)", "(1000000000000, 272)", "(-1, 272)", "(-6, -272)", "()", "(0, 272)",
    "(6, 22, 3)", "(1, 6, 22, 3)", "(2, 3, 4, 5, 6)", "(True, 272)", "(1.5,)",
)  # fmt: skip
KINDS = (
    "<f4", ">f8", "|O", "<U100000", "|V8", "<c16", "<M8[s]", "<f2", "|i1", "[('a','<f4')]", "<f4,", "x",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2, 7, 1e308, -1e9, 4294967295, 1 << 40, 10**400, float("nan"), float("inf"), "", "x", [], {},
    [0], [[0]], [None], {"a": 1},
)  # fmt: skip


def nod(frames: int = 6) -> Motion:
    turns = torch.zeros(frames, 22, 3, dtype=torch.float64)
    turns[:, 12, 0] = torch.linspace(0, 0.5, frames)
    turns[:, 18, 1] = -0.7
    root = torch.tensor([[0.0, 0.94, 0.0]], dtype=torch.float64).repeat(frames, 1)
    return Motion(matrix_from_axis_angle(turns), root, name="a person nods")


def stick() -> Motion:
    """A few joints, so that most of a GLB file is not mesh."""
    offsets = torch.tensor([[0.0, 0, 0], [0, 0.5, 0], [0, 0.5, 0], [0.3, 0, 0], [0, -0.5, 0.1]])
    skeleton = Skeleton(("hips", "chest", "head", "arm", "leg"), (-1, 0, 1, 1, 0), offsets)
    turns = torch.zeros(4, 5, 3)
    turns[:, :, 0] = torch.linspace(0, 1, 4)[:, None]
    return Motion(matrix_from_axis_angle(turns), torch.zeros(4, 3), 30.0, skeleton, "stick")


ASF = """:version 1.10
:units
  mass 1.0
  length 0.45
  angle deg
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name lfemur
     direction 0.34 -0.94 0
     length 7.6
     axis 0 0 20 XYZ
    dof rx ry rz
    limits (-160.0 20.0)
  end
  begin
     id 2
     name ltibia
     direction 0.34 -0.94 0
     length 7.2
     axis 0 0 20 XYZ
    dof rx
  end
:hierarchy
  begin
    root lfemur
    lfemur ltibia
  end
"""
AMC = """#!OML
:FULLY-SPECIFIED
:DEGREES
1
root 1 16 -30 -2 -9 -3
lfemur 1 2 3
ltibia 20
2
root 1 16 -31 -2 -9 -3
lfemur 1.5 2 3
ltibia 21
"""


def npy(array: Any) -> bytes:
    data = io.BytesIO()
    np.save(data, array, allow_pickle=False)
    return data.getvalue()


def saved(write: Callable[[Path], Any], name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


def amass_keys() -> dict[str, Any]:
    with np.load(io.BytesIO(saved(lambda path: npz.save(nod(), path), "a.npz"))) as file:
        return {key: file[key] for key in ("poses", "trans", "betas", "gender", "mocap_framerate")}


def smpl_keys() -> dict[str, np.ndarray]:
    return {
        "body_pose": np.zeros((5, 63), np.float32),
        "global_orient": np.zeros((5, 3), np.float32),
        "transl": np.zeros((5, 3), np.float32),
        "betas": np.zeros((5, 10), np.float32),
    }


def seeds() -> dict[str, list[tuple[str, bytes]]]:
    """Reader -> valid files (name, content)."""
    smpl = smpl_keys()
    tensors = {"smpl_params_global": {key: torch.from_numpy(value) for key, value in smpl.items()}}
    nested = {"smpl_params_global": smpl, "fps": 30.0}
    frame = [
        0.033,
        0.0,
        0.85,
        0.0,
        *[1.0, 0, 0, 0] * 4,
        0.1,
        *[1.0, 0, 0, 0] * 2,
        0.1,
        *[1.0, 0, 0, 0],
        0.1,
    ]
    frame += [*[1.0, 0, 0, 0] * 2, 0.1]
    assert len(frame) == deepmimic._COLUMNS
    motion = json.dumps({"Loop": "wrap", "Frames": [frame] * 3}).encode()
    return {
        "bvh": [
            ("a.bvh", saved(lambda path: save(stick(), path), "a.bvh")),
            ("b.bvh", saved(lambda path: save(nod(2), path), "b.bvh")),
        ],
        "glb": [
            ("a.glb", saved(lambda path: glb.save(stick(), path), "a.glb")),
            ("b.glb", saved(lambda path: glb.save([stick(), stick()], path), "b.glb")),
        ],
        "npz": [
            ("own.npz", saved(lambda path: npz.save(nod(), path), "own.npz")),
            ("amass.npz", saved(lambda path: np.savez(path, **amass_keys()), "amass.npz")),
            ("smpl.npz", saved(lambda path: np.savez_compressed(path, **smpl), "smpl.npz")),
        ],
        "npy": [
            ("272.npy", saved(lambda path: motionmillion.save_features(nod(), path), "272.npy")),
            ("263.npy", saved(lambda path: humanml3d.save_features(nod(), path), "263.npy")),
            ("joints.npy", npy(nod().joints().numpy())),
        ],
        "amc": [("1_1.amc", AMC.encode()), ("1.asf", ASF.encode())],
        "deepmimic": [("a.txt", motion), ("b.json", motion)],
        "pt": [("a.pt", saved(lambda path: torch.save(tensors, path), "a.pt"))],
        "pkl": [(f"{protocol}.pkl", pickle.dumps(nested, protocol)) for protocol in (0, 2, 4, 5)],
        "map": [("map.yaml", b"left_hip: thigh.L\nspine: [a, b]\nleft_foot: null\n")],
    }


READERS = ("bvh", "glb", "npz", "npy", "amc", "deepmimic", "pt", "pkl", "map")


def mutated(data: bytes, name: str, draw: random.Random) -> bytes:
    """The file with one to three things done to it."""
    suffix = Path(name).suffix
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        ways: list[Callable[[bytes, random.Random], bytes]] = [
            truncated,
            flipped,
            moved,
            numbers_of_bytes,
        ]
        if suffix in (".bvh", ".amc", ".asf", ".txt", ".json", ".yaml"):
            ways += [words, words, words, lines, lines]
        if suffix in (".txt", ".json"):
            ways += [json_values] * 4
        if suffix == ".glb":
            ways += [glb_values] * 8
        if suffix in (".npz", ".pt"):
            ways += [members] * 6
        if suffix == ".npy":
            ways += [header] * 3
        if suffix == ".pkl":
            ways += [trap, trap, huge_pickle]
        try:
            data = draw.choice(ways)(data, draw)
        except (
            ValueError,
            IndexError,
            KeyError,
            TypeError,
            AttributeError,
            zipfile.BadZipFile,
            zlib.error,
            struct.error,
            RecursionError,
            RuntimeError,
        ):
            data = flipped(data, draw)  # too damaged for this way
    return data


def truncated(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(len(data) + 1)]


def flipped(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data or b"\0")
    for _ in range(draw.choice((1, 2, 8, 40))):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def moved(data: bytes, draw: random.Random) -> bytes:
    """A stretch of bytes left out, written twice, zeroed or put elsewhere."""
    start = draw.randrange(len(data) + 1)
    end = min(len(data), start + draw.choice((1, 4, 16, 200, 5000)))
    piece = data[start:end]
    match draw.randrange(4):
        case 0:
            return data[:start] + data[end:]
        case 1:
            return data[:end] + piece * draw.choice((1, 3, 100)) + data[end:]
        case 2:
            return data[:start] + bytes(len(piece)) + data[end:]
        case _:
            rest = data[:start] + data[end:]
            place = draw.randrange(len(rest) + 1)
            return rest[:place] + piece + rest[place:]


def numbers_of_bytes(data: bytes, draw: random.Random) -> bytes:
    """A length or a float among the bytes becomes an extreme one."""
    value = draw.choice(
        (
            b"\xff\xff\xff\xff",
            b"\xff\xff\xff\x7f",
            b"\0\0\0\x80",
            b"\0\0\xc0\x7f",
            b"\0\0\x80\x7f",
            bytes(4),
        )
    )
    value *= draw.choice((1, 2))
    place = draw.randrange(max(1, len(data) - len(value)))
    return data[:place] + value + data[place + len(value) :]


def words(data: bytes, draw: random.Random) -> bytes:
    """A number of a text becomes another, or a word becomes another word of the text."""
    text = data.decode("utf-8", errors="replace")
    found = list(re.finditer(r"[^\s{}\[\],:]+", text))
    spot = draw.choice(found)
    other = draw.choice((draw.choice(NUMBERS), draw.choice(found)[0], "9" * 5000, ""))
    return (text[: spot.start()] + other + text[spot.end() :]).encode("utf-8", errors="replace")


def lines(data: bytes, draw: random.Random) -> bytes:
    """A line left out, written twice, thousands of times, or put elsewhere: also cycles in hierarchies."""
    rows = data.split(b"\n")
    place, other = draw.randrange(len(rows)), draw.randrange(len(rows))
    match draw.randrange(4):
        case 0:
            del rows[place]
        case 1:
            rows[other:other] = [rows[place]] * draw.choice((1, 2, 3000))
        case 2:
            rows[place], rows[other] = rows[other], rows[place]
        case _:
            end = min(len(rows), place + draw.choice((3, 8)))
            rows[other:other] = rows[place:end] * draw.choice((1, 2, 400))
    return b"\n".join(rows)


def changed_value(document: Any, draw: random.Random) -> Any:
    """A value somewhere in a JSON document becomes another, or disappears."""
    holder, path = document, []
    while isinstance(holder, dict | list) and holder:
        key = draw.choice(list(holder)) if isinstance(holder, dict) else draw.randrange(len(holder))
        path.append((holder, key))
        holder = holder[key]
        if draw.random() < 0.2:
            break
    if not path:
        return draw.choice(VALUES)
    holder, key = path[-1]
    if isinstance(holder, list) and draw.random() < 0.2:
        holder.extend([holder[key]] * draw.choice((1, 500)))
    elif draw.random() < 0.15:
        del holder[key]
    else:
        current = holder[key]
        near = [current + 1, -current, current * 1000] if isinstance(current, int | float) else []
        holder[key] = draw.choice((*VALUES, *near))
    return document


def json_values(data: bytes, draw: random.Random) -> bytes:
    if draw.random() < 0.05:
        return b"[" * draw.choice((100, 200_000)) + b"1"
    return json.dumps(changed_value(json.loads(data), draw)).encode()


def glb_values(data: bytes, draw: random.Random) -> bytes:
    """The JSON chunk changed, with lengths that fit again."""
    size = struct.unpack_from("<I", data, 12)[0]
    document = json.loads(data[20 : 20 + size])
    nodes = document.get("nodes")
    if nodes and draw.random() < 0.1:  # cycles, two parents
        draw.choice(nodes)["children"] = [draw.randrange(len(nodes)) for _ in range(3)]
    if draw.random() < 0.02:  # a chain as long as may be
        count = draw.choice((900, 3000, 20_000))
        document["nodes"] = [{"children": [index + 1]} for index in range(count)] + [
            {"name": "end"}
        ]
        document["skins"] = [{"joints": list(range(count))}]
    text = json.dumps(changed_value(document, draw)).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + size :]
    head = struct.pack("<III", 0x46546C67, 2, 20 + len(text) + len(rest))
    return head + struct.pack("<II", len(text), 0x4E4F534A) + text + rest


def header(data: bytes, draw: random.Random) -> bytes:
    """The header of a .npy file with another shape or type."""
    end = data.index(b"\n") + 1
    shape = draw.choice(SHAPES)
    kind = draw.choice(KINDS)
    kind = kind if kind.startswith("[") else f"'{kind}'"
    order = draw.choice(("True", "False", "3"))
    text = f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}, }}".ljust(117) + "\n"
    return data[:8] + struct.pack("<H", len(text)) + text.encode() + data[end:]


def members(data: bytes, draw: random.Random) -> bytes:
    """An archive packed again with a changed, missing, doubled or very large member."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        names = source.namelist()
        chosen, way = draw.choice(names), draw.randrange(8)
        for name in names:
            try:
                content = source.read(name)
            except (EOFError, zipfile.BadZipFile):  # damaged before
                content = b""
            if name == chosen:
                match way:
                    case 0:
                        content = flipped(content, draw)
                    case 1:
                        content = truncated(content, draw)
                    case 2:
                        continue
                    case 3:
                        name = draw.choice(
                            ("../../x.npy", "/etc/x.npy", draw.choice(names), "poses.npy")
                        )
                    case 4 if name.endswith(".npy"):
                        content = header(content, draw)
                    case 5:
                        content = numbers_of_bytes(content, draw)
                    case 6 if draw.random() < 0.1:  # a zip bomb
                        count = draw.choice((30 << 20, 200 << 20))
                        target.writestr(zipped(name), npy(np.zeros((count // 8 // 156, 156))))
                        continue
                    case _:
                        content = npy(np.zeros(draw.choice(((), (0,), (5, 66), (5, 3), (3, 3, 3)))))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the same name twice
                target.writestr(zipped(name), content)
    return out.getvalue()


def zipped(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.compress_type = zipfile.ZIP_DEFLATED
    return member


class Call:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def trap(data: bytes, draw: random.Random) -> bytes:
    """A pickle that runs code where it is read by `pickle`."""
    command = f"touch {Path(tempfile.gettempdir()) / 'sprung'}"
    code = f"import os; os.system({command!r})"
    call = draw.choice((
        Call(os.system, command), Call(eval, f"__import__('os').system({command!r})"), Call(exec, code),
        Call(getattr, os, "system"), Call(__import__, "os"), Call(np.load, "x"), Call(bytearray, 1 << 40),
        Call(np.zeros, 1 << 40), Call(torch.load, "x"),
    ))  # fmt: skip
    content: Any = {**smpl_keys(), "transl": call}
    if draw.random() < 0.3:
        content = np.array([call], dtype=object)
    return pickle.dumps(content, draw.randrange(6))


def huge_pickle(data: bytes, draw: random.Random) -> bytes:
    """A pickle that asks for much: memory slots, long strings, lists in lists, itself in itself."""
    big = struct.pack("<I", 0xFFFFFFFF)
    own: dict[str, Any] = {}
    own["self"] = own
    nested: Any = []
    for _ in range(draw.choice((10, 60, 400))):
        nested = [nested] * 9
    return draw.choice((
        b"\x80\x04]r" + big + b".", b"\x80\x04B" + big + b"abc.", b"\x80\x04\x8e" + b"\xff" * 8 + b"abc.",
        b"\x80\x04" + b"(" * 100_000 + b".", b"\x80\x04\x8b" + big + b".", b"I" + b"9" * 100_000 + b"\n.",
        pickle.dumps(own), pickle.dumps(nested), b"\x80\x04\x95" + b"\xff" * 8 + b"}.", b"\x80\x04N" + b"0" * 10,
        pickle.dumps({"global_orient": 1, "body_pose": {"a": []}}), b"\x80\x04" + b"}" * 600_000 + b".",
    ))  # fmt: skip

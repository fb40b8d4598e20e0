"""FBX: the bytes are as the format wants them, and importers that are not ours see the motion."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motionmill.formats import fbx
from motionmill.formats.fbx_tree import encode, node
from motionmill.motion.body import mannequin
from motionmill.motion.motion import Motion
from tests.formats.oracles import Gltf, assimp, check_world, motions
from tests.formats.test_glb import stick, wave

TICKS = 46_186_158_000


@dataclass
class Record:
    name: str
    values: list[Any]
    children: list[Record]

    def __getitem__(self, name: str) -> Record:
        return next(child for child in self.children if child.name == name)

    def all(self, name: str) -> list[Record]:
        return [child for child in self.children if child.name == name]

    def setting(self, name: str) -> list[Any]:
        return next(
            row.values[4:] for row in self["Properties70"].children if row.values[0] == name
        )


def parse(data: bytes) -> Record:
    """A file by the public description of the format, strictly: every end and every length must fit."""
    assert data[:23] == b"Kaydara FBX Binary  \x00\x1a\x00"
    assert struct.unpack_from("<I", data, 23) == (7400,)
    children, place = records(data, 27, len(data))
    footer = data[place:]
    assert footer[:4] == bytes.fromhex("fabcab09")
    assert footer[-16:-12] == bytes.fromhex("f85a8c6a")
    assert len(data) % 16 == 0
    assert struct.unpack_from("<I", footer, len(footer) - 140) == (7400,)
    assert not any(footer[16:-140] + footer[-136:-16])
    return Record("", [], children)


def records(data: bytes, place: int, end: int) -> tuple[list[Record], int]:
    """Records up to the empty one, and where that ends."""
    found = []
    while True:
        assert place + 13 <= end
        stop, count, size, length = struct.unpack_from("<IIIB", data, place)
        if stop == 0:
            assert not any(data[place : place + 13])
            return found, place + 13
        name = data[place + 13 : place + 13 + length].decode("ascii")
        start = place + 13 + length
        values, place = [], start
        for _ in range(count):
            value, place = read_value(data, place)
            values.append(value)
        assert place == start + size
        children: list[Record] = []
        if place < stop:
            children, place = records(data, place, stop)
        assert place == stop
        found.append(Record(name, values, children))


def read_value(data: bytes, place: int) -> tuple[Any, int]:
    letter, place = data[place : place + 1].decode(), place + 1
    if letter in "CIDL":
        kind = {"C": "<?", "I": "<i", "D": "<d", "L": "<q"}[letter]
        return struct.unpack_from(kind, data, place)[0], place + struct.calcsize(kind)
    if letter in "SR":
        (size,) = struct.unpack_from("<I", data, place)
        raw = data[place + 4 : place + 4 + size]
        return (raw.decode() if letter == "S" else raw), place + 4 + size
    count, packed, size = struct.unpack_from("<III", data, place)
    raw = data[place + 12 : place + 12 + size]
    array = np.frombuffer(zlib.decompress(raw) if packed else raw, f"<{FBX_ARRAYS[letter]}")
    assert len(array) == count
    return array, place + 12 + size


FBX_ARRAYS = {"f": "f4", "d": "f8", "i": "i4", "l": "i8"}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Record]:
    path = tmp_path_factory.mktemp("fbx") / "wave.fbx"
    fbx.save([wave(), replace(wave(20, seed=3), name="other")], path, licence="CC BY 4.0")
    return path, parse(path.read_bytes())


def test_nothing_else_is_left_behind(written: tuple[Path, Record]) -> None:
    assert list(written[0].parent.iterdir()) == [written[0]]


def test_units_axes_and_frame_rate(written: tuple[Path, Record], tmp_path: Path) -> None:
    facts = written[1]["GlobalSettings"]
    axes = [facts.setting(name)[0] for name in ("UpAxis", "FrontAxis", "CoordAxis")]
    signs = [facts.setting(f"{name}Sign")[0] for name in ("UpAxis", "FrontAxis", "CoordAxis")]
    assert (axes, signs) == ([1, 2, 0], [1, 1, 1])
    assert facts.setting("UnitScaleFactor") == [1.0]
    assert facts.setting("TimeMode") == [6]
    fbx.save(wave(fps=29.97), tmp_path / "a.fbx")
    facts = parse((tmp_path / "a.fbx").read_bytes())["GlobalSettings"]
    assert (facts.setting("TimeMode"), facts.setting("CustomFrameRate")) == ([14], [29.97])


def test_objects_are_counted_and_connected(written: tuple[Path, Record]) -> None:
    tree = written[1]
    objects = tree["Objects"].children
    kinds = {item.values[0]: item for item in tree["Definitions"].all("ObjectType")}
    for kind in kinds.keys() - {"GlobalSettings"}:
        count = sum(item.name == kind for item in objects)
        assert kinds[kind]["Count"].values == [count]
    assert tree["Definitions"]["Count"].values == [len(objects) + 1]
    ids = {item.values[0] for item in objects}
    assert len(ids) == len(objects)
    links = [row.values[1:3] for row in tree["Connections"].children]
    assert all(child in ids and parent in ids | {0} for child, parent in links)
    lonely = ids - {child for child, _ in links}
    assert {item.name for item in objects if item.values[0] in lonely} == {"Pose", "AnimationStack"}
    limbs = [item for item in objects if item.name == "Model" and item.values[2] == "LimbNode"]
    assert [item.values[1] for item in limbs][:2] == ["pelvis\0\x01Model", "left_hip\0\x01Model"]
    assert len(limbs) == 22


def test_clusters_hold_the_bind_pose(written: tuple[Path, Record]) -> None:
    """Where a joint is (TransformLink) and where it sees the surface (Transform) undo each other."""
    objects = written[1]["Objects"].children
    clusters = [item for item in objects if item.values[2] == "Cluster"]
    body = mannequin()
    total = np.zeros(len(body.vertices))
    for cluster in clusters:
        matrices = [
            cluster[name].values[0].reshape(4, 4) for name in ("Transform", "TransformLink")
        ]
        assert np.allclose(matrices[0] @ matrices[1], np.eye(4))
        name = cluster.values[1].split("\0")[0]
        place = 100 * body.rest_joints[body.skeleton.index(name)].numpy()
        assert np.allclose(matrices[1][3, :3], place)
        total[cluster["Indexes"].values[0]] += cluster["Weights"].values[0]
    assert np.allclose(total, 1)
    bind = next(item for item in objects if item.name == "Pose")
    assert bind["NbPoseNodes"].values == [len(bind.all("PoseNode"))] == [23]


def test_curves_have_a_key_at_every_frame_and_no_flips(written: tuple[Path, Record]) -> None:
    """The root turns three times; 40 frames and 20 frames, exactly on FBX's clock."""
    curves = [item for item in written[1]["Objects"].children if item.name == "AnimationCurve"]
    assert len(curves) == 2 * (22 + 1) * 3
    for curve in curves:
        times, values = curve["KeyTime"].values[0], curve["KeyValueFloat"].values[0]
        assert len(values) == len(times) in (20, 40)
        assert (times == np.arange(len(times)) * (TICKS // 30)).all()
        assert curve["KeyAttrRefCount"].values[0].tolist() == [len(times)]
        assert np.abs(np.diff(values)).max() < 120
    yaw = curves[4]["KeyValueFloat"].values[0]
    assert yaw[-1] - yaw[0] == pytest.approx(1080, abs=1e-3)


def test_the_same_motion_gives_the_same_bytes(tmp_path: Path) -> None:
    fbx.save(wave(), tmp_path / "a.fbx")
    fbx.save(wave(), tmp_path / "b.fbx")
    assert (tmp_path / "a.fbx").read_bytes() == (tmp_path / "b.fbx").read_bytes()


def test_names_licence_and_refusals(written: tuple[Path, Record], tmp_path: Path) -> None:
    comment = written[1]["FBXHeaderExtension"]["SceneInfo"]["MetaData"]["Comment"].values[0]
    assert "CC0" in comment
    assert "CC BY 4.0" in comment
    fbx.save(wave(2), tmp_path / "a.fbx", names="mixamo")
    assert b"mixamorig:LeftForeArm\0\x01Model" in (tmp_path / "a.fbx").read_bytes()
    with pytest.raises(ValueError, match=r"joint names 'maya'; expected one of smpl, mixamo"):
        fbx.save(wave(2), tmp_path / "b.fbx", names="maya")
    with pytest.raises(ValueError, match="are for SMPL-22"):
        fbx.save(wave(2, skeleton=stick()), tmp_path / "b.fbx", names="unity")
    with pytest.raises(ValueError, match="not finite; nothing written"):
        fbx.save(replace(wave(2), root=torch.full((2, 3), torch.nan)), tmp_path / "b.fbx")
    assert not (tmp_path / "b.fbx").exists()


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17])
def test_the_footer_is_aligned_whatever_the_length(length: int) -> None:
    tree = parse(encode([node("Creator", "x" * length), node("References")]))
    assert tree["Creator"].values == ["x" * length]
    assert tree["References"].values == tree["References"].children == []


@settings(max_examples=6, deadline=None)
@given(data=st.data(), own=st.booleans())
def test_assimp_sees_the_motion(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, own: bool
) -> None:
    """Random rotations on random skeletons and on ours: joints within 0.1 mm, rotations within 0.01 degrees."""
    motion = data.draw(motions(own=own))
    folder = tmp_path_factory.getbasetemp()
    check_assimp(motion, motion.skeleton.names, folder)


def check_assimp(motion: Motion, names: tuple[str, ...], folder: Path, **options: Any) -> None:
    fbx.save(motion, folder / "in.fbx", **options)
    assimp("export", str(folder / "in.fbx"), str(folder / "out.glb"), "-fglb2")
    times = np.arange(len(motion)) / motion.fps
    positions, rotations = Gltf(folder / "out.glb").world(names, times)
    check_world(motion, positions / 100, rotations)


def test_assimp_sees_every_clip_and_its_name(written: tuple[Path, Record], tmp_path: Path) -> None:
    shown = assimp("info", str(written[0]))
    assert "Animations:         2" in shown
    assert "'a person wäves 👋'" in shown
    assert "'other'" in shown
    assimp("export", str(written[0]), str(tmp_path / "out.glb"), "-fglb2")
    for clip, motion in enumerate((wave(), wave(20, seed=3))):
        read = Gltf(tmp_path / "out.glb", clip)
        times = np.arange(len(motion)) / motion.fps
        positions, rotations = read.world(motion.skeleton.names, times)
        check_world(motion, positions / 100, rotations)

"""GLB: what is written is valid glTF, shows the motion to a foreign reader, and comes back as it was."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motionmill.formats import glb
from motionmill.motion.body import mannequin, pose
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_axis_angle
from motionmill.motion.skeleton import Skeleton, adult_skeleton
from tests.formats.oracles import Gltf, check_world, motions


def wave(
    frames: int = 40, *, seed: int = 0, skeleton: Skeleton | None = None, fps: float = 30.0
) -> Motion:
    """A motion in which the root turns three times and some joints move, some keep a pose, some keep the rest pose."""
    skeleton = skeleton or adult_skeleton()
    generator = torch.Generator().manual_seed(seed)
    joints = skeleton.num_joints
    time = torch.linspace(0, 1, frames, dtype=torch.float64)
    swing = torch.randn(joints, 3, generator=generator, dtype=torch.float64)
    angles = 0.6 * torch.sin(2 * math.pi * time)[:, None, None] * swing
    angles[:, 3 % joints] = 0.3  # constant
    angles[:, joints - 1] = 0.0  # rest
    angles[:, 0] = time[:, None] * torch.tensor([0.0, 6 * math.pi, 0.0])
    root = torch.stack((time, 0.9 + 0.05 * torch.sin(9 * time), 2 * time), dim=-1)
    return Motion(matrix_from_axis_angle(angles), root, fps, skeleton, "a person wäves 👋")


def stick() -> Skeleton:
    offsets = [[0, 0, 0], [0, 0.4, 0], [0, 0, 0], [0.3, -0.9, 0]]
    return Skeleton(
        ("hips", "neck", "doubled", "toe"),
        (-1, 0, 0, 2),
        torch.tensor(offsets, dtype=torch.float64),
    )


def angles_between(one: Motion, other: Motion) -> float:
    """Largest angle between two motions' rotations, radians."""
    turn = one.rotations.double().transpose(-1, -2) @ other.rotations.double()
    trace = turn.diagonal(dim1=-2, dim2=-1).sum(-1)
    return float(((3 - trace) / 2).clamp(min=0).sqrt().max() * math.sqrt(2))


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    motion = wave()
    glb.save(motion, tmp_path / "wave.glb")
    back = glb.load(tmp_path / "wave.glb")
    assert (len(back), back.fps, back.name) == (40, 30.0, motion.name)
    assert back.skeleton.names == motion.skeleton.names
    assert back.skeleton.parents == motion.skeleton.parents
    assert back.skeleton.foot_joint_height == motion.skeleton.foot_joint_height
    assert torch.allclose(back.skeleton.offsets, motion.skeleton.offsets, atol=1e-9)
    assert torch.allclose(back.root, motion.root, atol=1e-6)
    assert angles_between(back, motion) < 1e-5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wave.glb"]


@pytest.mark.parametrize("fps", [12.5, 60.0, 120.0])
def test_any_frame_rate(tmp_path: Path, fps: float) -> None:
    motion = wave(33, fps=fps)
    glb.save(motion, tmp_path / "wave.glb")
    back = glb.load(tmp_path / "wave.glb")
    assert (len(back), back.fps) == (33, fps)
    assert torch.allclose(back.joints(), motion.joints(), atol=1e-5)
    sampled = glb.load(tmp_path / "wave.glb", fps=30)
    assert sampled.fps == 30
    assert len(sampled) == math.floor(32 / fps * 30 + 1e-6) + 1
    assert torch.allclose(sampled.joints(), motion.resample(30.0).joints(), atol=1e-4)


def test_several_clips_in_one_file(tmp_path: Path) -> None:
    clips = [wave(20, seed=1), wave(35, seed=2), replace(wave(1), name="still")]
    glb.save(clips, tmp_path / "clips.glb")
    for index, clip in enumerate(clips):
        back = glb.load(tmp_path / "clips.glb", clip=index)
        assert len(back) == len(clip)
        assert torch.allclose(back.joints(), clip.joints(), atol=1e-5)
    with pytest.raises(ValueError, match="no animation 3; it has 3"):
        glb.load(tmp_path / "clips.glb", clip=3)
    names = [animation["name"] for animation in document(tmp_path / "clips.glb")["animations"]]
    assert names == [clips[0].name, clips[0].name + " (2)", "still"]


def test_other_skeletons_become_stick_figures(tmp_path: Path) -> None:
    motion = wave(skeleton=stick())
    glb.save(motion, tmp_path / "stick.glb")
    back = glb.load(tmp_path / "stick.glb")
    assert back.skeleton.names == ("hips", "neck", "doubled", "toe")
    assert torch.allclose(back.joints(), motion.joints(), atol=1e-6)


def test_a_motion_that_stands_still_keeps_its_length(tmp_path: Path) -> None:
    motion = wave(25)
    still = replace(
        motion,
        rotations=motion.rotations[:1].expand(25, -1, -1, -1),
        root=motion.root[:1].expand(25, -1),
    )
    glb.save(still, tmp_path / "still.glb")
    assert len(glb.load(tmp_path / "still.glb")) == 25


def document(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    (length,) = struct.unpack_from("<I", data, 12)
    return json.loads(data[20 : 20 + length])


def test_constant_tracks_are_dropped_and_signs_do_not_jump(tmp_path: Path) -> None:
    gltf = pytest.importorskip("pygltflib")
    motion = wave()
    glb.save(motion, tmp_path / "wave.glb")
    file = gltf.GLTF2().load(str(tmp_path / "wave.glb"))
    lengths = {}
    for channel in file.animations[0].channels:
        values = accessor(file, file.animations[0].samplers[channel.sampler].output)
        if channel.target.path == "rotation":
            lengths[channel.target.node] = len(values)
            assert np.abs(np.linalg.norm(values, axis=1) - 1).max() < 1e-6
            assert ((values[1:] * values[:-1]).sum(axis=1) > 0).all()
    assert 21 not in lengths
    assert lengths[3] == 1
    assert {lengths[joint] for joint in set(lengths) - {3}} == {40}


def test_facts_travel(tmp_path: Path) -> None:
    glb.save(wave(), tmp_path / "wave.glb", licence="CC BY-NC 4.0", extras={"model": "mini"})
    asset = document(tmp_path / "wave.glb")["asset"]
    assert asset["version"] == "2.0"
    assert asset["generator"].startswith("MotionMill ")
    assert "CC0" in asset["copyright"]
    assert "CC BY-NC 4.0" in asset["copyright"]
    facts = asset["extras"]
    assert (facts["prompts"], facts["fps"], facts["model"]) == (["a person wäves 👋"], 30.0, "mini")
    assert document(tmp_path / "wave.glb")["animations"][0]["extras"]["prompt"] == wave().name


def accessor(file: Any, index: int) -> np.ndarray:
    """An accessor's values through pygltflib alone."""
    entry = file.accessors[index]
    view = file.bufferViews[entry.bufferView]
    width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}[entry.type]
    kind = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}[entry.componentType]
    start = (view.byteOffset or 0) + (entry.byteOffset or 0)
    return np.frombuffer(file.binary_blob(), kind, entry.count * width, start).reshape(-1, width)


def test_a_foreign_reader_sees_the_posed_mannequin(tmp_path: Path) -> None:
    """Nodes, skin, weights and keys, evaluated with nothing of ours, give the surface of `pose`."""
    gltf = pytest.importorskip("pygltflib")
    scipy_rotation = pytest.importorskip("scipy.spatial.transform").Rotation
    motion, frame = wave(), 17
    glb.save(motion, tmp_path / "wave.glb")
    file = gltf.GLTF2().load(str(tmp_path / "wave.glb"))
    local = {}
    for index, node in enumerate(file.nodes):
        local[index] = [
            np.array(node.translation or [0, 0, 0]),
            np.array(node.rotation or [0, 0, 0, 1]),
        ]
    for channel in file.animations[0].channels:
        values = accessor(file, file.animations[0].samplers[channel.sampler].output)
        place = {"translation": 0, "rotation": 1}[channel.target.path]
        local[channel.target.node][place] = values[min(frame, len(values) - 1)]
    world = {}

    def walk(node: int, above: np.ndarray) -> None:
        matrix = np.eye(4)
        matrix[:3, :3] = scipy_rotation.from_quat(local[node][1]).as_matrix()
        matrix[:3, 3] = local[node][0]
        world[node] = above @ matrix
        for child in file.nodes[node].children or []:
            walk(child, world[node])

    for node in file.scenes[0].nodes:
        walk(node, np.eye(4))
    skin = file.skins[0]
    inverse = accessor(file, skin.inverseBindMatrices).reshape(-1, 4, 4).transpose(0, 2, 1)
    matrices = np.stack([world[joint] for joint in skin.joints]) @ inverse
    attributes = file.meshes[0].primitives[0].attributes
    points = np.pad(accessor(file, attributes.POSITION), ((0, 0), (0, 1)), constant_values=1)
    joints, weights = accessor(file, attributes.JOINTS_0), accessor(file, attributes.WEIGHTS_0)
    skinned = np.einsum("vk,vkij,vj->vi", weights, matrices[joints], points)[:, :3]
    body = mannequin()
    assert np.abs(skinned - pose(body, motion)[frame].numpy()).max() < 1e-5
    triangles = accessor(file, file.meshes[0].primitives[0].indices).reshape(-1, 3)
    assert np.array_equal(triangles, body.triangles.numpy())


def foreign(tmp_path: Path, nodes: list[dict[str, Any]], **more: Any) -> Path:
    """A small file as another program might write it: one rotation track, quarter turn about z in a second."""
    half = math.sqrt(0.5)
    binary = struct.pack("<2f", 0.0, 1.0) + struct.pack("<8f", 0, 0, 0, 1, 0, 0, half, half)
    text = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [0]}],
        "nodes": nodes,
        "animations": [
            {
                "name": "turn",
                "channels": [
                    {"sampler": 0, "target": {"node": len(nodes) - 2, "path": "rotation"}}
                ],
                "samplers": [{"input": 0, "output": 1}],
            }
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 2, "type": "SCALAR"},
            {"bufferView": 0, "byteOffset": 8, "componentType": 5126, "count": 2, "type": "VEC4"},
        ],
        "bufferViews": [{"buffer": 0, "byteLength": len(binary)}],
        "buffers": [{"byteLength": len(binary)}],
    } | more
    encoded = json.dumps(text).encode()
    encoded += b" " * (-len(encoded) % 4)
    size = 28 + len(encoded) + len(binary)
    path = tmp_path / "foreign.glb"
    path.write_bytes(
        struct.pack("<III", 0x46546C67, 2, size)
        + struct.pack("<II", len(encoded), 0x4E4F534A)
        + encoded
        + struct.pack("<II", len(binary), 0x004E4942)
        + binary
    )
    return path


def test_files_of_other_programs(tmp_path: Path) -> None:
    """An armature that is scaled and lies down, a bone with a rest rotation: world positions are what counts."""
    half = math.sqrt(0.5)
    nodes = [
        {
            "name": "Armature",
            "scale": [0.01, 0.01, 0.01],
            "rotation": [-half, 0, 0, half],
            "children": [1],
        },
        {
            "name": "Hips",
            "translation": [0, 0, 100],
            "rotation": [0, 0, half, half],
            "children": [2],
        },
        {"name": "Arm", "translation": [0, -50, 0]},
    ]
    motion = glb.load(foreign(tmp_path, nodes, skins=[{"joints": [1, 2]}]))
    assert (motion.name, motion.fps, len(motion)) == ("turn", 30.0, 31)
    assert motion.skeleton.names == ("Hips", "Arm")
    assert torch.allclose(motion.root, torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64))
    # In the file's frame the arm is 0.5 m along -y, turned by 0 to 90 degrees about z; then z becomes y.
    expected = torch.tensor([[0.0, 1.0, 0.5], [0.5, 1.0, 0.0]], dtype=torch.float64)
    assert torch.allclose(motion.joints()[[0, -1], 1], expected, atol=1e-6)
    middle = motion.joints()[15, 1] - motion.root[15]
    assert torch.allclose(middle, middle.new_tensor([half, 0, half]) * 0.5, atol=1e-6)
    # The zero pose is the pose of the nodes: the arm along +x.
    assert torch.allclose(motion.skeleton.offsets[1], expected[1] - motion.root[0], atol=1e-9)


def test_a_file_without_skin(tmp_path: Path) -> None:
    nodes = [
        {
            "name": "root",
            "matrix": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 2, 0, 1],
            "children": [1],
        },
        {"name": "bone", "translation": [0, 0, 0], "children": [2]},
        {"name": "end", "translation": [1, 0, 0]},
    ]
    motion = glb.load(foreign(tmp_path, nodes), fps=10)
    assert motion.skeleton.names == ("root", "bone", "end")
    assert len(motion) == 11
    assert torch.allclose(
        motion.joints()[-1, 2], torch.tensor([0.0, 3.0, 0.0], dtype=torch.float64), atol=1e-6
    )


BAD_NODES = [
    ([{"children": [1]}, {"children": [0]}], "its own ancestor"),
    ([{"children": [2]}, {"children": [2]}, {}], "two parents"),
    ([{"children": [7]}, {}], "nodes 7 does not exist"),
    ([{"translation": "x"}, {}], "translation of node 0"),
    ([{"scale": [0, 0, 0]}, {}], "scaled to nothing"),
]


@pytest.mark.parametrize(("nodes", "message"), BAD_NODES)
def test_bad_node_trees_are_refused(
    tmp_path: Path, nodes: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        glb.load(foreign(tmp_path, nodes))


BAD_ACCESSORS = [
    ({"count": 10**9}, "do not fit"),
    ({"count": -1}, "whole number"),
    ({"byteOffset": 10**6}, "do not fit"),
    ({"type": "MAT7"}, "unknown type"),
    ({"componentType": 1}, "unknown type"),
    ({"bufferView": 5}, "bufferViews 5 does not exist"),
    ({"sparse": {}}, "sparse"),
]


@pytest.mark.parametrize(("change", "message"), BAD_ACCESSORS)
def test_numbers_that_point_outside_are_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    nodes = [{"children": [1]}, {"children": [2]}, {}]
    good = document(foreign(tmp_path, nodes))["accessors"]
    with pytest.raises(ValueError, match=message):
        glb.load(foreign(tmp_path, nodes, accessors=[good[0], good[1] | change]))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "wave.glb"
    glb.save(wave(5), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match="cut off"):
        glb.load(path)
    path.write_bytes(b"solid" + whole[5:])
    with pytest.raises(ValueError, match="does not start with 'glTF'"):
        glb.load(path)
    generator = np.random.default_rng(0)
    (length,) = struct.unpack_from("<I", whole, 12)
    for _ in range(40):  # any damage in the JSON is either harmless or a ValueError
        broken = bytearray(whole)
        for place in generator.integers(20, 20 + length, 3):
            broken[place] = generator.integers(32, 127)
        path.write_bytes(broken)
        with contextlib.suppress(ValueError):
            glb.load(path)


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no motions"):
        glb.save([], tmp_path / "a.glb")
    with pytest.raises(ValueError, match="different skeletons"):
        glb.save([wave(), wave(skeleton=stick())], tmp_path / "a.glb")
    bad = wave()
    with pytest.raises(ValueError, match="not finite"):
        glb.save(replace(bad, root=bad.root * math.nan), tmp_path / "a.glb")
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=10, deadline=None)
@given(data=st.data(), own=st.booleans())
def test_a_foreign_reader_sees_random_motions(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, own: bool
) -> None:
    """And so does our own reader; random skeletons, and ours."""
    motion = data.draw(motions(own=own))
    path = tmp_path_factory.getbasetemp() / "random.glb"
    glb.save(motion, path)
    times = np.arange(len(motion)) / motion.fps
    check_world(motion, *Gltf(path).world(motion.skeleton.names, times))
    back = glb.load(path)
    order = [back.skeleton.index(name) for name in motion.skeleton.names]
    check_world(motion, back.joints()[:, order].numpy(), back.world_rotations()[:, order].numpy())


def test_names_of_other_tools(tmp_path: Path) -> None:
    glb.save(wave(), tmp_path / "a.glb", names="unreal")
    back = glb.load(tmp_path / "a.glb")
    assert back.skeleton.names[:3] == ("pelvis", "thigh_l", "thigh_r")
    assert torch.allclose(back.joints(), wave().joints(), atol=1e-5)


def test_khronos_validator_finds_nothing(tmp_path: Path) -> None:
    """Needs node and the npm package gltf-validator; NODE_PATH names the folder in which it is installed."""
    node = shutil.which("node")
    if node is None or not (Path(os.environ.get("NODE_PATH", "")) / "gltf-validator").is_dir():
        pytest.skip("node, or the npm package gltf-validator in NODE_PATH, is not installed")
    script = (
        "const v=require('gltf-validator'),fs=require('fs');"
        "Promise.all(process.argv.slice(1).map(f=>v.validateBytes(new Uint8Array(fs.readFileSync(f)))"
        ".then(r=>[f,r.issues]))).then(all=>console.log(JSON.stringify(all)))"
    )
    files: dict[str, Any] = {
        "one": wave(),
        "two": [wave(), wave(9, seed=4)],
        "stick": wave(skeleton=stick()),
        "still": wave(1),
    }
    paths = [str(tmp_path / f"{name}.glb") for name in files]
    for path, clips in zip(paths, files.values(), strict=True):
        glb.save(clips, path, licence="CC0")
    glb.save(wave(), tmp_path / "mixamo.glb", names="mixamo")
    broken = tmp_path / "broken.glb"  # what is there to be found is found
    broken.write_bytes(Path(paths[0]).read_bytes().replace(b'"LINEAR"', b'"LINEAL"'))
    words = [node, "-e", script, *paths, str(tmp_path / "mixamo.glb"), str(broken)]
    run = subprocess.run(words, capture_output=True, text=True, check=True)
    issues = dict(json.loads(run.stdout))
    assert issues.pop(str(broken))["messages"] != []
    assert len(issues) == 5
    for path, found in issues.items():
        assert found["messages"] == [], path

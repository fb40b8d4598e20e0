"""What the tests of writers share: random motions, foreign readers of glTF, and how far two motions are apart."""

from __future__ import annotations

import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray

from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_quaternion
from motionmill.motion.skeleton import Skeleton, adult_skeleton

POSITION_LIMIT = 1e-4  # metres
ANGLE_LIMIT = 0.01  # degrees

Array = NDArray[np.float64]


@st.composite
def motions(draw: st.DrawFn, *, own: bool = False, most_joints: int = 8) -> Motion:
    """Rotations drawn anew in every frame, on a random tree of joints (some without a bone) or on our own skeleton."""
    frames = draw(st.integers(1, 7))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    skeleton = adult_skeleton() if own else draw(skeletons(most_joints))
    shape = (frames, skeleton.num_joints, 4)
    quaternions = torch.randn(*shape, generator=generator, dtype=torch.float64)
    root = 3 * torch.randn(frames, 3, generator=generator, dtype=torch.float64)
    fps = draw(st.sampled_from([24.0, 29.97, 30.0, 60.0, 120.0]))
    return Motion(matrix_from_quaternion(quaternions), root, fps, skeleton, "a random motion")


@st.composite
def skeletons(draw: st.DrawFn, most_joints: int) -> Skeleton:
    joints = draw(st.integers(2, most_joints))
    parents = (-1, *(draw(st.integers(0, child - 1)) for child in range(1, joints)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    offsets = 0.4 * torch.randn(joints, 3, generator=generator, dtype=torch.float64)
    offsets[0] = 0
    if draw(st.booleans()):
        offsets[-1] = 0
    return Skeleton(tuple(f"joint{index}" for index in range(joints)), parents, offsets)


def check_world(
    motion: Motion, positions: Array, rotations: Array, *, position_limit: float = POSITION_LIMIT
) -> None:
    """Fails where world positions (T, J, 3) in metres or rotations (T, J, 3, 3) are not the motion's."""
    assert positions.shape == (len(motion), motion.skeleton.num_joints, 3)
    away = np.abs(positions - motion.joints().double().numpy()).max()
    turned = largest_angle(rotations, motion.world_rotations().double().numpy())
    assert away < position_limit, f"{1000 * away:.4f} mm"
    assert turned < ANGLE_LIMIT, f"{turned:.5f} degrees"


def largest_angle(ours: Array, theirs: Array) -> float:
    """The largest angle between rotations (..., 3, 3), degrees; the chord is exact for small ones."""
    chord = np.sqrt(((ours - theirs) ** 2).sum(axis=(-1, -2))).max()
    return math.degrees(2 * math.asin(min(1.0, float(chord) / (2 * math.sqrt(2)))))


def assimp(*words: str) -> str:
    """Runs Debian's assimp; skips the test where it is not installed."""
    if shutil.which("assimp") is None:
        pytest.skip("assimp is not installed (apt-get install assimp-utils)")
    run = subprocess.run(["assimp", *words], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    return run.stdout


class Gltf:
    """A GLB file through pygltflib and scipy alone: the world matrices of its nodes over time."""

    def __init__(self, path: Path, clip: int = 0) -> None:
        self.file: Any = pytest.importorskip("pygltflib").GLTF2().load(str(path))
        self.names = [node.name for node in self.file.nodes]
        self._tracks: dict[tuple[int, str], tuple[Array, Array]] = {}
        animation = self.file.animations[clip]
        for channel in animation.channels:
            sampler = animation.samplers[channel.sampler]
            keys = self.array(sampler.input)[:, 0], self.array(sampler.output)
            self._tracks[channel.target.node, channel.target.path] = keys

    def array(self, index: int) -> Array:
        """An accessor's values."""
        entry = self.file.accessors[index]
        view = self.file.bufferViews[entry.bufferView]
        width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}[entry.type]
        kind = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
        start = (view.byteOffset or 0) + (entry.byteOffset or 0)
        size = entry.count * width
        values = np.frombuffer(self.file.binary_blob(), kind[entry.componentType], size, start)
        return values.reshape(-1, width).astype(np.float64)

    def world(self, names: tuple[str, ...], times: Array) -> tuple[Array, Array]:
        """World positions (T, J, 3) and rotations (T, J, 3, 3) of the nodes with some names; keys are at the times."""
        matrices: dict[int, Array] = {}

        def walk(node: int, above: Array) -> None:
            matrices[node] = above @ self._local(node, times)
            for child in self.file.nodes[node].children or []:
                walk(child, matrices[node])

        for node in self.file.scenes[self.file.scene or 0].nodes:
            walk(node, np.tile(np.eye(4), (len(times), 1, 1)))
        found = np.stack([matrices[self.names.index(name)] for name in names], axis=1)
        return found[..., :3, 3], found[..., :3, :3]

    def _local(self, node: int, times: Array) -> Array:
        from scipy.spatial.transform import Rotation

        entry = self.file.nodes[node]
        result = np.tile(np.eye(4), (len(times), 1, 1))
        if entry.matrix:
            result[:] = np.reshape(entry.matrix, (4, 4)).T
            assert not any(track == node for track, _ in self._tracks)
            return result
        turns = self._at(node, "rotation", entry.rotation or [0, 0, 0, 1], times)
        result[:, :3, :3] = Rotation.from_quat(turns).as_matrix()
        result[:, :3, 3] = self._at(node, "translation", entry.translation or [0, 0, 0], times)
        scale = self._at(node, "scale", entry.scale or [1, 1, 1], times)
        assert np.abs(scale - 1).max() < 1e-6
        return result

    def _at(self, node: int, path: str, rest: list[float], times: Array) -> Array:
        if (node, path) not in self._tracks:
            return np.tile(np.asarray(rest, np.float64), (len(times), 1))
        keys, values = self._tracks[node, path]
        nearest = np.abs(keys[:, None] - times).argmin(axis=0)
        if len(keys) > 1:
            assert np.abs(keys[nearest] - times).max() < 1e-4
        return values[nearest]

"""The node tree and one animation of a glTF document -> a Motion.

Shapes: T frames, N nodes, J joints, K keys. World: Y up, metres.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionmill.formats.gltf import Reader
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_quaternion, nearest_rotation, slerp
from motionmill.motion.skeleton import Skeleton, world_to_local_rotations

_FPS = 30.0
_MAX_NODES = 10_000
_MAX_DEPTH = 500
_MAX_VALUES = 100_000_000  # of the sampled animation: frames times nodes times 12
_WIDTHS = {"translation": 3, "rotation": 4, "scale": 3}


class _Track(NamedTuple):
    """The keys of one property of one node: (K,) seconds, (K, C) values."""

    times: Tensor
    values: Tensor
    steps: bool  # whether a value holds until the next key


class Scene:
    """The node tree of a glTF document, ready to be sampled."""

    def __init__(self, reader: Reader, file: str) -> None:
        self._reader = reader
        self._file = file
        self._nodes = reader.items("nodes")
        if len(self._nodes) > _MAX_NODES:
            raise ValueError(f"{file}: {len(self._nodes)} nodes; at most {_MAX_NODES} are read")
        self._parents = self._find_parents()
        self._paths = [self._path(node) for node in range(len(self._nodes))]

    def motion(self, clip: int, *, fps: float | None = None) -> Motion:
        """One of the animations as a Motion; the pose of the nodes where the file has no animation.

        Raises:
            ValueError: no such animation, no skeleton, or damaged content.
        """
        animations = self._reader.items("animations")
        if animations and not 0 <= clip < len(animations):
            raise ValueError(
                f"{self._file}: no animation {clip}; it has {len(animations)}, counted from 0"
            )
        animation = animations[clip] if animations else {}
        extras = animation.get("extras")
        extras = extras if isinstance(extras, dict) else {}
        if fps is None:
            fps = _positive(extras.get("fps"), _FPS)
        tracks = self._tracks(animation)
        joints = self._joints(tracks)
        last = max((float(track.times[-1]) for track in tracks.values()), default=0.0)
        frames = math.floor(last * fps + 1e-3) + 1
        if frames * len(self._nodes) * 12 > _MAX_VALUES:
            raise ValueError(
                f"{self._file}: {frames} frames of {len(self._nodes)} nodes are too many to read"
            )
        times = torch.arange(frames, dtype=torch.float64) / fps
        positions, rotations = self._world(joints, tracks, times)
        rest_positions, rest_rotations = self._world(joints, {}, times[:1])
        parents = self._joint_parents(joints)
        rotations = rotations @ rest_rotations.transpose(-1, -2)
        offsets = rest_positions[0] - rest_positions[0][[max(parent, 0) for parent in parents]]
        asset = self._reader.document.get("asset")
        facts = asset.get("extras") if isinstance(asset, dict) else None
        height = _positive(facts.get("foot_joint_height") if isinstance(facts, dict) else None, 0.0)
        names = tuple(str(self._nodes[node].get("name", f"node {node}")) for node in joints)
        skeleton = Skeleton(names, parents, offsets, height)
        name = extras.get("prompt", animation.get("name", ""))
        return Motion(
            world_to_local_rotations(rotations, parents), positions[:, 0], fps, skeleton, str(name)
        )

    def _find_parents(self) -> list[int]:
        parents = [-1] * len(self._nodes)
        for index, node in enumerate(self._nodes):
            for child in self._indices(node, "children"):
                if parents[child] >= 0:
                    raise ValueError(f"{self._file}: node {child} has two parents")
                parents[child] = index
        return parents

    def _indices(self, item: dict[str, Any], key: str) -> list[int]:
        """A list of nodes, each of which exists; empty where it is missing."""
        found = item.get(key, [])
        if not isinstance(found, list):
            raise ValueError(f"{self._file}: {key} is {found!r:.60}; expected a list of nodes")
        for node in found:
            self._reader.item("nodes", node)
        return found

    def _path(self, node: int) -> list[int]:
        """The node and its ancestors, upwards."""
        path = [node]
        while self._parents[path[-1]] >= 0:
            path.append(self._parents[path[-1]])
            if len(path) > min(len(self._nodes), _MAX_DEPTH):
                raise ValueError(
                    f"{self._file}: node {node} is its own ancestor, or more than {_MAX_DEPTH} nodes deep"
                )
        return path

    def _tracks(self, animation: dict[str, Any]) -> dict[tuple[int, str], _Track]:
        """The tracks of an animation by node and property; morph targets are left out."""
        channels, samplers = animation.get("channels", []), animation.get("samplers", [])
        if not isinstance(channels, list) or not isinstance(samplers, list):
            raise ValueError(f"{self._file}: an animation without channels and samplers")
        tracks = {}
        for channel in channels:
            try:
                target, sampler = channel["target"], samplers[channel["sampler"]]
                kind, node = target["path"], target.get("node")
                keys, output = sampler["input"], sampler["output"]
                interpolation = sampler.get("interpolation", "LINEAR")
                wanted = kind in _WIDTHS
            except (KeyError, IndexError, TypeError, AttributeError):
                raise ValueError(
                    f"{self._file}: damaged animation channel {channel!r:.80}"
                ) from None
            if node is None or not wanted:
                continue
            self._reader.item("nodes", node)
            where = f"{self._file}: {kind} of node {node}"
            times, values = self._reader.array(keys)[:, 0], self._reader.array(output)
            if interpolation == "CUBICSPLINE":
                values = values[1::3]
            tracks[node, kind] = _track(times, values, kind, interpolation == "STEP", where)
        return tracks

    def _joints(self, tracks: dict[tuple[int, str], _Track]) -> list[int]:
        """The nodes that are joints, parents before children, a single one at the top."""
        if self._reader.items("skins"):
            joints = self._indices(self._reader.item("skins", 0), "joints")
        else:
            animated = {node for node, _ in tracks}
            above = {node for other in animated for node in self._paths[other]}
            joints = [
                node
                for node, path in enumerate(self._paths)
                if node in above or animated.intersection(path)
            ]
        if not joints or len(set(joints)) != len(joints):
            raise ValueError(f"{self._file}: no skeleton in it (no skin and no animated nodes)")
        top = self._paths[joints[0]]
        shared = set(top).intersection(*(self._paths[joint] for joint in joints))
        common = [node for node in top if node in shared]
        if not common:
            raise ValueError(
                f"{self._file}: its joints belong to separate trees; expected one skeleton"
            )
        if common[0] not in joints:
            joints = [common[0], *joints]
        place = {joint: index for index, joint in enumerate(joints)}
        ordered = all(
            place.get(above, -1) < place[joint]
            for joint in joints
            for above in self._paths[joint][1:]
        )
        return joints if ordered else sorted(joints, key=lambda joint: len(self._paths[joint]))

    def _joint_parents(self, joints: list[int]) -> tuple[int, ...]:
        place = {joint: index for index, joint in enumerate(joints)}
        return tuple(
            next((place[above] for above in self._paths[joint][1:] if above in place), -1)
            for joint in joints
        )

    def _world(
        self, joints: list[int], tracks: dict[tuple[int, str], _Track], times: Tensor
    ) -> tuple[Tensor, Tensor]:
        """World positions (T, J, 3) and rotations (T, J, 3, 3) of the joints at some times."""
        linear: dict[int, Tensor] = {}
        positions: dict[int, Tensor] = {}
        for joint in joints:
            for node in reversed(self._paths[joint]):
                if node in linear:
                    continue
                place, matrix = self._local(node, tracks, times)
                above = self._parents[node]
                if above < 0:
                    linear[node], positions[node] = matrix, place
                else:
                    linear[node] = linear[above] @ matrix
                    positions[node] = positions[above] + (linear[above] @ place[..., None])[..., 0]
        matrices = torch.stack([linear[joint] for joint in joints], dim=1)
        if not matrices.isfinite().all() or (torch.linalg.det(matrices).abs() < 1e-12).any():
            raise ValueError(
                f"{self._file}: a joint is scaled to nothing or has values that are not finite"
            )
        return torch.stack([positions[joint] for joint in joints], dim=1), nearest_rotation(
            matrices
        )

    def _local(
        self, node: int, tracks: dict[tuple[int, str], _Track], times: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Translation (T, 3) and rotation times scale (T, 3, 3) of a node relative to its parent."""
        if "matrix" in self._nodes[node]:
            columns = self._numbers(node, "matrix", 16, 0.0).view(4, 4)
            return columns[3, :3].expand(len(times), 3), columns[:3, :3].T.expand(len(times), 3, 3)
        place = _sampled(
            self._numbers(node, "translation", 3, 0.0), tracks.get((node, "translation")), times
        )
        scale = _sampled(self._numbers(node, "scale", 3, 1.0), tracks.get((node, "scale")), times)
        rest = self._numbers(node, "rotation", 4, None)
        return place, _turned(rest, tracks.get((node, "rotation")), times) * scale[:, None, :]

    def _numbers(self, node: int, key: str, count: int, default: float | None) -> Tensor:
        """A list of numbers of a node; without it all `default`, or the rotation that does nothing."""
        missing = [0.0, 0.0, 0.0, 1.0] if default is None else [default] * count
        values = self._nodes[node].get(key, missing)
        good = isinstance(values, list) and len(values) == count
        if not good or not all(isinstance(value, int | float) for value in values):
            raise ValueError(
                f"{self._file}: {key} of node {node} is {values!r:.60}; expected {count} numbers"
            )
        return torch.tensor(values, dtype=torch.float64)


def _track(
    times: NDArray[np.float64], values: NDArray[np.float64], kind: str, steps: bool, where: str
) -> _Track:
    if values.shape != (len(times), _WIDTHS[kind]):
        raise ValueError(
            f"{where}: {len(times)} keys and values {values.shape}; expected ({len(times)}, {_WIDTHS[kind]})"
        )
    if not np.isfinite(times).all() or (np.diff(times) < 0).any() or times[0] < 0:
        raise ValueError(f"{where}: its key times do not rise from 0 or later")
    if not np.isfinite(values).all() or (kind == "rotation" and not values.any(axis=1).all()):
        raise ValueError(f"{where}: values that are not finite, or a rotation that is zero")
    return _Track(torch.from_numpy(times), torch.from_numpy(values), steps)


def _around(track: _Track, times: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The keys before and after each time (T,) and how far it is between them (T,)."""
    after = torch.searchsorted(track.times, times, right=True).clamp(max=len(track.times) - 1)
    before = torch.searchsorted(track.times, times, right=True).sub(1).clamp(min=0)
    span = track.times[after] - track.times[before]
    weight = torch.where(span > 0, (times - track.times[before]) / span.clamp(min=1e-12), 0.0)
    return before, after, torch.zeros_like(weight) if track.steps else weight.clamp(0.0, 1.0)


def _sampled(rest: Tensor, track: _Track | None, times: Tensor) -> Tensor:
    """(T, C) values of a track, or the value without animation."""
    if track is None:
        return rest.expand(len(times), -1)
    before, after, weight = _around(track, times)
    return torch.lerp(track.values[before], track.values[after], weight[:, None])


def _turned(rest: Tensor, track: _Track | None, times: Tensor) -> Tensor:
    """(T, 3, 3) rotations of a track, or the rotation without animation."""
    if track is None:
        return matrix_from_quaternion(rest).expand(len(times), 3, 3)
    before, after, weight = _around(track, times)
    keys = matrix_from_quaternion(track.values)
    return slerp(keys[before], keys[after], weight)


def _positive(value: Any, default: float) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if good and 0 < value < 10_000 else default

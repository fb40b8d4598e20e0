"""Packed motion-capture shards -> clips, each a Motion on its source skeleton.

A folder holds `manifest.jsonl` (one clip a line), `skeletons.json` and `*.npz` with one int32 array (C, T) per clip: first
differences over time of round(channel / 0.001), in BVH channel order (degrees, file units).

Shapes: T frames, J joints, C channels.
"""

from __future__ import annotations

import functools
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from motionmill.formats.bvh import Hierarchy, motion_from_channels
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_euler
from motionmill.motion.skeleton import Skeleton, local_to_world_rotations

_STEP = 1e-3
_MAX_MANIFEST_BYTES = 256 << 20
_MAX_CLIP_BYTES = 512 << 20


@dataclass(frozen=True)
class PackedClip:
    """One clip of a shard; its motion is decoded when asked for.

    Attributes:
        id: name of the clip, unique in its folder.
        fps: frames per second, after repairs.
        captions: sentences or words that say what is done.
        licence: terms of use, as written in the manifest.
        source: where it was published.
        manifest: the clip's line of the manifest, unchanged.
        folder: where the shards lie.
        skeleton: the clip's entry in `skeletons.json`.
    """

    id: str
    fps: float
    captions: tuple[str, ...]
    licence: str
    source: str
    manifest: Mapping[str, Any]
    folder: Path
    skeleton: Mapping[str, Any]

    def motion(self) -> Motion:
        """The clip on its source skeleton, metres, its zero pose the rig's rest pose.

        Raises:
            ValueError: damaged shard, or an array that does not fit manifest and skeleton.
        """
        hierarchy = _hierarchy(self.skeleton, self.manifest["skeleton"])
        values = self._channels(hierarchy.num_channels)
        values = values[int(self.manifest.get("skip_first_frames", 0)) :]
        scale = 100.0 / float(self.skeleton.get("scale_to_cm", 1.0))
        motion = motion_from_channels(hierarchy, values, fps=self.fps, scale=scale, name=self.id)
        if "rest_local_euler_zyx" in self.skeleton:
            motion = _from_rest_pose(motion, self.skeleton)
        return motion

    def _channels(self, num_channels: int) -> NDArray[np.float64]:
        """(T, C) values in degrees and file units."""
        shard, key = str(self.manifest["shard"]), str(self.manifest["key"])
        expected = (num_channels, int(self.manifest["frames"]))
        raw = _read_member(self.folder / shard, f"{key}.npy")
        differences = np.load(io.BytesIO(raw), allow_pickle=False)
        if differences.dtype != np.int32 or differences.shape != expected:
            raise ValueError(
                f"{shard}, {key}: {differences.dtype} {differences.shape}; expected int32 {expected}"
            )
        return np.cumsum(differences, axis=1, dtype=np.int64).T * _STEP


def read_folder(folder: Path | str) -> list[PackedClip]:
    """Clips of a folder of packed shards, in the order of the manifest.

    Raises:
        FileNotFoundError: no manifest or skeletons in the folder.
        ValueError: a damaged manifest (file, line, what is wrong).
    """
    folder = Path(folder)
    skeletons = json.loads(_read_text(folder / "skeletons.json"))
    clips = []
    for number, line in enumerate(_read_text(folder / "manifest.jsonl").splitlines(), 1):
        if line.strip():
            where = f"{folder.name}/manifest.jsonl, line {number}"
            clips.append(_clip(json.loads(line), folder, skeletons, where))
    return clips


def _clip(
    record: Mapping[str, Any], folder: Path, skeletons: Mapping[str, Any], where: str
) -> PackedClip:
    missing = [
        key for key in ("id", "shard", "key", "skeleton", "fps", "frames") if key not in record
    ]
    if missing:
        raise ValueError(f"{where}: no {', '.join(missing)}")
    shard = str(record["shard"])
    if Path(shard).name != shard or not shard.endswith(".npz"):
        raise ValueError(
            f"{where}: shard {shard!r}; expected the name of an .npz file in the folder"
        )
    if record["skeleton"] not in skeletons:
        raise ValueError(f"{where}: skeleton {record['skeleton']!r} is not in skeletons.json")
    return PackedClip(
        id=str(record["id"]),
        fps=float(record["fps"]),
        captions=tuple(record.get("captions", ())),
        licence=str(record.get("licence", "")),
        source=str(record.get("source", "")),
        manifest=record,
        folder=folder,
        skeleton=skeletons[record["skeleton"]],
    )


def _hierarchy(record: Mapping[str, Any], name: str) -> Hierarchy:
    """An entry of `skeletons.json` as a Hierarchy."""
    joints = len(record["joints"])
    offsets = np.array(record["offsets"], dtype=np.float64)
    if offsets.shape != (joints, 3) or not joints == len(record["parents"]) == len(
        record["channels"]
    ):
        raise ValueError(
            f"skeletons.json, {name}: joints, parents, offsets and channels differ in length"
        )
    for joint, offset in record.get("thorax_fix", {}).items():
        offsets[record["joints"].index(joint)] = offset
    return Hierarchy(
        tuple(record["joints"]),
        tuple(record["parents"]),
        offsets,
        tuple(map(tuple, record["channels"])),
    )


def _from_rest_pose(motion: Motion, record: Mapping[str, Any]) -> Motion:
    """The same motion with every joint's axes turned so that zero rotations give the rest pose of the file."""
    names = record["joints"]
    rest = torch.deg2rad(torch.tensor(record["rest_local_euler_zyx"], dtype=torch.float64))
    world = local_to_world_rotations(matrix_from_euler("ZYX", rest), tuple(record["parents"]))
    world = world[[names.index(name) for name in motion.skeleton.names]]
    parents = motion.skeleton.parents
    above = torch.stack([world[max(parent, 0)] for parent in parents])
    offsets = (above @ motion.skeleton.offsets[..., None])[..., 0]
    above = torch.stack(
        [torch.eye(3, dtype=torch.float64) if parent < 0 else world[parent] for parent in parents]
    )
    rotations = above @ motion.rotations @ world.transpose(-1, -2)
    return Motion(
        rotations,
        motion.root,
        fps=motion.fps,
        skeleton=Skeleton(motion.skeleton.names, parents, offsets),
        name=motion.name,
    )


def _read_text(path: Path) -> str:
    if path.stat().st_size > _MAX_MANIFEST_BYTES:
        raise ValueError(
            f"{path.name}: {path.stat().st_size} bytes; at most {_MAX_MANIFEST_BYTES} are read"
        )
    return path.read_text(encoding="utf-8")


def _read_member(path: Path, member: str) -> bytes:
    """The bytes of one member of an .npz file. Shards stay in memory, the last two of them."""
    try:
        archive = _archive(path)
        size = archive.getinfo(member).file_size
        if size > _MAX_CLIP_BYTES:
            raise ValueError(
                f"{path.name}, {member}: {size} bytes; at most {_MAX_CLIP_BYTES} are read"
            )
        return archive.read(member)
    except KeyError:
        raise ValueError(f"{path.name}: no array {member!r} in the shard") from None
    except (zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path.name}: damaged shard ({error})") from None


@functools.lru_cache(maxsize=2)
def _archive(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(path.read_bytes()))

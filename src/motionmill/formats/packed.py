"""Packed motion-capture shards -> clips, each a Motion on its source skeleton.

A folder holds `manifest.jsonl` (one clip a line), `skeletons.json` and `*.npz` with one int32 array (C, T) per clip:
first differences over time of round(channel / 0.001), in BVH channel order (degrees, file units).

Shapes: T frames, J joints, C channels.
"""

from __future__ import annotations

import functools
import io
import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray
from torch import Tensor

from motionmill.formats.channels import Hierarchy, motion_from_channels
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_euler, slerp
from motionmill.motion.skeleton import Skeleton, local_to_world_rotations

_GDQUEST = "walk air_jump_anticipation dash fight_kick idle air_land air_jump fight_idle fight_punch idle_to_fight run"
DROPPED = (
    {
        "snu_wd2_wd2_Take_001": "does not move, and the body lies 96 cm under the floor",
        "snu_wd2_wd2_Take_002": "does not move",
        "snu_wd2_wd2_Take_001_af35": "does not move",
        "ad_jesse_dance": "floats 10 to 50 cm over the floor on which it starts",
        "ual_Idle": "a T-pose that does not move",
        "ual_Sit": "a T-pose that does not move",
        "ual_Walk": "a T-pose that does not move",
    }
    | {
        f"cmu_cg_{trial}": "the legs flip for single frames; the same trial is in cmu2 without that"
        for trial in (*(f"05_{number:02}" for number in range(1, 21)), "14_08")
    }
    | {
        f"gdq_{name}": "the rest pose is a step of a walk: how far its joints are twisted cannot be told"
        for name in _GDQUEST.split()
    }
)
"""Clips that `read_folder` leaves out, with the reason."""


@dataclass(frozen=True)
class _Repair:
    """What is wrong with the clips of one recording and is put right on reading.

    Attributes:
        skip: frames at the start that are a left-over pose, besides the manifest's `skip_first_frames`.
        turns: joint -> axis and degrees by which its own rotation is off in every frame of the recording.
    """

    skip: int = 0
    turns: Mapping[str, tuple[str, float]] = field(default_factory=dict)


# By the beginning of the clip's id; the first match counts. Angles are medians over the walking or resting frames.
# The 13 `woody-walk` clips keep their 24 fps: their normal gait then has strides of 1.19 s against 1.28 s in the same
# actor's 30 fps clips; at 30 fps it would be 0.95 s, and 1.03 s is his fast walk.
_REPAIRS = {
    # Retargeted by the publisher with the head bent down by 28 degrees and the feet by 14.
    "snu_cmu_69": _Repair(
        turns={"Head": ("Z", -28.0), "LeftFoot": ("Z", 13.6), "RightFoot": ("Z", 13.6)}
    ),
    # The same for the Indian dance on the CMU skeleton: head up, feet down.
    "snu_cmu_94": _Repair(
        turns={"Head": ("X", 18.0), "LeftFoot": ("X", -36.0), "RightFoot": ("X", -36.0)}
    ),
    # Subject 2 walks with the chin up by 27 degrees more than the others: markers of the head.
    "cmu_amc_02": _Repair(turns={"head": ("X", 27.0)}),
    "cmu_cg_02": _Repair(turns={"Head": ("X", 27.0)}),
    # Frame 0 is the rig's rest pose at another place.
    "acrnn_": _Repair(skip=1),
    "cmu_amc_09_10": _Repair(skip=1),
    "cmu_amc_16_15": _Repair(skip=1),
    "cmu_amc_16_23": _Repair(skip=1),
    "cmu_amc_16_28": _Repair(skip=2),
    "snu_basket_s_010_2_2": _Repair(skip=2),
}

_STEP = 1e-3
_SPIKE_DEGREES = 40.0
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
        repair = next(
            (r for prefix, r in _REPAIRS.items() if self.id.startswith(prefix)), _Repair()
        )
        values = values[int(self.manifest.get("skip_first_frames", 0)) + repair.skip :]
        scale = 100.0 / float(self.skeleton.get("scale_to_cm", 1.0))
        motion = motion_from_channels(hierarchy, values, fps=self.fps, scale=scale, name=self.id)
        if "rest_local_euler_zyx" in self.skeleton:
            motion = _from_rest_pose(motion, self.skeleton)
        return _turned(_without_spikes(motion), repair.turns)

    def _channels(self, num_channels: int) -> NDArray[np.float64]:
        """(T, C) values in degrees and file units."""
        shard, key = str(self.manifest["shard"]), str(self.manifest["key"])
        expected = (num_channels, int(self.manifest["frames"]))
        raw = io.BytesIO(_read_member(self.folder / shard, f"{key}.npy"))
        # The header is checked before memory is taken for what it says.
        npy.read_magic(raw)  # type: ignore[no-untyped-call]
        shape, _, dtype = npy.read_array_header_1_0(raw)  # type: ignore[no-untyped-call]
        if dtype != np.int32 or shape != expected:
            raise ValueError(f"{shard}, {key}: {dtype} {shape}; expected int32 {expected}")
        raw.seek(0)
        differences = np.load(raw, allow_pickle=False)
        return np.cumsum(differences, axis=1, dtype=np.int64).T * _STEP


def read_folder(folder: Path | str) -> list[PackedClip]:
    """The usable clips of a folder of packed shards: all of `read_manifest` but those in `DROPPED`."""
    return [clip for clip in read_manifest(folder) if clip.id not in DROPPED]


def read_manifest(folder: Path | str) -> list[PackedClip]:
    """Every clip of a folder of packed shards, in the order of the manifest.

    Raises:
        FileNotFoundError: no manifest or skeletons in the folder.
        ValueError: a damaged manifest (file, line, what is wrong).
    """
    folder = Path(folder)
    skeletons = _json(_read_text(folder / "skeletons.json"), f"{folder.name}/skeletons.json")
    clips = []
    for number, line in enumerate(_read_text(folder / "manifest.jsonl").splitlines(), 1):
        if line.strip():
            where = f"{folder.name}/manifest.jsonl, line {number}"
            clips.append(_clip(_json(line, where), folder, skeletons, where))
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
    missing = [key for key in ("joints", "parents", "offsets", "channels") if key not in record]
    if missing:
        raise ValueError(f"skeletons.json, {name}: no {', '.join(missing)}")
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
    identity = torch.eye(3, dtype=world.dtype)
    above = torch.stack([identity if parent < 0 else world[parent] for parent in parents])
    offsets = (above @ motion.skeleton.offsets[..., None])[..., 0]
    rotations = above @ motion.rotations @ world.transpose(-1, -2)
    skeleton = Skeleton(motion.skeleton.names, parents, offsets)
    return replace(motion, rotations=rotations, skeleton=skeleton)


def _without_spikes(motion: Motion) -> Motion:
    """Joints that flip away for a single frame and back get the rotation between their neighbours' instead.

    Euler angles near gimbal lock, cut to one frame in four, leave such frames (`root_flips_left` in the manifest).
    """
    if len(motion) < 3:
        return motion
    before, here, after = motion.rotations[:-2], motion.rotations[1:-1], motion.rotations[2:]
    away = torch.minimum(_angle(before, here), _angle(here, after))
    spikes = (away > math.radians(_SPIKE_DEGREES)) & (_angle(before, after) < 0.4 * away)
    if not bool(spikes.any()):
        return motion
    rotations = motion.rotations.clone()
    half = rotations.new_full((1,), 0.5)
    rotations[1:-1][spikes] = slerp(before[spikes], after[spikes], half)
    return replace(motion, rotations=rotations)


def _angle(first: Tensor, second: Tensor) -> Tensor:
    """(..., 3, 3) rotations -> (...) angle between them, radians."""
    return torch.arccos((((first * second).sum(dim=(-1, -2)) - 1) / 2).clamp(-1.0, 1.0))


def _turned(motion: Motion, turns: Mapping[str, tuple[str, float]]) -> Motion:
    """The motion with a constant turn after the own rotation of some joints."""
    if not turns:
        return motion
    rotations = motion.rotations.clone()
    for joint, (axis, degrees) in turns.items():
        index = motion.skeleton.index(joint)
        angle = rotations.new_tensor([math.radians(degrees)])
        rotations[:, index] = rotations[:, index] @ matrix_from_euler(axis, angle)
    return replace(motion, rotations=rotations)


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: not JSON ({error})") from None


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

"""Packed shards: the same motion as the original files, every folder readable, damaged input refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from motionmill.formats import bvh, packed
from motionmill.formats.channels import motion_from_channels
from motionmill.motion.motion import Motion
from motionmill.motion.rigs import body_axes, recognise
from motionmill.motion.rotations import yaw_matrix
from motionmill.motion.skeleton import Skeleton

FOLDERS = ("bandai", "snu2", "uiprmd", "cmu2", "cmu", "cmu_acrnn", "extra", "game_cc0")
SKELETON = {
    "joints": ["Hips", "Spine"],
    "parents": [-1, 0],
    "offsets": [[0, 0, 0], [0, 10, 0]],
    "channels": [["Xposition", "Yposition", "Zposition", "Yrotation"], ["Zrotation"]],
}


def find(folder: Path, name: str) -> packed.PackedClip:
    return next(clip for clip in packed.read_folder(folder) if clip.id == name)


def make_folder(folder: Path, *, array: Any = None, **record: Any) -> Path:
    values = np.array([[0.0, 100, 0, 90, 45], [10, 100, 0, -90, 45.5]])
    encoded = np.diff(np.round(values.T / 1e-3).astype(np.int64), axis=1, prepend=0).astype(
        np.int32
    )
    np.savez(folder / "clips.npz", walk=encoded if array is None else array)
    line = {
        "id": "walk",
        "shard": "clips.npz",
        "key": "walk",
        "skeleton": "two",
        "fps": 30,
        "frames": 2,
    }
    (folder / "skeletons.json").write_text(json.dumps({"two": SKELETON}))
    (folder / "manifest.jsonl").write_text(json.dumps(line | record) + "\n")
    return folder


def test_decodes_what_was_packed(tmp_path: Path) -> None:
    (clip,) = packed.read_folder(make_folder(tmp_path, captions=["walk"], licence="CC0"))
    motion = clip.motion()
    assert (clip.captions, clip.licence, motion.fps, motion.name) == (
        ("walk",),
        "CC0",
        30.0,
        "walk",
    )
    expected = torch.tensor([[0, 1, 0], [0.1, 1, 0]], dtype=torch.float64)
    torch.testing.assert_close(motion.root, expected)
    yaw = torch.tensor([np.pi / 2, -np.pi / 2], dtype=torch.float64)
    torch.testing.assert_close(motion.rotations[:, 0], yaw_matrix(yaw))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"shard": "../clips.npz"}, "shard '../clips.npz'; expected the name of an .npz file"),
        ({"shard": "/etc/clips.npz"}, "expected the name of an .npz file"),
        ({"shard": "clips.pkl"}, "expected the name of an .npz file"),
        (
            {"skeleton": "three"},
            "manifest.jsonl, line 1: skeleton 'three' is not in skeletons.json",
        ),
    ],
)
def test_manifests_are_checked(tmp_path: Path, record: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        packed.read_folder(make_folder(tmp_path, **record))


@pytest.mark.parametrize(
    ("array", "record", "message"),
    [
        (None, {"key": "run"}, r"clips.npz: no array 'run.npy'"),
        (None, {"frames": 3}, r"int32 \(5, 2\); expected int32 \(5, 3\)"),
        (np.zeros((5, 2)), {}, r"float64 \(5, 2\); expected int32"),
        (np.array([{}], dtype=object), {}, r"object \(1,\); expected int32"),
    ],
)
def test_arrays_are_checked(
    tmp_path: Path, array: Any, record: dict[str, Any], message: str
) -> None:
    (clip,) = packed.read_folder(make_folder(tmp_path, array=array, **record))
    with pytest.raises(ValueError, match=message):
        clip.motion()


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    make_folder(tmp_path)
    (clip,) = packed.read_folder(tmp_path)
    (tmp_path / "clips.npz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"clips\.npz: damaged shard"):
        clip.motion()
    (tmp_path / "manifest.jsonl").write_text("{")
    with pytest.raises(ValueError, match=r"manifest\.jsonl, line 1: not JSON"):
        packed.read_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        packed.read_folder(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("folder", "clip", "original", "skip"),
    [
        ("bandai", "dataset-1_kick_normal_001", "bandai/dataset-1_kick_normal_001.bvh", 0),
        ("extra", "mass_kick", "mass_bvh/kick.bvh", 0),
        ("extra", "snu_ma_16_08_1", "snu_martial_arts_bvh/16_08_1.bvh", 0),
        ("cmu", "cmu_cg_06_04", "cmu_cgspeed_bvh/06_04.bvh", 1),
    ],
)
def test_is_the_original_file(
    shared: Path, folder: str, clip: str, original: str, skip: int
) -> None:
    ours = find(shared / "data" / folder, clip)
    scale = 100.0 / float(ours.skeleton.get("scale_to_cm", 1.0))
    theirs = bvh.load(shared / "data/originals" / original, scale=scale)[skip:]
    motion = ours.motion()
    names = [name for name in motion.skeleton.names if "Neck" not in name and "Head" not in name]
    legs = [motion.skeleton.index(name) for name in names if "Leg" in name or "Foot" in name]
    assert len(motion) == len(theirs)
    assert motion.fps == pytest.approx(theirs.fps, rel=1e-3)
    torch.testing.assert_close(
        motion.joints()[:, legs], theirs.joints()[:, legs], atol=2e-3, rtol=0
    )


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_rig_of_a_folder_is_read(shared: Path, folder: str) -> None:
    clips = {
        clip.manifest["skeleton"]: clip for clip in packed.read_folder(shared / "data" / folder)
    }
    for clip in clips.values():
        motion = clip.motion()
        assert torch.isfinite(motion.joints()).all()
        assert 0 <= clip.manifest["frames"] - len(motion) <= 3
        recognise(motion.skeleton)


def test_dropped_clips_exist_and_are_left_out(shared: Path) -> None:
    listed, read = set(), set()
    for folder in ("snu2", "cmu", "cmu_acrnn", "game_cc0"):
        lines = (shared / "data" / folder / "manifest.jsonl").read_text().splitlines()
        listed |= {json.loads(line)["id"] for line in lines}
        read |= {clip.id for clip in packed.read_folder(shared / "data" / folder)}
    assert listed - read == set(packed.DROPPED)


@pytest.mark.parametrize("name", ["ual_Dance_Loop", "m2m_Reject"])
def test_rest_poses_become_the_zero_pose_without_moving_a_joint(shared: Path, name: str) -> None:
    clip = find(shared / "data/game_cc0", name)
    motion = clip.motion()
    axes = body_axes(motion.skeleton.rest_joints, recognise(motion.skeleton).joints)
    assert axes is not None
    torch.testing.assert_close(axes, torch.eye(3, dtype=axes.dtype))
    hierarchy = packed._hierarchy(clip.skeleton, "it")
    plain = motion_from_channels(
        hierarchy, clip._channels(hierarchy.num_channels), fps=30, scale=100
    )
    torch.testing.assert_close(motion.joints(), plain.joints(), atol=1e-5, rtol=0)


def test_single_wrong_frames_are_mended_and_quick_turns_kept() -> None:
    angles = torch.linspace(0, 6, 20, dtype=torch.float64)  # 18 degrees a frame
    skeleton = Skeleton(("root",), (-1,), torch.zeros(1, 3))
    clean = Motion(yaw_matrix(angles)[:, None], torch.zeros(20, 3), 30.0, skeleton)
    wrong = clean.rotations.clone()
    wrong[7] = yaw_matrix(angles[7] + 2.5)
    broken = Motion(wrong, clean.root, 30.0, skeleton)
    torch.testing.assert_close(packed._without_spikes(broken).rotations, clean.rotations)
    fast = Motion(
        yaw_matrix(8 * angles)[:, None], clean.root, 30.0, skeleton
    )  # 145 degrees a frame
    torch.testing.assert_close(packed._without_spikes(fast).rotations, fast.rotations)

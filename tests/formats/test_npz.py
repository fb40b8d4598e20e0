"""NPZ: our own archives lose nothing, AMASS's are read and written in its conventions, bad ones are refused."""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motionmill.formats import arrays, npz
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_axis_angle
from motionmill.motion.skeleton import Skeleton, adult_skeleton
from tests.formats.oracles import check_world


def random_motion(frames: int = 12, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> Motion:
    generator = torch.Generator().manual_seed(seed)
    turns = 0.8 * torch.randn(frames, 22, 3, generator=generator, dtype=torch.float64)
    root = torch.randn(frames, 3, generator=generator, dtype=torch.float64)
    return Motion(
        matrix_from_axis_angle(turns).to(dtype), root.to(dtype), 30.0, name="a tired walk"
    )


@given(seed=st.integers(0, 10**6), double=st.booleans(), fps=st.sampled_from([30.0, 29.97, 120.0]))
@settings(max_examples=10, deadline=None)
def test_our_own_archives_lose_nothing(
    tmp_path_factory: Any, seed: int, double: bool, fps: float
) -> None:
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    motion = random_motion(seed=seed, dtype=torch.float64 if double else torch.float32)
    motion = replace(motion, fps=fps, skeleton=replace(adult_skeleton(), foot_joint_height=0.031))
    npz.save(motion, path)
    back = npz.load(path)
    assert torch.equal(back.rotations, motion.rotations)
    assert torch.equal(back.root, motion.root)
    assert torch.equal(back.skeleton.offsets, motion.skeleton.offsets)
    assert (back.fps, back.name) == (fps, "a tired walk")
    assert back.skeleton.names == motion.skeleton.names
    assert back.skeleton.parents == motion.skeleton.parents
    assert back.skeleton.foot_joint_height == 0.031


def test_any_skeleton(tmp_path: Path) -> None:
    stick = Skeleton(("hip", "tip"), (-1, 0), torch.tensor([[0.0, 0, 0], [0, 0, 1]]))
    motion = Motion(torch.eye(3).repeat(3, 2, 1, 1), torch.zeros(3, 3), 24.0, stick)
    npz.save(motion, tmp_path / "stick.npz")
    assert npz.load(tmp_path / "stick.npz").skeleton.names == ("hip", "tip")
    assert "poses" not in np.load(tmp_path / "stick.npz")


def test_the_keys_of_amass(tmp_path: Path) -> None:
    """Standing upright facing +Z for us is, in a Z-up world, facing -Y with the pelvis' own y axis up."""
    rotations = torch.eye(3, dtype=torch.float64).repeat(2, 22, 1, 1)
    rotations[:, 18] = matrix_from_axis_angle(torch.tensor([0.0, -1.2, 0.0], dtype=torch.float64))
    root = torch.tensor([[1.0, 0.94, 3.0], [1.0, 0.94, 4.0]], dtype=torch.float64)
    npz.save(Motion(rotations, root, 60.0), tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert file["poses"].shape == (2, 156)
        assert np.allclose(file["poses"][:, :3], [math.pi / 2, 0, 0])
        assert np.allclose(file["poses"][:, 54:57], [0, -1.2, 0])
        assert not file["poses"][:, 66:].any()
        assert np.allclose(file["trans"], [[1, -3, 0.94], [1, -4, 0.94]])
        assert file["mocap_framerate"] == file["mocap_frame_rate"] == 60
        assert str(file["gender"]) == "neutral"
        assert file["betas"].shape == (16,)
        assert not file["betas"].any()
        assert file["joints"].shape == (2, 22, 3)


def test_the_keys_of_smpl_x(tmp_path: Path) -> None:
    """As AMASS has them for SMPL-X: jaw and eyes between body and hands, and each part by itself."""
    npz.save(random_motion(), tmp_path / "h.npz")
    npz.save(random_motion(), tmp_path / "x.npz", body="smplx")
    with np.load(tmp_path / "h.npz") as smpl_h, np.load(tmp_path / "x.npz") as smpl_x:
        assert smpl_h["dmpls"].shape == (12, 8)
        assert smpl_x["poses"].shape == (12, 165)
        assert np.array_equal(smpl_x["poses"][:, :66], smpl_h["poses"][:, :66])
        parts = ("root_orient", "pose_body", "pose_jaw", "pose_eye", "pose_hand")
        assert [smpl_x[part].shape[1] for part in parts] == [3, 63, 3, 6, 90]
        assert np.array_equal(np.hstack([smpl_x[part] for part in parts]), smpl_x["poses"])
        assert str(smpl_x["surface_model_type"]) == "smplx"
        assert smpl_x["mocap_time_length"] == pytest.approx(0.4)
        keys = {key: smpl_x[key] for key in ("poses", "trans", "mocap_frame_rate")}
    np.savez(tmp_path / "only.npz", **keys)
    back = npz.load(tmp_path / "only.npz")
    assert torch.allclose(back.rotations, random_motion().rotations, atol=1e-9)
    with pytest.raises(ValueError, match="body 'smpl'; expected one of smplh, smplx"):
        npz.save(random_motion(), tmp_path / "x.npz", body="smpl")


@given(seed=st.integers(0, 10**6), body=st.sampled_from(npz.BODIES))
@settings(max_examples=10, deadline=None)
def test_the_keys_of_amass_hold_the_motion(tmp_path_factory: Any, seed: int, body: str) -> None:
    """Without our own keys, as somebody else's reader sees it: rotations and root as they were."""
    folder, motion = tmp_path_factory.mktemp("amass"), random_motion(seed=seed)
    npz.save(motion, folder / "ours.npz", body=body)
    with np.load(folder / "ours.npz", allow_pickle=False) as file:
        keys = ("trans", "mocap_frame_rate", "poses")
        np.savez(folder / "theirs.npz", **{key: file[key] for key in keys})
    back = npz.load(folder / "theirs.npz")
    check_world(motion, back.joints().numpy(), back.world_rotations().numpy())


def amass(tmp_path: Path, **changes: Any) -> Path:
    """An archive as AMASS has them, from a random motion; `None` removes a key."""
    npz.save(random_motion(), tmp_path / "own.npz")
    with np.load(tmp_path / "own.npz") as file:
        keys = ("poses", "trans", "betas", "gender", "mocap_framerate")
        arrays: dict[str, Any] = {key: file[key] for key in keys} | changes
    path = tmp_path / "amass.npz"
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


@pytest.mark.parametrize("columns", [66, 72, 156, 165])
def test_archives_of_amass(tmp_path: Path, columns: int) -> None:
    poses = np.pad(np.load(amass(tmp_path))["poses"], ((0, 0), (0, 99)))[:, :columns]
    motion = npz.load(amass(tmp_path, poses=poses, dmpls=np.zeros((12, 8))))
    assert torch.allclose(motion.rotations, random_motion().rotations, atol=1e-9)
    assert torch.allclose(motion.root, random_motion().root, atol=1e-9)
    assert (motion.fps, motion.name) == (30.0, "amass")


def test_smpl_x_keys_and_missing_rates(tmp_path: Path) -> None:
    poses = np.load(amass(tmp_path))["poses"]
    parts = {"root_orient": poses[:, :3], "pose_body": poses[:, 3:66], "poses": None}
    path = amass(tmp_path, mocap_framerate=None, mocap_frame_rate=np.array(120.0), **parts)
    assert npz.load(path).fps == 120.0
    path = amass(tmp_path, mocap_framerate=None)
    with pytest.raises(ValueError, match=r"amass.npz: no mocap_framerate .* pass fps"):
        npz.load(path)
    assert npz.load(path, fps=50.0).fps == 50.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trans": None}, "expected `poses` and `trans`"),
        ({"poses": np.zeros((12, 60))}, r"poses \(12, 60\)"),
        ({"poses": np.zeros((0, 156))}, r"poses \(0, 156\)"),
        ({"trans": np.zeros((11, 3))}, r"trans \(11, 3\)"),
        ({"trans": np.full((12, 3), np.nan)}, "trans has values that are not finite"),
        ({"poses": np.full((12, 156), "x")}, "expected numbers"),
        ({"mocap_framerate": np.zeros(2)}, "2 values"),
        ({"poses": np.array([None] * 3)}, "expected `poses`"),
    ],
)
def test_bad_archives_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        npz.load(amass(tmp_path, **changes))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """A pickle that would run code on loading is passed over."""

    class Trap:
        def __reduce__(self) -> Any:
            return (exec, (f"open({str(tmp_path / 'sprung')!r}, 'w').close()",))

    path = amass(tmp_path, labels=np.array([Trap()], dtype=object))
    assert len(npz.load(path)) == 12
    assert not (tmp_path / "sprung").exists()


def test_false_sizes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A header that claims more than the file holds, and a file that unpacks to too much."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 66)}
    )
    path = tmp_path / "liar.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("poses.npy", header.getvalue() + b"\0" * 64)
    with pytest.raises(ValueError, match=r"liar.npz: poses.npy: 64 bytes for an array"):
        npz.load(path)
    monkeypatch.setattr(arrays, "MAX_BYTES", 1 << 20)
    np.savez_compressed(path, poses=np.zeros(1 << 18))
    assert path.stat().st_size < 1 << 14
    with pytest.raises(ValueError, match="at most"):
        npz.load(path)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    npz.save(random_motion(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:200])
    with pytest.raises(ValueError, match=r"a.npz: not a NumPy archive"):
        npz.load(path)
    path.write_bytes(whole[:900] + b"\xff" * 40 + whole[940:])
    with pytest.raises(ValueError, match=r"a.npz"):
        npz.load(path)
    with pytest.raises(ValueError, match="not finite; nothing written"):
        npz.save(replace(random_motion(), root=torch.full((12, 3), math.inf)), tmp_path / "b.npz")
    assert not (tmp_path / "b.npz").exists()

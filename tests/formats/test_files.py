"""Load and save by suffix: every known kind, whole files or none, and errors that say what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import motionmill
from motionmill.formats.files import KNOWN_SUFFIXES, READERS, WRITERS, check_writable, load, save
from motionmill.motion import features
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_axis_angle


def nod(frames: int = 6) -> Motion:
    turns = torch.zeros(frames, 22, 3, dtype=torch.float64)
    turns[:, 12, 0] = torch.linspace(0, 0.5, frames)
    root = torch.tensor([[0.0, 0.94, 0.0]], dtype=torch.float64).expand(frames, 3)
    return Motion(matrix_from_axis_angle(turns), root.clone(), name="a person nods")


@pytest.mark.parametrize("suffix", KNOWN_SUFFIXES)
def test_every_known_suffix_is_written(tmp_path: Path, suffix: str) -> None:
    options = {"size": (64, 64)} if suffix in (".mp4", ".gif", ".png") else {}
    path = save(nod(), tmp_path / f"Nod{suffix.upper()}", **options)
    assert path == tmp_path / f"Nod{suffix.upper()}"
    assert path.stat().st_size > 500
    beside = [tmp_path / "Nod.qpos.npz"] if suffix == ".xml" else []
    assert sorted(tmp_path.iterdir()) == [path, *beside]


@pytest.mark.parametrize("suffix", [suffix for suffix in WRITERS if suffix in READERS])
def test_what_is_written_is_read(tmp_path: Path, suffix: str) -> None:
    back = load(save(nod(), tmp_path / f"nod{suffix}"))
    assert len(back) == 6
    assert back.fps == pytest.approx(30.0)
    expected = nod().joints()
    if suffix == ".npy":
        expected = features.to_motion(features.from_motion(nod())).joints()
    assert torch.allclose(back.joints(), expected, atol=1e-4)
    assert back.skeleton.names == nod().skeleton.names
    assert back.skeleton.foot_joint_height == nod().skeleton.foot_joint_height


def test_the_public_names(tmp_path: Path) -> None:
    path = motionmill.save(nod(), tmp_path / "nod.npz")
    assert torch.equal(motionmill.load(path).rotations, nod().rotations)


def test_unknown_suffixes_list_the_known(tmp_path: Path) -> None:
    for name in ("nod.obj", "nod"):
        with pytest.raises(ValueError, match=r"cannot write .* \.bvh, \.glb, \.fbx, .*\.png$"):
            save(nod(), tmp_path / name)
        with pytest.raises(
            ValueError, match=r"cannot read .* \.bvh, \.glb, \.npz, \.npy, \.amc, \.txt"
        ):
            load(tmp_path / name)
    with pytest.raises(ValueError, match=r"'\.mp4' files"):
        load(tmp_path / "nod.mp4")


def test_a_format_says_more_than_the_name(tmp_path: Path) -> None:
    path = save(nod(), tmp_path / "nod.data", format="GLB")
    assert path.read_bytes()[:4] == b"glTF"
    assert list(tmp_path.iterdir()) == [path]
    assert len(load(path, format=".glb")) == 6
    with pytest.raises(ValueError, match="cannot write xyz; known are"):
        save(nod(), tmp_path / "nod.glb", format="xyz")
    with pytest.raises(ValueError, match="no format 'xyz'; known are"):
        load(path, format="xyz")


def test_options_that_a_format_does_not_take(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a.glb: .glb files have no option 'order'; they take na"):
        save(nod(), tmp_path / "a.glb", order="ZYX")
    with pytest.raises(
        ValueError, match="no features 'joints'; known are motionmillion, humanml3d"
    ):
        save(nod(), tmp_path / "a.npy", features="joints")
    assert list(tmp_path.iterdir()) == []


def test_several_motions(tmp_path: Path) -> None:
    save([nod(), nod(9)], tmp_path / "both.glb")
    assert len(load(tmp_path / "both.glb")) == 6
    save([nod()], tmp_path / "one.bvh")
    with pytest.raises(ValueError, match=r"both.bvh: 2 motions; one file of .glb or .fbx holds"):
        save([nod(), nod(9)], tmp_path / "both.bvh")


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none.bvh does not exist"):
        load(tmp_path / "none.bvh")
    with pytest.raises(FileNotFoundError, match=r"the folder .*absent does not exist; create it"):
        save(nod(), tmp_path / "absent" / "nod.glb")
    (tmp_path / "file").write_text("")
    with pytest.raises(FileNotFoundError, match="is a file"):
        check_writable(tmp_path / "file" / "nod.glb")
    (tmp_path / "folder.glb").mkdir()
    with pytest.raises(PermissionError, match="is a folder"):
        check_writable(tmp_path / "folder.glb")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        load(tmp_path / "folder.glb")


def test_an_unwritable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(PermissionError, match="no right to write"):
        save(nod(), tmp_path / "nod.glb")


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = save(nod(), tmp_path / "nod.glb")
    before = path.read_bytes()
    bad = nod()
    with pytest.raises(ValueError, match="not finite"):
        save(replace(bad, root=bad.root * float("nan")), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_bad_feature_files(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    for array, message in (
        (np.zeros((5, 264), np.float32), r"\(5, 264\); expected \(T, 272\) features, \(T, 263\)"),
        (np.zeros((5, 263), np.float32), "has no length"),
        (np.zeros((0, 272), np.float32), "expected"),
        (np.zeros((5, 272), np.int32), "expected"),
        (np.full((5, 272), np.nan), "not finite"),
    ):
        np.save(path, array)
        with pytest.raises(ValueError, match=message):
            load(path)
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="holds Python objects"):
        load(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not a NumPy array"):
        load(path)


def test_importing_it_is_instant() -> None:
    code = "import sys, motionmill.formats.files; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

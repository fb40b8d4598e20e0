"""Folders of HumanML3D and MotionMillion: what is written is read, with captions and splits."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motionmill.formats import clips
from motionmill.formats.clips import Caption, of_motion
from motionmill.formats.files import load
from motionmill.formats.humanml3d import load_humanml3d, read_captions, save_humanml3d
from motionmill.formats.motionmillion import load_motionmillion, save_motionmillion
from tests.motions import angle_degrees, wandering


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), frames=st.integers(2, 40))
def test_motionmillion_round_trip(tmp_path_factory: Any, seed: int, frames: int) -> None:
    """0.1 mm and 0.01 degree, after the start is put over the origin, facing +Z, on the floor."""
    folder = tmp_path_factory.mktemp("motionmillion")
    motion = wandering(seed, frames)
    save_motionmillion([of_motion(motion, name="part/0001", split="train")], folder)
    (clip,) = load_motionmillion(folder)
    back, given_motion = clip.motion(), motion.face_forward()
    lift = given_motion.skeleton.foot_joint_height - given_motion.joints()[..., 1].min()
    expected = given_motion.joints() + torch.stack((lift * 0, lift, lift * 0))
    assert float((back.joints() - expected).norm(dim=-1).max()) < 1e-4
    assert float(angle_degrees(back.rotations, given_motion.rotations).max()) < 0.01


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), frames=st.integers(2, 40))
def test_humanml3d_round_trip(tmp_path_factory: Any, seed: int, frames: int) -> None:
    folder = tmp_path_factory.mktemp("humanml3d")
    motion = wandering(seed, frames, fps=20.0)
    save_humanml3d([of_motion(motion, name="0001")], folder)
    (clip,) = load_humanml3d(folder)
    joints = np.load(folder / "new_joints" / "0001.npy")
    back = clip.motion()
    sole = torch.tensor([0.0, back.skeleton.foot_joint_height, 0.0])
    assert joints.shape == (frames - 1, 22, 3)
    assert float((back.joints() - sole - torch.from_numpy(joints)).norm(dim=-1).max()) < 1e-4
    again = load(folder / "new_joints" / "0001.npy", fps=20.0)
    first, second = back.joints(), again.joints()
    torch.testing.assert_close(first - first[:1, :1], second - second[:1, :1], atol=2e-4, rtol=0)


def test_captions_splits_and_statistics(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = Caption("a person walks # slowly", "a/DET person/NOUN", 0.0, 0.0)
    part = Caption("Then he stops.", "", 1.5, 2.0)
    written = [
        of_motion(wandering(1), name="000001", captions=[whole, part], split="train"),
        of_motion(wandering(2), name="M000002", captions=["sits"], split="test"),
        of_motion(wandering(3)),
    ]
    with caplog.at_level(logging.WARNING, "motionmill"):
        save_humanml3d(written, tmp_path)
    assert "twist of wrists" in caplog.text
    assert "tagged OTHER" in caplog.text
    lines = (tmp_path / "texts/000001.txt").read_text().splitlines()
    assert lines[0] == "a person walks slowly#a/DET person/NOUN#0.0#0.0"
    assert lines[1] == "Then he stops.#then/OTHER he/OTHER stops/OTHER#1.5#2.0"
    assert (tmp_path / "all.txt").read_text().split() == ["000001", "M000002", "a_person_wanders"]
    (clip,) = load_humanml3d(tmp_path, split="test")
    assert (clip.name, clip.split, clip.captions[0].text) == ("M000002", "test", "sits")
    names = [clip.name for clip in load_humanml3d(tmp_path)]
    assert names == ["000001", "M000002", "a_person_wanders"]
    mean, std = np.load(tmp_path / "Mean.npy"), np.load(tmp_path / "Std.npy")
    vectors = [np.load(path) for path in sorted((tmp_path / "new_joint_vecs").glob("*.npy"))]
    np.testing.assert_allclose(mean, np.concatenate(vectors).mean(axis=0), atol=1e-5)
    assert len(set(std[4:67])) == len(set(std[259:])) == 1
    assert list(tmp_path.rglob(".*")) == []

    save_motionmillion(written, tmp_path / "million")
    clips_of_train = list(load_motionmillion(tmp_path / "million", split="train"))
    assert [clip.captions[1].text for clip in clips_of_train] == ["Then he stops."]
    folder = tmp_path / "million/mean_std/vector_272"
    assert np.load(folder / "std.npy").shape == np.load(folder / "mean.npy").shape == (272,)


def test_only_positions(tmp_path: Path) -> None:
    save_humanml3d([of_motion(wandering(1), name="1")], tmp_path)
    (tmp_path / "new_joint_vecs/1.npy").unlink()
    (tmp_path / "new_joint_vecs").rmdir()
    (clip,) = load_humanml3d(tmp_path)
    assert clip.motion().fps == 20.0


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../b", "", "a\\b"])
def test_names_stay_in_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "new_joint_vecs").mkdir()
    (tmp_path / "train.txt").write_text(f"{name or '.'}\n")
    clip = clips.Clip(name, read=lambda: wandering(1))
    with pytest.raises(ValueError, match="expected a name inside the folder"):
        save_humanml3d([clip], tmp_path)
    with pytest.raises(ValueError, match="expected a name inside the folder"):
        save_motionmillion([clip], tmp_path)
    if name:
        with pytest.raises(ValueError, match="expected a name inside the folder"):
            list(load_humanml3d(tmp_path, split="train"))


def test_what_is_missing_or_damaged_is_told(tmp_path: Path) -> None:
    for function, word in ((load_humanml3d, "new_joint_vecs"), (load_motionmillion, "vector_272")):
        with pytest.raises(FileNotFoundError, match=word):
            list(function(tmp_path))
    (tmp_path / "new_joint_vecs").mkdir()
    (tmp_path / "vector_272").mkdir()
    with pytest.raises(FileNotFoundError):
        list(load_humanml3d(tmp_path, split="train"))
    with pytest.raises(FileNotFoundError, match=r"0 lists train\.txt"):
        list(load_motionmillion(tmp_path, split="train"))
    with pytest.raises(FileNotFoundError, match="load_humanml3d reads its clips"):
        load(tmp_path / "new_joint_vecs" / "..")
    (tmp_path / "new_joint_vecs/1.npy").write_bytes(b"no array")
    (clip,) = load_humanml3d(tmp_path)
    with pytest.raises(ValueError, match=r"1\.npy: not a NumPy array"):
        clip.motion()
    with pytest.raises(ValueError, match="no clips to write"):
        save_humanml3d([], tmp_path / "new")
    (tmp_path / "t.txt").write_text("walks#a/B#0.0#0.0\nruns#0.0\n")
    with pytest.raises(ValueError, match=r"t\.txt, line 2: 'runs#0\.0'; expected caption#word"):
        read_captions(tmp_path / "t.txt")
    (tmp_path / "t.txt").write_text("walks # fast#a/B#nan#2.5\n")
    assert read_captions(tmp_path / "t.txt") == (Caption("walks # fast", "a/B", 0.0, 2.5),)

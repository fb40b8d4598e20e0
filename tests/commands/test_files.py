"""`motionmill convert`: one into several, several into one, folders, what it prints and how it ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from motionmill.cli import main
from motionmill.formats import glb
from motionmill.formats.clips import of_motion
from motionmill.formats.files import load, save
from motionmill.formats.humanml3d import load_humanml3d
from motionmill.formats.motionmillion import load_motionmillion, save_motionmillion
from tests.formats.test_files import nod
from tests.motions import wandering


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a.bvh and b.npz."""
    monkeypatch.chdir(tmp_path)
    save(nod(), tmp_path / "a.bvh")
    save(nod(9), tmp_path / "b.npz")
    return tmp_path


def test_one_into_several(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["convert", "a.bvh", "-o", "x.glb", "-o", "x.npz", "-o", "x.fbx", "--fps", "60"]
    assert main([*words, "--body", "smplx", "--names", "unity"]) == 0
    assert (here / "x.fbx").read_bytes()[:18] == b"Kaydara FBX Binary"
    assert load(here / "x.npz").fps == 60
    assert glb.load(here / "x.glb").skeleton.names[0] == "Hips"
    shown = capsys.readouterr().out
    assert "x.glb, x.npz, x.fbx: 0.2 s, 11 frames at 60 fps" in shown
    assert "Z up" in shown


def test_several_into_one(here: Path) -> None:
    assert main(["convert", "a.bvh", "b.npz", "-o", "both.glb"]) == 0
    assert [len(glb.load(here / "both.glb", clip=clip)) for clip in (0, 1)] == [6, 9]


def test_formats_that_names_do_not_say(here: Path) -> None:
    assert main(["convert", "a.bvh", "-o", "c.data", "--to", "npz"]) == 0
    assert main(["convert", "c.data", "--from", "npz", "-o", "d.bvh", "--order", "XYZ"]) == 0
    assert "Xrotation Yrotation Zrotation" in (here / "d.bvh").read_text()


def test_a_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["convert", ".", "-o", "out", "--to", "glb", "--to", "npz"]
    assert main(words) == 0
    first, remark = capsys.readouterr().out.splitlines()
    assert first == "out: 4 files written"
    assert remark.startswith(".npz: what AMASS readers find in it is Z up")
    (here / "broken.bvh").write_text("nothing")
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0] == (
        "out: 0 files written, 4 kept that were newer than their source, 1 of 3 sources failed"
    )
    assert shown.err.startswith("broken.bvh: broken.bvh, line 1: expected HIERARCHY")
    assert sorted(path.name for path in (here / "out").iterdir()) == [
        "a.glb", "a.npz", "b.glb", "b.npz",
    ]  # fmt: skip


def test_features_of_both_kinds_say_what_they_lose(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(nod(31), here / "b.npz")
    assert main(["convert", "b.npz", "-o", "f.npy"]) == 0
    assert "f.npy: 272 numbers a frame at 30 fps; the place and" in capsys.readouterr().out
    assert main(["convert", "b.npz", "-o", "h.npy", "--features", "humanml3d"]) == 0
    assert "h.npy: 263 numbers a frame keep joint positions at 20 fps" in capsys.readouterr().out
    assert main(["convert", "b.npz", "-o", "out", "--to", "npy", "--features", "humanml3d"]) == 0
    assert ".npy: 263 numbers a frame keep" in capsys.readouterr().out
    assert np.load(here / "f.npy").shape == (31, 272)
    assert np.load(here / "h.npy").shape == (20, 263)
    assert (here / "h.npy").read_bytes() == (here / "out" / "b.npy").read_bytes()
    back, given = load(here / "h.npy").joints(), load(here / "b.npz").resample(20.0).joints()
    apart = (back - back[:1, :1]) - (given - given[:1, :1])[:-1]
    assert float(apart.norm(dim=-1).max()) < 1e-3  # it stands over the origin, facing +Z, already
    assert main(["convert", "b.npz", "-o", "x.glb", "--features", "humanml3d"]) == 2
    assert "--features is for .npy files" in capsys.readouterr().err


def test_data_sets(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their motions alone are sources; one becomes another, with what it says, and goes on where it stopped."""
    clips = [
        of_motion(wandering(1, 40), name="1", captions=["a person walks"], split="train"),
        of_motion(wandering(2, 40), name="2", captions=["sits", "is seated"], split="test"),
    ]
    save_motionmillion(clips, here / "million")
    assert main(["convert", "million", "-o", "glb", "--to", "glb"]) == 0
    assert capsys.readouterr().out == "glb: 2 files written\n"
    assert sorted(path.name for path in (here / "glb").rglob("*.glb")) == ["1.glb", "2.glb"]

    words = ["convert", "million", "a.bvh", "-o", "human", "--to", "humanml3d"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(
        "human: 1 of 3 clips without captions\nhuman: 3 files written\n.npy: 263"
    )
    assert main(words) == 0
    assert "0 files written, 3 kept" in capsys.readouterr().out
    read = {clip.name: clip for clip in load_humanml3d(here / "human", split="test")}
    assert [caption.text for caption in read["2"].captions] == ["sits", "is seated"]
    assert {clip.name for clip in load_humanml3d(here / "human")} == {"a", "2", "1"}
    assert np.load(here / "human" / "Mean.npy").shape == (263,)
    assert np.load(here / "human" / "new_joints" / "a.npy").shape == (3, 22, 3)

    assert main(["convert", "human", "-o", "again", "--to", "motionmillion"]) == 0
    back = {clip.name: clip for clip in load_motionmillion(here / "again", split="train")}
    (caption,) = back["1"].captions
    assert caption.text == "a person walks"
    given = load(here / "million/motion_data/vector_272/1.npy").resample(20.0).joints()[:-1]
    apart = back["1"].motion().resample(20.0).joints()
    size = min(len(given), len(apart))
    assert float((given[:size] - apart[:size]).norm(dim=-1).max()) < 0.05


def test_a_folder_of_files_that_are_often_no_motions(here: Path) -> None:
    (here / "texts").mkdir()
    (here / "texts" / "a.txt").write_text((here / "a.bvh").read_text())
    assert main(["convert", "texts", "-o", "out", "--to", "npz"]) == 2
    assert main(["convert", "texts", "-o", "out", "--to", "npz", "--from", "txt"]) == 0
    assert len(load(here / "out" / "a.npz")) == 6


def test_a_joint_map(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = (here / "a.bvh").read_text().replace("left_knee", "one").replace("right_knee", "two")
    (here / "odd.bvh").write_text(named)
    (here / "map.yaml").write_text("left_knee: one\nright_knee: two\n")
    assert main(["convert", "odd.bvh", "-o", "c.npz", "--map", "map.yaml"]) == 0
    assert load(here / "c.npz").skeleton.names == load(here / "b.npz").skeleton.names
    torch.testing.assert_close(
        load(here / "c.npz").joints(), load(here / "a.bvh").joints(), atol=1e-4, rtol=0
    )
    assert main(["convert", "a.bvh", "-o", "c.npz", "--map", "map.yaml"]) == 2
    assert "the skeleton has no one, two" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["-o", "x.glb"], "name the motion files to convert"),
        (["a.bvh"], "with -o where to write"),
        (["a.bvh", "b.npz", "-o", "x.bvh"], "only .glb and .fbx files hold several motions"),
        (["a.bvh", "-o", "x.bvh", "--joints", "hinge"], "--joints is for .xml files"),
        (["a.bvh", "-o", "x.glb", "--overwrite"], "are for a folder to write into"),
        (["a.bvh", "-o", "x.a", "-o", "x.b", "--to", "glb", "--to", "npz"], "--to more than once"),
        ([".", "-o", "out", "--to", "glb", "--workers", "0"], "expected a number of processes"),
        (["a.bvh", "-o", "x.npy", "--to", "humanml3d"], "-o x.npy --features humanml3d"),
        (["a.bvh", "-o", "out", "--to", "humanml3d", "--to", "glb"], "a folder is one data set"),
        (["a.bvh", "-o", "out", "--to", "humanml3d", "--joints", "hinge"], "is for .xml files"),
        (["a.bvh", "-o", "out", "--to", "xyz"], "cannot write xyz; known are .bvh"),
        (["a.bvh", "-o", "no/x.glb"], "create it first"),
        (["a.bvh", "-o", "x.glb", "--from", "xyz"], "no format 'xyz'; known are bvh, glb"),
        (["a.bvh", "-o", "x.glb", "--map", "no.yaml"], "no.yaml"),
        (["a.bvh", "-o", "x.glb", "--map", "m", "--keep-skeleton"], "not with --keep-skeleton"),
        (["*.xyz", "-o", "out", "--to", "glb"], "no file fits this pattern"),
        (["a.bvh", "-o", "x.bvh", "--scale", "-1"], "expected file units in a metre"),
    ],
)
def test_bad_input_is_one_line(
    here: Path, words: list[str], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(here.iterdir())
    assert main(["convert", *words]) == 2
    error = capsys.readouterr().err
    assert shown in error
    assert error.count("\n") == 1
    assert sorted(here.iterdir()) == before

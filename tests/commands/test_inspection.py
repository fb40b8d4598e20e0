"""`motionmill inspect`: what it says of files of each kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motionmill.cli import main
from motionmill.formats import bvh
from motionmill.formats.files import save
from motionmill.motion.skeleton import adult_skeleton
from tests.motions import wandering


def test_several_files_and_a_bad_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(wandering(1), tmp_path / "a.npz")
    np.save(tmp_path / "joints.npy", wandering(2).joints().numpy())
    (tmp_path / "bad.bvh").write_text("nothing")
    files = [str(tmp_path / name) for name in ("a.npz", "bad.bvh", "joints.npy")]
    assert main(["inspect", *files]) == 2
    out, err = capsys.readouterr()
    assert out.count("== ") == 3
    for words in (
        "24 at 30 fps, 0.80 s",
        "SMPL-22 order",
        "about 1.70 m tall",
        "foot slide",
        "penetration",
    ):
        assert words in out
    assert "reading     joints.npy: joint positions at 30 fps (assumed)" in out
    assert "bad.bvh, line 1: expected HIERARCHY" in err
    assert "1 of 3 files could not be read" in err


def test_the_joint_map_is_reported_and_overridden(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = tuple(f"bone{index}" for index in range(22))
    stranger = replace(wandering(1), skeleton=replace(adult_skeleton(), names=names))
    bvh.save(stranger, tmp_path / "a.bvh")
    (tmp_path / "a.motion").write_bytes((tmp_path / "a.bvh").read_bytes())
    (tmp_path / "map.yaml").write_text("left_foot: null\n")
    assert main(["inspect", str(tmp_path / "a.bvh")]) == 0
    out = capsys.readouterr().out
    assert "left_knee      <- bone4   bones: of the two long bones of the left leg" in out
    words = [
        "inspect",
        str(tmp_path / "a.motion"),
        "--from",
        "bvh",
        "--map",
        str(tmp_path / "map.yaml"),
    ]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "left_foot      <- -       not in this rig" in out
    assert "not used: bone10" in out


def test_a_rig_that_cannot_be_mapped_lists_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.formats.damage import stick

    save(stick(), tmp_path / "a.glb")
    assert main(["inspect", str(tmp_path / "a.glb")]) == 0
    out = capsys.readouterr().out
    assert "unknown rig" in out
    assert "left_knee" in out
    assert main(["inspect"]) == 2
    assert main(["inspect", "a.glb", "--retarget-report", "b.glb"]) == 2
    assert "takes files and folders of its own" in capsys.readouterr().err
    assert main(["inspect", "a.glb", "--every", "2"]) == 2
    assert "--every is for --retarget-report" in capsys.readouterr().err

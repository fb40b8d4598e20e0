"""Collections of motions: files, folders of files, folders of packed shards; and the report over them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from motionmill.cli import main
from motionmill.formats.collection import motions_in, retarget_report

WALK = Path("data/originals/mass_bvh/walk.bvh")


@pytest.fixture
def folder(shared: Path, tmp_path: Path) -> Path:
    for name in ("inner", "other"):
        (tmp_path / name).mkdir()
    shutil.copy(shared / WALK, tmp_path / "inner" / "walk.bvh")
    (tmp_path / "inner" / "broken.bvh").write_text("HIERARCHY\nROOT")
    (tmp_path / "other" / "notes.txt").write_text("no motion")
    return tmp_path


def test_what_is_found(folder: Path, shared: Path) -> None:
    found = [(item.group, item.name) for item in motions_in(folder)]
    assert found == [("inner", "broken.bvh"), ("inner", "walk.bvh")]
    packed = list(motions_in(shared / "data" / "cmu_acrnn"))
    assert packed[0].group == "cmu_acrnn"
    assert len(packed) > 40
    assert len(packed[0].load()) > 1
    with pytest.raises(FileNotFoundError, match="nowhere"):
        list(motions_in(folder / "nowhere"))


def test_the_report_has_a_row_a_rig_and_says_what_was_left_out(folder: Path) -> None:
    seen = []
    text = retarget_report([folder], watch=lambda items: (seen.append(i) or i for i in items))
    head, row, left, passed = text.splitlines()
    assert "bones deg" in head
    assert row.startswith("inner, mixamo")
    assert row.endswith("ok")
    assert left.startswith("left out: inner/broken.bvh: broken.bvh, line")
    assert passed == "passed over: other: 1 .txt, mostly no motions; name their format with --from"
    assert len(seen) == 2


def test_one_in_so_many(shared: Path) -> None:
    seen = []
    folder = shared / "data" / "cmu_acrnn"
    count = len(list(motions_in(folder)))
    retarget_report([folder], every=30, watch=lambda items: (seen.append(i) or i for i in items))
    assert len(seen) == -(-count // 30)
    with pytest.raises(ValueError, match="every 0; expected a whole number from 1 on"):
        retarget_report([folder], every=0)


def test_nothing_to_report(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"no motion files in .*other"):
        retarget_report([folder / "other"])
    (folder / "other" / "take.FBX").write_bytes(b"Kaydara FBX Binary")
    with pytest.raises(
        ValueError, match=r"passed over other: 1 \.fbx, a kind that is written but not read"
    ):
        retarget_report([folder / "other"])


def test_the_command_line_prints_the_report(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", "--retarget-report", str(folder)]) == 0
    assert "inner, mixamo" in capsys.readouterr().out
    assert main(["inspect"]) == 2
    assert "no files given" in capsys.readouterr().err

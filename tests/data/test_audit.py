"""Audit: every planted fault of a folder in the official layouts is found, and nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from motionmill.data.audit import AuditReport, audit, write_corrected_split
from motionmill.data.clip import Clip
from motionmill.data.layouts import LISTS, write_humanml3d, write_motionmillion
from motionmill.data.shards import write_shard
from motionmill.formats import packed
from motionmill.motion.features import from_motion, mirror
from motionmill.motion.retarget import retarget

SPLITS = ("train", "train", "train", "val", "test")


@pytest.fixture(scope="module")
def clips(shared: Path) -> list[Clip]:
    """Twenty-five real clips: takes of one walk among them, and different motion."""
    sources = (
        ("bandai", slice(0, 3000, 200)),
        ("uiprmd", slice(0, 900, 300)),
        ("cmu2", slice(0, 7)),
    )
    found = []
    for name, part in sources:
        for clip in packed.read_folder(shared / "data" / name)[part]:
            features = from_motion(retarget(clip.motion()))[:200].float()
            captions = tuple(f"{caption}." for caption in clip.captions[:2]) or ("a person moves.",)
            identity = f"{name}/{clip.id}"
            found.append(Clip(identity, features, captions, name, "CC0", True, identity))
    assert len(found) == 25
    return found


def splits_of(clips: list[Clip]) -> dict[str, str]:
    return {clip.id: SPLITS[index % len(SPLITS)] for index, clip in enumerate(clips)}


def found(report: AuditReport) -> set[tuple[str, str]]:
    return {(finding.kind, finding.clip) for finding in report.findings}


@pytest.mark.parametrize("write", [write_motionmillion, write_humanml3d])
def test_a_sound_folder_gives_no_alarm(
    clips: list[Clip], tmp_path: Path, write: Callable[..., int]
) -> None:
    folder = tmp_path / "set"
    assert write(clips, splits_of(clips), folder) == 25
    report = audit(folder)
    assert report.findings == ()
    assert report.clips == 25
    assert report.corrected == report.splits
    assert len(report.splits) == 25
    assert "nothing wrong was found" in report.summary()


def test_all_that_was_planted_is_found(clips: list[Clip], tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write_motionmillion(clips, splits_of(clips), folder)
    vectors, texts = folder / "motion_data/vector_272", folder / "texts"
    lists = folder / LISTS
    by_split: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for clip in clips:
        by_split[splits_of(clips)[clip.id]].append(clip.id)
    train, val, test = by_split["train"], by_split["val"], by_split["test"]

    def plant(name: str, values: np.ndarray, split: str) -> None:
        (vectors / f"{name}.npy").parent.mkdir(parents=True, exist_ok=True)
        np.save(vectors / f"{name}.npy", values)
        (texts / f"{name}.txt").parent.mkdir(parents=True, exist_ok=True)
        (texts / f"{name}.txt").write_text("somebody moves\n")
        with (lists / f"{split}.txt").open("a") as file:
            file.write(f"{name}\n")

    def values(name: str) -> np.ndarray:
        return np.load(vectors / f"{name}.npy")

    mirrored = mirror(torch.from_numpy(values(test[0]))).numpy()
    plant("planted/mirror", mirrored, "train")
    plant("planted/shifted", values(train[0])[20:], "val")
    plant("planted/copy", values(train[1]), "train")
    plant("planted/nan", np.where(np.arange(272) == 9, np.nan, values(train[2])), "train")
    plant("planted/shape", values(train[2])[:, :263], "train")
    plant("planted/velocity", np.roll(values(train[3]), 40, axis=1), "train")
    whole = (vectors / f"{train[4]}.npy").read_bytes()
    (vectors / f"{train[4]}.npy").write_bytes(whole[: len(whole) // 2])
    (vectors / f"{val[1]}.npy").write_bytes(b"")
    (texts / f"{train[5]}.txt").unlink()
    (texts / f"{train[6]}.txt").write_text("\n \n")
    (texts / f"{train[9]}.txt").write_bytes(b"a person walks\n\x81\xfe\xff\n")
    (texts / f"{train[10]}.txt").write_bytes(b"a person wal" + bytes(500))
    (texts / "alone.txt").write_text("somebody walks alone\n")
    for name, split in (("gone", "train"), (train[7], "train"), (train[8], "test")):
        with (lists / f"{split}.txt").open("a") as file:
            file.write(f"{name}\n")

    report = audit(folder)
    assert found(report) == {
        ("leak", test[0]), ("leak", "planted/shifted"), ("duplicate", "planted/copy"),
        ("broken", "planted/nan"), ("broken", "planted/shape"), ("broken", "planted/velocity"),
        ("broken", train[4]), ("broken", val[1]), ("no text", train[5]), ("no text", train[6]),
        ("no motion", "alone"), ("no motion", "gone"), ("listed twice", train[7]),
        ("in two splits", train[8]), ("bad text", train[9]), ("bad text", train[10]),
    }  # fmt: skip
    details = {(finding.kind, finding.clip): finding.detail for finding in report.findings}
    assert "planted/mirror of train is the mirror image" in details["leak", test[0]]
    assert "damaged" in details["broken", train[4]]

    write_corrected_split(report, tmp_path / "corrected")
    corrected = {
        name: path.stem
        for path in (tmp_path / "corrected").glob("*.txt")
        for name in path.read_text().splitlines()
    }
    assert corrected == report.corrected
    assert corrected[test[0]] == corrected["planted/mirror"] == corrected[train[8]] == "test"
    assert corrected[train[0]] == corrected["planted/shifted"] == "val"
    assert not {train[4], train[5], train[6], val[1], "planted/nan", "gone"} & set(corrected)
    counts = json.loads((tmp_path / "corrected/audit.json").read_text())["counts"]
    assert counts["broken"] == 5
    with pytest.raises(FileExistsError, match="not empty"):
        write_corrected_split(report, tmp_path / "corrected")

    for path in lists.glob("*.txt"):
        path.unlink()
    for split in ("train", "val", "test"):
        shutil.copy(tmp_path / "corrected" / f"{split}.txt", lists)
    assert not {kind for kind, _ in found(audit(folder))} & {
        "leak",
        "in two splits",
        "listed twice",
    }


def test_mirror_images_of_humanml3d_are_known_by_name_and_by_motion(
    clips: list[Clip], tmp_path: Path
) -> None:
    named = [
        Clip(f"{index:06}", clip.features, clip.captions, "s", "", True, str(index))
        for index, clip in enumerate(clips[:6])
    ]
    twins = [
        Clip(f"M{clip.id}", mirror(clip.features), clip.captions, "s", "", True, clip.id)
        for clip in named[:2]
    ]
    splits = dict.fromkeys((clip.id for clip in named + twins), "train")
    splits |= {"M000000": "test", "000003": "test"}
    write_humanml3d(named + twins, splits, tmp_path)
    (tmp_path / "texts/000004.txt").write_text("walks without any fields\n")
    report = audit(tmp_path)
    assert found(report) == {
        ("leak", "M000000"), ("duplicate", "M000001"), ("bad text", "000004")
    }  # fmt: skip
    assert report.corrected["000000"] == "test"


def test_our_own_data_set_and_a_broken_shard(clips: list[Clip], tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    (tmp_path / "splits").mkdir()
    pair = Clip("twin", clips[3].features, ("walks",), "s", "", True, clips[4].group)
    write_shard([*clips[:6], pair], tmp_path / "shards/a.parquet")
    write_shard(clips[6:9], tmp_path / "shards/b.parquet")
    whole = (tmp_path / "shards/b.parquet").read_bytes()
    (tmp_path / "shards/b.parquet").write_bytes(whole[: len(whole) // 2])
    names = [clip.id for clip in clips[:6]]
    (tmp_path / "splits/train.txt").write_text("\n".join(names))
    (tmp_path / "splits/test.txt").write_text("twin\n")
    report = audit(tmp_path)
    assert found(report) == {("leak", "twin"), ("broken", "shards/b.parquet")}
    assert report.corrected[clips[4].id] == report.corrected[clips[3].id] == "test"


def test_a_folder_of_motion_files(shared: Path, tmp_path: Path) -> None:
    first, second = sorted((shared / "data/originals/bandai").glob("*.bvh"))[:2]
    for source, name in ((first, "a.bvh"), (second, "b.bvh"), (first, "c.bvh")):
        shutil.copy(source, tmp_path / name)
    (tmp_path / "d.bvh").write_text("HIERARCHY\n")
    report = audit(tmp_path)
    assert {kind for kind, _ in found(report)} == {"broken", "duplicate"}
    assert [len(cluster.ids) for cluster in report.clusters] == [2]
    assert report.corrected == {}


def test_what_is_no_data_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        audit(tmp_path / "nothing")
    with pytest.raises(ValueError, match="no motion files"):
        audit(tmp_path)
    (tmp_path / "vector_272").mkdir()
    with pytest.raises(ValueError, match=r"no \.npy files"):
        audit(tmp_path)
    (tmp_path / "vector_272/a.npy").write_bytes(b"x")
    with pytest.raises(FileNotFoundError, match="lists of splits"):
        audit(tmp_path, lists="elsewhere")

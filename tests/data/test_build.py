"""Real motion capture through the builder: shards, leak-free splits, rejects with reasons, resuming, the card."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from motionmill.data.build import build, read_rejects
from motionmill.data.clip import Clip
from motionmill.data.config import DataConfig
from motionmill.data.loader import load_clips
from motionmill.data.prepare import sound_stretches, windows
from motionmill.data.shards import read_shard, write_shard
from motionmill.data.sources import recordings
from motionmill.motion.motion import Motion

CONFIG = DataConfig(captions_per_clip=6, clips_per_shard=12, workers=1, min_frames=20)


def subset(shared: Path, name: str, count: int, folder: Path) -> Path:
    """A folder of packed shards with the first clips of a real one."""
    source, target = shared / "data" / name, folder / name
    target.mkdir(parents=True)
    lines = (source / "manifest.jsonl").read_text(encoding="utf-8").splitlines()[:count]
    (target / "manifest.jsonl").write_text("\n".join(lines), encoding="utf-8")
    for file in {json.loads(line)["shard"] for line in lines} | {"skeletons.json"}:
        shutil.copyfile(source / file, target / file)
    return target


@pytest.fixture(scope="module")
def dataset(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    inputs = [subset(shared, "game_cc0", 30, folder), shared / "data" / "originals" / "bandai"]
    build(inputs, folder / "dataset", CONFIG)
    return folder / "dataset"


def test_every_recording_is_a_clip_or_a_reject(dataset: Path, shared: Path, tmp_path: Path) -> None:
    clips = [clip for part in load_clips(dataset).values() for clip in part]
    rejects = read_rejects(dataset)
    seen = {clip.provenance["recording"] for clip in clips} | {
        row["id"].split("@")[0] for row in rejects
    }
    first = recordings(subset(shared, "game_cc0", 30, tmp_path))
    second = recordings(shared / "data" / "originals" / "bandai")
    assert seen == {recording.id for recording in (*first, *second)}
    assert all(row["stage"] and row["reason"] for row in rejects)
    for clip in clips:
        assert CONFIG.min_frames <= len(clip) <= CONFIG.max_frames
        assert clip.captions
        assert clip.features.isfinite().all()
        assert clip.licence or clip.source == "bandai"


def test_licences_travel(shared: Path) -> None:
    commercial = {
        name: {recording.commercial for recording in recordings(shared / "data" / name)}
        for name in ("bandai", "game_cc0", "extra", "uiprmd")
    }
    assert commercial == {
        "bandai": {False},
        "game_cc0": {True},
        "extra": {True, False},
        "uiprmd": {True},
    }


def test_a_build_goes_on_where_it_stopped(dataset: Path, shared: Path, tmp_path: Path) -> None:
    inputs = [subset(shared, "game_cc0", 30, tmp_path), shared / "data" / "originals" / "bandai"]
    again = tmp_path / "dataset"
    shutil.copytree(dataset, again)
    first, *others = sorted((again / "shards").glob("*.parquet"))
    first.unlink()
    before = {path: path.stat().st_mtime_ns for path in others}
    calls: list[tuple[int, int]] = []
    build(inputs, again, CONFIG, progress=lambda done, total: calls.append((done, total)))
    assert calls[0] == (len(others), len(others) + 1)
    assert {path: path.stat().st_mtime_ns for path in others} == before
    for old, new in zip(
        read_shard(dataset / "shards" / first.name), read_shard(first), strict=True
    ):
        assert old.captions == new.captions
        assert torch.equal(old.features, new.features)
    with pytest.raises(ValueError, match="other settings"):
        build(inputs, again, CONFIG.model_copy(update={"seed": 1}))


def test_the_card_adds_up(dataset: Path) -> None:
    text = (dataset / "README.md").read_text(encoding="utf-8")
    rows = [
        line.split("|")[2:-1]
        for line in text.splitlines()
        if line.startswith(("| game_cc0 ", "| bandai "))
    ][:2]
    for row in rows:
        numbers = [float(cell) for cell in row]
        assert sum(numbers[:5]) == numbers[5]


def test_broken_inputs(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        build([tmp_path / "nothing"], tmp_path / "out", CONFIG)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no \.bvh files"):
        build([tmp_path / "empty"], tmp_path / "out", CONFIG)
    with pytest.raises(FileNotFoundError, match="not a data set"):
        load_clips(tmp_path)


def clip(name: str = "a", frames: int = 5) -> Clip:
    return Clip(name, torch.rand(frames, 272), ("walks",), "source", "CC0", True, name)


def test_shards_give_back_what_they_got(tmp_path: Path) -> None:
    clips = [clip("a"), clip("b", 9)]
    write_shard(clips, tmp_path / "x.parquet")
    for old, new in zip(clips, read_shard(tmp_path / "x.parquet"), strict=True):
        assert torch.equal(old.features, new.features)
        assert old.captions == new.captions
        assert (old.id, old.group, old.licence) == (new.id, new.group, new.licence)


def test_long_takes_are_cut_evenly_and_breaks_are_not_bridged() -> None:
    config = DataConfig(max_frames=240, window_frames=160)
    assert list(windows(0, 240, config)) == [(0, 240)]
    assert list(windows(10, 510, config)) == [(10, 135), (135, 260), (260, 385), (385, 510)]
    root = torch.zeros(100, 3)
    root[40:, 0] = 5.0  # a jump of five metres between two frames
    motion = Motion(torch.eye(3).expand(100, 22, 3, 3), root)
    assert sound_stretches(motion, config) in ([(0, 40), (40, 100)], [])

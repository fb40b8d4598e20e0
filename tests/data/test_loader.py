"""Data sets -> clips: by range and by order; what is missing or of another kind is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from motionmill.data.clip import Clip
from motionmill.data.loader import ShardedClips, load_clips
from motionmill.data.order import EpochOrder
from motionmill.data.shards import write_shard

SIZES = (5, 3, 4)


def make_dataset(folder: Path) -> Path:
    """Twelve clips in three shards; the last one of each shard is held out, one may not be used commercially."""
    (folder / "shards").mkdir(parents=True)
    (folder / "splits").mkdir()
    names: dict[str, list[str]] = {
        "train": [],
        "val": [],
        "test": [],
        "val_pairs": [],
        "test_pairs": [],
    }
    for number, size in enumerate(SIZES):
        clips = []
        for row in range(size):
            name = f"s/{number}-{row}"
            features = torch.randn(20 + row, 272, generator=torch.Generator().manual_seed(row))
            captions = (f"a person does {name}", "a person moves the left hand")
            commercial = (number, row) != (0, 1)
            clips.append(Clip(name, features, captions, "s", "", commercial, name))
            names["val" if row == size - 1 else "train"].append(name)
        write_shard(clips, folder / "shards" / f"s-{number:05d}.parquet")
    for split, ids in names.items():
        text = "".join(f"{name}\n" for name in ids)
        (folder / "splits" / f"{split}.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "dataset")


def test_by_range_is_what_all_at_once_is(dataset: Path) -> None:
    whole = load_clips(dataset)["train"]
    sharded = ShardedClips(dataset, "train", memory_bytes=1)
    assert sharded.group_sizes == [4, 2, 3]
    assert sharded.frames.tolist() == [len(clip) for clip in whole]
    for row, clip in enumerate(whole):
        assert sharded.name(row) == clip.id
        assert torch.equal(sharded[row], clip.features)
    # No more than a row group is kept, where there is no room for more.
    assert sharded.bytes_in_memory <= max(SIZES) * 25 * 272 * 4
    commercial = ShardedClips(dataset, "train", commercial_only=True)
    assert len(commercial) == len(whole) - 1


def test_missing_shards_are_named(dataset: Path) -> None:
    (dataset / "shards/s-00001.parquet").unlink()
    for read in (lambda: load_clips(dataset), lambda: ShardedClips(dataset, "train")):
        with pytest.raises(
            ValueError, match=r"in no shard \(first: s/1-0, s/1-1.*shards are missing"
        ):
            read()


def test_another_representation_is_named(dataset: Path) -> None:
    features = torch.zeros(20, 263)
    clip = Clip("s/0-0", features, ("x",), "s", "", True, "g")
    write_shard([clip], dataset / "shards/s-00000.parquet")
    (dataset / "splits/train.txt").write_text("s/0-0\n")
    for read in (lambda: load_clips(dataset), lambda: ShardedClips(dataset, "train")[0]):
        with pytest.raises(ValueError, match=r"s/0-0: 263 numbers a frame, another representation"):
            read()


def test_what_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="not a data set"):
        ShardedClips(tmp_path, "train")


@pytest.mark.parametrize("window", [6, 100])
def test_every_epoch_is_another_shuffle_of_all_clips(window: int) -> None:
    sizes = [7, 5, 8]
    order = EpochOrder(sizes, window=window, seed=3)
    first, second = order.take(0, 20), order.take(20, 20)
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second
    # Looked up anywhere, without what was before.
    assert EpochOrder(sizes, window=window, seed=3).take(15, 10) == (first + second)[15:25]
    assert EpochOrder(sizes, window=window, seed=4).take(0, 20) != first


def test_row_groups_are_read_once_an_epoch(tmp_path: Path) -> None:
    """With room for a tenth of the clips; and neighbours of a row group do not stay together."""
    dataset = tmp_path / "dataset"
    (dataset / "shards").mkdir(parents=True)
    (dataset / "splits").mkdir()
    names = [f"s/{number:04d}" for number in range(1280)]
    (dataset / "splits/train.txt").write_text("".join(f"{name}\n" for name in names))
    for first in range(0, 1280, 320):
        clips = [
            Clip(name, torch.zeros(20, 272), ("x",), "s", "", True, name)
            for name in names[first : first + 320]
        ]
        write_shard(clips, dataset / f"shards/s-{first:05d}.parquet")
    whole = 1280 * 20 * 272 * 4
    sharded = ShardedClips(dataset, "train", memory_bytes=whole // 4)
    assert sharded.group_sizes == [64] * 20
    assert sharded.window == pytest.approx(0.6 * 1280 / 4, abs=1)
    order = EpochOrder(sharded.group_sizes, window=sharded.window)
    clips = order.take(0, 2 * 1280)
    for clip in clips:
        assert sharded.name(clip) == names[clip]
        assert sharded.bytes_in_memory <= whole // 4
    assert sharded.groups_read <= 1.1 * 2 * 20
    apart = torch.tensor(clips[:1280]).argsort().diff().abs().float()
    assert 30 < apart.mean() < 120  # places between two clips that were one behind the other

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
    assert sharded.shard_sizes == [4, 2, 3]
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


def test_every_epoch_is_another_shuffle_of_all_clips() -> None:
    order = EpochOrder([7, 0, 5, 8], window=2, seed=3)
    first, second = order.take(0, 20), order.take(20, 20)
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second
    # Looked up anywhere, without what was before.
    assert EpochOrder([7, 0, 5, 8], window=2, seed=3).take(15, 10) == (first + second)[15:25]
    assert EpochOrder([7, 0, 5, 8], window=2, seed=4).take(0, 20) != first


def test_a_window_bounds_the_shards_that_are_open() -> None:
    sizes = [10] * 12
    order = EpochOrder(sizes, window=3)
    clips = order.take(0, 120)
    for start in range(0, 120, 30):
        assert len({clip // 10 for clip in clips[start : start + 30]}) == 3

"""Data set -> clips by split: all of them in memory, or read from their shards by range, some row groups at a time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from motionmill.data.clip import Clip
from motionmill.data.config import SPLITS, Split
from motionmill.data.folder import Folder
from motionmill.data.shards import read_shard
from motionmill.motion.features import NUM_FEATURES

_SHOWN = 3
_SHUFFLED_SHARE = 0.6  # of the memory; the rest is for row groups that are begun or not quite done


def load_clips(
    dataset: Path, splits: tuple[Split, ...] = SPLITS, *, commercial_only: bool = False
) -> dict[Split, list[Clip]]:
    """The clips of some splits.

    Args:
        dataset: a folder that `motionmill data run` has made.
        commercial_only: leave out clips whose licence forbids commercial use.

    Raises:
        FileNotFoundError: not a data set.
        ValueError: no clips left, shards that are missing or of another representation.
    """
    where = _split_of(dataset, splits)
    result: dict[Split, list[Clip]] = {split: [] for split in splits}
    found = 0
    for path in shard_paths(dataset):
        for clip in _read_shard(path):
            if clip.id in where:
                found += 1
                if clip.commercial or not commercial_only:
                    result[where[clip.id]].append(clip)
    if found < len(where):
        _say_missing(dataset, where)
    if not any(result.values()):
        raise ValueError(f"{dataset}: no clips in {', '.join(splits)}")
    return result


class ShardedClips(Sequence[Tensor]):
    """The features (T, 272) of a split's clips, in the order of the shards; row groups are read when they are needed.

    Attributes:
        frames: (clips,) their lengths.
        group_sizes: how many of the clips are in each row group.
        groups_read: how many row groups were read so far, those read again included.
    """

    def __init__(
        self,
        dataset: Path,
        split: Split,
        *,
        commercial_only: bool = False,
        memory_bytes: int = 2 << 30,
        may_be_empty: bool = False,
    ) -> None:
        """Find the clips; no features are read, and 16 bytes a clip stay in memory.

        Args:
            memory_bytes: of row groups that are kept; those used last stay.
            may_be_empty: a split without clips is no error.

        Raises:
            FileNotFoundError, ValueError: as `load_clips`.
        """
        self._paths = shard_paths(dataset)
        self._memory = memory_bytes
        self._groups: OrderedDict[tuple[int, int], _Group] = OrderedDict()
        listed = split_ids(dataset, split)
        places: list[tuple[int, int, int, int]] = []
        found = self._bytes = self.groups_read = 0
        for number, path in enumerate(self._paths):
            for group, row, values in _rows(path):
                if values["id"] in listed:
                    found += 1
                    if values["commercial"] or not commercial_only:
                        places.append((number, group, row, values["frames"]))
        if found < len(listed):
            _say_missing(dataset, listed)
        if not places and not may_be_empty:
            raise ValueError(f"{dataset}: no clips in {split}")
        self._places = np.asarray(places, np.int32).reshape(-1, 4)
        self.frames = self._places[:, 3]
        _, counts = np.unique(self._places[:, :2], axis=0, return_counts=True)
        self.group_sizes: list[int] = counts.tolist()

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> Any:
        shard, group, row, frames = self._places[index]
        features = self._group(int(shard), int(group)).features[int(row)].as_buffer()
        numbers = np.frombuffer(features, np.float32).reshape(int(frames), NUM_FEATURES)
        return torch.from_numpy(numbers.copy())

    def name(self, index: int) -> str:
        """The id of a clip."""
        shard, group, row, _ = self._places[index]
        return self._group(int(shard), int(group)).ids[row]

    @property
    def bytes_in_memory(self) -> int:
        """Of the row groups that are kept."""
        return self._bytes

    @property
    def window(self) -> int:
        """How many clips can be shuffled together (see `EpochOrder`) while each row group is read once an epoch."""
        bytes_a_clip = float(self.frames.mean()) * NUM_FEATURES * 4
        return max(1, int(_SHUFFLED_SHARE * self._memory / bytes_a_clip))

    def _group(self, shard: int, group: int) -> _Group:
        key = (shard, group)
        if key not in self._groups:
            read = self._groups[key] = _read_group(self._paths[shard], group)
            self.groups_read += 1
            self._bytes += read.features.nbytes
            while len(self._groups) > 1 and self._bytes > self._memory:
                self._bytes -= self._groups.popitem(last=False)[1].features.nbytes
        self._groups.move_to_end(key)
        return self._groups[key]


class _Group(NamedTuple):
    """A row group: ids of its clips, and their features as Arrow has them, a binary array of float32 (T, 272)."""

    ids: list[str]
    features: Any


def _read_shard(path: Path) -> Iterator[Clip]:
    """The clips of a shard; of a damaged one, or one of another representation, an error that says which."""
    try:
        yield from read_shard(path)
    except ValueError:
        for group in sorted({group for group, _, _ in _rows(path)}):
            _read_group(path, group)
        raise


def shard_paths(dataset: Path) -> list[Path]:
    """The shards of a data set. Raises FileNotFoundError where it is none."""
    if not (dataset / "splits").is_dir():
        raise FileNotFoundError(
            f"{dataset}: not a data set (no splits/); make one with `motionmill data run`"
        )
    return sorted((dataset / "shards").glob("*.parquet"))


def train_statistics(dataset: Path) -> tuple[int, Tensor, Tensor] | None:
    """Frames of the training clips, their mean (272,) and deviation (272,), where the data set has them."""
    from safetensors import SafetensorError, safe_open

    path = Folder(dataset).statistics
    if not path.is_file():
        return None
    try:
        with safe_open(str(path), "pt") as file:
            frames = int((file.metadata() or {})["train_frames"])
            return frames, file.get_tensor("mean"), file.get_tensor("std")
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: damaged ({error}); give `motionmill data run` again") from None


def split_ids(dataset: Path, split: Split) -> frozenset[str]:
    """The ids of a split's clips. Raises FileNotFoundError where there is no data set."""
    return frozenset(_split_of(dataset, (split,)))


def _split_of(dataset: Path, splits: tuple[Split, ...]) -> dict[str, Split]:
    shard_paths(dataset)
    where: dict[str, Split] = {}
    for split in splits:
        text = (dataset / "splits" / f"{split}.txt").read_text(encoding="utf-8")
        where.update(dict.fromkeys(text.splitlines(), split))
    return where


def _say_missing(dataset: Path, listed: Collection[str]) -> None:
    """Raise ValueError that names clips which are in no shard."""
    there = {values["id"] for path in shard_paths(dataset) for _, _, values in _rows(path)}
    missing = [name for name in listed if name not in there]
    some = ", ".join(sorted(missing)[:_SHOWN])
    raise ValueError(
        f"{dataset}: {len(missing)} of {len(listed)} clips that splits/ names are in no shard (first: {some}); "
        "shards are missing: copy them again, or give `motionmill data run` again"
    )


def _rows(path: Path) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Row group, row and what a shard says of each clip, without its features."""
    import pyarrow.parquet as pq

    columns = ["id", "frames", "commercial"]
    with pq.ParquetFile(path) as file:
        missing = [name for name in (*columns, "features") if name not in file.schema_arrow.names]
        if missing:
            raise ValueError(f"{path}: not a shard of clips: it has no column {missing[0]!r}")
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, columns=columns).to_pylist()
            for row, values in enumerate(rows):
                yield group, row, values


def _read_group(path: Path, group: int) -> _Group:
    """The clips of a row group."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        table = file.read_row_group(group, columns=["id", "frames", "features"], use_threads=False)
    ids = table["id"].to_pylist()
    features = table["features"].combine_chunks()
    bytes_of = pc.binary_length(features).to_pylist()
    for name, size, frames in zip(ids, bytes_of, table["frames"].to_pylist(), strict=True):
        check_features(path, name, size // 4, frames)
    return _Group(ids, features)


def check_features(path: Path, name: str, count: int, frames: int) -> None:
    """Raise ValueError where a clip does not have 272 numbers a frame."""
    if count == frames * NUM_FEATURES:
        return
    if frames and count % frames == 0:
        raise ValueError(
            f"{path}, clip {name}: {count // frames} numbers a frame, another representation than the "
            f"{NUM_FEATURES} of this version; build the data set again with `motionmill data run`"
        )
    raise ValueError(
        f"{path}, clip {name}: {count} numbers; expected {frames} frames x {NUM_FEATURES}: the shard is damaged, "
        "build it again"
    )

"""Data set -> clips in memory, by split."""

from __future__ import annotations

from pathlib import Path

from motionmill.data.clip import Clip
from motionmill.data.config import SPLITS, Split
from motionmill.data.shards import read_shard


def load_clips(
    dataset: Path, splits: tuple[Split, ...] = SPLITS, *, commercial_only: bool = False
) -> dict[Split, list[Clip]]:
    """The clips of some splits.

    Args:
        dataset: a folder that `motionmill data run` has made.
        commercial_only: leave out clips whose licence forbids commercial use.

    Raises:
        FileNotFoundError: not a data set.
        ValueError: no clips left.
    """
    if not (dataset / "splits").is_dir():
        raise FileNotFoundError(
            f"{dataset}: not a data set (no splits/); make one with `motionmill data run`"
        )
    where: dict[str, Split] = {}
    for split in splits:
        text = (dataset / "splits" / f"{split}.txt").read_text(encoding="utf-8")
        where.update(dict.fromkeys(text.splitlines(), split))
    result: dict[Split, list[Clip]] = {split: [] for split in splits}
    for path in sorted((dataset / "shards").glob("*.parquet")):
        for clip in read_shard(path):
            if clip.id in where and (clip.commercial or not commercial_only):
                result[where[clip.id]].append(clip)
    if not any(result.values()):
        raise ValueError(f"{dataset}: no clips in {', '.join(splits)}")
    return result

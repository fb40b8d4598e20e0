"""Motion capture -> a captioned, leak-free, sharded data set on our skeleton.

A data set is a folder: `config.yaml`, `shards/*.parquet` (see `data.shards`), `rejects/*.jsonl`, `splits/*.txt` (clip
ids), `README.md` (the data card). A shard that is there is done: a build that was interrupted goes on with the next.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from motionmill.config import save_config
from motionmill.data.card import write_card
from motionmill.data.clip import Clip, Reject
from motionmill.data.config import SPLITS, DataConfig
from motionmill.data.prepare import prepare
from motionmill.data.shards import read_shard, write_shard
from motionmill.data.sources import Recording, recordings
from motionmill.data.splits import SplitRow, assign_splits


@dataclass(frozen=True)
class Chunk:
    """Some recordings of one input; they make one shard."""

    name: str
    path: Path
    start: int
    stop: int


def build(
    inputs: list[Path],
    output: Path,
    config: DataConfig,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Build the data set `output` from packed shards and BVH files, or go on with it.

    Raises:
        FileNotFoundError, ValueError: an input that is not there or has no motion; an output built with other settings.
    """
    chunks = [chunk for path in inputs for chunk in _chunks(path, config)]
    if len({chunk.name for chunk in chunks}) != len(chunks):
        raise ValueError(
            "two inputs have the same folder name; rename one, its clips' ids start with it"
        )
    _claim(output, config)
    missing = [chunk for chunk in chunks if not _shard_path(output, chunk).is_file()]
    done = len(chunks) - len(missing)
    progress(done, len(chunks))
    for _ in _run(missing, output, config):
        done += 1
        progress(done, len(chunks))
    write_splits(output, config)
    write_card(output, config)


def write_splits(dataset: Path, config: DataConfig) -> None:
    """Assign every clip of the shards to a split and write `splits/NAME.txt`, one id a line."""
    from motionmill.data.captions import judge_classes

    rows = []
    for path in sorted((dataset / "shards").glob("*.parquet")):
        for clip in read_shard(path):
            content, style = judge_classes(clip.content, clip.style)
            rows.append(SplitRow(clip.id, clip.source, clip.group, content, style))
    splits = assign_splits(rows, config).splits
    (dataset / "splits").mkdir(exist_ok=True)
    for name in SPLITS:
        ids = sorted(clip_id for clip_id, split in splits.items() if split == name)
        _write_text(dataset / "splits" / f"{name}.txt", "".join(f"{clip_id}\n" for clip_id in ids))


def _chunks(path: Path, config: DataConfig) -> Iterator[Chunk]:
    found = recordings(path)
    size = config.clips_per_shard
    source = found[0].source
    for index, start in enumerate(range(0, len(found), size)):
        yield Chunk(f"{source}-{index:05d}", path.resolve(), start, min(start + size, len(found)))


def _claim(output: Path, config: DataConfig) -> None:
    """Make the folder, or make sure that it was begun with the same settings."""
    (output / "shards").mkdir(parents=True, exist_ok=True)
    (output / "rejects").mkdir(exist_ok=True)
    path = output / "config.yaml"
    if path.is_file():
        from motionmill.config import load_recipe

        before = load_recipe(DataConfig, path)
        ignored = {"workers"}
        if before.model_dump(exclude=ignored) != config.model_dump(exclude=ignored):
            raise ValueError(
                f"{output} was begun with other settings ({path}); choose another output folder"
            )
    else:
        save_config(config, path)


def _run(chunks: list[Chunk], output: Path, config: DataConfig) -> Iterator[None]:
    if config.workers == 1 or len(chunks) == 1:
        for chunk in chunks:
            _build_chunk(chunk, output, config)
            yield
        return
    os.environ.setdefault(
        "OMP_NUM_THREADS", "1"
    )  # one thread a process: more only get in each other's way
    with ProcessPoolExecutor(config.workers) as pool:
        waiting: set[Future[None]] = {
            pool.submit(_build_chunk, chunk, output, config) for chunk in chunks
        }
        while waiting:
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
                yield


def _build_chunk(chunk: Chunk, output: Path, config: DataConfig) -> None:
    import torch

    torch.set_num_threads(1)
    clips: list[Clip] = []
    rejects: list[Reject] = []
    for recording in _recordings(chunk.path)[chunk.start : chunk.stop]:
        made, left_out = prepare(recording, config)
        clips += made
        rejects += left_out
    lines = "".join(json.dumps(asdict(reject)) + "\n" for reject in rejects)
    _write_text(output / "rejects" / f"{chunk.name}.jsonl", lines)
    write_shard(clips, _shard_path(output, chunk))


@functools.lru_cache(maxsize=2)
def _recordings(path: Path) -> list[Recording]:
    return recordings(path)


def _shard_path(output: Path, chunk: Chunk) -> Path:
    return output / "shards" / f"{chunk.name}.parquet"


def _write_text(path: Path, text: str) -> None:
    partial = path.with_name(f".partial-{path.name}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def read_rejects(dataset: Path) -> list[dict[str, Any]]:
    """Every reject of a data set: id, stage, reason, value, threshold."""
    return [
        json.loads(line)
        for path in sorted((dataset / "rejects").glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]

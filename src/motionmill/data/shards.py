"""Clips <-> Parquet shards (zstd), readable by any Parquet tool.

One row a clip: the fields of `Clip`, features as float32 bytes (frames x 272, row-major), provenance as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from motionmill.data.clip import Clip
from motionmill.motion.features import NUM_FEATURES


def write_shard(clips: Sequence[Clip], path: Path) -> None:
    """Write one shard, aside first and then renamed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: dict[str, list[Any]] = {name: [] for name in _schema().names}
    for clip in clips:
        rows["id"].append(clip.id)
        rows["frames"].append(len(clip))
        rows["features"].append(clip.features.to(torch.float32).contiguous().numpy().tobytes())
        rows["captions"].append(list(clip.captions))
        rows["provenance"].append(json.dumps(dict(clip.provenance), sort_keys=True))
        for name in ("source", "licence", "commercial", "group", "content", "style"):
            rows[name].append(getattr(clip, name))
    partial = path.with_name(f".partial-{path.name}")
    pq.write_table(pa.table(rows, schema=_schema()), partial, compression="zstd")
    partial.replace(path)


def read_shard(path: Path) -> Iterator[Clip]:
    """The clips of a shard.

    Raises:
        ValueError: a row's bytes do not make frames of 272 numbers.
    """
    import pyarrow.parquet as pq

    for row in pq.read_table(path, schema=_schema()).to_pylist():
        numbers = np.frombuffer(row["features"], np.float32)
        if numbers.size != row["frames"] * NUM_FEATURES:
            raise ValueError(
                f"{path.name}, clip {row['id']}: {numbers.size} numbers; "
                f"expected {row['frames']} frames x {NUM_FEATURES}: the shard is damaged, build it again"
            )
        yield Clip(
            id=row["id"],
            features=torch.from_numpy(numbers.reshape(row["frames"], NUM_FEATURES).copy()),
            captions=tuple(row["captions"]),
            source=row["source"],
            licence=row["licence"],
            commercial=row["commercial"],
            group=row["group"],
            content=row["content"],
            style=row["style"],
            provenance=json.loads(row["provenance"]),
        )


def _schema() -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            ("id", pa.string()),
            ("frames", pa.int32()),
            ("features", pa.large_binary()),
            ("captions", pa.list_(pa.string())),
            ("source", pa.string()),
            ("licence", pa.string()),
            ("commercial", pa.bool_()),
            ("group", pa.string()),
            ("content", pa.string()),
            ("style", pa.string()),
            ("provenance", pa.string()),
        ]
    )

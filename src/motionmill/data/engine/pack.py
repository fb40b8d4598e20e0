"""Candidates, decisions and captions -> shards and rejects; shards -> statistics and lists of the splits (stage 12)."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from motionmill.data.candidates import (
    Candidate,
    made_from,
    read_candidates,
    read_metadata,
    read_rows,
)
from motionmill.data.clip import Clip, Reject
from motionmill.data.config import SPLITS, DataConfig
from motionmill.data.engine.captioning import Words, read_words, start_captioning
from motionmill.data.engine.clock import Clock
from motionmill.data.engine.decisions import Decision, read_decisions
from motionmill.data.engine.executor import Tally
from motionmill.data.engine.units import digest_of
from motionmill.data.folder import DamagedFileError, Folder, write_bytes, write_text
from motionmill.data.shards import ShardWriter
from motionmill.data.statistics import Moments

_VERSION = 1


def start_packing(root: Path, config: DataConfig, *, words: bool) -> Callable[[str], Tally]:
    """A worker of this step: a function of a unit's name.

    Args:
        words: whether it also writes the captions of the unit, before; else they are there.
    """
    pack = functools.partial(pack_unit, Folder(root))
    if not words:
        return pack
    caption = start_captioning(root, config)
    return lambda name: {**caption(name), **pack(name)}


def pack_unit(folder: Folder, name: str) -> Tally:
    """Write the shard and the rejects of a unit, unless they are there and nothing has changed."""
    decisions = {row.id: row for row in read_decisions(folder, name)}
    words_path = folder.file("captions", name)
    words = {row.id: row for row in read_words(words_path)} if words_path.is_file() else {}
    left_out = [row.reject for row in decisions.values() if row.reject is not None]
    lines = "".join(
        json.dumps(asdict(reject), sort_keys=True, ensure_ascii=False) + "\n" for reject in left_out
    )
    kept = [row for row in decisions.values() if row.split]
    ready = {row.id: row for row in kept if row.id in words and not words[row.id].pending}
    counts = {
        "kept": len(ready),
        "rejected": len(left_out),
        "waiting": len(kept) - len(ready),
    }
    clock = Clock()
    with clock.stage("pack"):
        write_text(folder.file("rejects", name), lines)
        origin = _packed_from(folder, name, list(ready.values()), words)
        path = folder.file("shards", name)
        if made_from(path) != origin:
            moments = Moments.none()
            with ShardWriter(path, made_from=origin) as writer:
                for clip in _clips(folder, name, ready, words):
                    writer.add(clip)
                    if clip.split == "train":
                        moments = moments + Moments.of(clip.features)
                writer.note({"moments": moments.to_json()})
    return {**clock.tally(), **counts}


def gather(folder: Folder, units: Sequence[str]) -> Moments:
    """Write mean and deviation of train and the lists of the splits, from what stands in the shards' notes.

    Raises:
        DamagedFileError: a shard without its notes.
    """
    from safetensors.torch import save

    moments = Moments.none()
    for unit in units:
        path = folder.file("shards", unit)
        try:
            moments = moments + Moments.from_json((read_metadata(path) or {})["moments"])
        except (KeyError, ValueError) as error:
            raise DamagedFileError(str(path), f"its notes are not there ({error})") from None
    values = {"mean": moments.mean.float(), "std": moments.std.float()}
    # One note only: safetensors writes several in an order that changes from process to process.
    write_bytes(folder.statistics, save(values, {"train_frames": str(moments.count)}))
    _write_lists(folder, units)
    return moments


def _write_lists(folder: Folder, units: Sequence[str]) -> None:
    ids: dict[str, list[str]] = {split: [] for split in SPLITS}
    for unit in units:
        for row in read_rows(folder.file("shards", unit), ["id", "split"]):
            ids[row["split"]].append(row["id"])
    for split, names in ids.items():
        text = "".join(f"{name}\n" for name in sorted(names))
        write_text(folder.root / "splits" / f"{split}.txt", text)


def _packed_from(
    folder: Folder, name: str, ready: Sequence[Decision], words: dict[str, Words]
) -> str:
    origin = made_from(folder.file("candidates", name))
    texts = hashlib.sha256()
    for row in ready:
        entry = words[row.id]
        texts.update(json.dumps([entry.captions, entry.details], sort_keys=True).encode())
    return digest_of(
        _VERSION, origin, [[row.id, row.split, row.cluster] for row in ready], texts.hexdigest()
    )


def _clips(
    folder: Folder, name: str, ready: dict[str, Decision], words: dict[str, Words]
) -> Iterator[Clip]:
    found = read_candidates(
        folder.file("candidates", name),
        without=("labels", "facts", "description", "signature", "signature_width"),
    )
    for candidate in found:
        if candidate.id in ready:
            yield _clip(candidate, ready[candidate.id], words[candidate.id])


def _clip(candidate: Candidate, decision: Decision, words: Words) -> Clip:
    assert candidate.features is not None
    provenance: dict[str, Any] = {**candidate.provenance, "captions": dict(words.details)}
    if decision.cluster:
        provenance["same_as"] = decision.cluster
    return Clip(
        id=candidate.id,
        features=candidate.features,
        captions=words.captions,
        source=candidate.source,
        licence=candidate.licence,
        commercial=candidate.commercial,
        group=candidate.group,
        content=candidate.content,
        style=candidate.style,
        provenance=provenance,
        split=decision.split,
        measurements=candidate.measurements,
    )


def read_rejects(dataset: Path) -> Iterator[Reject]:
    """Every clip of a data set that was left out: id, stage, reason, value, threshold."""
    for path in sorted((dataset / "rejects").glob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                yield Reject(**json.loads(line))

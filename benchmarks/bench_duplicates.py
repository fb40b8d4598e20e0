"""How well and how fast copies are found among many clips: recall a kind, precision, seconds, memory -> JSON.

    python benchmarks/bench_duplicates.py DATASET --clips 100000 -o RESULTS.json

The clips are those of a data set of real motion, and as many more as are asked for, made of them: the arms of one on
the legs of another, moved slowly by some centimetres, so that no two are the same. A fifth are planted copies: shifted,
mirrored, cropped, re-timed, through another frame rate, noisy, and several of these at once. What is known of the real
ones: takes of one recording group may be the same, others are not.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from host import host, peak_megabytes
from numpy.typing import NDArray

from motionmill.data.clip import Clip
from motionmill.data.copies.duplicates import Cluster, find_duplicates
from motionmill.data.copies.signatures import Signature, SignatureStore, signature
from motionmill.data.loader import load_clips
from motionmill.data.split_config import SplitConfig
from motionmill.data.splits import SplitRow, assign_splits
from motionmill.motion.features import POSITIONS, mirror
from motionmill.motion.skeleton import mirror_permutation

Joints = NDArray[np.float32]
ARMS = [12, 13, 14, 15, 16, 17, 18, 19, 20, 21]
SHARE = 0.2  # of the clips that are planted copies


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--clips", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    clips = sorted(
        (clip for part in load_clips(arguments.dataset).values() for clip in part),
        key=lambda clip: clip.id,
    )
    real = [joints_of(clip) for clip in clips]
    results: dict[str, Any] = {"host": host(), "real": real_pairs(clips, real)}
    np.random.default_rng(0).shuffle(real)  # type: ignore[arg-type]
    print(json.dumps(results["real"], indent=1), flush=True)
    for count in arguments.clips:
        results[f"{count} clips"] = run(real, count)
        print(json.dumps(results[f"{count} clips"], indent=1), flush=True)
        arguments.output.write_text(json.dumps(results, indent=1) + "\n")


def joints_of(clip: Clip) -> Joints:
    """(T, 22, 3) joints in the body's heading, at most ten seconds."""
    return clip.features[:300, POSITIONS].numpy().reshape(-1, 22, 3).astype(np.float32)


def sign(joints: Joints) -> Signature:
    features = np.zeros((len(joints), 272), np.float32)
    features[:, POSITIONS] = joints.reshape(len(joints), 66)
    return signature(torch.from_numpy(features))


def real_pairs(clips: list[Clip], joints: list[Joints]) -> dict[str, Any]:
    """What is found among the real clips as they are."""
    started = time.perf_counter()
    with SignatureStore() as store:
        for clip, one in zip(clips, joints, strict=True):
            store.add(clip.id, sign(one))
        clusters = find_duplicates(store)
    by_id = {clip.id: clip for clip in clips}
    links = [link for cluster in clusters for link in cluster.links]
    known = [link for link in links if by_id[link.first].group == by_id[link.second].group]
    others = [link for link in links if by_id[link.first].group != by_id[link.second].group]
    contents = Counter((clip.content, clip.style) for clip in clips if clip.content)
    return {
        "clips": len(clips),
        "seconds": round(time.perf_counter() - started, 2),
        "pairs_of_one_content_and_style": sum(n * (n - 1) // 2 for n in contents.values()),
        "links": len(links),
        "links_inside_a_recording_group": len(known),
        "links_between_groups": len(others),
        "clips_linked_between_groups": len(
            {end for link in others for end in (link.first, link.second)}
        ),
        "examples": [
            f"{link.first} {link.second} {1000 * link.distance_metres:.1f} mm"
            for link in others[:20]
        ],
    }


def run(real: list[Joints], count: int) -> dict[str, Any]:
    """Make the clips, find the copies, assign splits."""
    rng = np.random.default_rng(count)
    copies = int(SHARE * count)
    signatures: list[Signature] = []
    ids, kinds, origins = [], [], []

    def add(joints: Joints, kind: str, origin: int) -> None:
        signatures.append(sign(joints))
        ids.append(f"{rng.integers(1 << 60):016x}")
        kinds.append(kind)
        origins.append(origin)

    names = list(KINDS)
    for number in range(count - copies):
        joints = real[number] if number < len(real) else another(real, rng)
        kind = names[number % len(names)] if number < copies else ""
        if kind:
            original, copy = KINDS[kind](joints, rng)
            add(original, "", number)
            add(copy, kind, number)
        else:
            add(joints, "", number)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "signatures.npz"
        sizes = [len(one) for one in signatures]
        np.savez(path, samples=np.concatenate(signatures), sizes=sizes, ids=ids)
        signatures.clear()
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            clusters, facts = pool.submit(measure, path).result()
    return {
        "clips": len(ids),
        "hours": round(sum(sizes) / 15 / 3600, 1),
        "planted_copies": copies,
        **facts,
        **score(clusters, ids, kinds, origins, len(real)),
    }


def measure(path: Path) -> tuple[list[Cluster], dict[str, float | None]]:
    """Find copies and assign splits in a process of its own, so that its memory is told apart."""
    torch.set_num_threads(1)
    imported = peak_megabytes()
    with np.load(path, allow_pickle=False) as archive:
        samples, sizes, ids = archive["samples"], archive["sizes"], archive["ids"].tolist()
    with SignatureStore() as store:
        for name, one in zip(ids, np.split(samples, np.cumsum(sizes)[:-1]), strict=True):
            store.add(name, one)
        del samples
        clock, processor = time.perf_counter(), time.process_time()
        clusters = find_duplicates(store)
    found, found_processor = time.perf_counter(), time.process_time()
    groups = {name: cluster.key for cluster in clusters for name in cluster.ids}
    rows = [
        SplitRow(name, "s", name, None, None, (groups[name],) if name in groups else ())
        for name in ids
    ]
    assign_splits(rows, SplitConfig(seed=0))
    return clusters, {
        "seconds_duplicates": round(found - clock, 1),
        "seconds_split": round(time.perf_counter() - found, 1),
        "processor_seconds_duplicates": round(found_processor - processor, 1),
        "processor_seconds_split": round(time.process_time() - found_processor, 1),
        "megabytes_imports": imported,
        "megabytes_peak": peak_megabytes(),
    }


def score(
    clusters: list[Cluster],
    ids: list[str],
    kinds: list[str],
    origins: list[int],
    num_real: int,
) -> dict[str, Any]:
    place = {name: index for index, name in enumerate(ids)}
    cluster_of = {name: number for number, cluster in enumerate(clusters) for name in cluster.ids}
    original = {origins[i]: ids[i] for i in range(len(ids)) if not kinds[i]}
    hits: Counter[str] = Counter()
    for name, kind, origin in zip(ids, kinds, origins, strict=True):
        if kind:
            here, there = cluster_of.get(name), cluster_of.get(original[origin])
            hits[kind] += here is not None and here == there
    totals = Counter(kind for kind in kinds if kind)
    links = [link for cluster in clusters for link in cluster.links]
    ends = [(origins[place[link.first]], origins[place[link.second]]) for link in links]
    right = sum(first == second for first, second in ends)
    takes = sum(first != second and max(first, second) < num_real for first, second in ends)
    return {
        "recall": {kind: round(hits[kind] / totals[kind], 4) for kind in totals},
        "recall_of_all": round(sum(hits.values()) / max(1, sum(totals.values())), 4),
        "links": len(links),
        "links_to_the_right_clip": right,
        "links_between_two_real_takes": takes,
        "other_wrong_links": len(links) - right - takes,
        "precision": round(right / max(1, len(links)), 4),
        "largest_cluster": max((len(cluster.ids) for cluster in clusters), default=0),
    }


def another(real: list[Joints], rng: np.random.Generator) -> Joints:
    """The arms of one real clip on the legs of another, moved slowly by about three centimetres."""
    upper, lower = (real[index] for index in rng.integers(len(real), size=2))
    length = min(len(upper), len(lower))
    joints = lower[:length].copy()
    joints[:, ARMS] = upper[:length, ARMS] - upper[:length, :1] + lower[:length, :1]
    times = np.arange(length, dtype=np.float32)[:, None, None] / 30
    phase, rate = rng.uniform(0, 6.28, (2, 22, 3)), rng.uniform(0.1, 0.5, (22, 3))
    size = rng.normal(0, 0.03, (2, 22, 3))
    moved = size[0] + size[1] * np.sin(phase[0] + 6.28 * rate * times)
    moved[:, 0] = 0
    return (joints + moved).astype(np.float32)


def shifted(joints: Joints, rng: np.random.Generator) -> tuple[Joints, Joints]:
    shift = int(len(joints) * rng.uniform(0.05, 0.25))
    return joints[: len(joints) - shift], joints[shift:]


def mirror_image(joints: Joints, rng: np.random.Generator) -> tuple[Joints, Joints]:
    features = np.zeros((len(joints), 272), np.float32)
    features[:, POSITIONS] = joints.reshape(len(joints), 66)
    other = mirror(torch.from_numpy(features))[:, POSITIONS].numpy()
    assert len(mirror_permutation()) == 22
    return joints, other.reshape(-1, 22, 3)


def cropped(joints: Joints, rng: np.random.Generator) -> tuple[Joints, Joints]:
    length = int(len(joints) * rng.uniform(0.4, 0.8))
    start = int(rng.integers(len(joints) - length))
    return joints, joints[start : start + length]


def at_rate(joints: Joints, step: float) -> Joints:
    """Frames `step` apart, linearly between the given ones."""
    times = np.arange(0, len(joints) - 1, step)
    lower = times.astype(int)
    part = (times - lower)[:, None, None]
    return (joints[lower] * (1 - part) + joints[lower + 1] * part).astype(np.float32)


def retimed(joints: Joints, rng: np.random.Generator) -> tuple[Joints, Joints]:
    return joints, at_rate(joints, float(rng.choice([20 / 25, 24 / 30, 25 / 30, 30 / 25, 30 / 24])))


def other_rate(joints: Joints, rng: np.random.Generator) -> tuple[Joints, Joints]:
    rate = float(rng.choice([15.0, 20.0, 24.0, 25.0]))
    return joints, at_rate(at_rate(joints, 30 / rate), rate / 30)


def noisy(joints: Joints, rng: np.random.Generator) -> tuple[Joints, Joints]:
    return joints, (joints + rng.normal(0, 0.004, joints.shape)).astype(np.float32)


def everything(joints: Joints, rng: np.random.Generator) -> tuple[Joints, Joints]:
    _, copy = cropped(mirror_image(joints, rng)[1], rng)
    return joints, noisy(retimed(copy, rng)[1], rng)[1]


KINDS: dict[str, Callable[[Joints, np.random.Generator], tuple[Joints, Joints]]] = {
    "shifted by 5-25 %": shifted,
    "mirrored": mirror_image,
    "cropped to 40-80 %": cropped,
    "re-timed by 0.8-1.25": retimed,
    "through 15-25 fps": other_rate,
    "4 mm of noise": noisy,
    "mirrored, cropped, re-timed, noisy": everything,
}


if __name__ == "__main__":
    main()

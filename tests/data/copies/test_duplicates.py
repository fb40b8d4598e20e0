"""Duplicates: copies of real clips are found however they were made, different takes are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from motionmill.data.copies import alignment, votes
from motionmill.data.copies.duplicates import Cluster, Link, find_duplicates, redundant, signature
from motionmill.data.copies.signatures import Signatures, SignatureStore
from motionmill.data.quality_config import DuplicateConfig
from motionmill.formats import packed
from motionmill.motion.features import from_motion, mirror
from motionmill.motion.retarget import retarget


@pytest.fixture(scope="module")
def clips(shared: Path) -> dict[str, torch.Tensor]:
    """Features of real clips: ten takes each of three contents in one style, and others."""
    found = {}
    counts: dict[str, int] = {}
    for clip in packed.read_folder(shared / "data/bandai"):
        pair = f"{clip.manifest['content']} {clip.manifest['style']}"
        wanted = {"walk normal": 10, "run normal": 6, "wave-left-hand normal": 6, "bow happy": 2}
        if counts.get(pair, 0) < wanted.get(pair, 0) and clip.manifest["frames"] > 60:
            counts[pair] = counts.get(pair, 0) + 1
            found[clip.id] = from_motion(retarget(clip.motion()))[:300]
    for clip in packed.read_folder(shared / "data/cmu2")[:6]:
        found[clip.id] = from_motion(retarget(clip.motion()))[:300]
    return found


def resampled(features: torch.Tensor, step: float) -> torch.Tensor:
    """Frames `step` apart; only for the positions, which are all that a signature sees."""
    times = torch.arange(0, len(features) - 1, step, dtype=torch.float64)
    lower = times.long()
    return torch.lerp(features[lower], features[lower + 1], (times - lower)[:, None])


def found(clips: dict[str, torch.Tensor], **config: Any) -> list[Cluster]:
    with SignatureStore() as store:
        for name, features in clips.items():
            store.add(name, signature(features))
        return find_duplicates(store, DuplicateConfig(**config))


def test_takes_of_one_content_are_different(clips: dict[str, torch.Tensor]) -> None:
    assert found(clips) == []


def test_copies_are_found(clips: dict[str, torch.Tensor]) -> None:
    generator = torch.Generator().manual_seed(0)
    everything = dict(clips)
    expected = {}
    for number, (name, features) in enumerate(clips.items()):
        length = len(features)
        noise = torch.randn(features.shape, generator=generator).double() * 0.003
        copies = (
            ("mirrored", mirror(features)),
            ("shifted", features[length // 5 :]),
            ("cropped", features[length // 5 : -length // 4]),
            ("slower", resampled(features, 24 / 30)),
            ("15 fps", resampled(resampled(features, 2.0), 0.5)),
            ("noisy", features + noise),
        )
        kind, copy = copies[number % len(copies)]
        everything[f"0 {name}"] = copy
        expected[name] = kind
    clusters = found(everything)
    assert {cluster.ids for cluster in clusters} == {(f"0 {name}", name) for name in clips}
    for cluster in clusters:
        (link,) = cluster.links
        kind = expected[cluster.ids[1]]
        assert link.first == f"0 {link.second}"
        assert link.mirrored == (kind == "mirrored")
        assert link.overlap > 0.95
        assert link.distance_metres < 0.0075
        if kind == "slower":
            assert link.tempo == pytest.approx(30 / 24, rel=0.02)
        if kind == "shifted":
            frames = len(clips[link.second]) // 5
            assert link.offset_seconds == pytest.approx(-frames / 30, abs=0.04)


def test_the_order_and_other_clips_do_not_matter(clips: dict[str, torch.Tensor]) -> None:
    name = next(iter(clips))
    everything = {**clips, "z": mirror(clips[name])[10:]}
    once = found(everything)
    again = found(dict(reversed(everything.items())))
    assert once == again
    assert [cluster.ids for cluster in once] == [(name, "z")]
    assert once[0].key == f"duplicates/{name}"


def test_in_however_many_parts_they_are_sorted(
    clips: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = {**clips, **{f"m {name}": mirror(clips[name]) for name in list(clips)[:8]}}
    at_once = found(everything)
    assert len(at_once) == 8
    monkeypatch.setattr(votes, "_MARKS_A_PART", 40)
    monkeypatch.setattr(votes, "_CHUNK", 37)
    monkeypatch.setattr(alignment, "_CHUNK", 3)
    assert found(everything) == at_once


def test_parts_that_overlap_little_are_no_duplicates(clips: dict[str, torch.Tensor]) -> None:
    longest = max(clips.values(), key=len)
    half = len(longest) // 2
    first, second = longest[: half + half // 4], longest[half - half // 4 :]
    assert found({"a": first, "b": second}) == []
    assert len(found({"a": first, "b": second}, min_overlap=0.3)) == 1


def test_bandai_has_takes_that_are_copies(shared: Path) -> None:
    """Takes 27 to 30 of walk-turn-left normal are published again as 31 to 34."""
    features = {}
    for clip in packed.read_folder(shared / "data/bandai"):
        take, _, number = clip.id.rpartition("_")
        if take == "dataset-2_walk-turn-left_normal" and 25 <= int(number) <= 36:
            features[number] = from_motion(retarget(clip.motion()))
    clusters = found(features)
    assert [cluster.ids for cluster in clusters] == [
        ("027", "031"), ("028", "032"), ("029", "033"), ("030", "034")
    ]  # fmt: skip


def link(first: str, second: str, overlap: float = 1.0) -> Link:
    return Link(first, second, False, 0.0, 1.0, 0.001, overlap)


def test_the_longest_clip_is_kept() -> None:
    cluster = Cluster(("a", "b", "c", "d"), (link("a", "b"), link("b", "c"), link("c", "d", 0.6)))
    dropped = redundant(cluster, {"a": 50, "b": 90, "c": 60, "d": 80})
    assert dropped == {"a": link("a", "b"), "c": link("b", "c")}


def test_one_frame_and_broken_input() -> None:
    still = torch.zeros(1, 272)
    assert signature(still).shape == (1, 27)
    clusters = found({"a": still, "b": torch.zeros(40, 272), "c": torch.full((9, 272), torch.nan)})
    assert all(len(cluster.ids) > 1 for cluster in clusters)
    assert found({"a": still}) == []
    assert found({}) == []
    with SignatureStore() as store:
        store.add("a", signature(still))
        store.add("a", signature(still))
        with pytest.raises(ValueError, match="two clips have the id 'a'"):
            find_duplicates(store)
    with pytest.raises(ValueError, match=r"expected \(T, 272\)"):
        signature(torch.zeros(4, 271))


def test_samples_between_samples() -> None:
    times: NDArray[np.float64] = np.arange(40)[:, None] / 15
    wave = 1000 * np.sin(times * np.linspace(1, 6, 27))
    packed_waves = Signatures(np.rint(wave).astype(np.int16), np.array([40]))
    asked = np.array([[3.25, 10.5, 20.75]], np.float32)
    expected = np.sin(asked[0][:, None] / 15 * np.linspace(1, 6, 27))
    exact = packed_waves.at(np.array([0]), asked)[0]
    assert np.abs(exact - expected).max() < 0.004
    held = packed_waves.at(np.array([0]), np.array([[-5.0, 99.0]], np.float32))[0]
    assert np.allclose(held * 1000, packed_waves.samples[[0, -1]], atol=1e-3)

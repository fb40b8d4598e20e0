"""Cuts are found where they are, fades are cut and left out, long shots become clips."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from motionmill.video.config import FrameConfig, ShotConfig
from motionmill.video.frames import probe, small_frames
from motionmill.video.shots import clips_of, find_shots
from tests.video.filmed import texture

pytest.importorskip("scenedetect")
CONFIG = ShotConfig()


def test_true_cuts_of_a_real_video(shared: Path) -> None:
    index = json.loads((shared / "data/videos/index.json").read_text())
    [entry] = [entry for entry in index if entry["file"] == "multishot_concat.mp4"]
    true = [shot["start_frame"] for shot in entry["shots"]][1:]
    shots = find_shots(
        small_frames(probe(shared / "data/videos" / entry["file"], FrameConfig())), CONFIG
    )
    assert len(shots.times) == entry["frames"]
    assert len(shots.cuts) == len(true)
    assert all(abs(found - cut) <= 2 for found, cut in zip(shots.cuts, true, strict=True))
    assert shots.spans == list(zip([0, *shots.cuts], [*shots.cuts, entry["frames"]], strict=True))


def test_a_hand_held_take_has_no_cut(shared: Path) -> None:
    path = shared / "data/videos/mmaction2_test_video_structuralize.mp4"
    assert find_shots(small_frames(probe(path, FrameConfig())), CONFIG).cuts == []


def test_fades_are_cut_in_their_middle_and_left_out() -> None:
    down = [1 - k / 30 for k in range(30)]
    levels = [1.0] * 20 + down + [0.0] * 6 + down[::-1] + [1.0] * 20
    first, second = texture(96, 128, 1), texture(96, 128, 2)
    pictures = [
        (k / 30, ((first if k < 53 else second) * level).astype(np.uint8))
        for k, level in enumerate(levels)
    ]
    shots = find_shots(pictures, CONFIG)
    [cut] = shots.cuts
    assert abs(cut - 53) <= 1
    [before, after] = shots.spans
    assert before == pytest.approx((0, 48), abs=3)
    assert after == pytest.approx((58, 106), abs=3)


def test_a_cut_in_the_last_frames_is_found() -> None:
    pictures = [(k / 30, texture(96, 128, 1 if k < 28 else 2)) for k in range(30)]
    assert find_shots(pictures, CONFIG).cuts == [28]


def test_no_frames_and_only_black_ones() -> None:
    assert find_shots([], CONFIG).spans == []
    black = [(k / 30, np.zeros((48, 64, 3), np.uint8)) for k in range(10)]
    assert find_shots(black, CONFIG).spans == []


@pytest.mark.parametrize(("frames", "clips"), [(20, 1), (300, 1), (301, 2), (900, 3), (901, 4)])
def test_shots_are_cut_into_equal_clips(frames: int, clips: int) -> None:
    times = np.arange(frames + 40) / 30
    spans = clips_of((20, 20 + frames), times, CONFIG)
    assert len(spans) == clips
    assert [span.start for span in spans[1:]] == [span.end for span in spans[:-1]]
    assert (spans[0].start, spans[-1].end) == (20, 20 + frames)
    lengths = [span.end - span.start for span in spans]
    assert max(lengths) - min(lengths) <= 1
    assert max(lengths) <= 300
    assert (spans[0].first, spans[-1].last) == (20, 20 + frames)  # context stays in the shot
    for before, after in itertools.pairwise(spans):
        assert before.last - before.end >= 14
        assert after.start - after.first >= 14

"""Videos of every kind become upright pictures with true times; bad files become one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motionmill.video.config import FrameConfig
from motionmill.video.frames import Span, clip_frames, probe, small_frames
from tests.video.filmed import rotated_by_header, save_video

CONFIG = FrameConfig()


def grey(level: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def test_header_and_pictures(shared: Path) -> None:
    info = probe(shared / "data/videos/mmpose_demo.mp4", CONFIG)
    assert (info.width, info.height, info.fps, info.turns) == (960, 540, 5.0, 0)
    times, images = zip(*small_frames(info), strict=True)
    assert np.allclose(times, np.arange(5) / 5)
    assert {image.shape for image in images} == {(180, 320, 3)}
    assert info.size_within(720) == (720, 404)


def test_a_rotation_in_the_header_is_undone(tmp_path: Path) -> None:
    image = grey(40)
    image[:, 44:] = 250  # the right edge, which a clockwise turn puts at the bottom
    path = save_video(tmp_path / "turned.mp4", [image] * 3)
    rotated_by_header(path)
    info = probe(path, CONFIG)
    assert (info.width, info.height) == (48, 64)
    [frames] = clip_frames(info, [Span(0, 3, 0, 3)], CONFIG)
    assert frames.images.shape == (3, 64, 48, 3)
    assert frames.images[1, -8:].mean() > 200 > 80 > frames.images[1, :30].mean()


def test_times_are_those_of_the_file(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.2, 0.24, 0.6]
    path = save_video(tmp_path / "uneven.mp4", [grey(50 * k) for k in range(5)], times=times)
    info = probe(path, CONFIG)
    assert [time for time, _ in small_frames(info)] == pytest.approx(times)


def test_fast_videos_are_thinned_and_keep_their_times(tmp_path: Path) -> None:
    path = save_video(tmp_path / "fast.mp4", [grey(10)] * 60, fps=60)
    [frames] = clip_frames(probe(path, CONFIG), [Span(0, 60, 0, 60)], CONFIG)
    assert 29 <= len(frames) <= 31
    assert np.allclose(frames.times, frames.numbers / 60, atol=1e-3)


def test_clips_get_their_frames_and_context(tmp_path: Path) -> None:
    path = save_video(tmp_path / "levels.mp4", [grey(8 * k) for k in range(30)])
    spans = [Span(0, 10, 0, 13), Span(10, 20, 7, 23), Span(24, 30, 24, 30)]
    clips = list(clip_frames(probe(path, CONFIG), spans, CONFIG))
    assert [(clip.numbers[0], clip.numbers[-1]) for clip in clips] == [(0, 12), (7, 22), (24, 29)]
    assert [clip.inside for clip in clips] == [(0, 10), (3, 13), (0, 6)]
    assert abs(float(clips[1].images[0].mean()) - 8 * 7) < 4


def test_bad_files_are_said_in_a_line(tmp_path: Path) -> None:
    import av

    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").touch()
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 800), np.int16), format="s16", layout="mono"
        )
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    for name, words in (
        ("text.mp4", "not a video"),
        ("empty.mp4", "not a video"),
        ("sound.wav", "only audio"),
    ):
        with pytest.raises(ValueError, match=words) as raised:
            probe(tmp_path / name, CONFIG)
        assert str(raised.value).startswith(name)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        probe(tmp_path / "none.mp4", CONFIG)
    with pytest.raises(FileNotFoundError, match="is a folder"):
        probe(tmp_path, CONFIG)


def test_too_large_and_too_long_are_refused(tmp_path: Path) -> None:
    path = save_video(tmp_path / "a.mp4", [grey(10)] * 60)
    with pytest.raises(ValueError, match="64 x 48 pixels"):
        probe(path, FrameConfig(max_megapixels=0.001))
    with pytest.raises(ValueError, match="hours long"):
        probe(path, FrameConfig(max_hours=0.0001))

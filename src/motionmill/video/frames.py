"""A video file -> pictures with their times: one pass in small, and the pictures of clips at working size.

Pictures are (H, W, 3) uint8 RGB, upright whatever the file's rotation says. Times are the file's own, so that a
variable frame rate stays what it is until the motion is resampled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionmill.extras import require
from motionmill.video.config import FrameConfig

Picture = NDArray[np.uint8]
Times = NDArray[np.float64]

_SMALL = 320  # longer side of the pictures that shots are found in, pixels
_EVEN = 2


@dataclass(frozen=True)
class VideoInfo:
    """What a video's header says.

    Attributes:
        path: of the file.
        width: of the picture as it is to be seen (after rotation), pixels.
        height: the same.
        fps: frames a second, on average.
        seconds: length, 0 where the header does not say.
        turns: quarter turns, counterclockwise, that put the decoded picture upright.
    """

    path: Path
    width: int
    height: int
    fps: float
    seconds: float
    turns: int

    def size_within(self, side: int) -> tuple[int, int]:
        """Width and height, even, of the same shape with the longer side at most so long."""
        scale = min(1.0, side / max(self.width, self.height))
        return tuple(
            max(_EVEN, round(n * scale / _EVEN) * _EVEN) for n in (self.width, self.height)
        )  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class Frames:
    """The pictures of a clip.

    Attributes:
        images: (T, H, W, 3) uint8.
        times: (T,) seconds from the start of the video, increasing.
        numbers: (T,) place of each picture in the video, as decoded.
        inside: first and last (exclusive) of these pictures that belong to the clip; the others are context.
        scale: size of the video's own picture over that of these.
    """

    images: NDArray[np.uint8]
    times: Times
    numbers: NDArray[np.int64]
    inside: tuple[int, int]
    scale: float = 1.0

    def __len__(self) -> int:
        return len(self.images)

    @property
    def height(self) -> int:
        return int(self.images.shape[1])

    @property
    def width(self) -> int:
        return int(self.images.shape[2])


@dataclass(frozen=True)
class Span:
    """Which frames of a video a clip takes: `start` to `end`, with context `first` to `last` (ends exclusive)."""

    start: int
    end: int
    first: int
    last: int


def probe(path: Path, config: FrameConfig) -> VideoInfo:
    """What a file's header says, after decoding one frame.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a video, without a picture, too large or too long.
    """
    av = require("av", extra="video")
    with _opened(path) as container:
        stream = _stream(container, path)
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > config.max_megapixels * 1e6:
            raise ValueError(
                f"{path.name}: pictures of {width} x {height} pixels; expected at most {config.max_megapixels:g} "
                "megapixels (frames.max_megapixels): scale it down first"
            )
        seconds = float(container.duration or 0) / av.time_base
        if seconds > config.max_hours * 3600:
            raise ValueError(
                f"{path.name}: {seconds / 3600:.1f} hours long; expected at most {config.max_hours:g} "
                "(frames.max_hours): cut it first"
            )
        frame = next(_decoded(container, path), None)
        if frame is None or not width or not height:
            raise ValueError(
                f"{path.name}: no picture in it can be decoded; the file is damaged or empty"
            )
        turns = round(float(frame.rotation) / 90) % 4
        if turns % 2:
            width, height = height, width
        fps = float(stream.average_rate or stream.guessed_rate or 0)
        return VideoInfo(path, width, height, fps if 0 < fps < 1000 else 30.0, seconds, turns)


def small_frames(info: VideoInfo) -> Iterator[tuple[float, Picture]]:
    """Time and picture (320 pixels at most) of every frame of a video."""
    yield from ((time, image) for _, time, image in _pictures(info, info.size_within(_SMALL), None))


def clip_frames(info: VideoInfo, spans: Sequence[Span], config: FrameConfig) -> Iterator[Frames]:
    """The pictures of clips, in their order, decoding the video once.

    Args:
        info: of the video.
        spans: of the clips, in the order of their starts; contexts may overlap.
        config: most frames a second, and size.
    """
    size = info.size_within(config.working_side)
    wanted = {number for span in spans for number in range(span.first, span.last)}
    waiting = list(spans)
    held: list[tuple[int, float, Picture]] = []
    grid = -1
    for number, time, image in _pictures(info, size, wanted):
        place = math.floor(time * config.fps + 0.5)
        while waiting and number >= waiting[0].last:
            yield _gathered(held, waiting.pop(0), info, size)
        if not waiting:
            return
        held = [item for item in held if item[0] >= waiting[0].first]
        if place > grid and image is not None:
            grid = place
            held.append((number, time, image))
    for span in waiting:
        yield _gathered(held, span, info, size)


def _gathered(
    held: Sequence[tuple[int, float, Picture]], span: Span, info: VideoInfo, size: tuple[int, int]
) -> Frames:
    items = [item for item in held if span.first <= item[0] < span.last]
    numbers = np.array([number for number, _, _ in items], dtype=np.int64)
    images = (
        np.stack([image for _, _, image in items])
        if items
        else np.zeros((0, size[1], size[0], 3), np.uint8)
    )
    inside = (
        int(np.searchsorted(numbers, span.start)),
        int(np.searchsorted(numbers, span.end)),
    )
    times = np.array([time for _, time, _ in items], dtype=np.float64)
    return Frames(images, times, numbers, inside, info.width / size[0])


def _pictures(
    info: VideoInfo, size: tuple[int, int], wanted: set[int] | None
) -> Iterator[tuple[int, float, Any]]:
    """Number, time and picture of every frame; None in the place of pictures that are not wanted."""
    upright = size if info.turns % 2 == 0 else size[::-1]
    start: float | None = None
    last = -math.inf
    with _opened(info.path) as container:
        _stream(container, info.path).thread_type = "AUTO"
        for number, frame in enumerate(_decoded(container, info.path)):
            time = number / info.fps if frame.time is None else float(frame.time)
            start = time if start is None else start
            time -= start
            if time <= last:  # broken time stamps: go on evenly
                time = last + 1 / info.fps
            last = time
            if wanted is not None and number not in wanted:
                yield number, time, None
                continue
            small = frame.reformat(*upright, format="rgb24", interpolation="AREA").to_ndarray()
            yield number, time, np.ascontiguousarray(np.rot90(small, info.turns))


def _opened(path: Path) -> Any:
    av = require("av", extra="video")
    if not path.is_file():
        what = "is a folder; expected a video" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{path} {what}")
    try:
        return av.open(str(path))
    except av.error.FFmpegError as error:
        raise ValueError(
            f"{path.name}: not a video that FFmpeg can read ({_words(error)})"
        ) from None


def _stream(container: Any, path: Path) -> Any:
    if not container.streams.video:
        kinds = sorted({stream.type for stream in container.streams}) or ["nothing"]
        raise ValueError(f"{path.name}: no video in it, only {', '.join(kinds)}")
    return container.streams.video[0]


def _decoded(container: Any, path: Path) -> Iterator[Any]:
    """The frames of the first video stream; an error after the first frame ends them, as players do."""
    av = require("av", extra="video")
    found = False
    try:
        for frame in container.decode(video=0):
            found = True
            yield frame
    except av.error.FFmpegError as error:
        if not found:
            raise ValueError(
                f"{path.name}: the video cannot be decoded ({_words(error)})"
            ) from None


def _words(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:120]

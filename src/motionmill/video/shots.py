"""Pictures of a video -> shots between cuts and fades -> clips of at most ten seconds.

Source of the cuts: PySceneDetect's adaptive content detector (change of hue, saturation, brightness and edges from
picture to picture, compared with that of its neighbours, so that a moving camera is no cut).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionmill.extras import require
from motionmill.video.config import ShotConfig
from motionmill.video.frames import Picture, Span, Times

_WINDOW = 2  # frames before and after that a change is compared with


@dataclass(frozen=True, eq=False)
class Shots:
    """Where a video is cut.

    Attributes:
        spans: first and last frame (exclusive) of each shot; frames that are black are in none.
        cuts: frames that follow a cut or the middle of a fade.
        times: (T,) seconds of every frame of the video.
    """

    spans: list[tuple[int, int]]
    cuts: list[int]
    times: Times


def find_shots(pictures: Iterable[tuple[float, Picture]], config: ShotConfig) -> Shots:
    """Finds cuts and fades.

    Args:
        pictures: time and small picture of every frame.
        config: thresholds.
    """
    require("scenedetect", extra="video")
    from scenedetect import AdaptiveDetector, FrameTimecode

    detector = AdaptiveDetector(
        adaptive_threshold=config.adaptive_ratio,
        min_scene_len=1,
        window_width=_WINDOW,
        min_content_val=config.cut_threshold,
    )
    found: set[int] = set()
    times: list[float] = []
    dark: list[bool] = []
    last: Picture | None = None

    def judge(number: int, picture: Picture) -> None:
        code = FrameTimecode(number, fps=30.0)  # only counts frames
        cuts = detector.process_frame(code, np.ascontiguousarray(picture[..., ::-1]))
        found.update(cut.frame_num for cut in cuts)

    for time, last in pictures:
        judge(len(times), last)
        times.append(time)
        dark.append(float(last.mean()) < config.fade_level)
    for extra in range(_WINDOW if last is not None else 0):  # so that the last frames are judged
        assert last is not None
        judge(len(times) + extra, last)
    known = sorted(cut for cut in found if cut < len(times))
    cuts, spans = _split(known, np.array(dark, dtype=bool))
    return Shots(spans, cuts, np.array(times))


def clips_of(shot: tuple[int, int], times: Times, config: ShotConfig) -> list[Span]:
    """A shot in equal parts of at most `max_seconds`, each with context of the same shot around it."""
    start, end = shot
    step = float(np.median(np.diff(times[start:end]))) if end - start > 1 else 0.0
    count = max(1, math.ceil((times[end - 1] + step - times[start]) / config.max_seconds - 1e-6))
    bounds = [start + round((end - start) * part / count) for part in range(count + 1)]
    spans = []
    for first, last in itertools.pairwise(bounds):
        before = times[first] - config.context_seconds
        after = times[last - 1] + config.context_seconds
        low = max(start, int(np.searchsorted(times, before)))
        high = min(end, int(np.searchsorted(times, after, side="right")))
        spans.append(Span(first, last, low, high))
    return spans


def _split(cuts: list[int], dark: NDArray[np.bool_]) -> tuple[list[int], list[tuple[int, int]]]:
    """Cuts with the middles of slow fades added, and the runs of frames between them that are not black."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], dark, [False])).astype(np.int8)))
    fades = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
    kept = {cut for cut in cuts if not any(low < cut < high for low, high in fades)}
    for low, high in fades:
        if low > 0 and high < len(dark) and not kept & {low, high}:  # slow on both sides
            kept.add((low + high) // 2)
    cuts = sorted(kept)
    spans: list[tuple[int, int]] = []
    for low, high in zip([0, *cuts], [*cuts, len(dark)], strict=True):
        light = np.flatnonzero(~dark[low:high])
        if len(light):
            spans.append((low + int(light[0]), low + int(light[-1]) + 1))
    return cuts, spans

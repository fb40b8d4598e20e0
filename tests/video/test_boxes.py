"""Each measurement of a track says what it should, and each threshold can be the one that is missed."""

from __future__ import annotations

import numpy as np
import pytest

from motionmill.video.boxes import box_measurements, first_box_failure
from motionmill.video.config import BoxConfig
from motionmill.video.frames import Frames
from motionmill.video.people import Track
from tests.video.filmed import texture

pytest.importorskip("cv2")
COUNT, WIDTH, HEIGHT = 40, 160, 120
CONFIG = BoxConfig(min_height_pixels=60)


def clip(images: np.ndarray | None = None, *, inside: tuple[int, int] = (0, COUNT)) -> Frames:
    if images is None:
        images = np.stack([texture(HEIGHT, WIDTH)] * COUNT)
    return Frames(images, np.arange(COUNT) / 30, np.arange(COUNT), inside, 2.0)


def track(
    box: tuple[float, ...] = (0.4, 0.2, 0.6, 0.9),
    *,
    places: np.ndarray | None = None,
    score: float = 0.9,
    number: int = 0,
) -> Track:
    places = np.arange(COUNT) if places is None else places
    boxes = np.tile(np.array(box), (len(places), 1))
    return Track(number, places, boxes, np.full(len(places), score))


def measured(one: Track, *others: Track, frames: Frames | None = None) -> dict[str, float]:
    return box_measurements(frames or clip(), one, [one, *others])


def test_a_person_in_full_view_passes() -> None:
    values = measured(track())
    assert values["seconds"] == pytest.approx(COUNT / 30)
    assert values["height_pixels"] == pytest.approx(0.7 * HEIGHT * 2)
    assert values["truncation"] == values["occlusion"] == 0
    assert values["visible"] == 1
    assert first_box_failure(values, CONFIG) is None


def test_only_the_clip_counts_not_its_context() -> None:
    values = measured(track(), frames=clip(inside=(10, 30)))
    assert (values["frames"], values["seconds"]) == (20, pytest.approx(20 / 30))
    outside = track(places=np.arange(5))
    assert measured(outside, frames=clip(inside=(10, 30))) == {"seconds": 0.0, "frames": 0.0}


def test_each_reason_is_found() -> None:
    half_out = (0.4, 0.6, 0.6, 1.4)
    nearer = track((0.4, 0.4, 0.6, 0.95), number=1)
    flat = clip(np.full((COUNT, HEIGHT, WIDTH, 3), 120, np.uint8))
    cases = {
        "seconds": measured(track(places=np.arange(10))),
        "visible": measured(track(places=np.arange(0, COUNT, 2))),
        "height_pixels": measured(track((0.4, 0.4, 0.5, 0.6))),
        "truncation": measured(track(half_out)),
        "cut_off_seconds": measured(track((0.4, 0.2, 0.6, 1.0))),
        "confidence": measured(track(score=0.3)),
        "occlusion": measured(track(), nearer),
        "sharpness": measured(track(), frames=flat),
    }
    for reason, values in cases.items():
        failure = first_box_failure(values, CONFIG)
        assert failure is not None, reason
        assert (failure.stage, failure.reason, failure.value) == ("boxes", reason, values[reason])
    assert cases["truncation"]["truncation"] == pytest.approx(0.5)
    assert cases["occlusion"]["occlusion"] == pytest.approx(0.5 / 0.7)


def test_who_stands_behind_hides_nobody() -> None:
    behind = track((0.4, 0.1, 0.6, 0.8), number=1)
    assert measured(track(), behind)["occlusion"] == 0

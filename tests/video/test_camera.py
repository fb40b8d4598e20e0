"""Turns of the camera are found from the background alone; what is no turn is flagged."""

from __future__ import annotations

import numpy as np
import pytest

from motionmill.video.camera import UNCOMPENSATED, camera_path
from motionmill.video.frames import Frames
from motionmill.video.people import Track
from tests.video.filmed import texture

pytest.importorskip("cv2")
WIDTH, HEIGHT = 320, 176


def frames_of(images: list[np.ndarray]) -> Frames:
    count = len(images)
    return Frames(np.stack(images), np.arange(count) / 30, np.arange(count), (0, count))


def blurred(image: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.GaussianBlur(image, (5, 5), 1.2)


def test_a_camera_on_a_stand_does_not_turn() -> None:
    rng = np.random.default_rng(0)
    image = blurred(texture(HEIGHT, WIDTH)).astype(np.int16)
    noisy = [
        np.clip(image + rng.integers(-3, 4, image.shape), 0, 255).astype(np.uint8)
        for _ in range(12)
    ]
    path = camera_path(frames_of(noisy), [], 1.0)
    assert np.array_equal(path.turns, np.broadcast_to(np.eye(3), (12, 3, 3)))
    assert path.flags == ()


def test_a_pan_is_found_behind_a_person_who_walks_with_it() -> None:
    wide = blurred(texture(HEIGHT, 640))
    images, boxes = [], []
    for place in range(20):
        image = wide[
            :, 3 * place : 3 * place + WIDTH
        ].copy()  # the camera turns to the right by 3 pixels a picture
        image[40:168, 120:200] = texture(128, 80, 5)  # somebody who stays in its middle
        images.append(image)
        boxes.append([120 / WIDTH, 40 / HEIGHT, 200 / WIDTH, 170 / HEIGHT])
    track = Track(0, np.arange(20), np.array(boxes), np.ones(20))
    path = camera_path(frames_of(images), [track], 1.0)
    expected = np.degrees(3 * 19 / WIDTH)
    assert path.measurements["camera_turn_degrees"] == pytest.approx(expected, rel=0.05)
    # What was straight ahead at first is to the left of the picture at the end.
    assert (path.turns[-1] @ [0.0, 0.0, 1.0])[0] < -0.1
    assert path.flags == ()


def test_a_zoom_is_flagged() -> None:
    import cv2

    image = blurred(texture(HEIGHT, WIDTH))
    images = []
    for place in range(20):
        matrix = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), 0, 1 + 0.015 * place)
        images.append(cv2.warpAffine(image, matrix, (WIDTH, HEIGHT)))
    path = camera_path(frames_of(images), [], 1.0)
    assert path.flags == (UNCOMPENSATED,)
    assert path.measurements["camera_scale"] == pytest.approx(np.log(1.285), rel=0.1)


def test_a_background_without_anything_to_follow_is_flagged() -> None:
    flat = [np.full((HEIGHT, WIDTH, 3), 90, np.uint8)] * 10
    path = camera_path(frames_of(flat), [], 1.0)
    assert path.flags == (UNCOMPENSATED,)
    assert path.measurements["camera_unknown"] == 1.0

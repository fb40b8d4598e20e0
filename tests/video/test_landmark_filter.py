"""Landmarks at uneven times become smooth curves on an even grid."""

from __future__ import annotations

import numpy as np

from motionmill.video.landmark_filter import on_grid, smooth_curve, without_outliers

GRID = np.arange(0, 2, 1 / 30)


def test_parabolas_pass_unchanged_at_any_times() -> None:
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 2, 50))

    def curve(time: np.ndarray) -> np.ndarray:
        return np.stack((1 + 0.5 * time, 0.3 * time, 2 - 0.2 * time), axis=-1)[:, None]

    found = on_grid(curve(times), np.ones((50, 1)), times, GRID, 0.1)
    assert np.abs(found - curve(GRID)).max() < 0.01


def test_noise_is_taken_away_and_movement_stays() -> None:
    times = np.arange(0, 2, 1 / 24)
    noise = np.random.default_rng(1).normal(0, 0.02, (len(times), 1, 1))
    swing = 0.3 * np.sin(2 * np.pi * times)[:, None, None]
    found = on_grid(swing + noise, np.ones((len(times), 1)), times, GRID, 0.12)
    error = found[:, 0, 0] - 0.3 * np.sin(2 * np.pi * GRID)
    assert np.abs(error).max() < 0.03
    assert np.diff(found[:, 0, 0], n=2).std() < 0.3 * np.diff(noise[:, 0, 0], n=2).std()


def test_hidden_landmarks_are_believed_less() -> None:
    times = np.arange(0, 1, 1 / 30)
    values, weights = np.zeros((30, 1, 1)), np.ones((30, 1))
    values[14:17], weights[14:17] = 1.0, 0.0
    found = on_grid(values, weights, times, times, 0.1)
    assert np.abs(found).max() < 0.2


def test_a_jump_of_one_picture_is_no_movement() -> None:
    steps = np.linspace(0, 0.3, 20)[:, None, None] * np.ones(3)
    jumping = steps.copy()
    jumping[9] += 0.5
    assert np.abs(without_outliers(jumping) - steps).max() < 0.04
    assert np.array_equal(without_outliers(steps[:2]), steps[:2])


def test_a_line_stays_a_line_to_its_ends() -> None:
    line = np.linspace(0, 1, 30)[:, None] * np.array([1.0, -2.0])
    assert np.allclose(smooth_curve(line, 4.0), line)
    assert np.array_equal(smooth_curve(line[:1], 4.0), line[:1])

"""Landmarks at the times of pictures -> the same on an even grid of times, smoothed, without outliers.

Shapes: N pictures, T times of the grid, K landmarks of C numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_OUTLIER = 3.0  # times the usual step from the median of three pictures
_LEAST = 0.02  # weight of a landmark that is hidden
_RIDGE = (
    0.0,
    1e-3,
    3e-2,
)  # against slope and bend where there are few pictures, per square of sigma


def without_outliers(values: Array) -> Array:
    """(N, K, C) values; those far from the median of themselves and their neighbours are replaced by it."""
    if len(values) < 3:
        return values
    around = np.stack((values[:-2], values[1:-1], values[2:]))
    middle = np.median(around, axis=0)
    apart = np.linalg.norm(values[1:-1] - middle, axis=-1, keepdims=True)
    usual = np.median(np.linalg.norm(np.diff(values, axis=0), axis=-1), axis=0)[None, :, None]
    result = values.copy()
    result[1:-1] = np.where(apart > _OUTLIER * usual + 1e-9, middle, values[1:-1])
    return result


def on_grid(values: Array, weights: Array, times: Array, grid: Array, sigma: float) -> Array:
    """Local parabolas: at each time of the grid, the best fit to what is near in time.

    Args:
        values: (N, K, C).
        weights: (N, K) how much each is believed, 0..1.
        times: (N,) seconds, increasing; need not be even.
        grid: (T,) seconds.
        sigma: width of the neighbourhood, seconds; what the fit takes away is about a Gaussian of half this width.

    Returns:
        (T, K, C).
    """
    if len(times) == 1:
        return np.repeat(values, len(grid), axis=0)
    step = float(np.median(np.diff(times)))
    sigma = max(sigma, 0.8 * step)
    apart = (times[None] - grid[:, None]) / sigma  # (T, N)
    near = np.exp(-0.5 * apart**2)
    near += 1e-6 / (1 + apart**2)  # far from every picture the nearest ones decide
    powers = apart[..., None] ** np.arange(5)  # (T, N, 5)
    trust = np.maximum(weights, _LEAST)
    moments = np.einsum("tn,tnp,nk->tkp", near, powers, trust)
    sums = np.einsum("tn,tnp,nk,nkc->tkpc", near, powers[..., :3], trust, values, optimize=True)
    order = np.arange(3)
    matrix = moments[..., order[:, None] + order[None]]  # (T, K, 3, 3)
    matrix = matrix + np.diag(_RIDGE) * moments[..., 0, None, None]
    return np.linalg.solve(matrix, sums)[..., 0, :]


def smooth_curve(values: Array, sigma_frames: float) -> Array:
    """(T, C) under a Gaussian; ends are continued by reflection through the end point."""
    radius = min(int(4 * sigma_frames) + 1, len(values) - 1)
    if radius < 1 or sigma_frames <= 0:
        return values
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / sigma_frames) ** 2)
    before = 2 * values[:1] - values[radius:0:-1]
    after = 2 * values[-1:] - values[-2 : -radius - 2 : -1]
    padded = np.concatenate((before, values, after))
    columns = [np.convolve(column, kernel / kernel.sum(), mode="valid") for column in padded.T]
    return np.stack(columns, axis=-1)

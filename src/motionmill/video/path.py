"""A posed skeleton and where its joints are in the pictures -> the root's path in metres, feet on the floor.

Shapes: T frames, J = 22 joints. The camera is a pinhole whose focal length is assumed; depth is what the size of the
body says, held steady, and corrected where a foot rests: what rests in the picture rests in the world.
World: metres, x to the right of the first picture, Y up, z towards its camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from scipy.linalg import solveh_banded
from torch import Tensor

from motionmill.motion import physics
from motionmill.motion.skeleton import adult_skeleton
from motionmill.video.landmark_filter import Array, smooth_curve

CAMERA_AXES: Final = np.array([1.0, -1.0, -1.0])  # of ours: x right, y down, z away
_HEIGHT: Final = 1.7  # of our skeleton, metres
_FLOOR_SECONDS: Final = 0.75  # within which each way a foot touches the floor
_FLOOR_SHARE: Final = 0.2  # of these frames are lower than what is taken as the floor
_REST_SPEED: Final = (0.25, 0.7)  # m/s across the picture: at rest below, moving above
_REST_DEPTH_SPEED: Final = (0.6, 1.5)  # m/s towards the camera or away, the same
_REST_HEIGHT: Final = (0.03, 0.09)  # metres over the floor
_REST_SMOOTHING: Final = 1.5  # of how much a foot rests, frames
_HOLD: Final = 40.0  # weight of a resting foot
_STIFF: Final = 60.0  # of the path's second differences
_OBSERVED: Final = (1.0, 0.1)  # of what the picture says, across and in depth


@dataclass(frozen=True, eq=False)
class Fit:
    """A path in the camera's axes and how well it fits.

    Attributes:
        path: (T, 3) of the pelvis, metres: x right, y down, z away.
        residual: mean distance of joints from their landmarks in the picture, as a share of the body's height there.
    """

    path: Array
    residual: float


def fit_path(joints: Array, rays: Array, weights: Array, *, depth_sigma: float) -> Fit:
    """Where the body must be, so that its joints are seen where the landmarks are.

    Args:
        joints: (T, K, 3) about the pelvis, camera axes, metres.
        rays: (T, K, 2) of the same joints in the picture: pixels from its middle over the focal length.
        weights: (T, K).
        depth_sigma: smoothing of the distance, frames.
    """
    weights = np.square(np.maximum(weights, 1e-3))
    depth = _depth(joints, rays, weights)
    depth = np.exp(smooth_curve(np.log(depth)[:, None], depth_sigma)[:, 0])
    share = weights / weights.sum(axis=1, keepdims=True)
    across = (
        (rays * (joints[..., 2:] + depth[:, None, None]) - joints[..., :2]) * share[..., None]
    ).sum(1)
    path = np.column_stack((across, depth))
    placed = joints + path[:, None]
    seen = placed[..., :2] / np.maximum(placed[..., 2:], 0.1)
    apart = (np.linalg.norm(seen - rays, axis=-1) * share).sum(axis=1) * depth / _HEIGHT
    return Fit(path, float(apart.mean()))


def _depth(joints: Array, rays: Array, weights: Array) -> Array:
    """(T,) distance of the pelvis by least squares over both directions of the picture."""
    depths = np.zeros(len(joints))
    spread, extent = np.zeros(len(joints)), np.zeros(len(joints))
    share = weights / weights.sum(axis=1, keepdims=True)
    for axis in (0, 1):
        ray = rays[..., axis] - (share * rays[..., axis]).sum(1, keepdims=True)
        want = joints[..., axis] - rays[..., axis] * joints[..., 2]
        want = want - (share * want).sum(1, keepdims=True)
        spread += (share * ray * want).sum(1)
        extent += (share * ray * ray).sum(1)
    depths = spread / np.maximum(extent, 1e-12)
    low = 0.3
    good = depths > low
    if not good.any():
        return np.full(len(joints), 3.0)
    return np.where(good, depths, np.median(depths[good]))


def on_floor(path: Tensor, joints: Tensor, fps: float) -> Tensor:
    """(T, 3) the path with heights over a floor that may seem to rise or sink slowly, as over the pictures' depth.

    Args:
        path: (T, 3) of the root, Y up.
        joints: (T, 22, 3) about the root.
    """
    skeleton = adult_skeleton()
    lowest = physics.clearances(joints + path[:, None], skeleton).numpy()
    reach = max(1, round(_FLOOR_SECONDS * fps))
    floor = np.array(
        [
            np.quantile(lowest[max(0, t - reach) : t + reach + 1], _FLOOR_SHARE)
            for t in range(len(lowest))
        ]
    )
    floor = smooth_curve(floor[:, None], min(reach / 2, len(floor) / 4))[:, 0]
    lifted = path.clone()
    lifted[:, 1] -= torch.from_numpy(floor)
    return lifted


def resting(path: Tensor, joints: Tensor, across_speed: Array, fps: float) -> Array:
    """(T, 2) how much the left and the right foot rest on the floor, 0..1: low, and slow.

    Slow in the picture is well known; towards the camera, where a foot that swings is slow in the picture too, only
    what is clearly fast counts.

    Args:
        path: (T, 3) on the floor.
        joints: (T, 22, 3) about the root.
        across_speed: (T, 2) speed of the feet across the picture of a camera at rest, m/s.
        fps: frames per second.
    """
    skeleton = adult_skeleton()
    feet = (joints + path[:, None])[:, physics.foot_indices(skeleton)].numpy()
    heights = feet[..., 1] - physics.standing_heights(skeleton).numpy()
    lower = np.minimum(heights[:, :2], heights[:, 2:])
    deep = np.gradient((feet[:, :2, 2] + feet[:, 2:, 2]) / 2, axis=0) * fps
    deep = np.abs(smooth_curve(deep, _REST_SMOOTHING))
    rest = _falling(across_speed, *_REST_SPEED) * _falling(deep, *_REST_DEPTH_SPEED)
    rest = rest * _falling(lower, *_REST_HEIGHT)
    return np.clip(smooth_curve(rest, _REST_SMOOTHING), 0, 1)


def hold_feet(path: Tensor, joints: Tensor, rest: Array) -> Tensor:
    """(T, 3) the path moved along the floor so that feet that rest in the picture rest in the world.

    Args:
        path: (T, 3) on the floor.
        joints: (T, 22, 3) about the root.
        rest: (T, 2) how much the left and the right foot rest.
    """
    if len(path) < 4:
        return path
    feet = physics.foot_indices(adult_skeleton())
    rest = np.minimum(rest[1:], rest[:-1])  # (T - 1, 2)
    steps = np.diff((joints[:, feet] + path[:, None]).numpy(), axis=0)
    steps = (steps[:, :2] + steps[:, 2:]) / 2  # of each foot
    held = path.clone()
    for axis, observed in ((0, _OBSERVED[0]), (2, _OBSERVED[1])):
        pull = -(rest * steps[..., axis]).sum(axis=1) * _HOLD
        held[:, axis] += torch.from_numpy(_solved(rest.sum(axis=1) * _HOLD, pull, observed))
    return held


def _solved(weights: Array, pull: Array, observed: float) -> Array:
    """(T,) d that minimises sum w (d' - p/w)^2 + observed d^2 + stiff (d'')^2, w and p (T - 1,) of the steps d'."""
    count = len(weights) + 1
    bands = np.zeros((3, count))
    bands[2] += observed
    bands[2, :-1] += weights
    bands[2, 1:] += weights
    bands[1, 1:] -= weights
    for offset, part in ((0, 1.0), (1, 4.0), (2, 1.0)):
        bands[2, offset : count - 2 + offset] += part * _STIFF
    bands[1, 1:-1] -= 2 * _STIFF
    bands[1, 2:] -= 2 * _STIFF
    bands[0, 2:] += _STIFF
    right = np.zeros(count)
    right[1:] += pull
    right[:-1] -= pull
    return solveh_banded(bands, right)


def _falling(values: Array, start: float, end: float) -> Array:
    return np.clip((end - values) / (end - start), 0, 1)

"""MediaPipe's landmarks of one person -> motion on our skeleton: the pose estimator that works offline.

Shapes: N pictures in which the person was seen, T frames of the motion, 33 landmarks, J = 22 joints.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionmill.motion.cleanup import clean
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import slerp
from motionmill.motion.skeleton import SMPL_22_NAMES, adult_skeleton
from motionmill.video.boxes import inside_clip
from motionmill.video.camera import CameraPath
from motionmill.video.candidate import Failure
from motionmill.video.config import PoseConfig
from motionmill.video.frames import Frames
from motionmill.video.landmark_filter import Array, on_grid, without_outliers
from motionmill.video.landmarks import BODY, LANDMARKS, BlazePose, Landmarks, Region, blaze_pose
from motionmill.video.lift import lift
from motionmill.video.path import CAMERA_AXES, Fit, fit_path, hold_feet, on_floor, resting
from motionmill.video.people import Track
from motionmill.video.pose import Estimate
from motionmill.video.standing import gravity, level_feet, with_straight_legs

GRAVITY_UNKNOWN = "gravity_unknown"
_FEWEST = 4  # pictures, and frames of a motion
_ROUNDS = 2  # of lifting and placing: where the body is says how it is seen
_SHARP_PIXELS = 220.0  # height of a body in the picture below which landmarks tremble more
_MOST_COARSE = 2.0  # times the smoothing
_DEPTH_SMOOTHING = (
    1.25  # of the landmarks' own depth, times that across the picture; more keeps swinging feet low
)
_FEET = (
    ("left_ankle", "left_heel", "left_foot_index"),
    ("right_ankle", "right_heel", "right_foot_index"),
)


class MediaPipePose:
    """Landmarks smoothed, lifted to rotations, put on a path.

    Args:
        config: rates, smoothing, focal length.
        model: for tracks that bring no landmarks; this process's by default.
    """

    def __init__(self, config: PoseConfig, *, model: BlazePose | None = None) -> None:
        self._config = config
        self._model = model

    def estimate(self, frames: Frames, track: Track, camera: CameraPath) -> Estimate:
        found, places = self._landmarks(frames, track)
        inside = inside_clip(frames, replace(track, places=places))
        if len(found) < _FEWEST or inside.sum() < _FEWEST:
            return _too_few(inside.sum())
        times = frames.times[places]
        start, end = times[inside][[0, -1]]
        grid = (
            start + np.arange(int((end - start) * self._config.fps + 1e-6) + 1) / self._config.fps
        )
        if len(grid) < _FEWEST:
            return _too_few(len(grid))
        visibility = np.stack([one.visibility for one in found])
        measurements = {
            "pose_frames": float(inside.sum()),
            "visibility": float(visibility[inside][:, list(BODY)].mean()),
        }
        world, points, seen = self._smoothed(found, visibility, times, grid)
        middle = np.array([frames.width / 2, frames.height / 2])
        focal = self._config.focal * max(frames.width, frames.height)
        rays = (points - middle) / focal
        turns = _at(camera.turns[places], times, grid)
        motion, more, flags = self._motion(world, seen, rays, turns)
        return Estimate(motion, measurements | more, (*camera.flags, *flags))

    def _landmarks(self, frames: Frames, track: Track) -> tuple[list[Landmarks], NDArray[np.int64]]:
        """Landmarks of a track, and in which pictures."""
        if track.landmarks:
            return list(track.landmarks), track.places
        model = self._model or blaze_pose()
        size = np.array([frames.width, frames.height] * 2, dtype=np.float64)
        found, places = [], []
        for place, box in zip(track.places.tolist(), track.boxes * size, strict=True):
            region = Region(
                float(box[0] + box[2]) / 2,
                float(box[1] + box[3]) / 2,
                float(box[3] - box[1]) / 2,
                0.0,
            )
            one = model.landmarks(frames.images[place], region)
            if one is not None:
                found.append(one)
                places.append(place)
        return found, np.array(places, dtype=np.int64)

    def _smoothed(
        self, found: list[Landmarks], visibility: Array, times: Array, grid: Array
    ) -> tuple[Array, Array, Array]:
        """Landmarks (T, 33, 3) in our axes, (T, 33, 2) in pixels, and their visibility (T, 33), on the grid."""
        low, high = (
            np.quantile([one.points[:, 1] for one in found], share, axis=1) for share in (0, 1)
        )
        coarse = _SHARP_PIXELS / max(float(np.median(high - low)), 1.0)
        sigma = self._config.smoothing_seconds * min(max(coarse, 1.0), _MOST_COARSE)
        world = without_outliers(np.stack([one.world for one in found])) * CAMERA_AXES
        points = without_outliers(np.stack([one.points for one in found]))
        across = on_grid(world[..., :2], visibility, times, grid, sigma)
        depth = on_grid(world[..., 2:], visibility, times, grid, sigma * _DEPTH_SMOOTHING)
        seen = on_grid(visibility[..., None], np.ones_like(visibility), times, grid, sigma)[..., 0]
        return (
            np.concatenate((across, depth), axis=-1),
            on_grid(points, visibility, times, grid, sigma),
            np.clip(seen, 0, 1),
        )

    def _motion(
        self, world: Array, seen: Array, rays: Array, turns: Tensor
    ) -> tuple[Motion, dict[str, float], tuple[str, ...]]:
        """Landmarks on the grid -> motion, more measurements, flags."""
        fps = self._config.fps
        rotations, joints, fit = self._fitted(world, seen, rays)
        for _ in range(_ROUNDS):
            rotations, joints, fit = self._fitted(_in_perspective(world, rays, fit), seen, rays)
        axes = torch.diag(torch.from_numpy(CAMERA_AXES))
        back = axes @ turns.mT @ axes  # from each picture's axes to the first one's, in ours
        upright, known = gravity(joints @ back.mT)
        turn = upright @ back
        path = (turn @ torch.from_numpy(fit.path * CAMERA_AXES)[..., None])[..., 0]
        rotations = torch.cat(((turn @ rotations[:, 0])[:, None], rotations[:, 1:]), dim=1)
        joints = _about_root(rotations)
        path = on_floor(path, joints, fps)
        speed = _foot_speed(rays, turns.numpy(), fit.path[:, 2], fps)
        rest = resting(path, joints, speed, fps)
        rotations = level_feet(rotations, torch.from_numpy(rest))
        joints = _about_root(rotations)
        path = hold_feet(on_floor(path, joints, fps), joints, rest)
        motion = Motion(rotations, path, fps)
        if self._config.clean:
            motion = clean(motion)
        lean = float(torch.rad2deg(torch.arccos(upright[1, 1].clamp(-1, 1))))
        start = motion.root[0]
        measurements = {
            "residual": fit.residual,
            "gravity_degrees": lean,
            "start_x_metres": float(start[0]),
            "start_z_metres": float(start[2]),
        }
        shift = start * start.new_tensor([1.0, 0.0, 1.0])
        motion = replace(motion, root=motion.root - shift)
        return motion, measurements, () if known else (GRAVITY_UNKNOWN,)

    def _fitted(self, world: Array, seen: Array, rays: Array) -> tuple[Tensor, Tensor, Fit]:
        """Landmarks in space and in the picture -> rotations, joints about the pelvis (T, 22, 3), and the path."""
        fps = self._config.fps
        rotations = lift(torch.from_numpy(with_straight_legs(world)), torch.from_numpy(seen), fps)
        joints = _about_root(rotations)
        pairs = [(SMPL_22_NAMES.index(LANDMARKS[k]), k) for k in BODY]
        ours, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        sigma = self._config.depth_smoothing_seconds * fps
        fit = fit_path(
            joints[:, ours].numpy() * CAMERA_AXES,
            rays[:, theirs],
            seen[:, theirs],
            depth_sigma=sigma,
        )
        return rotations, joints, fit


def _about_root(rotations: Tensor) -> Tensor:
    """(T, 22, 3) joints of the adult skeleton, the pelvis at the origin."""
    return adult_skeleton().forward_kinematics(rotations, rotations.new_zeros(len(rotations), 3))[0]


def _too_few(frames: int) -> Estimate:
    failure = Failure("pose", "pose_frames", float(frames), float(_FEWEST))
    return Estimate(None, {"pose_frames": float(frames)}, failure=failure)


def _in_perspective(world: Array, rays: Array, fit: Fit) -> Array:
    """Landmarks (T, 33, 3) where the picture's rays are at their depth.

    The model takes the body as if it were seen from far away: a foot that is seen from above comes out pointing down,
    a hand that comes nearer too long. How deep a landmark lies is kept; where it is across follows from its ray.
    """
    depth = fit.path[:, None, 2] - world[..., 2]
    across = rays * depth[..., None] * CAMERA_AXES[:2]
    hips = across[:, [LANDMARKS.index("left_hip"), LANDMARKS.index("right_hip")]].mean(axis=1)
    return np.concatenate((across - hips[:, None], world[..., 2:]), axis=-1)


def _at(turns: Array, times: Array, grid: Array) -> Tensor:
    """Rotations (N, 3, 3) at increasing times -> (T, 3, 3) at those of the grid."""
    lower = np.clip(np.searchsorted(times, grid, side="right") - 1, 0, len(times) - 2)
    weight = np.clip((grid - times[lower]) / (times[lower + 1] - times[lower]), 0, 1)
    values = torch.from_numpy(turns)
    return slerp(values[lower], values[lower + 1], torch.from_numpy(weight))


def _foot_speed(rays: Array, turns: Array, depth: Array, fps: float) -> Array:
    """(T, 2) speed of the feet across the picture of a camera at rest, m/s."""
    speeds = []
    for names in _FEET:
        parts = rays[:, [LANDMARKS.index(name) for name in names]].mean(axis=1)
        homogeneous = np.column_stack((parts, np.ones(len(parts))))
        steady = np.einsum("tji,tj->ti", turns, homogeneous)
        place = steady[:, :2] / np.maximum(steady[:, 2:], 0.1)
        change = np.gradient(place, axis=0)
        speeds.append(np.linalg.norm(change, axis=1) * depth * fps)
    return np.stack(speeds, axis=1)

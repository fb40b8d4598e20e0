"""Physics measures: joint positions over time -> floor, contacts, foot slide, floating, penetration, jitter.

Shapes: T frames, J joints; the 4 foot joints are left ankle, right ankle, left foot, right foot. World: Y up, metres.
All measures are of the motion at 30 fps, whatever its own rate, so that values compare. Definitions: the evaluation
protocol of this project (docs/evaluation).
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from motionmill.motion.motion import Motion
from motionmill.motion.skeleton import Skeleton

MEASURE_FPS: Final = 30.0
FOOT_JOINTS: Final = ("left_ankle", "right_ankle", "left_foot", "right_foot")

_CHUNK: Final = (
    4096  # frames whose joints are computed at once, so that long motions need no more memory
)
SLIDE_HEIGHT: Final = 0.025  # the slide's weight falls from 1 to 0 over this height, metres
TOUCH_HEIGHT_FOOT: Final = 0.03  # a foot joint this close to its standing height touches the floor
TOUCH_HEIGHT_BODY: Final = 0.12  # any other joint this close to the floor touches it
FREE_FLIGHT: Final = (-13.0, -6.0)  # vertical acceleration of a falling root, m/s^2
CONTACT_SPEED: Final = 0.45  # a foot joint slower than this, m/s, may rest on the floor
CONTACT_HEIGHT: Final = 0.035  # and it is at most this far over its standing height, metres

# Distance of a joint from the body's surface below it when that part lies on the floor, metres.
_FLESH: Final = {
    "pelvis": 0.09,
    "left_hip": 0.08,
    "right_hip": 0.08,
    "left_knee": 0.05,
    "right_knee": 0.05,
    "left_elbow": 0.03,
    "right_elbow": 0.03,
    "left_wrist": 0.02,
    "right_wrist": 0.02,
    "head": 0.08,
}


def foot_indices(skeleton: Skeleton) -> list[int]:
    """Indices of left ankle, right ankle, left foot, right foot. Raises ValueError where a name is missing."""
    return [skeleton.index(name) for name in FOOT_JOINTS]


def standing_heights(skeleton: Skeleton) -> Tensor:
    """(4,) heights of the foot joints over the soles in the rest pose, metres."""
    return skeleton.rest_joints[foot_indices(skeleton), 1] + skeleton.standing_root_height


def foot_heights(motion: Motion) -> Tensor:
    """(T, 4) heights of the foot joints over their standing heights, metres: 0 on the floor."""
    return _foot_heights(motion.joints(), motion.skeleton)


def floor(motion: Motion) -> float:
    """Height of the floor under a motion, metres: 0 where the soles of the standing person are at y = 0."""
    parts = range(0, len(motion), _CHUNK)
    found = [clearances(motion[at : at + _CHUNK].joints(), motion.skeleton) for at in parts]
    return floor_under(torch.cat(found))


def clearances(joints: Tensor, skeleton: Skeleton) -> Tensor:
    """(T, J, 3) -> (T,) height of the lowest body part, metres: foot joints over their standing heights, others less
    the flesh around them."""
    lowest = _foot_heights(joints, skeleton).amin(dim=-1)
    flesh = {name: depth for name, depth in _FLESH.items() if name in skeleton.names}
    if not flesh:
        return lowest
    body = joints[:, [skeleton.index(name) for name in flesh], 1]
    return torch.minimum(lowest, (body - joints.new_tensor(list(flesh.values()))).amin(dim=-1))


def floor_under(clearance: Tensor) -> float:
    """(T,) heights of the lowest body part -> height of the floor, metres.

    The lowest part of each frame is taken as touching. Of the frames within 8 cm of the lowest twentieth the densest
    2 cm are the floor, so that neither flight nor a few low frames (deep squats on a body of other proportions) move
    it.
    """
    ordered = clearance.sort().values
    lowest = ordered[(len(ordered) - 1) // 20]
    ordered = ordered[ordered <= lowest + 0.08]
    ends = torch.searchsorted(ordered, ordered + 0.02, right=True)
    start = int((ends - torch.arange(len(ordered))).argmax())
    return float(ordered[start : int(ends[start])].median())


def contacts(motion: Motion) -> Tensor:
    """(T, 4) bool: which foot joints rest on the floor (y = 0), being low and slow for two frames or more."""
    joints = motion.joints()
    feet = joints[:, foot_indices(motion.skeleton)]
    speed = central_difference(feet).norm(dim=-1) * motion.fps
    low = _foot_heights(joints, motion.skeleton) < CONTACT_HEIGHT
    resting = low & (speed < CONTACT_SPEED)
    around = F.pad(resting, (0, 0, 1, 1))
    resting = resting | (around[:-2] & around[2:])
    around = F.pad(resting, (0, 0, 1, 1))
    return resting & (around[:-2] | around[2:])


def foot_slide(motion: Motion, weights_from: Motion | None = None) -> float:
    """How far the feet slide while on the floor, mm per frame at 30 fps; 0 where no foot comes near the floor.

    Weighted mean horizontal displacement of the ankle and foot joints, weight clip(2 - 2^(h / 2.5 cm), 0, 1) with h the
    joint's height over its standing height. There is no speed test, so that nothing hides in the mask.

    Args:
        motion: the motion to measure, floor at y = 0.
        weights_from: take the weights from this motion instead: the clean clip from which `motion` was made.

    Raises:
        ValueError: the two motions differ in length.
    """
    motion = motion.resample(MEASURE_FPS)
    source = motion if weights_from is None else weights_from.resample(MEASURE_FPS)
    if len(source) != len(motion):
        raise ValueError(
            f"foot slide: weights_from has {len(source)} frames at 30 fps, the motion {len(motion)}; expected the same"
        )
    feet = motion.joints()[:, foot_indices(motion.skeleton)]
    return float(foot_slide_of(feet, foot_heights(source).to(feet)))


def foot_slide_of(feet: Tensor, heights: Tensor) -> Tensor:
    """Foot slide from positions: (..., T, K, 3) metres at 30 fps and heights (..., T, K) -> (...), mm per frame."""
    weight = slide_weights(heights)
    weight = (weight[..., 1:, :] + weight[..., :-1, :]) / 2
    step = torch.diff(feet[..., [0, 2]], dim=-3).norm(dim=-1)
    total = weight.sum(dim=(-1, -2))
    return 1000 * (weight * step).sum(dim=(-1, -2)) / total.clamp(min=1e-9)


def slide_weights(heights: Tensor) -> Tensor:
    """Heights over the standing heights, metres -> how much a foot joint counts as on the floor, 0..1."""
    return (2 - torch.exp2(heights / SLIDE_HEIGHT)).clamp(0, 1)


def floating(motion: Motion) -> float:
    """Share of frames, %, in which nothing touches the floor and the root is not in free flight."""
    motion = motion.resample(MEASURE_FPS)
    return floating_of(motion.joints(), motion.skeleton)


def floating_of(joints: Tensor, skeleton: Skeleton) -> float:
    """Floating from positions (T, J, 3), metres at 30 fps."""
    feet = foot_indices(skeleton)
    others = [index for index in range(skeleton.num_joints) if index not in feet]
    touching = (_foot_heights(joints, skeleton) < TOUCH_HEIGHT_FOOT).any(dim=-1)
    touching |= (joints[:, others, 1] < TOUCH_HEIGHT_BODY).any(dim=-1)
    acceleration = vertical_acceleration(joints[:, 0, 1], MEASURE_FPS)
    flying = (acceleration > FREE_FLIGHT[0]) & (acceleration < FREE_FLIGHT[1])
    return 100 * float((~touching & ~flying).double().mean())


def vertical_acceleration(heights: Tensor, fps: float) -> Tensor:
    """(T,) heights in metres -> (T,) m/s^2: second derivative of the parabola fitted to five frames around each."""
    if len(heights) < 5:
        return torch.zeros_like(heights)
    kernel = heights.new_tensor([2.0, -1.0, -2.0, -1.0, 2.0]) / 7
    inner = F.conv1d(heights[None, None], kernel[None, None])[0, 0] * fps**2
    return torch.cat((inner[:1].expand(2), inner, inner[-1:].expand(2)))


def penetration(motion: Motion) -> float:
    """Mean depth, mm, of the lowest foot joint below its standing height, over the frames where it is lower."""
    return penetration_of(foot_heights(motion.resample(MEASURE_FPS)))


def penetration_of(heights: Tensor) -> float:
    """Penetration from heights of the foot joints over their standing heights, (T, 4) metres."""
    depth = -heights.amin(dim=-1)
    below = depth > 0
    return 1000 * float(depth[below].mean()) if bool(below.any()) else 0.0


def jitter(motion: Motion) -> float:
    """Mean norm of the third difference of the joint positions times fps^3, in 100 m/s^3; 0 under four frames."""
    return float(jitter_of(motion.resample(MEASURE_FPS).joints(), MEASURE_FPS))


def jitter_of(joints: Tensor, fps: float) -> Tensor:
    """Jitter from positions: (..., T, J, 3) metres -> (...), in 100 m/s^3."""
    if joints.shape[-3] < 4:
        return joints.new_zeros(joints.shape[:-3])
    third = torch.diff(joints, n=3, dim=-3).norm(dim=-1)
    return third.mean(dim=(-1, -2)) * fps**3 / 100


def _foot_heights(joints: Tensor, skeleton: Skeleton) -> Tensor:
    feet = joints[..., foot_indices(skeleton), 1]
    return feet - standing_heights(skeleton).to(feet)


def central_difference(values: Tensor) -> Tensor:
    """(T, ...) -> (T, ...) change per frame, from the frames on both sides (one side at the ends)."""
    if len(values) < 2:
        return torch.zeros_like(values)
    step = torch.diff(values, dim=0)
    return torch.cat((step[:1], (step[1:] + step[:-1]) / 2, step[-1:]))

"""Clean-up: a motion -> the same motion on the floor, without trembling, with feet that hold still where they rest.

Shapes: T frames, J joints, 4 foot joints as in `physics.FOOT_JOINTS`, 2 legs (left, right). World: Y up, metres.
The steps: floor, smoothing where the motion is noise, contacts, smooth corrections of the foot paths, legs by two-bone
inverse kinematics. All frames at once; the corrections are the solution of one banded linear system a foot joint.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from motionmill.motion import physics
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import (
    matrix_from_6d,
    matrix_from_axis_angle,
    matrix_to_6d,
    rotation_between,
    slerp,
)
from motionmill.motion.skeleton import world_to_local_rotations

Array = NDArray[np.float64]

_LEG_JOINTS: Final = ("hip", "knee", "ankle", "foot")
_LONGEST_REACH: Final = (
    0.997  # of thigh plus shin: no leg is pulled straighter than it was or than this
)
_SLIGHT_BEND: Final = 0.03  # a knee bent less than about this is straight, radians
_DEEPEST: Final = 0.08  # most by which the root sinks so that held feet are reached, metres
_FARTHEST: Final = 0.25  # most by which a foot is moved, metres
_PLAY: Final = 0.008  # a held foot joint may be this far over its standing height, metres
_SMOOTHNESS: Final = 2.5  # frames over which a foot is caught and let go, at 30 fps
_MEMORY: Final = (
    10.0  # frames over which a correction across the floor fades when the foot is free, at 30 fps
)
_MEMORY_UPWARDS: Final = 4.0


def clean(motion: Motion, *, strength: float = 1.0) -> Motion:
    """Puts a motion on the floor, takes trembling out of it and locks its feet where they rest.

    Args:
        motion: any motion whose skeleton has the legs of SMPL-22.
        strength: 0 gives the motion as it is, 1 the cleaned one, between them a mixture.

    Returns:
        A motion of the same length on the same skeleton. Arms, trunk and head change only by the smoothing, flight and
        anything else off the floor only by the floor's height.

    Raises:
        ValueError: strength out of 0..1, or a skeleton without these legs.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"clean: strength {strength}; expected a number from 0 to 1")
    physics.foot_indices(motion.skeleton)
    if strength == 0:
        return motion
    exact = replace(
        motion,
        rotations=motion.rotations.detach().double().cpu(),
        root=motion.root.detach().double().cpu(),
    )
    cleaned = lock_feet(smooth(to_floor(exact)))
    rotations, root = cleaned.rotations, cleaned.root
    if strength < 1:
        rotations = slerp(
            exact.rotations, rotations, torch.full_like(rotations[..., 0, 0], strength)
        )
        root = torch.lerp(exact.root, root, strength)
    return replace(motion, rotations=rotations.to(motion.rotations), root=root.to(motion.root))


def to_floor(motion: Motion) -> Motion:
    """The motion raised or lowered as a whole so that its floor is at y = 0."""
    return replace(motion, root=motion.root - motion.root.new_tensor([0, physics.floor(motion), 0]))


def smooth(motion: Motion) -> Motion:
    """Low-pass of the root path and of each joint's rotations, without delay, only where they tremble.

    What trembles shows in the ratio of third to second differences, which knows no scale: about 1.8 for noise from
    frame to frame and 1.7 for a random walk, under 1 for what a body does. The higher it is, the wider the filter.
    """
    if len(motion) < 8:
        return motion
    root = _steady(motion.root[:, None], 0.02)[:, 0]
    rotations = matrix_from_6d(_steady(matrix_to_6d(motion.rotations), 0.25))
    return replace(motion, root=root, rotations=rotations)


def lock_feet(motion: Motion) -> Motion:
    """Holds feet still where they rest on the floor (y = 0), by moving the legs and, a little, the root."""
    skeleton, scale = motion.skeleton, motion.fps / 30
    hip, knee, ankle, foot = (
        [skeleton.index(f"{side}_{name}") for side in ("left", "right")] for name in _LEG_JOINTS
    )
    joints, world = skeleton.forward_kinematics(motion.rotations, motion.root)
    hips, knees, ankles, toes = (joints[:, pair] for pair in (hip, knee, ankle, foot))
    thigh, shin, sole = knees - hips, ankles - knees, toes - ankles
    axis, shin = _knee_hinges(world[:, hip], thigh, shin)
    unbent = rotation_between(ankles - knees, shin)
    ankles = knees + shin
    toes = ankles + sole
    feet = torch.cat((ankles, toes), dim=1)
    standing = physics.standing_heights(skeleton).to(joints)
    held = resting(feet, feet[..., 1] - standing, motion.fps)
    if len(motion) < 4 or not bool((held > 0).any()):
        return motion

    new_ankles, new_toes = _foot_targets(ankles, toes, standing, held, scale)
    shift = _low_pass((new_ankles - ankles).mean(dim=1), 2.0 * scale)
    leg_held = torch.maximum(held[:, :2], held[:, 2:])
    reach = _reach(thigh, shin)
    down = _lowering(new_ankles - hips - shift[:, None], reach, leg_held, scale)
    shift = torch.cat((shift[:, :1], shift[:, 1:2] - down[:, None], shift[:, 2:]), dim=1)
    targets = new_ankles - hips - shift[:, None]
    leg, bend = _two_bones(axis, thigh, shin, targets, reach)
    turn = rotation_between(sole, new_toes - new_ankles)

    world = world.clone()
    for pair, change in ((hip, leg), (knee, leg @ bend @ unbent), (ankle, turn), (foot, turn)):
        world[:, pair] = change @ world[:, pair]
    legs = [*hip, *knee, *ankle, *foot]
    rotations = motion.rotations.clone()
    rotations[:, legs] = world_to_local_rotations(world, skeleton.parents)[:, legs]
    return replace(motion, root=motion.root + shift, rotations=rotations)


def resting(feet: Tensor, heights: Tensor, fps: float) -> Tensor:
    """How surely each foot joint rests on the floor: 1 for low and slow, 0 for high or fast, between them smooth.

    What is slow depends on how fast the feet move half a second around: generated feet slide, and the swinging feet of
    a tired walk are slower than the sliding ones of a run. Feet that slide together, as under a drifting person, and
    flat feet that tremble or wander without getting anywhere count as slow, too.

    Args:
        feet: (T, 4, 3) world positions, metres.
        heights: (T, 4) over the standing heights, metres.
        fps: frames per second.

    Returns:
        (T, 4) in 0..1.
    """
    scale = fps / 30
    velocity = physics.central_difference(_low_pass(feet, 1.5 * scale)) * fps
    speed = velocity.norm(dim=-1)
    peak = _highest(speed.amax(dim=1, keepdim=True), round(15 * scale))
    slow = (0.35 * peak).clamp(0.2, 0.7)
    apart = (velocity - velocity[:, [1, 0, 3, 2]]).norm(dim=-1)
    both_low = torch.maximum(heights, heights[:, [1, 0, 3, 2]]) < 0.03
    together = torch.where(both_low, torch.minimum(speed, apart + 0.4 * speed), speed)
    sure = _falling(together / slow, 0.6, 1.0) * _falling(heights, 0.025, 0.045)

    travel = physics.central_difference(_low_pass(feet, 6 * scale)).norm(dim=-1) * fps
    flat = _falling(torch.maximum(heights, heights[:, [2, 3, 0, 1]]), 0.02, 0.035)
    wandering = flat * _falling(travel, 0.08, 0.16) * _falling(speed, 0.5, 0.8)
    reach = round(scale)  # what is shorter than three frames is no rest
    return _highest(-_highest(-torch.maximum(sure, wandering), reach), reach)


def _falling(values: Tensor, start: float, end: float) -> Tensor:
    """1 up to `start`, 0 from `end`, straight between them."""
    return ((end - values) / (end - start)).clamp(0, 1)


def _foot_targets(
    ankles: Tensor, toes: Tensor, standing: Tensor, held: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Where ankles and toes (T, 2, 3) should be: still where they are held, on the floor, a foot's length apart.

    The toes are settled first; where they rest the ankle has to be a foot's length behind them, and where only the heel
    rests it stays where it will be when the toes are down, too.
    """
    length = (toes - ankles).norm(dim=-1)
    heel, ball = held[:, :2], held[:, 2:]
    new_toes = _settled(toes, standing[2:], ball, scale)
    new_ankles = _settled(ankles, standing[:2], heel, scale)
    behind = new_toes - length[..., None] * F.normalize(new_toes - new_ankles, dim=-1)
    new_ankles = _settled(ankles, standing[:2], heel, scale, ball, behind)
    along = new_toes - new_ankles
    excess = (1 - length / along.norm(dim=-1).clamp(min=1e-6))[..., None] * along
    share = _low_pass(0.5 + 0.5 * (heel - ball), scale)[..., None].clamp(0, 1)
    share = torch.where((ball == 1)[..., None], 0.0, share)
    return new_ankles + (1 - share) * excess, new_toes - share * excess


def _settled(
    path: Tensor,
    standing: Tensor,
    held: Tensor,
    scale: float,
    drawn: Tensor | None = None,
    goal: Tensor | None = None,
) -> Tensor:
    """Paths (T, 2, 3) of two joints, moved smoothly so that they stand still on the floor where they are held.

    The displacement d minimises, over the clip, the sum of hold |step of (path + d)|^2, |step of d|^2 (what swings
    keeps its velocity), a little |d|^2 (nothing wanders off), |change of step of d|^2 (no pops), held |height|^2 and
    drawn |path + d - goal|^2. It is the solution of a banded linear system.

    Args:
        path: metres.
        standing: (2,) heights on the floor, metres.
        held: (T, 2) in 0..1.
        scale: frames a second over 30.
        drawn: (T, 2) in 0..1, how much the joint is drawn to `goal`.
        goal: (T, 2, 3) metres.
    """
    from scipy.linalg import solveh_banded

    points, sure = path.numpy(), held.numpy()
    pair = np.minimum(sure[1:], sure[:-1])
    hold = pair / (1.0001 - pair)
    height = points[..., 1] - standing.numpy()
    result = np.zeros(points.shape)
    for joint, upwards in ((0, False), (0, True), (1, False), (1, True)):
        axes = [1] if upwards else [0, 2]
        matrix = _banded(1 + hold[:, joint], (_SMOOTHNESS * scale) ** 2)
        matrix[2] += ((_MEMORY_UPWARDS if upwards else _MEMORY) * scale) ** -2
        pull = np.zeros((len(points), len(axes)))
        force = hold[:, joint, None] * np.diff(points[:, joint, axes], axis=0)
        pull[:-1] += force
        pull[1:] -= force
        if upwards:
            matrix[2] += sure[:, joint]
            pull[:, 0] -= sure[:, joint] * (height - height.clip(0, _PLAY))[:, joint]
        if drawn is not None and goal is not None:
            weight = 20 * drawn[:, joint].numpy()
            matrix[2] += weight
            pull += weight[:, None] * (goal.numpy() - points)[:, joint, axes]
        result[:, joint, axes] = solveh_banded(matrix, pull)
    far = np.linalg.norm(result, axis=-1, keepdims=True) / _FARTHEST
    settled = path + torch.from_numpy(result / (1 + far**6) ** (1 / 6)).to(path)
    over = settled[..., 1] - standing
    settled[..., 1] = standing + F.softplus(over * 800) / 800  # nothing below the floor
    return settled


def _banded(weights: Array, smoothness: float) -> Array:
    """Upper bands (3, T) of the matrix of sum weights |d[t+1] - d[t]|^2 + smoothness |d[t+1] - 2 d[t] + d[t-1]|^2."""
    bands = np.zeros((3, len(weights) + 1))
    bands[2, :-1] += weights
    bands[2, 1:] += weights
    bands[1, 1:] -= weights
    for offset, part in ((0, 1.0), (1, 4.0), (2, 1.0)):
        bands[2, offset : len(weights) - 1 + offset] += part * smoothness
    bands[1, 1:-1] -= 2 * smoothness
    bands[1, 2:] -= 2 * smoothness
    bands[0, 2:] += smoothness
    return bands


def _reach(thigh: Tensor, shin: Tensor) -> Tensor:
    """(T, 2) how far each leg may be stretched: as far as it was, or nearly straight, metres."""
    whole = thigh.norm(dim=-1) + shin.norm(dim=-1)
    return torch.maximum((thigh + shin).norm(dim=-1), _LONGEST_REACH * whole)


def _lowering(targets: Tensor, reach: Tensor, held: Tensor, scale: float) -> Tensor:
    """(T,) by how much the root must sink, smoothly, so that held ankles (T, 2, 3 from the hips) are within reach."""
    across = targets[..., [0, 2]].norm(dim=-1)
    needed = -targets[..., 1] - ((reach - 0.001) ** 2 - across**2).clamp(min=0).sqrt()
    needed = (needed.clamp(0, _DEEPEST) * held).amax(dim=1)
    return _low_pass(_highest(needed[:, None], round(5 * scale)), 2.5 * scale)[:, 0]


def _knee_hinges(rotations: Tensor, thigh: Tensor, shin: Tensor) -> tuple[Tensor, Tensor]:
    """The axes about which the knees bend, and where the shins are when bends that no knee can make are taken out.

    The bend is a vector, axis times angle; its part along the thigh's x axis is made positive (a knee never bends
    backwards), small parts across it are made smaller, both smoothly, so that the axis stays clear in straight legs.

    Args:
        rotations: (T, 2, 3, 3) world rotations of the hips.
        thigh: (T, 2, 3) from hip to knee, metres.
        shin: (T, 2, 3) from knee to ankle.

    Returns:
        (T, 2, 3) unit axes in the world and (T, 2, 3) shins.
    """
    along = F.normalize(thigh, dim=-1)
    sine = torch.linalg.cross(along, shin)
    angle = torch.atan2(sine.norm(dim=-1), (along * shin).sum(-1))
    bend = F.normalize(sine, dim=-1) * angle[..., None]
    hinge = rotations[..., 0] - (rotations[..., 0] * along).sum(-1, keepdim=True) * along
    hinge = F.normalize(hinge, dim=-1)
    forwards = (bend * hinge).sum(-1, keepdim=True)
    across = bend - forwards * hinge
    square = (across**2).sum(-1, keepdim=True)
    across = across * square / (square + (2 * _SLIGHT_BEND) ** 2)
    forwards = F.softplus(forwards / _SLIGHT_BEND) * _SLIGHT_BEND + 0.01
    bend = forwards * hinge + across
    angle, axis = bend.norm(dim=-1, keepdim=True), F.normalize(bend, dim=-1)
    direction = torch.cos(angle) * along + torch.sin(angle) * torch.linalg.cross(axis, along)
    return axis, direction * shin.norm(dim=-1, keepdim=True)


def _two_bones(
    axis: Tensor, thigh: Tensor, shin: Tensor, targets: Tensor, reach: Tensor
) -> tuple[Tensor, Tensor]:
    """World rotations (T, 2, 3, 3) of the whole leg and, before it, of the shin, so that the ankle meets its target.

    The leg turns by the smallest rotation, so that the knee keeps its side.

    Args:
        axis: (T, 2, 3) about which the knees bend.
        thigh: (T, 2, 3) from hip to knee, metres.
        shin: (T, 2, 3) from knee to ankle.
        targets: (T, 2, 3) from hip to the ankle's target.
        reach: (T, 2) longest distance from hip to ankle.
    """
    upper, lower = thigh.norm(dim=-1), shin.norm(dim=-1)
    distance = reach - F.softplus((reach - targets.norm(dim=-1)) * 1000) / 1000
    distance = torch.maximum(distance, (upper - lower).abs() + 0.1 * upper)
    cosine = (distance**2 - upper**2 - lower**2) / (2 * upper * lower)
    bend = torch.acos(cosine.clamp(-1, 1)) - torch.acos(
        ((thigh * shin).sum(-1) / (upper * lower)).clamp(-1, 1)
    )
    knee = matrix_from_axis_angle(axis * bend[..., None])
    return rotation_between(thigh + (knee @ shin[..., None])[..., 0], targets), knee


def _steady(values: Tensor, most: float) -> Tensor:
    """(T, G, C) -> (T, G, C): groups of channels low-passed, by at most so much, where they look like noise."""
    second = torch.diff(values, n=2, dim=0)
    energy2 = _mean_around((second**2).sum(-1), 7)
    energy3 = _mean_around((torch.diff(second, dim=0) ** 2).sum(-1), 7)
    energy2 = (energy2[1:] + energy2[:-1]) / 2
    ratio = (energy3 / energy2.clamp(min=1e-18)).sqrt()  # (T - 3, G)
    ratio = torch.cat((ratio[:1], ratio, ratio[-1:], ratio[-1:]))[..., None]
    narrow, wide = _low_pass(values, 0.9, steep=True), _low_pass(values, 2.3, steep=True)
    some = ((ratio - 0.9) / 0.3).clamp(0, 1)
    much = ((ratio - 1.4) / 0.25).clamp(0, 1)
    change = some * (narrow - values) + much * (wide - narrow)
    length = change.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    return values + change * (length.clamp(max=most) / length)


def _low_pass(values: Tensor, sigma: float, *, steep: bool = False) -> Tensor:
    """Gaussian filter over the first axis; the ends are continued by reflection through the end point.

    With `steep` what the filter took away is filtered and put back, which keeps more of the low frequencies.
    """
    radius = min(max(1, round(4 * sigma)), len(values) - 1)
    offsets = torch.arange(-radius, radius + 1, dtype=values.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    if steep:  # the filter twice is a Gaussian of twice the variance
        twice = torch.exp(-0.25 * (offsets / sigma) ** 2)
        kernel = 2 * kernel - twice / twice.sum()
    before = 2 * values[:1] - values[1 : radius + 1].flip(0)
    after = 2 * values[-1:] - values[-radius - 1 : -1].flip(0)
    padded = torch.cat((before, values, after)).reshape(len(values) + 2 * radius, -1)
    filtered = F.conv1d(padded.T[:, None], kernel[None, None])
    return filtered[:, 0].T.reshape(values.shape)


def _mean_around(values: Tensor, radius: int) -> Tensor:
    """(T, G) mean over the frames at most `radius` away, fewer at the ends."""
    width = 2 * radius + 1
    return F.avg_pool1d(values.T[None], width, 1, radius, count_include_pad=False)[0].T


def _highest(values: Tensor, radius: int) -> Tensor:
    """(T, G) maximum over the frames at most `radius` away."""
    return F.max_pool1d(values.T[None], 2 * radius + 1, 1, radius)[0].T

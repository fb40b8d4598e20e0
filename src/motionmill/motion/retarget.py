"""Motion on any recognised rig -> Motion on our skeleton, by rotations through both rigs' rest poses.

Shapes: T frames, J joints of the source, 22 joints of the result. For every mapped joint there is one constant matrix C
such that the world rotation of the result's joint is the source's times C; C turns our rest direction of the joint's
bone into the source's. The hips' path is scaled by the ratio of the leg lengths, so that the feet do not slide.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from motionmill.motion.calibrate import rig_of
from motionmill.motion.grounding import follow_feet
from motionmill.motion.hinges import with_forward_elbows
from motionmill.motion.joint_map import JointMap
from motionmill.motion.motion import Motion
from motionmill.motion.physics import FOOT_JOINTS, floor
from motionmill.motion.rig_tables import SIDES
from motionmill.motion.rigs import Rig, leg_length, pose
from motionmill.motion.rotations import rotation_between, slerp, yaw_matrix
from motionmill.motion.skeleton import Skeleton, adult_skeleton, world_to_local_rotations

_LIMBS = (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
_TRUNK = ("pelvis", "spine1", "spine2", "spine3", "neck")
_MIN_SPINE_SHARE = 0.05


def retarget(
    motion: Motion,
    target: Skeleton | None = None,
    *,
    joint_map: JointMap | None = None,
    correct: bool = True,
) -> Motion:
    """Transfers a motion to an SMPL-22 skeleton, standing on the floor y = 0, facing kept.

    Joints that the source lacks get no rotation of their own, except the lower spine, which shares the bend.

    Args:
        motion: on any rig that `calibrate.rig_of` knows or can make out; any unit.
        target: an SMPL-22 skeleton; by default ours.
        joint_map: which joints are SMPL's, where that is not told from names and bones (`joint_map.load_joint_map`).
        correct: whether feet follow the source's on the floor, and no knee or elbow bends backwards; otherwise, and on
            a body of the target's own proportions, rotations are transferred and nothing else.

    Returns:
        The motion in float64 at the source's frame rate.

    Raises:
        ValueError: unknown rig; the message lists the joints that are missing.
    """
    target = target or adult_skeleton()
    rig = rig_of(motion, joint_map)
    motion = _raised(motion, rig)
    positions, rotations = motion.skeleton.forward_kinematics(
        motion.rotations.double(), motion.root.double()
    )
    turned = _from_rest(rig, rotations)
    corrections = _corrections(rig, motion.skeleton, target)
    world = _world_rotations(rig, motion.skeleton, target, turned, corrections)
    world = _with_neck_along(world, rig, target, positions)
    ratio = target.leg_length / leg_length(rig, motion.skeleton)
    correct = correct and not _same_body(rig, motion.skeleton, target, ratio)
    if correct:
        world = with_forward_elbows(world, target)
    hips = [rig.joints[f"{side}_hip"] for side in SIDES]
    target_hips = target.rest_joints[[target.index(f"{side}_hip") for side in SIDES]].mean(dim=0)
    root = ratio * positions[:, hips].mean(dim=1) - world[:, 0] @ target_hips.to(world)
    local = world_to_local_rotations(world, target.parents)
    result = _on_floor(Motion(local, root, motion.fps, target, motion.name))
    if correct:
        feet = [rig.joints.get(name) for name in FOOT_JOINTS]
        missing = torch.full_like(positions[:, 0], math.nan)
        paths = [missing if joint is None else ratio * positions[:, joint] for joint in feet]
        result = _on_floor(follow_feet(result, torch.stack(paths, dim=1)))
    return result


def _on_floor(motion: Motion) -> Motion:
    return replace(motion, root=motion.root - motion.root.new_tensor([0.0, floor(motion), 0.0]))


def _same_body(rig: Rig, source: Skeleton, target: Skeleton, ratio: float) -> bool:
    """Whether the source is the target, of any size and whatever its joints are called: rotations then say all."""
    spine = {f"spine{order}": joint for order, joint in enumerate(rig.spine, 1)}
    joints = {**rig.joints, **spine}
    if source.num_joints != target.num_joints or joints.keys() != set(target.names):
        return False
    offsets = source.offsets[[joints[name] for name in target.names]] * ratio
    return bool(torch.allclose(offsets.to(target.offsets), target.offsets, atol=1e-4))


def upright(motion: Motion, *, joint_map: JointMap | None = None) -> Motion:
    """The motion in a world whose up axis is Y; unchanged where it is already, or where the rig is unknown.

    A zero pose that does not stand along Y may be raised by the root's rotations, or may lie in a world whose up axis
    is another one, such as Z; whichever axis the body is closer to over the clip decides.
    """
    try:
        rig = rig_of(motion, joint_map)
    except ValueError:
        return motion
    return _raised(motion, rig)


def _raised(motion: Motion, rig: Rig) -> Motion:
    y_axis = rig.up.new_tensor([0.0, 1.0, 0.0])
    if float(rig.up @ y_axis) > 0.7:
        return motion
    positions = motion.joints().to(rig.up)
    shoulders = positions[:, [rig.joints[f"{side}_shoulder"] for side in SIDES]].mean(dim=1)
    ankles = positions[:, [rig.joints[f"{side}_ankle"] for side in SIDES]].mean(dim=1)
    body = F.normalize(shoulders - ankles, dim=-1).mean(dim=0)
    if float(body @ y_axis) >= float(body @ rig.up):
        return motion
    return motion.transformed(rotation_between(rig.up, y_axis), torch.zeros(3))


def _from_rest(rig: Rig, rotations: Tensor) -> dict[str, Tensor]:
    """SMPL-22 name (and "spine0", "spine1", ... of the source) -> (T, 3, 3) world rotation since the T-pose."""
    indices = {**rig.joints, **{f"spine{order}": joint for order, joint in enumerate(rig.spine)}}
    return {name: rotations[:, joint] @ rig.rest[joint].T for name, joint in indices.items()}


def _world_rotations(
    rig: Rig,
    source: Skeleton,
    target: Skeleton,
    turned: dict[str, Tensor],
    corrections: dict[str, Tensor],
) -> Tensor:
    """(T, 22, 3, 3) world rotations of the result."""
    world = {"pelvis": turned["pelvis"]} | _spine(rig, source, target, turned)
    for name, parent in zip(target.names[1:], target.parents[1:], strict=True):
        if name in world:
            continue
        side = name.removesuffix("_foot")
        if name == f"{side}_foot" and (name not in turned or _stiff(turned, side)):
            world[name] = world[f"{side}_ankle"]
        elif name in turned:
            correction = corrections.get(name)
            world[name] = turned[name] if correction is None else turned[name] @ correction
        elif name == "neck" and "head" in turned:
            world[name] = slerp(world["spine3"], turned["head"], turned["head"].new_full((1,), 0.5))
        else:
            world[name] = world[target.names[parent]]
    return torch.stack([world[name] for name in target.names], dim=1)


def _with_neck_along(world: Tensor, rig: Rig, target: Skeleton, positions: Tensor) -> Tensor:
    """World rotations (T, 22, 3, 3) whose neck points where the source's does, which may bend at joints between."""
    if "neck" not in rig.joints or "head" not in rig.joints:
        return world
    neck, head = target.index("neck"), target.index("head")
    own = world[:, neck] @ target.offsets[head].to(world)
    theirs = positions[:, rig.joints["head"]] - positions[:, rig.joints["neck"]]
    world = world.clone()
    world[:, neck] = rotation_between(own, theirs) @ world[:, neck]
    return world


def _stiff(turned: dict[str, Tensor], side: str) -> bool:
    """Whether the toes never bend, so that their axes tell nothing."""
    bend = turned[f"{side}_ankle"].transpose(-1, -2) @ turned[f"{side}_foot"]
    return float((bend - bend[:1]).abs().max()) < 1e-3


def _spine(
    rig: Rig, source: Skeleton, target: Skeleton, turned: dict[str, Tensor]
) -> dict[str, Tensor]:
    """World rotations of spine1, spine2 and spine3, sampled along the source's spine, however many joints it has.

    Each segment's rotation stands at its middle; between the middles rotations are interpolated. The chest (spine3)
    takes that of the source's last spine joint, which carries the shoulders.
    """
    rest = pose(source, rig.rest)
    end = rest[rig.joints["neck"]] if "neck" in rig.joints else _mean(rest, rig, "shoulder")
    points = [rest[rig.joints["pelvis"]], *(rest[joint] for joint in rig.spine), end]
    own = [target.rest_joints[target.index(name)] for name in _TRUNK]
    theirs, ours = _middles(points), _middles(own)
    rotations = [turned["pelvis"]]
    for order, (start, end) in enumerate(itertools.pairwise(points[1:])):
        rotation = turned[f"spine{order}"]
        if float((end - start).norm()) > 1e-3 * float((points[-1] - points[0]).norm()):
            distances = [abs(middle - theirs[order + 1]) for middle in ours]
            near = distances.index(min(distances))
            rotation = rotation @ rotation_between(own[near + 1] - own[near], end - start)
        rotations.append(rotation)
    sampled = [_between(rotations, theirs, place) for place in ours[1:3]]
    return dict(zip(_TRUNK[1:4], (*sampled, rotations[-1]), strict=True))


def _between(rotations: list[Tensor], places: list[float], place: float) -> Tensor:
    """(T, 3, 3) rotations that stand at ascending places, interpolated at a place."""
    upper = next((order for order, other in enumerate(places) if other > place), len(places) - 1)
    lower = max(upper - 1, 0)
    span = places[upper] - places[lower]
    weight = min(max((place - places[lower]) / span, 0.0), 1.0) if span > 0 else 1.0
    return slerp(rotations[lower], rotations[upper], rotations[0].new_full((1,), weight))


def _middles(points: list[Tensor]) -> list[float]:
    """Places of the middles of the segments along a chain of points, as shares of its length."""
    lengths = [float((end - start).norm()) for start, end in itertools.pairwise(points)]
    lengths = [max(length, _MIN_SPINE_SHARE * sum(lengths)) for length in lengths]
    starts = [sum(lengths[:order]) for order in range(len(lengths))]
    return [
        (start + length / 2) / sum(lengths) for start, length in zip(starts, lengths, strict=True)
    ]


def _corrections(rig: Rig, source: Skeleton, target: Skeleton) -> dict[str, Tensor]:
    """SMPL-22 name -> (3, 3) turn of our rest bone to the source's; joints not listed need none."""
    theirs, ours = pose(source, rig.rest), target.rest_joints
    result = {}

    def between(start: str, end: str) -> Tensor:
        own = ours[target.index(end)] - ours[target.index(start)]
        return rotation_between(own, theirs[rig.joints[end]] - theirs[rig.joints[start]])

    for side in SIDES:
        for start, end in _LIMBS:
            result[f"{side}_{start}"] = between(f"{side}_{start}", f"{side}_{end}")
        result[f"{side}_wrist"] = result[f"{side}_elbow"]
        if f"{side}_foot" in rig.joints:
            sole = level(theirs[rig.joints[f"{side}_foot"]] - theirs[rig.joints[f"{side}_ankle"]])
            if sole is None:
                result[f"{side}_ankle"] = between(f"{side}_ankle", f"{side}_foot")
            else:
                result[f"{side}_ankle"] = _straight_ahead(sole)
            result[f"{side}_foot"] = result[f"{side}_ankle"]
    if "neck" in rig.joints and "head" in rig.joints:
        result["neck"] = between("neck", "head")
    return result


def level(bone: Tensor) -> Tensor | None:
    """The level direction (3,) of the sole under a bone (3,) from ankle to ball in the rest pose, in which feet are
    flat; None where the bone points down, so that the axes of the foot are not known."""
    if float(bone[1]) < -2 * float(bone[[0, 2]].norm()):
        return None
    return bone * bone.new_tensor([1.0, 0.0, 1.0])


def _straight_ahead(sole: Tensor) -> Tensor:
    """(3, 3) turn about Y from straight ahead to where a foot points."""
    return yaw_matrix(torch.atan2(sole[0], sole[2]))


def _mean(positions: Tensor, rig: Rig, part: str) -> Tensor:
    return positions[[rig.joints[f"{side}_{part}"] for side in SIDES]].mean(dim=0)

"""The mannequin: one closed, symmetric surface that stands, bends without tearing and fits any proportions."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from motionmill.motion import body as bodies
from motionmill.motion.body import Body, mannequin, pose, posed_normals
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_from_axis_angle, rotation_between, yaw_matrix
from motionmill.motion.skeleton import (
    SMPL_22_NAMES,
    SMPL_22_PARENTS,
    Skeleton,
    adult_skeleton,
    mirror_permutation,
)

Turns = dict[str, tuple[float, float, float]]

# Degrees about x, y, z of the left side; the right side is mirrored.
POSES: dict[str, Turns] = {
    "arms down": {"shoulder": (0, 0, -78), "elbow": (0, -15, 0)},
    "arms up": {"shoulder": (0, 0, 60), "collar": (0, 0, 20)},
    "elbows 140": {"shoulder": (0, 0, -60), "elbow": (0, -140, 0)},
    "sitting": {"hip": (-90, 0, 0), "knee": (88, 0, 0), "shoulder": (0, 0, -50)},
    "knees 120": {"hip": (-125, 0, 12), "knee": (120, 0, 0), "ankle": (-30, 0, 0)},
    "straddle": {"hip": (0, 0, 45)},
    "bow": {"spine1": (30, 0, 0), "spine2": (30, 0, 0), "spine3": (20, 0, 0), "neck": (20, 0, 0)},
    "twist": {"spine2": (0, 40, 0), "neck": (0, 50, 0), "wrist": (80, 0, 0), "shoulder": (60, 0, 0)},
}  # fmt: skip


def posed(turns: Turns, skeleton: Skeleton | None = None) -> Motion:
    skeleton = skeleton or adult_skeleton()
    rotations = torch.eye(3, dtype=torch.float64).repeat(1, 22, 1, 1)
    for name, degrees in turns.items():
        angle = torch.tensor(degrees, dtype=torch.float64) * math.pi / 180
        for side, flip in (("", (1.0, 1, 1)), ("left_", (1.0, 1, 1)), ("right_", (1.0, -1, -1))):
            if side + name in SMPL_22_NAMES:
                joint = SMPL_22_NAMES.index(side + name)
                rotations[0, joint] = matrix_from_axis_angle(angle * angle.new_tensor(flip))
    root = torch.tensor([[0.0, skeleton.standing_root_height, 0.0]], dtype=torch.float64)
    return Motion(rotations, root, 30.0, skeleton)


@functools.lru_cache
def edges(body: Body) -> Tensor:
    sides = torch.cat([body.triangles[:, pair] for pair in ([0, 1], [1, 2], [2, 0])])
    return sides.sort(dim=1).values.unique(dim=0)


def stretch(body: Body, vertices: Tensor) -> Tensor:
    """(T, E) how many times as long as in the rest pose each edge is."""
    ends = edges(body)

    def lengths(points: Tensor) -> Tensor:
        return (points[..., ends[:, 0], :] - points[..., ends[:, 1], :]).norm(dim=-1)

    return lengths(vertices) / lengths(body.vertices)


def volume(vertices: Tensor, triangles: Tensor) -> float:
    a, b, c = vertices.double()[triangles].unbind(1)
    return float((torch.linalg.cross(a, b) * c).sum() / 6)


def assert_closed(body: Body) -> None:
    """One piece, every edge in two triangles that pass it in opposite directions, without holes (Euler: 2)."""
    sides = torch.cat([body.triangles[:, pair] for pair in ([0, 1], [1, 2], [2, 0])])
    directed, count = sides.unique(dim=0, return_counts=True)
    assert (count == 1).all()
    assert torch.equal(directed, directed.flip(1).unique(dim=0))
    vertices = len(body.vertices)
    assert torch.equal(body.triangles.unique(), torch.arange(vertices))
    assert vertices - len(directed) // 2 + len(body.triangles) == 2


def test_one_closed_surface_of_a_useful_size() -> None:
    body = mannequin()
    assert_closed(body)
    assert 4_000 <= len(body.vertices) <= 8_000
    assert body.vertices.dtype == body.joint_weights.dtype == torch.float32
    assert 0.045 < volume(body.vertices, body.triangles) < 0.075  # cubic metres of an adult


def test_it_stands_on_the_floor_and_faces_forward() -> None:
    body = mannequin()
    x, y, z = body.vertices.unbind(1)
    assert float(y.min()) == pytest.approx(0.0, abs=2e-3)
    assert float(y.max()) == pytest.approx(1.70, abs=0.01)
    feet = y < 0.03
    assert float(z[feet].max()) > 1.3 * -float(z[feet].min())  # toes in front, longer than heels
    head = y > 1.5
    nose = z[head].argmax()
    assert abs(float(x[head][nose])) < 0.01
    assert 1.53 < float(y[head][nose]) < 1.60
    left_hand = x > body.rest_joints[20, 0] + 0.02
    thumb = z[left_hand].max() - body.rest_joints[20, 2]
    assert float(thumb) > 0.055  # palms down, thumbs forward


def test_normals_point_outward() -> None:
    body = mannequin()
    assert torch.allclose(body.normals.norm(dim=1), torch.ones(len(body.normals)), atol=1e-5)
    grown = body.vertices + 1e-3 * body.normals
    assert volume(grown, body.triangles) > volume(body.vertices, body.triangles) + 1e-3


def test_it_is_symmetric() -> None:
    body = mannequin()
    flip = torch.tensor([-1.0, 1.0, 1.0])
    distances = torch.cdist(
        body.vertices * flip, body.vertices, compute_mode="donot_use_mm_for_euclid_dist"
    )
    nearest = distances.argmin(dim=1)
    assert float(distances.gather(1, nearest[:, None]).max()) < 1e-5
    weights = torch.zeros(len(nearest), 22).scatter_(1, body.joint_indices, body.joint_weights)
    assert torch.allclose(weights, weights[nearest][:, mirror_permutation()], atol=1e-5)


def test_weights_are_shared_only_by_joints_next_to_each_other() -> None:
    body = mannequin()
    assert torch.allclose(body.joint_weights.sum(dim=1), torch.ones(len(body.vertices)), atol=1e-6)
    assert (body.joint_weights >= 0).all()
    assert (body.joint_weights.diff(dim=1) <= 0).all()
    for indices, weights in zip(body.joint_indices.tolist(), body.joint_weights, strict=True):
        used = {joint for joint, weight in zip(indices, weights, strict=True) if weight > 0.02}
        tops = [joint for joint in used if SMPL_22_PARENTS[joint] not in used]
        parents = {SMPL_22_PARENTS[joint] for joint in tops}
        assert len(tops) == 1 or len(parents) == 1, [SMPL_22_NAMES[joint] for joint in used]


def test_the_rest_pose_is_the_surface_itself() -> None:
    body = mannequin()
    assert torch.allclose(pose(body, posed({}))[0], body.vertices, atol=1e-6)
    assert torch.allclose(posed_normals(body, posed({}))[0], body.normals, atol=1e-5)


def test_skinning_is_the_weighted_sum_of_what_the_joints_do() -> None:
    body, motion = mannequin(), posed(POSES["knees 120"])
    motion = motion.transformed(yaw_matrix(torch.tensor(0.7)), torch.tensor([1.0, 0.5, -2.0]))
    positions, rotations = motion.skeleton.forward_kinematics(motion.rotations, motion.root)
    vertices = pose(body, motion)
    assert vertices.shape == (1, len(body.vertices), 3)
    assert vertices.dtype == torch.float32
    for vertex in range(0, len(body.vertices), 97):
        expected = torch.zeros(3, dtype=torch.float64)
        for joint, weight in zip(
            body.joint_indices[vertex].tolist(), body.joint_weights[vertex].tolist(), strict=True
        ):
            local = body.vertices[vertex].double() - body.rest_joints[joint]
            expected += weight * (rotations[0, joint] @ local + positions[0, joint])
        assert torch.allclose(vertices[0, vertex].double(), expected, atol=1e-5)


@pytest.mark.parametrize("name", POSES)
def test_it_bends_without_tearing_or_collapsing(name: str) -> None:
    body = mannequin()
    vertices = pose(body, posed(POSES[name]))
    longer = stretch(body, vertices)
    assert float(longer.max()) < 4.0
    assert float(longer.quantile(0.999)) < 2.7
    assert volume(vertices[0], body.triangles) == pytest.approx(
        volume(body.vertices, body.triangles), rel=0.07
    )


def test_an_arm_moves_nothing_of_the_trunk_and_a_leg_nothing_of_the_other() -> None:
    body = mannequin()
    x, y, _ = body.vertices.unbind(1)
    arms = (pose(body, posed(POSES["arms down"]))[0] - body.vertices).norm(dim=1)
    assert float(arms[(x.abs() < 0.10) & (y < 1.40)].max()) < 0.01
    leg = posed({})
    turned = leg.rotations.clone()
    turned[0, 1] = matrix_from_axis_angle(torch.tensor([-math.pi / 2, 0, 0], dtype=torch.float64))
    kick = (pose(body, replace(leg, rotations=turned))[0] - body.vertices).norm(dim=1)
    assert float(kick[(x < -0.03) & (y < 0.80)].max()) < 0.02


def test_real_motion(shared: Path) -> None:
    from motionmill.formats.packed import read_folder
    from motionmill.motion.retarget import retarget

    body = mannequin()
    clips = read_folder(shared / "data" / "bandai")
    worst = []
    for clip in clips[::400]:
        motion = retarget(clip.motion())
        motion = motion[:: max(1, len(motion) // 12)]
        longer = stretch(body, pose(body, motion))
        assert float(longer.max()) < 5.0, clip.id
        worst.append(float(longer.flatten().kthvalue(int(longer.numel() * 0.999)).values))
    assert np.median(worst) < 2.2


def changed(scale: dict[str, float], size: float = 1.0) -> Skeleton:
    adult = adult_skeleton()
    offsets = adult.offsets.clone()
    for name, factor in scale.items():
        offsets[[name in joint for joint in SMPL_22_NAMES]] *= factor
    return replace(adult, offsets=offsets * size, foot_joint_height=adult.foot_joint_height * size)


def a_pose() -> Skeleton:
    adult = adult_skeleton()
    offsets = adult.offsets.clone()
    for side, sign in (("left", 1.0), ("right", -1.0)):
        arm = offsets.new_tensor([sign, 0, 0])
        down = rotation_between(arm, offsets.new_tensor([sign * 0.6, -0.8, 0]))
        for name in ("elbow", "wrist"):
            joint = SMPL_22_NAMES.index(f"{side}_{name}")
            offsets[joint] = down @ offsets[joint]
    return replace(adult, offsets=offsets)


OTHERS = {
    "child": changed({"elbow": 0.9, "wrist": 0.9, "knee": 0.85}, 0.65),
    "giant": changed({}, 1.8),
    "long legs": changed({"knee": 1.25, "ankle": 1.25}),
    "long arms": changed({"elbow": 1.3, "wrist": 1.3, "shoulder": 1.15}),
    "short trunk": changed({"spine": 0.8, "neck": 0.8}),
    "one longer leg": changed({"left_knee": 1.05}),
    "A-pose": a_pose(),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_proportions(name: str) -> None:
    skeleton = OTHERS[name]
    body = mannequin(skeleton)
    size = skeleton.standing_root_height / adult_skeleton().standing_root_height
    assert_closed(body)
    assert float(body.vertices[:, 1].min()) == pytest.approx(0.0, abs=0.006 * size)
    head = skeleton.rest_joints[15, 1] + skeleton.standing_root_height
    assert float(body.vertices[:, 1].max() - head) == pytest.approx(0.17 * size, rel=0.1)
    for joint in (
        4,
        5,
        18,
        19,
        7,
        20,
    ):  # knees, elbows, an ankle, a wrist: inside, near the surface
        distance = (body.vertices - body.rest_joints[joint].float()).norm(dim=1).min()
        assert 0.01 * size < float(distance) < 0.07 * size
    vertices = pose(body, posed(POSES["sitting"], skeleton))
    assert float(stretch(body, vertices).quantile(0.999)) < 3.0


def test_the_same_skeleton_gives_the_same_body() -> None:
    assert mannequin() is mannequin(replace(adult_skeleton()))
    first = mannequin()
    bodies._mannequin.cache_clear()
    again = mannequin()
    assert again is not first
    for name in ("vertices", "triangles", "joint_indices", "joint_weights", "normals", "tone"):
        assert torch.equal(getattr(first, name), getattr(again, name))


def test_hands_head_and_feet_are_bare() -> None:
    body = mannequin()
    x, y, _ = body.vertices.unbind(1)
    bare = (y > 1.5) | (y < 0.05) | (x.abs() > 0.76)
    suit = (x.abs() < 0.6) & (y > 0.2) & (y < 1.38)
    assert float(body.tone[bare].max()) == 0.0
    assert float(body.tone[suit].min()) == 1.0
    assert body.colours.shape == (len(body.vertices), 3)


def test_other_joints_are_refused() -> None:
    adult = adult_skeleton()
    stick = Skeleton(("hips", "head"), (-1, 0), adult.offsets[:2])
    with pytest.raises(ValueError, match=r"2 joints \(hips, head"):
        mannequin(stick)
    with pytest.raises(ValueError, match="not the body's"):
        pose(mannequin(), posed({}, OTHERS["giant"]))

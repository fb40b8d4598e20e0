"""Landmarks of a known pose give its rotations back; a camera's view of a real walk gives its path back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from motionmill.formats import packed
from motionmill.motion import physics
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import retarget
from motionmill.motion.rotations import heading, matrix_from_axis_angle, yaw_matrix
from motionmill.motion.skeleton import SMPL_22_NAMES, adult_skeleton
from motionmill.video.camera import CameraPath
from motionmill.video.config import PoseConfig
from motionmill.video.lift import lift
from motionmill.video.mediapipe_pose import MediaPipePose
from tests.motions import angle_degrees
from tests.video.filmed import film, landmarks_in_world


@pytest.fixture(scope="module")
def walk(shared: Path) -> Motion:
    """Somebody who walks towards +Z, from a motion capture."""
    clips = packed.read_folder(shared / "data" / "bandai")
    clip = next(clip for clip in clips if clip.id == "dataset-2_walk_active_001")
    return retarget(clip.motion()).resample(30.0)[:60].face_forward()


def posed(frames: int = 24) -> Motion:
    """A person with a stiff trunk whose limbs move as limbs do, who turns round."""
    time = torch.linspace(0, 1, frames, dtype=torch.float64)
    turns = torch.zeros(frames, 22, 3, dtype=torch.float64)

    def bend(name: str, axis: int, low: float, high: float) -> None:
        phase = torch.sin(6 * time + len(name))
        turns[:, SMPL_22_NAMES.index(name), axis] = low + (high - low) * (phase + 1) / 2

    bend("left_hip", 0, -1.0, 0.3)
    bend("right_hip", 0, -0.6, 0.2)
    bend("left_knee", 0, 0.5, 1.5)
    bend("right_knee", 0, 0.5, 1.2)
    bend("left_shoulder", 2, -1.2, 0.4)
    bend("right_shoulder", 2, -0.3, 1.2)
    bend("left_elbow", 1, -1.4, -0.5)
    bend("right_elbow", 1, 0.5, 1.4)
    rotations = matrix_from_axis_angle(turns)
    rotations[:, 0] = yaw_matrix(2 * time)
    root = torch.stack((0.5 * time, 0.92 + 0 * time, -0.3 * time), dim=-1)
    return Motion(rotations, root)


def test_a_pose_comes_back_from_its_landmarks() -> None:
    motion = posed()
    world = torch.from_numpy(landmarks_in_world(motion))
    lifted = lift(world, torch.ones(len(world), 33), 30.0)
    ours = adult_skeleton().forward_kinematics(lifted, motion.root)
    asked = adult_skeleton().forward_kinematics(motion.rotations, motion.root)
    hands = [SMPL_22_NAMES.index(f"{side}_wrist") for side in ("left", "right")]
    assert float((ours[0] - asked[0]).norm(dim=-1).max()) < 0.01
    rest = [joint for joint in range(22) if joint not in hands]
    assert float(angle_degrees(ours[1], asked[1])[:, rest].max()) < 6
    assert float(angle_degrees(ours[1], asked[1])[:, hands].median()) < 15


def test_mirrored_landmarks_give_the_mirrored_pose() -> None:
    motion = posed()
    plain, mirrored = (
        lift(torch.from_numpy(landmarks_in_world(one)), torch.ones(len(one), 33), 30.0)
        for one in (motion, motion.mirror())
    )
    expected = replace(motion, rotations=plain).mirror().rotations
    assert float(angle_degrees(mirrored, expected).max()) < 0.1


def estimated(motion: Motion, **camera: object) -> Motion:
    frames, track, turns = film(motion, **camera)  # type: ignore[arg-type]
    estimate = MediaPipePose(PoseConfig()).estimate(frames, track, CameraPath(turns))
    assert estimate.motion is not None
    assert estimate.measurements["residual"] < 0.02
    return estimate.motion


def test_a_filmed_walk_comes_back_in_metres(walk: Motion) -> None:
    found = estimated(walk, distance=6.0)
    assert len(found) == len(walk)
    true_way = walk.root[-1] - walk.root[0]
    way = found.root[-1] - found.root[0]
    assert float((way - true_way)[[0, 2]].norm()) < 0.15 * float(true_way[[0, 2]].norm())
    turn = heading(found.rotations[:, 0]) - heading(walk.rotations[:, 0])
    assert float(turn.abs().max()) < 0.2  # it faces the camera, to which it walks
    # About the pelvis, joints are where they were: left is left, arms and legs in step.
    apart = (found.joints() - found.root[:, None]) - (walk.joints() - walk.root[:, None])
    assert float(apart.norm(dim=-1).mean()) < 0.065
    assert abs(physics.floor(found)) < 0.01


def test_feet_hardly_slide_along_the_line_of_sight(walk: Motion) -> None:
    """Where a picture tells least: a leg that swings forwards seems stretched, and its foot passes low."""
    found = estimated(walk, distance=6.0)
    assert physics.foot_slide(found) < 30
    assert physics.foot_slide(found, weights_from=walk) < physics.foot_slide(walk) + 2


def test_a_walk_across_the_picture_and_away(walk: Motion) -> None:
    for angle in (torch.pi / 2, torch.pi):
        turned = walk.transformed(yaw_matrix(torch.tensor(angle)).double(), torch.zeros(3))
        found = estimated(turned, distance=5.0)
        way, true = found.root[-1] - found.root[0], turned.root[-1] - turned.root[0]
        assert float((way - true)[[0, 2]].norm()) < 0.15 * float(true[[0, 2]].norm())
        if angle < 3:
            assert physics.foot_slide(found) < physics.foot_slide(walk) + 2


def test_a_panning_camera_changes_nothing(walk: Motion) -> None:
    across = walk.transformed(yaw_matrix(torch.tensor(torch.pi / 2)).double(), torch.zeros(3))
    still = estimated(across, distance=6.0)
    panned = estimated(across, distance=6.0, pan=np.linspace(-0.2, 0.25, len(across)))
    # The world of the second is turned as the camera is at first.
    turn = yaw_matrix(torch.tensor(-0.2, dtype=torch.float64))
    turned = panned.transformed(turn.mT, torch.zeros(3))
    ways = [one.root[-1] - one.root[0] for one in (still, turned, panned)]
    best = min(float((ways[0] - way).norm()) for way in ways[1:])
    assert best < 0.1
    assert float((ways[0]).norm()) > 1.0


def test_a_person_who_is_seen_in_too_few_pictures_is_a_failure(walk: Motion) -> None:
    frames, track, turns = film(walk[:3])
    estimate = MediaPipePose(PoseConfig()).estimate(frames, track, CameraPath(turns))
    assert estimate.motion is None
    assert estimate.failure is not None
    assert estimate.failure.reason == "pose_frames"


def test_the_rate_of_the_pictures_does_not_matter(walk: Motion) -> None:
    slow = estimated(walk.resample(24.0), distance=6.0)
    assert slow.fps == 30
    fast = estimated(walk, distance=6.0)
    frames = min(len(slow), len(fast))
    assert float((slow.joints()[:frames] - fast.joints()[:frames]).norm(dim=-1).mean()) < 0.03

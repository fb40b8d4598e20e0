"""The stages together: with trackers and estimators of a user's own, and with MediaPipe on real videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import motionmill
from motionmill.motion import physics
from motionmill.motion.rotations import heading
from motionmill.video.camera import CameraPath
from motionmill.video.candidate import Failure
from motionmill.video.config import WHOLE_SHOTS, BoxConfig, ShotConfig, VideoConfig
from motionmill.video.extract import Extraction, extract
from motionmill.video.frames import Frames
from motionmill.video.people import Track
from motionmill.video.pose import Estimate
from motionmill.video.sheet import video_sheet
from tests.motions import wandering
from tests.video.filmed import save_video, texture

pytest.importorskip("scenedetect")


class Everywhere:
    """A tracker that sees one person over a whole clip and another in its first half."""

    def track(self, frames: Frames) -> list[Track]:
        whole = np.arange(len(frames))
        boxes = np.tile([0.3, 0.1, 0.5, 0.9], (len(whole), 1))
        half = whole[: len(whole) // 2]
        away = np.tile([0.7, 0.5, 0.9, 1.4], (len(half), 1))
        return [
            Track(0, whole, boxes, np.full(len(whole), 0.9)),
            Track(1, half, away, np.full(len(half), 0.9), "lost"),
        ]


class Wandering:
    """An estimator that knows what everybody does."""

    def estimate(self, frames: Frames, track: Track, camera: CameraPath) -> Estimate:
        return Estimate(
            wandering(0, len(track)), {"residual": 0.01, "visibility": 0.9}, camera.flags
        )


class Nobody:
    def track(self, frames: Frames) -> list[Track]:
        return []


class Unsure:
    def estimate(self, frames: Frames, track: Track, camera: CameraPath) -> Estimate:
        return Estimate(wandering(0, 30), {"residual": 0.5})


CONFIG = VideoConfig(
    shots=ShotConfig(max_seconds=1.5, context_seconds=0.2), boxes=BoxConfig(min_height_pixels=40)
)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Two shots: 60 frames of one picture, 12 of another."""
    images = [texture(96, 128, 1)] * 60 + [texture(96, 128, 2)] * 12
    return save_video(tmp_path / "two.mp4", images)


def test_every_candidate_is_kept_or_has_a_reason(video: Path) -> None:
    shares: list[float] = []
    found = extract(
        video, CONFIG, tracker=Everywhere(), estimator=Wandering(), progress=shares.append
    )
    assert found.cuts == [60]
    assert [one.id for one in found.people] == ["0.0.0", "0.1.0"]
    assert [(one.frames, one.clip) for one in found.people] == [((0, 30), 0), ((30, 60), 1)]
    assert found.people[1].seconds == pytest.approx((1.0, 59 / 30), abs=1e-3)
    rejects = {one.id: str(one.failure) for one in found.rejects}
    assert rejects.keys() == {"0.0.1", "0.1.1", "1.0"}
    assert rejects["0.0.1"].startswith("boxes: seconds") or "truncation" in rejects["0.0.1"]
    assert rejects["1.0"] == "shots: shot_frames 12, threshold 20"
    assert found.measurements["shots"] == 2
    assert found.measurements["frames"] == 72
    for one in (*found.people, *found.rejects):
        assert one.measurements
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_nobody_and_a_pose_that_does_not_fit(video: Path) -> None:
    nobody = extract(video, CONFIG, tracker=Nobody(), estimator=Wandering())
    assert nobody.people == []
    assert {one.failure.reason for one in nobody.rejects} == {"people", "shot_frames"}
    unsure = extract(video, CONFIG, tracker=Everywhere(), estimator=Unsure())
    failures = [one for one in unsure.rejects if one.failure.stage == "pose"]
    assert [one.failure.reason for one in failures] == ["residual"] * 2
    assert all(one.motion is not None for one in failures)


def test_people_come_by_how_long_they_are_in_sight(video: Path) -> None:
    config = VideoConfig(
        boxes=BoxConfig(min_height_pixels=40, max_truncation=1.0, max_cut_off_seconds=5)
    )
    found = extract(video, config, tracker=Everywhere(), estimator=Wandering())
    assert [one.id for one in found.by_presence()] == ["0.0.0", "0.0.1"]


def test_a_failure_reads_as_a_line() -> None:
    assert (
        str(Failure("boxes", "truncation", 0.5486, 0.12))
        == "boxes: truncation 0.549, threshold 0.12"
    )


def first_frames(path: Path, count: int, to: Path, *, size: tuple[int, int] = (640, 360)) -> Path:
    import av

    images = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            images.append(frame.reformat(*size, format="rgb24").to_ndarray())
            if len(images) == count:
                break
    return save_video(to, images, fps=24)


def check_juggler(motion: motionmill.Motion, *, lifted: float = 0.05) -> None:
    """Somebody who stands, faces the camera at first, moves the legs, and has the feet on the floor."""
    joints = motion.joints()
    index = motion.skeleton.index
    head, pelvis = joints[:, index("head"), 1], joints[:, index("pelvis"), 1]
    assert float(head.median()) > 1.35
    assert float((pelvis.median() - motion.skeleton.standing_root_height).abs()) < 0.1
    trunk = joints[:, index("neck")] - joints[:, 0]
    assert float((trunk[:, 1] / trunk.norm(dim=-1)).median()) > 0.95
    assert abs(float(heading(motion.rotations[0, 0]))) < 0.5
    across = joints[0, index("left_shoulder")] - joints[0, index("right_shoulder")]
    assert float(across[0]) > 0.2  # who faces the camera has the left at the right of the picture
    assert abs(physics.floor(motion)) < 0.02
    assert physics.floating(motion) < 10
    assert physics.jitter(motion) < 2.5
    feet = joints[:, [index("left_ankle"), index("right_ankle")], 1]
    assert float(feet.max() - feet.min()) > lifted


def test_a_real_person_at_once(shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("mediapipe")
    whole = shared / "data/videos/sam2_05_default_juggle.mp4"
    path = first_frames(whole, 40, tmp_path / "juggle.mp4")
    [motion] = motionmill.extract_motion(path)
    assert motion.fps == 30
    assert len(motion) == pytest.approx(40 * 30 / 24, abs=2)
    assert motion.name == "juggle, person 1"
    check_juggler(motion, lifted=0.01)


@pytest.fixture(scope="module")
def videos(shared: Path) -> Path:
    pytest.importorskip("mediapipe")
    return shared / "data/videos"


def reasons(found: Extraction) -> set[str]:
    return {f"{one.failure.stage} {one.failure.reason}" for one in found.rejects}


@pytest.mark.slow
def test_the_juggling_man(videos: Path, tmp_path: Path) -> None:
    video = videos / "sam2_05_default_juggle.mp4"
    found = extract(video, WHOLE_SHOTS)
    [person] = found.people
    assert person.motion.seconds > 10
    assert person.flags == ()
    check_juggler(person.motion)
    video_sheet(video, person, tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 100_000
    again = extract(video, WHOLE_SHOTS).people[0]
    assert torch.equal(again.motion.rotations, person.motion.rotations)
    assert torch.equal(again.motion.root, person.motion.root)


@pytest.mark.slow
def test_the_close_up_and_the_street_are_rejected(videos: Path) -> None:
    close = extract(videos / "mmaction2_demo.mp4", VideoConfig())
    assert close.people == []
    longest = max(close.rejects, key=lambda one: one.measurements.get("frames", 0.0))
    assert (longest.failure.stage, longest.failure.reason) == ("boxes", "truncation")
    street = extract(videos / "mmpose_demo.mp4", VideoConfig())
    assert street.people == []
    assert reasons(street) == {"shots shot_frames"}


@pytest.mark.slow
def test_shots_of_several_videos(videos: Path) -> None:
    found = extract(videos / "multishot_concat.mp4", VideoConfig())
    assert {one.shot for one in found.people} == {0, 2, 3}
    hall = [
        one for one in found.rejects if one.shot == 1
    ]  # both players lose their feet over the lower edge
    assert {one.failure.reason for one in hall} >= {"cut_off_seconds"}
    for one in found.people:
        if one.shot in (0, 3):
            check_juggler(one.motion)

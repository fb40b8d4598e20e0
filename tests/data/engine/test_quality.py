"""Transition and motion filters: planted faults are found, real motion passes, cuts lie where little moves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motionmill.data.engine.cutting import cut_points
from motionmill.data.engine.quality import (
    LIMITS,
    beyond_neighbours,
    breaks,
    first_failure,
    measurements,
    motion_measurements,
    transition_measurements,
    turns,
)
from motionmill.data.quality_config import CutConfig, MotionFilterConfig, TransitionConfig
from motionmill.formats import packed
from motionmill.motion import physics
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import retarget
from motionmill.motion.rotations import matrix_from_axis_angle, yaw_matrix
from tests.motions import angle_degrees, wandering

TRANSITION, MOTION = TransitionConfig(), MotionFilterConfig()


def failure(motion: Motion) -> tuple[str, str] | None:
    found = first_failure(measurements(motion), TRANSITION, MOTION)
    return None if found is None else found[:2]


def standing(frames: int = 90) -> Motion:
    """Somebody who sways a little and lifts an arm slowly, with both feet on the floor."""
    times = torch.linspace(0, 1, frames, dtype=torch.float64)
    rotations = torch.eye(3, dtype=torch.float64).repeat(frames, 22, 1, 1)
    lift = torch.zeros(frames, 3, dtype=torch.float64)
    lift[:, 2] = torch.sin(3 * times)
    rotations[:, 16] = matrix_from_axis_angle(lift)
    root = torch.zeros(frames, 3, dtype=torch.float64)
    motion = Motion(rotations, root)
    root[:, 1] = motion.skeleton.standing_root_height
    return replace(motion, root=root)


@pytest.fixture(scope="module")
def real(shared: Path) -> list[Motion]:
    """Four sound takes of each of two sources, on our skeleton at 30 fps."""
    clips = [
        clip
        for name in ("bandai", "uiprmd")
        for clip in packed.read_folder(shared / "data" / name)[:400:100]
    ]
    return [retarget(clip.motion()).resample(30.0)[:200] for clip in clips]


def test_real_motion_passes(real: list[Motion]) -> None:
    assert [failure(motion) for motion in real] == [None] * len(real)


def test_measures_are_those_of_the_protocol(real: list[Motion]) -> None:
    for motion in real[:3]:
        floor = motion.root.new_tensor([0.0, physics.floor(motion), 0.0])
        grounded = replace(motion, root=motion.root - floor)
        found = motion_measurements(motion)
        assert found["foot_slide_mm"] == pytest.approx(physics.foot_slide(grounded))
        assert found["floating_percent"] == pytest.approx(physics.floating(grounded))
        assert found["penetration_mm"] == pytest.approx(physics.penetration(grounded), abs=0.02)
        assert found["jitter"] == pytest.approx(physics.jitter(motion))
        assert measurements(motion) == transition_measurements(motion) | found


def test_every_limit_has_a_measurement_and_a_field() -> None:
    found = measurements(standing())
    for stage, name, _, field, _ in LIMITS:
        assert name in found
        assert field in type(TRANSITION if stage == "transition" else MOTION).model_fields


def turned(
    motion: Motion, frame: int, joint: int, degrees: float, *, last: int | None = None
) -> Motion:
    rotations = motion.rotations.clone()
    turn = yaw_matrix(torch.deg2rad(torch.tensor(degrees, dtype=torch.float64)))
    rotations[frame:last, joint] = turn @ rotations[frame:last, joint]
    return replace(motion, rotations=rotations)


def moved(
    motion: Motion, frame: int, by: tuple[float, float, float], last: int | None = None
) -> Motion:
    root = motion.root.clone()
    root[frame:last] += torch.tensor(by, dtype=torch.float64)
    return replace(motion, root=root)


@pytest.mark.parametrize("last", [31, None])
def test_flips_and_teleports_are_found_where_they_are(last: int | None) -> None:
    sound = standing()
    assert failure(sound) is None
    assert breaks(sound, TRANSITION) == []
    cases = (
        (turned(sound, 30, 0, 40.0, last=last), "the root flips"),
        (turned(sound, 30, 0, 90.0, last=last), "the root turns over"),
        (turned(sound, 30, 20, 130.0, last=last), "a joint flips"),
        (moved(sound, 30, (0.3, 0.0, 0.0), last), "the root teleports"),
        (moved(sound, 30, (0.6, 0.0, 0.0), last), "the root moves faster than people do"),
    )
    for broken, reason in cases:
        assert failure(broken) == ("transition", reason)
        assert breaks(broken, TRANSITION) == ([30, 31] if last else [30])


def test_fast_turns_are_no_flips() -> None:
    """A pirouette at 1,400 degrees a second, as in the salsa takes, is movement."""
    spin = standing()
    angle = torch.deg2rad(torch.linspace(0, 1, 90, dtype=torch.float64) ** 2 * 2000)
    rotations = spin.rotations.clone()
    rotations[:, 0] = yaw_matrix(angle)
    found = transition_measurements(replace(spin, rotations=rotations))
    assert found["root_turn_degrees"] > 40
    assert found["root_flip_degrees"] < 2


def test_root_flips_of_the_salsa_takes_are_found(shared: Path) -> None:
    """Frames of all takes whose manifest says so, but one: those of salsa 18 are a pirouette."""
    limits = TransitionConfig(max_joint_turn_degrees=360, max_joint_flip_degrees=360)
    found = {}
    for clip in packed.read_folder(shared / "data/cmu_acrnn"):
        if clip.manifest.get("root_flips_left"):
            found[clip.id] = breaks(retarget(clip.motion()).resample(30.0), limits)
    assert found == {
        "acrnn_salsa_09": [96, 98],
        "acrnn_salsa_10": [78, 88, 89],
        "acrnn_salsa_11": [53],
        "acrnn_salsa_13": [156],
        "acrnn_salsa_15": [183],
        "acrnn_salsa_18": [],
    }


def test_what_is_wrong_with_the_movement_is_said() -> None:
    sound = standing()
    noise = torch.randn(sound.root.shape, generator=torch.Generator().manual_seed(0)).double()
    slope = torch.linspace(0, 9, 90, dtype=torch.float64)[:, None]
    sliding = replace(sound, root=sound.root + slope * sound.root.new_tensor([1.0, 0.0, 0.0]))
    still = replace(sound, rotations=sound.rotations[:1].expand(90, -1, -1, -1))
    knee = sound.rotations.clone()
    knee[:, 4] = matrix_from_axis_angle(torch.tensor([-0.8, 0.0, 0.0], dtype=torch.float64))
    cases = (
        (sound[:10], "too short"),
        (replace(sound, root=sound.root + 0.02 * noise), "jerky"),
        (sliding, "the feet slide"),
        (still, "frozen for a time"),
        (replace(sound, rotations=knee), "a knee or elbow bends backwards"),
        (turned(sound, 0, 15, 170.0), "a joint is dislocated"),
    )
    for broken, reason in cases:
        assert failure(broken) == ("motion", reason)
    assert motion_measurements(still)["frozen_seconds"] == pytest.approx(89 / 30)


def test_floating_needs_a_floor_that_was_touched() -> None:
    """Most of the time half a metre over the place where the feet were in the beginning."""
    times = torch.linspace(0, 1, 120, dtype=torch.float64)
    path = torch.zeros(120, 3, dtype=torch.float64)
    path[:, 1] = 0.5 * ((times - 0.25) / 0.2).clamp(0, 1)
    sound = standing(120)
    found = first_failure(measurements(replace(sound, root=sound.root + path)), TRANSITION, MOTION)
    assert found is not None
    assert found[1] == "floats over the floor"
    assert found[2] > 60


def test_values_that_are_no_numbers_fail() -> None:
    found = measurements(standing()) | {"jitter": float("nan")}
    failed = first_failure(found, TRANSITION, MOTION)
    assert failed is not None
    assert failed[1] == "jerky"


def test_other_skeletons_are_refused(shared: Path) -> None:
    clip = packed.read_folder(shared / "data/bandai")[0]
    with pytest.raises(ValueError, match="SMPL-22"):
        measurements(clip.motion())


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5])
def test_short_motions_are_measured(frames: int) -> None:
    motion = standing()[:frames]
    assert all(value == value for value in measurements(motion).values())
    assert failure(motion) == ("motion", "too short")
    assert breaks(motion, TRANSITION) == []


def test_turns_and_medians() -> None:
    motion = wandering(3, 40)
    world = motion.world_rotations()
    torch.testing.assert_close(
        turns(world), angle_degrees(world[1:], world[:-1]), atol=1e-3, rtol=0
    )
    values = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
    inner = values.unfold(0, 5, 1).median(dim=-1).values
    torch.testing.assert_close(beyond_neighbours(values)[2:-2], values[2:-2] - inner)


@settings(max_examples=25, deadline=None)
@given(
    frames=st.integers(1, 900),
    low=st.integers(5, 60),
    window=st.integers(20, 400),
    seed=st.integers(0, 99),
)
def test_cuts_cover_the_motion(frames: int, low: int, window: int, seed: int) -> None:
    motion = wandering(seed, frames)
    for where in ("low speed", "equal parts"):
        config = CutConfig(min_frames=low, max_frames=240, window_frames=window, cut_at=where)
        parts = cut_points(motion, config)
        assert [part[0] for part in parts] == [0, *(part[1] for part in parts[:-1])]
        assert parts[-1][1] == frames
        assert all(0 < stop - start <= 240 for start, stop in parts)
        if where == "low speed" and len(parts) > 1:
            assert min(stop - start for start, stop in parts) >= min(low, window, 240)


def test_cuts_lie_in_pauses() -> None:
    """Five waves of the arm with pauses of a second between them: every cut is in a pause."""
    times = torch.arange(750) % 150
    active = times < 120
    angle = torch.where(
        active, torch.sin(2 * torch.pi * times / 20) * 0.8, torch.zeros(750)
    ).double()
    motion = standing(750)
    lift = torch.stack((torch.zeros_like(angle), torch.zeros_like(angle), angle), dim=1)
    rotations = motion.rotations.clone()
    rotations[:, 16] = matrix_from_axis_angle(lift)
    motion = replace(motion, rotations=rotations)
    config = CutConfig(max_frames=240, window_frames=160)
    cuts = [start for start, _ in cut_points(motion, config)[1:]]
    assert len(cuts) >= 3
    assert not any(bool(active[cut]) and bool(active[cut - 1]) for cut in cuts)

"""Clean-up: feet hold still, nothing trembles, and what was good stays as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from motionmill.formats import packed
from motionmill.motion import cleanup, footlock, legs, physics, smoothing
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import retarget
from motionmill.motion.rotations import matrix_from_axis_angle, yaw_matrix
from motionmill.motion.skeleton import Skeleton, adult_skeleton

CLIPS = {
    "walk": ("bandai", "dataset-2_walk_masculine_019"),
    "kick": ("bandai", "dataset-1_kick_normal_001"),
    "salsa": ("cmu_acrnn", "acrnn_salsa_03"),
    "jump": ("extra", "dm_jump"),
    "lie": ("game_cc0", "kaykit_Lie_Idle"),
    "sit": ("game_cc0", "kaykit_Sit_Chair_Idle"),
    "squat": ("uiprmd", "prmd_m01_s04_e04"),
}
# What must come through: feet and bodies that are off the floor, or on something else than it, on purpose.
ODD = (
    ("extra", "dm_cartwheel"),
    ("extra", "mass_cart"),
    ("extra", "mass_backflip"),
    ("extra", "dm_sideflip"),
    ("extra", "dm_getup_facedown"),
    ("extra", "dm_getup_faceup"),
    ("extra", "dm_roll"),
    ("extra", "dm_crawl"),
    ("game_cc0", "ual_Sitting_Idle_Loop"),
    ("game_cc0", "kaykit_Sit_Floor_Idle"),
    ("game_cc0", "m2m_Sleeping"),
    ("game_cc0", "m2m_Crawl"),
    ("game_cc0", "kaykit_Lie_StandUp"),
    ("cmu2", "cmu_amc_14_21"),  # climbs three steps
    ("cmu2", "cmu_amc_14_33"),  # climbs a ladder
    ("cmu2", "cmu_amc_14_27"),  # sits on a high stool
    ("cmu2", "cmu_amc_16_03"),  # high jump
    ("cmu2", "cmu_amc_49_06"),  # cartwheel
    ("uiprmd", "prmd_m05_s01_e01"),  # sits down and stands up
)


@pytest.fixture(scope="module")
def clips(shared: Path) -> dict[str, Motion]:
    wanted = {clip_id: folder for folder, clip_id in (*CLIPS.values(), *ODD)}
    motions = {}
    for folder in sorted(set(wanted.values())):
        for clip in packed.read_folder(shared / "data" / folder):
            if wanted.get(clip.id) == folder:
                motions[clip.id] = cleanup.to_floor(retarget(clip.motion()).resample(30)[:240])
    return motions


@pytest.fixture(scope="module")
def real(clips: dict[str, Motion]) -> dict[str, Motion]:
    return {name: clips[clip_id] for name, (_, clip_id) in CLIPS.items()}


def drifting(motion: Motion, step: float = 0.002) -> Motion:
    """The root walks at random, `step` metres a frame."""
    noise = torch.randn(len(motion), 3, generator=torch.Generator().manual_seed(0)).double()
    return replace(motion, root=motion.root + (noise * step / 3**0.5).cumsum(0))


def trembling(motion: Motion) -> Motion:
    """Joints tremble by about 1 cm."""
    generator = torch.Generator().manual_seed(0)
    angles = 0.014 * torch.randn(*motion.rotations.shape[:2], 3, generator=generator).double()
    return replace(motion, rotations=motion.rotations @ matrix_from_axis_angle(angles))


def bends(motion: Motion) -> torch.Tensor:
    """(T, 2) how far the knees are bent forwards, radians."""
    joints, world = motion.skeleton.forward_kinematics(motion.rotations, motion.root)
    thigh, shin = joints[:, [4, 5]] - joints[:, [1, 2]], joints[:, [7, 8]] - joints[:, [4, 5]]
    across = torch.linalg.cross(thigh, shin)
    return torch.atan2((across * world[:, [1, 2], :, 0]).sum(-1), (thigh * shin).sum(-1))


def deviation(first: Motion, second: Motion) -> torch.Tensor:
    return 1000 * (first.joints() - second.joints()).norm(dim=-1)


def test_strength_zero_is_the_motion_itself(real: dict[str, Motion]) -> None:
    assert cleanup.clean(real["walk"], strength=0) is real["walk"]
    full, half = cleanup.clean(real["walk"]), cleanup.clean(real["walk"], strength=0.5)
    to_half, to_full = deviation(half, real["walk"]).mean(), deviation(full, real["walk"]).mean()
    assert float(to_half) == pytest.approx(float(to_full) / 2, rel=0.1)


@pytest.mark.parametrize("spoil", [drifting, trembling])
@pytest.mark.parametrize("name", ["walk", "kick", "salsa"])
def test_spoilt_motion_comes_out_as_good_as_real(
    real: dict[str, Motion], name: str, spoil: object
) -> None:
    clip = real[name]
    spoilt = spoil(clip)  # type: ignore[operator]
    cleaned = cleanup.clean(spoilt)
    slide = physics.foot_slide(clip)
    assert physics.foot_slide(spoilt, clip) > slide
    assert physics.foot_slide(cleaned, clip) < 1.05 * slide
    assert physics.jitter(cleaned) < 1.2 * physics.jitter(clip)
    assert physics.penetration(cleaned) < 2


@pytest.mark.parametrize("name", sorted(CLIPS))
def test_real_motion_is_not_made_worse(real: dict[str, Motion], name: str) -> None:
    clip = real[name]
    cleaned = cleanup.clean(clip)
    change = deviation(cleaned, clip)
    assert float(change.mean()) < (
        35 if name == "squat" else 20
    )  # its feet sink 3 cm into the floor
    assert physics.foot_slide(cleaned) < physics.foot_slide(clip) + 0.3
    assert physics.jitter(cleaned) < 1.2 * physics.jitter(clip) + 0.1
    assert physics.penetration(cleaned) < max(1.0, physics.penetration(clip))
    assert physics.floating(cleaned) < physics.floating(clip) + 2
    turned = cleaned.rotations[:, [3, 6, 9, 12]].mT @ clip.rotations[:, [3, 6, 9, 12]]
    assert float((turned.diagonal(dim1=-2, dim2=-1).sum(-1)).min()) > 2.9  # the trunk stays
    assert float(bends(cleaned).min()) > -0.35
    accelerations = [
        m.joints()[:, 1:12].diff(n=2, dim=0).norm(dim=-1).max() for m in (cleaned, clip)
    ]
    assert accelerations[0] < 1.3 * accelerations[1] + 0.02  # no pops


@pytest.mark.parametrize("name", ["walk", "kick", "salsa"])
def test_held_feet_hold_still(real: dict[str, Motion], name: str) -> None:
    spoilt = drifting(real[name])
    sure = cleanup.prepared(spoilt).held == 1
    assert sure.any()
    steps = 1000 * cleanup.clean(spoilt).joints()[:, [7, 8, 10, 11]].diff(dim=0).norm(dim=-1)
    locked = steps[sure[1:] & sure[:-1]]
    assert float(locked.mean()) < 0.15
    assert float(locked.quantile(0.95)) < 0.5


def test_bones_keep_their_lengths_and_rotations_stay_rotations(real: dict[str, Motion]) -> None:
    rotations = cleanup.clean(trembling(real["salsa"])).rotations
    identity = torch.eye(3, dtype=torch.float64).expand_as(rotations)
    torch.testing.assert_close(rotations @ rotations.mT, identity, atol=1e-9, rtol=0)


def test_knees_bent_backwards_are_straightened(real: dict[str, Motion]) -> None:
    rotations = real["walk"].rotations.clone()
    rotations[:, [4, 5]] = matrix_from_axis_angle(torch.tensor([-0.1, 0, 0]).double())
    backwards = replace(real["walk"], rotations=rotations)
    assert float(bends(backwards).max()) < 0
    assert float(bends(cleanup.clean(backwards)).min()) > -0.01


@pytest.mark.parametrize("name", ["lie", "squat"])
def test_who_hardly_moves_does_not_tremble(real: dict[str, Motion], name: str) -> None:
    spoilt = trembling(real[name])
    assert physics.jitter(spoilt) > 40 * physics.jitter(real[name])
    assert physics.jitter(cleanup.clean(spoilt)) < physics.jitter(real[name])


def test_a_kick_is_not_blunted(real: dict[str, Motion]) -> None:
    """The widest filter takes only what noise explains."""
    clip = real["kick"]
    fastest = [
        float(motion.joints()[:, 10:12].diff(dim=0).norm(dim=-1).max())
        for motion in (clip, cleanup.clean(trembling(clip)))
    ]
    assert fastest[1] > 0.93 * fastest[0]


def test_a_held_heel_takes_the_toes_along(real: dict[str, Motion]) -> None:
    walk = legs.legs_of(real["walk"])
    held = torch.zeros(len(real["walk"]), 4, dtype=torch.float64)
    held[20:26, 0] = 1.0  # and the toes are free
    steps = torch.zeros(len(held) - 1, 4, 3, dtype=torch.float64)
    lengths = []
    for rigid in (0.0, 0.5):
        ankles, toes = footlock.foot_targets(walk, held, pressed=held, steps=steps, rigid=rigid)
        lengths.append((toes - ankles)[20:26, 0, ::2].norm(dim=-1))
    own = (walk.toes - walk.ankles)[20:26, 0, ::2].norm(dim=-1)
    assert float((lengths[1] - own).abs().mean()) < 0.6 * float((lengths[0] - own).abs().mean())


def test_flight_stays(real: dict[str, Motion]) -> None:
    clip = real["jump"]
    high = physics.foot_heights(clip).amin(dim=1) > 0.1
    assert high.sum() > 3
    assert float(deviation(cleanup.clean(clip), clip)[high].mean()) < 15


@pytest.mark.parametrize("clip_id", sorted({clip_id for _, clip_id in (*CLIPS.values(), *ODD)}))
def test_cleaning_twice_changes_little(clips: dict[str, Motion], clip_id: str) -> None:
    once = cleanup.clean(clips[clip_id])
    assert float(deviation(cleanup.clean(once), once).mean()) < 2


def assert_same(first: Motion, second: Motion, millimetres: float = 1e-3) -> None:
    assert float(deviation(first, second).max()) < millimetres


def test_turning_and_moving_the_world_changes_nothing(real: dict[str, Motion]) -> None:
    clip = trembling(real["walk"])
    turn = yaw_matrix(torch.tensor(2.1, dtype=torch.float64))
    shift = torch.tensor([3.0, 0.0, -40.0], dtype=torch.float64)
    moved = cleanup.clean(clip.transformed(turn, shift))
    assert_same(moved, cleanup.clean(clip).transformed(turn, shift))


def test_raising_the_person_changes_nothing_but_the_floor(real: dict[str, Motion]) -> None:
    up = torch.tensor([0.0, 0.2, 0.0], dtype=torch.float64)
    raised = cleanup.clean(real["walk"].transformed(torch.eye(3), up))
    assert_same(raised, cleanup.clean(real["walk"]), 8)  # 3 mm of it: a floor so near is left alone


def test_mirroring_commutes(real: dict[str, Motion]) -> None:
    clip = trembling(real["kick"])
    assert_same(cleanup.clean(clip.mirror()), cleanup.clean(clip).mirror())


def test_contacts_backwards_in_time_are_the_contacts(real: dict[str, Motion]) -> None:
    clip = real["kick"]
    back = replace(clip, rotations=clip.rotations.flip(0), root=clip.root.flip(0))
    assert torch.equal(physics.contacts(back), physics.contacts(clip).flip(0))
    sure = [cleanup.prepared(motion).held for motion in (back, clip)]
    torch.testing.assert_close(sure[0], sure[1].flip(0), atol=1e-6, rtol=0)


@pytest.mark.parametrize("clip_id", [clip_id for _, clip_id in ODD])
def test_what_is_off_the_floor_on_purpose_stays_there(
    clips: dict[str, Motion], clip_id: str
) -> None:
    clip = clips[clip_id]
    cleaned = cleanup.clean(clip)
    heights = physics.foot_heights(clip)
    sunk = physics.foot_heights(cleaned) - heights
    off = heights > 0.12
    assert not bool(off.any()) or float(sunk[off].amin()) > -0.05
    turned = cleaned.world_rotations().mT @ clip.world_rotations()
    cosine = (turned.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    angles = torch.rad2deg(torch.arccos(cosine.clamp(-1, 1)))
    assert float(angles.amax()) < 75  # no limb flips
    assert float(angles.mean()) < 4
    # While the body rolls the feet push along the floor; the clean-up holds them, and the body comes along.
    assert float(deviation(cleaned, clip).mean()) < (60 if clip_id == "dm_roll" else 30)
    pops = [m.joints()[:, 1:12].diff(n=2, dim=0).norm(dim=-1).max() for m in (cleaned, clip)]
    assert pops[0] < 1.3 * pops[1] + 0.02


def test_long_motions_are_worked_on_in_parts(
    real: dict[str, Motion], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = cleanup.clean(trembling(real["salsa"]))
    for module in (smoothing, legs, physics):
        monkeypatch.setattr(module, "_CHUNK", 64)
    assert_same(cleanup.clean(trembling(real["salsa"])), whole, 1e-6)


def test_frames_that_are_not_finite_are_named(real: dict[str, Motion]) -> None:
    root = real["walk"].root.clone()
    root[[7, 8, 9, 30]] = torch.nan
    with pytest.raises(ValueError, match=r"not finite in frames 7-9, 30 of \d+"):
        cleanup.clean(replace(real["walk"], root=root))


def test_a_person_in_the_air_is_put_on_the_floor_and_that_is_said(
    real: dict[str, Motion], caplog: pytest.LogCaptureFixture
) -> None:
    up = torch.tensor([0.0, 3.0, 0.0], dtype=torch.float64)
    cleaned = cleanup.clean(real["walk"].transformed(torch.eye(3), up))
    assert abs(physics.floor(cleaned)) < 0.005
    assert "its floor is estimated at 3.0" in caplog.text
    caplog.clear()
    cleanup.clean(real["walk"])
    assert not caplog.text


def sinking(motion: Motion, depth: float = 0.2) -> Motion:
    """For a third of its frames the person sinks into the floor and comes up again."""
    down = torch.zeros_like(motion.root)
    third = len(motion) // 3
    bell = torch.sin(torch.linspace(0, torch.pi, third, dtype=torch.float64)) ** 2
    down[third : 2 * third, 1] = depth * bell
    return replace(motion, root=motion.root - down)


@pytest.mark.parametrize("name", ["walk", "salsa", "kick"])
def test_a_body_that_sinks_is_lifted_and_does_not_raise_the_rest(
    real: dict[str, Motion], name: str
) -> None:
    clip = real[name]
    sunk = sinking(clip)
    cleaned = cleanup.clean(sunk, floor_at_zero=True)
    assert physics.floating(cleaned) < physics.floating(clip) + 2
    assert physics.penetration(cleaned) < 2
    assert float(deviation(cleaned, clip).mean()) < 20
    assert physics.jitter(cleaned) < 1.2 * physics.jitter(clip)
    again = cleanup.clean(cleaned, floor_at_zero=True)
    assert float(deviation(again, cleaned).mean()) < 2
    # Without that knowledge the lowest frames are the floor, over which everybody else floats.
    assert physics.floating(cleanup.clean(sunk)) > 20


def test_who_stands_on_the_floor_at_zero_is_cleaned_as_ever(real: dict[str, Motion]) -> None:
    for name in ("walk", "jump", "sit"):
        plain = cleanup.clean(real[name])
        assert float(deviation(cleanup.clean(real[name], floor_at_zero=True), plain).mean()) < 8


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 8, 20])
def test_short_clips(real: dict[str, Motion], frames: int) -> None:
    cleaned = cleanup.clean(real["walk"][:frames], floor_at_zero=frames % 2 == 0)
    assert len(cleaned) == frames
    assert bool(torch.isfinite(cleaned.joints()).all())


def test_the_frame_rate_does_not_matter(real: dict[str, Motion]) -> None:
    slow = cleanup.clean(real["walk"])
    fast = cleanup.clean(real["walk"].resample(120)).resample(30)
    assert float(deviation(slow, fast[: len(slow)]).mean()) < 6


def test_precision_is_kept(real: dict[str, Motion]) -> None:
    single = replace(
        real["walk"], rotations=real["walk"].rotations.float(), root=real["walk"].root.float()
    )
    cleaned = cleanup.clean(single)
    assert cleaned.rotations.dtype == cleaned.root.dtype == torch.float32
    assert float(deviation(cleaned, cleanup.clean(real["walk"])).max()) < 1


def test_no_noise_no_smoothing() -> None:
    times = torch.arange(90, dtype=torch.float64) / 30
    rotations = torch.eye(3, dtype=torch.float64).expand(90, 22, 3, 3).clone()
    swing = torch.stack((torch.sin(6 * times), 0 * times, 0 * times), dim=-1)
    rotations[:, 16] = matrix_from_axis_angle(swing)
    motion = Motion(rotations, torch.zeros(90, 3, dtype=torch.float64))
    assert (
        float(deviation(smoothing.smooth(motion, torch.zeros(90, dtype=torch.bool)), motion).max())
        < 0.01
    )


def test_bad_arguments() -> None:
    motion = Motion(torch.eye(3).expand(5, 22, 3, 3), torch.zeros(5, 3))
    with pytest.raises(ValueError, match="from 0 to 1"):
        cleanup.clean(motion, strength=1.5)
    legless = Skeleton(("a", "b"), (-1, 0), adult_skeleton().offsets[:2])
    with pytest.raises(ValueError, match="left_ankle"):
        cleanup.clean(Motion(torch.eye(3).expand(5, 2, 3, 3), torch.zeros(5, 3), 30, legless))


def test_a_cleaned_motion_may_have_gradients() -> None:
    steps = torch.linspace(0, 1, 40, dtype=torch.float64)
    skeleton = replace(adult_skeleton())  # nothing of it has been computed yet
    root = torch.stack((0 * steps, skeleton.standing_root_height + 0 * steps, steps), dim=-1)
    turns = torch.eye(3, dtype=torch.float64).repeat(40, 22, 1, 1)
    cleaned = cleanup.clean(Motion(turns, root, 30.0, skeleton))
    moved = cleaned.root * torch.ones(3, dtype=torch.float64, requires_grad=True)
    (moved.sum() + (skeleton.rest_joints * moved[0]).sum()).backward()
    assert not cleaned.rotations.is_inference()

"""BVH files: round trip, every odd layout, and errors that name file, line, expected and got."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motionmill.formats import bvh
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import retarget
from motionmill.motion.rigs import leg_length, recognise
from motionmill.motion.rotations import matrix_from_quaternion
from motionmill.motion.skeleton import Skeleton
from tests.formats.test_glb import wave

SMALL = """HIERARCHY
ROOT Hips
{
  OFFSET 0 1 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Left Arm
  {
    OFFSET 1 0 0
    CHANNELS 3 Yrotation Xrotation Zrotation
    End Site
    {
      OFFSET 0.5 0 0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.033333
0 5 0 0 0 0 0 0 0
1 5 0 90 0 0 90 0 0
"""


def write(folder: Path, text: str, name: str = "walk.bvh") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


@st.composite
def motions(draw: st.DrawFn) -> Motion:
    joints, frames = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    parents = (-1, *(draw(st.integers(0, child - 1)) for child in range(1, joints)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    offsets = torch.randn(joints, 3, generator=generator, dtype=torch.float64)
    offsets[0] = 0
    quaternions = torch.randn(frames, joints, 4, generator=generator, dtype=torch.float64)
    root = torch.randn(frames, 3, generator=generator, dtype=torch.float64)
    names = tuple(f"joint {index}" for index in range(joints))
    fps = draw(st.sampled_from([24.0, 29.97, 30.0, 60.0, 120.0]))
    return Motion(matrix_from_quaternion(quaternions), root, fps, Skeleton(names, parents, offsets))


@settings(max_examples=60, deadline=None)
@given(
    motion=motions(),
    order=st.sampled_from(["XYZ", "ZXY", "YZX", "ZYX"]),
    scale=st.sampled_from([1.0, 100.0]),
)
def test_what_is_saved_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, motion: Motion, order: str, scale: float
) -> None:
    path = tmp_path_factory.getbasetemp() / "round_trip.bvh"
    bvh.save(motion, path, order=order, scale=scale)
    loaded = bvh.load(path, scale=scale)
    places = [loaded.skeleton.index(name) for name in motion.skeleton.names]
    torch.testing.assert_close(loaded.joints()[:, places], motion.joints(), atol=2e-5, rtol=0)
    torch.testing.assert_close(loaded.rotations[:, places], motion.rotations, atol=1e-6, rtol=0)
    assert loaded.fps == pytest.approx(motion.fps, abs=1e-6)


def test_the_rest_pose_may_come_first(tmp_path: Path) -> None:
    """One frame more: all rotations zero, the soles on the floor, over where the motion starts."""
    motion = wave(5)
    bvh.save(motion, tmp_path / "a.bvh", rest_first=True, order="YXZ", scale=1.0, names="mixamo")
    back = bvh.load(tmp_path / "a.bvh", scale=1.0)
    assert len(back) == 6
    assert back.skeleton.names[:2] == ("mixamorig:Hips", "mixamorig:LeftUpLeg")
    assert torch.equal(back.rotations[0], torch.eye(3).expand(22, 3, 3).double())
    assert back.root[0].tolist() == pytest.approx([0.0, 0.94, 0.0])
    joints = back.joints()[1:, [back.skeleton.depth_first().index(j) for j in range(22)]]
    order = motion.skeleton.depth_first()
    assert torch.allclose(joints, motion.joints()[:, order], atol=1e-5)


@pytest.mark.parametrize("scale", [0.0, -1.0, 1e9])
def test_impossible_scales(tmp_path: Path, scale: float) -> None:
    with pytest.raises(ValueError, match="expected file units in a metre"):
        bvh.save(wave(2), tmp_path / "a.bvh", scale=scale)


def test_angles_are_written_without_jumps(tmp_path: Path) -> None:
    angle = torch.linspace(0, 12.0, 100, dtype=torch.float64)
    quaternions = torch.stack(
        (torch.zeros(100), torch.sin(angle / 2), torch.zeros(100), torch.cos(angle / 2)), dim=-1
    )
    skeleton = Skeleton(("root",), (-1,), torch.zeros(1, 3))
    motion = Motion(
        matrix_from_quaternion(quaternions)[:, None], torch.zeros(100, 3), 30.0, skeleton
    )
    bvh.save(motion, tmp_path / "spin.bvh", order="YXZ")
    rows = (tmp_path / "spin.bvh").read_text().splitlines()[-100:]
    yaw = torch.tensor([float(row.split()[3]) for row in rows])
    assert float(yaw.diff().abs().max()) < 10
    assert float(yaw[-1]) == pytest.approx(12.0 * 180 / torch.pi, abs=1e-3)


def test_reads_channels_in_any_order(tmp_path: Path) -> None:
    motion = bvh.load(write(tmp_path, SMALL), scale=1.0)
    assert motion.fps == 30.0
    assert motion.skeleton.names == ("Hips", "Left Arm")
    expected = torch.tensor([[[0, 5, 0], [1, 5, 0]], [[1, 5, 0], [1, 6, 0]]], dtype=torch.float64)
    torch.testing.assert_close(motion.joints(), expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("  ", "\t").replace(" 0 0", "   0\t0 "),
        lambda text: text.replace("\n{", " {").replace("OFFSET 0.5 0 0\n    }", "OFFSET 0.5 0 0 }"),
        lambda text: text.replace("Zrotation", "ZROTATION").replace("Frames:", "Frames :"),
        lambda text: (
            text.replace("MOTION", "\nMOTION\n").replace("0.033333\n", "0.033333\n\n") + "\n\n"
        ),
        lambda text: "\ufeff" + text,
        lambda text: "# made by hand\n" + text.replace("ROOT Hips", "ROOT Hips  # the root"),
        lambda text: text.replace("MOTION", "// two frames\nMOTION").replace(
            "0 90 0 0\n", "0 90 0 0 # end\n"
        ),
    ],
)
def test_odd_layouts_read_the_same(tmp_path: Path, change) -> None:  # type: ignore[no-untyped-def]
    plain = bvh.load(write(tmp_path, SMALL), scale=1.0)
    odd = bvh.load(write(tmp_path, change(SMALL), "odd.bvh"), scale=1.0)
    assert change(SMALL) != SMALL
    torch.testing.assert_close(odd.joints(), plain.joints())
    assert odd.skeleton.names == plain.skeleton.names


def test_position_channels_replace_the_offset_and_a_carrying_root_is_composed(
    tmp_path: Path,
) -> None:
    text = SMALL.replace("CHANNELS 3", "CHANNELS 6 Xposition Yposition Zposition")
    text = text.replace("0 5 0 0 0 0 0 0 0", "0 5 0 0 0 0 2 0 0 0 0 0").replace(
        "1 5 0 90 0 0 90 0 0", "1 5 0 90 0 0 2 0 0 90 0 0"
    )
    motion = bvh.load(write(tmp_path, text), scale=1.0)
    assert motion.skeleton.names == ("Left Arm",)
    expected = torch.tensor([[2, 5, 0], [1, 7, 0]], dtype=torch.float64)
    torch.testing.assert_close(motion.root, expected)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "1 5 0 90 0 0 90 0 0",
            "1 5 0 90 0 0",
            "walk.bvh, line 20: expected 9 channel values, got 6",
        ),
        ("1 5 0 90", "1 5 zero 90", "walk.bvh, line 20: expected 9 numbers, got"),
        ("1 5 0 90", "1 5 nan 90", "walk.bvh, line 20: expected 9 numbers, got"),
        ("1 5 0 90", "1 5,5 0 90", "line 20: '5,5': a comma in a number; BVH has decimal points"),
        ("OFFSET 1 0 0", "OFFSET 1,0 0 0", "line 8: '1,0': a comma in a number"),
        ("Time: 0.033333", "Time: 0,033333", "line 17: '0,033333': a comma in a number"),
        ("Time: 0.033333", "Time: -0.033333", "line 17: -0.033333 seconds a frame"),
        ("OFFSET 1 0 0", "OFFSET 1e300 0 0", "line 8: OFFSET 1e300 0 0; expected less than"),
        ("1 5 0 90", "1e300 5 0 90", "a channel reaches 1e\\+300"),
        ("Frames: 2", "Frames: 3", "walk.bvh, line 17: expected 3 frames .* got 2 lines"),
        ("Frame Time: 0.033333", "Frame Time: 0", "walk.bvh, line 17: 0 seconds a frame"),
        ("Frame Time: 0.033333\n", "", "walk.bvh, line 17: expected 'Frames: ' and 'Frame Time: '"),
        ("HIERARCHY", "<html>", "walk.bvh, line 1: expected HIERARCHY, got '<html>'"),
        ("OFFSET 1 0 0", "OFFSET 1 0", "walk.bvh, line 8: expected 3 numbers, got '1 0'"),
        (
            "CHANNELS 3 Yrotation",
            "CHANNELS 3 Wrotation",
            "walk.bvh, line 9: expected a number and as many of",
        ),
        ("CHANNELS 3 ", "CHANNELS 4 ", "walk.bvh, line 9: expected a number and as many of"),
        ("End Site\n    {\n      OFFSET 0.5 0 0\n    }\n  }\n}", "}", "MOTION, but 1 braces"),
        ("MOTION", "MOTIONS", "walk.bvh, line 16: 'MOTIONS' does not belong here"),
        ("ROOT Hips", "ROOT", "walk.bvh, line 2: a joint without a name"),
        ("End Site", "ROOT Two", "walk.bvh, line 10: 'ROOT Two' does not belong"),
    ],
)
def test_broken_files_say_where(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in SMALL
    with pytest.raises(ValueError, match=message):
        bvh.load(write(tmp_path, SMALL.replace(old, new)), scale=1.0)


def test_an_empty_file_and_a_missing_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"empty\.bvh, line 1: expected HIERARCHY"):
        bvh.load(write(tmp_path, "", "empty.bvh"))
    with pytest.raises(FileNotFoundError):
        bvh.load(tmp_path / "none.bvh")


def test_nothing_is_written_when_values_are_not_finite(tmp_path: Path) -> None:
    skeleton = Skeleton(("root",), (-1,), torch.zeros(1, 3))
    motion = Motion(torch.eye(3).expand(2, 1, 3, 3), torch.full((2, 3), torch.nan), 30.0, skeleton)
    with pytest.raises(ValueError, match="not finite"):
        bvh.save(motion, tmp_path / "bad.bvh")
    with pytest.raises(ValueError, match="rotation order 'XXY'"):
        bvh.save(motion, tmp_path / "bad.bvh", order="XXY")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("seconds", "fps"), [("0.0333333", 30), ("0.008333", 120), ("0.0416667", 24), ("0.04", 25)]
)
def test_frame_times_are_meant_as_whole_rates(tmp_path: Path, seconds: str, fps: float) -> None:
    assert bvh.load(write(tmp_path, SMALL.replace("0.033333", seconds)), scale=1.0).fps == fps


def test_a_broadcast_rate_stays(tmp_path: Path) -> None:
    loaded = bvh.load(write(tmp_path, SMALL.replace("0.033333", "0.0333667")), scale=1.0)
    assert loaded.fps == pytest.approx(29.97, abs=1e-3)


def test_original_files_have_adult_legs_in_metres(shared: Path) -> None:
    files = sorted((shared / "data" / "originals").glob("*/*.bvh"))
    assert len(files) > 50
    for number, path in enumerate(files):
        motion = bvh.load(path)
        assert len(motion) > 1
        assert torch.isfinite(motion.joints()).all()
        if number % 4 == 0:
            leg = leg_length(recognise(motion.skeleton), motion.skeleton)
            assert 0.75 < leg < 0.95, path.name


def test_our_own_export_comes_back_the_same(shared: Path, tmp_path: Path) -> None:
    motion = retarget(bvh.load(shared / "data/originals/bandai/dataset-1_bow_active_001.bvh"))
    bvh.save(motion, tmp_path / "bow.bvh")
    back = retarget(bvh.load(tmp_path / "bow.bvh"))
    torch.testing.assert_close(back.joints(), motion.joints(), atol=1e-3, rtol=0)

"""Which reader a file is for, and the readers of ASF/AMC, DeepMimic, joint positions and SMPL parameters."""

from __future__ import annotations

import io
import json
import logging
import math
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from motionmill.formats import asf_amc, npz, packed, pickles
from motionmill.formats.files import load, save
from motionmill.motion.rotations import matrix_from_axis_angle, matrix_to_axis_angle, y_up
from motionmill.motion.skeleton import SMPL_22_NAMES, adult_skeleton
from tests.formats.damage import AMC, ASF
from tests.motions import wandering


def smpl(frames: int = 8) -> dict[str, Any]:
    """GVHMR's layout of `wandering(5)`, Y up."""
    motion = wandering(5, frames)
    poses = matrix_to_axis_angle(motion.rotations).float()
    return {
        "body_pose": poses[:, 1:].flatten(1),
        "global_orient": poses[:, 0],
        "transl": motion.root.float(),
        "betas": torch.zeros(frames, 10),
    }


def in_camera(values: dict[str, Any]) -> dict[str, Any]:
    """The same person in a camera's world: y down, z away."""
    turn = y_up("-Y").float()
    root = turn @ matrix_from_axis_angle(values["global_orient"])
    return values | {
        "global_orient": matrix_to_axis_angle(root),
        "transl": values["transl"] @ turn.T,
    }


def assert_is_wandering(motion: Any, frames: int = 8) -> None:
    expected = wandering(5, frames)
    assert motion.skeleton.names == SMPL_22_NAMES
    torch.testing.assert_close(motion.rotations, expected.rotations, atol=1e-5, rtol=0)
    shift = (motion.root - expected.root)[:, 1]
    torch.testing.assert_close(shift, shift[:1].expand_as(shift), atol=1e-5, rtol=0)
    torch.testing.assert_close(motion.root[:, [0, 2]], expected.root[:, [0, 2]], atol=1e-5, rtol=0)


def test_results_of_gvhmr(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    world = smpl()
    content = {
        "smpl_params_incam": in_camera(world),
        "smpl_params_global": world,
        "K": torch.eye(3),
    }
    torch.save(content, tmp_path / "hmr4d_results.pt")
    with caplog.at_level(logging.INFO, "motionmill"):
        motion = load(tmp_path / "hmr4d_results.pt")
    assert_is_wandering(motion)
    assert motion.fps == 30.0
    for words in (
        "smpl_params_global is read",
        "30 frames a second are assumed",
        "stands on the floor",
    ):
        assert words in caplog.text
    torch.save({"smpl_params_incam": in_camera(world)}, tmp_path / "camera.pt")
    assert_is_wandering(load(tmp_path / "camera.pt", fps=25.0))


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_pickled_results(tmp_path: Path, protocol: int) -> None:
    arrays = OrderedDict((key, value.numpy()) for key, value in smpl().items())
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"person": arrays, "fps": np.float32(24)}, protocol))
    motion = load(path)
    assert_is_wandering(motion)
    assert motion.fps == 24.0


def test_results_as_npz_with_matrices_or_whole_poses(tmp_path: Path) -> None:
    values = {key: value.numpy() for key, value in smpl().items()}
    np.savez(
        tmp_path / "a.v2.npz",
        **{f"smpl_params_global/{key}": value for key, value in values.items()},
    )
    assert_is_wandering(load(tmp_path / "a.v2.npz"))
    rotations = wandering(5, 8).rotations.numpy()
    matrices = {
        "global_orient": rotations[:, :1],
        "body_pose": rotations[:, 1:],
        "transl": values["transl"],
    }
    np.savez(tmp_path / "b.npz", **matrices)
    assert_is_wandering(load(tmp_path / "b.npz"))
    poses = np.concatenate((values["global_orient"], values["body_pose"], np.zeros((8, 6))), axis=1)
    aist = {
        "smpl_poses": poses,
        "smpl_trans": 90 * values["transl"],
        "smpl_scaling": np.array([90.0]),
    }
    (tmp_path / "c.pkl").write_bytes(pickle.dumps(aist))
    assert_is_wandering(load(tmp_path / "c.pkl"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"body_pose": torch.zeros(8, 60)}, "of 21 joints; expected"),
        ({"body_pose": torch.zeros(7, 63)}, "8 frames of the pelvis and 7 of the body"),
        ({"transl": torch.zeros(7, 3)}, r"transl \(7, 3\); expected \(8, 3\)"),
        ({"transl": torch.full((8, 3), torch.nan)}, "not finite"),
        ({"transl": torch.full((8, 3), 1e6)}, "a path in metres"),
        ({"body_pose": torch.ones(8, 21, 3, 3)}, "not rotation matrices"),
        ({"body_pose": "x"}, "expected an array"),
        ({"body_pose": torch.zeros(1, 1).expand(10**9, 63)}, "is not read"),
    ],
)
def test_bad_parameters_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    torch.save({"a": smpl() | change}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "a.pt")


def test_no_pickle_runs_code(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'sprung'}",)

    for content in ({"poses": Trap()}, np.array([Trap()], dtype=object), [Trap()]):
        for protocol in range(6):
            (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol))
            with pytest.raises(ValueError, match="only dictionaries of NumPy arrays are read"):
                load(tmp_path / "a.pkl")
        torch.save({"a": content}, tmp_path / "a.pt")
        with pytest.raises(ValueError, match="cannot be read as tensors only"):
            load(tmp_path / "a.pt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("protocol", range(6))
def test_pickled_arrays_come_back(protocol: int) -> None:
    content = {
        "whole": np.arange(6.0).reshape(2, 3),
        "columns": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        "big endian": np.arange(3, dtype=">i4"),
        "none": np.zeros((0, 3)),
        "number": np.float64(2.5),
        "rest": [1, 2.5, "text", None, True, (1, 2), b"bytes"],
    }
    back = pickles.loads(pickle.dumps(content, protocol), "a.pkl")
    for key in ("whole", "columns", "big endian", "none"):
        np.testing.assert_array_equal(back[key], content[key])
    assert back["number"] == 2.5
    assert back["rest"] == [1, 2.5, "text", None, True, [1, 2], b"bytes"]


def test_amc_equals_the_packed_clips(shared: Path) -> None:
    """The same trials were decoded by another program, to a thousandth of a degree."""
    originals = shared / "data/originals/cmu_asfamc"
    decoded = {clip.id: clip for clip in packed.read_folder(shared / "data/cmu")}
    for trial in ("02_01", "03_01"):
        motion, other = load(originals / f"{trial}.amc"), decoded[f"cmu_amc_{trial}"].motion()
        assert motion.skeleton.names == other.skeleton.names
        assert float((motion.joints() - other.joints()).norm(dim=-1).max()) < 1e-4
        assert motion.fps == 120.0


def test_deepmimic_equals_the_packed_clips(shared: Path) -> None:
    originals = shared / "data/originals/deepmimic_json"
    decoded = {clip.id: clip for clip in packed.read_folder(shared / "data/extra")}
    for name in ("walk", "cartwheel"):
        motion, other = load(originals / f"humanoid3d_{name}.txt"), decoded[f"dm_{name}"].motion()
        order = [other.skeleton.index(joint) for joint in motion.skeleton.names]
        distance = (motion.joints() - other.joints()[:, order]).norm(dim=-1)
        assert float(distance.max()) < 1e-4
        assert motion.fps == other.fps
    with pytest.raises(ValueError, match="a character, not a motion"):
        load(originals / "humanoid3d.txt")


def amc(folder: Path, asf: str = ASF, motion: str = AMC) -> Path:
    (folder / "1.asf").write_text(asf)
    (folder / "1_1.amc").write_text(motion)
    return folder / "1_1.amc"


def test_radians_lengths_and_axes(tmp_path: Path) -> None:
    plain = asf_amc.load(amc(tmp_path))
    unit = 0.0254 / 0.45
    down = torch.tensor([0.34, -0.94, 0.0], dtype=torch.float64)
    torch.testing.assert_close(plain.skeleton.offsets[2], 7.6 * unit * down)
    torch.testing.assert_close(plain.root[0], unit * torch.tensor([1.0, 16, -30]).double())
    axis = torch.tensor([math.cos(math.radians(20)), math.sin(math.radians(20)), 0.0]).double()
    shin = plain.rotations[
        0, 2
    ]  # it turns about X of its own axes, which are turned by 20 degrees about Z
    torch.testing.assert_close(shin @ axis, axis)
    assert float(shin.trace()) == pytest.approx(1 + 2 * math.cos(math.radians(20)))
    rows = []
    for line in AMC.splitlines():
        name, *values = line.split()
        if len(values) == 6:
            values = values[:3] + [repr(math.radians(float(value))) for value in values[3:]]
        elif values:
            values = [repr(math.radians(float(value))) for value in values]
        rows.append(" ".join([name.replace(":DEGREES", ":RADIANS"), *values]))
    radians = asf_amc.load(amc(tmp_path, motion="\n".join(rows)), fps=60.0)
    torch.testing.assert_close(radians.rotations, plain.rotations)
    assert radians.fps == 60.0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ltibia 20", "ltibia 20 1", "1_1.amc, line 7: expected 1 numbers, got '20 1'"),
        ("ltibia 20\n", "", "line 7: frame 1 ends without values of ltibia"),
        ("ltibia 20\n", "ltibia 20\nltibia 20\n", "line 8: 'ltibia 20' does not belong here"),
        ("ltibia 20", "tail 20", "line 7: 'tail 20' does not belong here"),
        ("    lfemur ltibia\n", "    ltibia lfemur\n    lfemur ltibia\n", "two parents"),
        ("    root lfemur\n", "    ltibia lfemur\n", "do not hang on the root: lfemur, ltibia"),
        ("axis 0 0 20 XYZ", "axis 0 0 20 XXZ", "axis order 'XXZ'"),
        ("dof rx ry rz", "dof rx ry rw", "degrees of freedom 'rx ry rw'"),
        ("length 7.6", "length nan", "expected 1 numbers, got 'nan'"),
    ],
)
def test_broken_amc_files_say_where(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in ASF + AMC
    path = amc(tmp_path, ASF.replace(old, new, 1), AMC.replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        load(path)


def test_amc_without_its_skeleton(tmp_path: Path) -> None:
    path = amc(tmp_path)
    (tmp_path / "1.asf").unlink()
    with pytest.raises(FileNotFoundError, match=r"1_1\.amc: .* expected 1\.asf"):
        load(path)
    (tmp_path / "other.asf").write_text(ASF)
    assert len(load(path)) == 2
    with pytest.raises(ValueError, match=r"a skeleton without its motion: give the \.amc file"):
        load(tmp_path / "other.asf")


@pytest.mark.parametrize(
    ("unit", "axis", "count"), [(1.0, "Y", 22), (100.0, "Z", 24), (1000.0, "-Y", 52)]
)
def test_joint_positions_in_any_unit_and_up_axis(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, unit: float, axis: str, count: int
) -> None:
    motion = wandering(4)
    joints = torch.zeros(len(motion), count, 3, dtype=torch.float64)
    joints[:, :22] = motion.joints() * unit @ y_up(axis)
    np.save(tmp_path / "joints.npy", joints.float().numpy())
    with caplog.at_level(logging.INFO, "motionmill"):
        back = load(tmp_path / "joints.npy", fps=25.0)
    moved = back.joints() - motion.joints()
    torch.testing.assert_close(moved, moved[:1, :1].expand_as(moved), atol=1e-4, rtol=0)
    assert back.fps == 25.0
    assert "twist of wrists, feet and head is not known" in caplog.text


def test_amass_is_said_to_be_turned(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    npz.save(wandering(1), tmp_path / "own.npz")
    with np.load(tmp_path / "own.npz") as file:
        arrays = {
            key: file[key] for key in ("poses", "trans", "betas", "gender", "mocap_framerate")
        }
    np.savez(tmp_path / "walk.v2.npz", **arrays)
    with caplog.at_level(logging.INFO, "motionmill"):
        back = load(tmp_path / "walk.v2.npz")
    assert "AMASS (neutral), Z is up in the file, Y is up in the result" in caplog.text
    torch.testing.assert_close(back.joints(), wandering(1).joints(), atol=1e-9, rtol=0)
    assert back.name == "walk.v2"


def test_content_and_format_decide(tmp_path: Path) -> None:
    motion = wandering(1)
    save(motion, tmp_path / "a.bvh")
    for name in ("a.bvh.txt", "a.motion"):
        (tmp_path / name).write_bytes((tmp_path / "a.bvh").read_bytes())
    assert len(load(tmp_path / "a.bvh.txt")) == len(motion)
    assert len(load(tmp_path / "a.motion", format="bvh")) == len(motion)
    assert len(load(tmp_path / "a.motion", format=".txt")) == len(motion)
    with pytest.raises(ValueError, match=r"cannot read '\.motion' files; known are \.bvh"):
        load(tmp_path / "a.motion")
    with pytest.raises(ValueError, match="no format 'fbx'; known are bvh, glb, npz"):
        load(tmp_path / "a.bvh", format="fbx")
    (tmp_path / "b.txt").write_text("1.0,2.0,3.0")
    with pytest.raises(ValueError, match=r"it starts with '1\.0,2\.0,3\.0'; DeepMimic"):
        load(tmp_path / "b.txt")
    (tmp_path / "b.json").write_text(json.dumps({"Frames": [[1, 2]]}))
    with pytest.raises(ValueError, match="frame 0: expected 44 numbers, got 2 values"):
        load(tmp_path / "b.json")
    np.save(tmp_path / "b.npy", np.zeros((4, 21, 3)))
    with pytest.raises(ValueError, match=r"an array \(4, 21, 3\); expected \(T, 272\)"):
        load(tmp_path / "b.npy")


def test_archives_of_ours_must_hold_rotations(tmp_path: Path) -> None:
    npz.save(wandering(1), tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as file:
        arrays = {key: file[key] for key in file.files}
    np.savez(tmp_path / "a.npz", **arrays | {"rotations": arrays["rotations"] * 1.1})
    with pytest.raises(ValueError, match="no rotations"):
        load(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", **arrays | {"root": np.array(1.0)})
    with pytest.raises(ValueError, match=r"a\.npz: motion: rotations .* and root \(\) do not fit"):
        load(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", **arrays | {"parents": np.full(22, -1)})
    with pytest.raises(ValueError, match="expected one root"):
        load(tmp_path / "a.npz")


def test_zip_bombs_are_refused(tmp_path: Path) -> None:
    data = io.BytesIO()
    np.savez_compressed(data, poses=np.zeros((60_000, 156)), trans=np.zeros((60_000, 3)))
    (tmp_path / "bomb.npz").write_bytes(data.getvalue())
    with pytest.raises(ValueError, match="a zip bomb"):
        load(tmp_path / "bomb.npz")


def test_ours_is_the_skeleton_of_amass(tmp_path: Path) -> None:
    save(wandering(1), tmp_path / "a.npz")
    assert load(tmp_path / "a.npz").skeleton.names == adult_skeleton().names

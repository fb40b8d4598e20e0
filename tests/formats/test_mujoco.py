"""MuJoCo: the model compiles, its forward kinematics are ours, it weighs what a person weighs and can be simulated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motionmill.formats import mujoco as writer
from motionmill.motion.motion import Motion
from tests.formats.oracles import check_world, motions
from tests.formats.test_glb import stick, wave

mujoco: Any = pytest.importorskip("mujoco", reason="mujoco is not installed")

TO_OURS = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # x, y, z -> x, z, -y


def played(path: Path, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """World positions (T, J, 3) and rotations (T, J, 3, 3) that MuJoCo computes, in our world."""
    model = mujoco.MjModel.from_xml_path(str(path))
    data = mujoco.MjData(model)
    bodies = [model.body(name).id for name in motion.skeleton.names]
    with np.load(path.with_suffix(".qpos.npz"), allow_pickle=False) as trajectory:
        states = trajectory["qpos"]
        assert float(trajectory["fps"]) == motion.fps
        nested = [model.body(index).name for index in range(1, model.nbody)]
        assert list(trajectory["joints"]) == nested
    assert states.shape == (len(motion), model.nq)
    positions, rotations = [], []
    for state in states:
        data.qpos[:] = state
        mujoco.mj_kinematics(model, data)
        positions.append(data.xpos[bodies] @ TO_OURS.T)
        rotations.append(TO_OURS @ data.xmat[bodies].reshape(-1, 3, 3))
    return np.array(positions), np.array(rotations)


@settings(max_examples=20, deadline=None)
@given(data=st.data(), own=st.booleans(), joints=st.sampled_from(writer.JOINTS))
def test_forward_kinematics_are_ours(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, own: bool, joints: str
) -> None:
    motion = data.draw(motions(own=own))
    path = tmp_path_factory.getbasetemp() / "model.xml"
    writer.save(motion, path, joints=joints)
    check_world(motion, *played(path, motion), position_limit=1e-9)


def test_a_person_weighs_what_a_person_weighs(tmp_path: Path) -> None:
    writer.save(wave(3), tmp_path / "a.xml")
    model = mujoco.MjModel.from_xml_path(str(tmp_path / "a.xml"))
    assert model.body_subtreemass[0] == pytest.approx(22 * 1.7**2, rel=1e-3)
    thigh = model.body("left_hip").mass[0]
    assert thigh == pytest.approx(model.body("right_hip").mass[0])
    assert thigh / model.body_subtreemass[0] == pytest.approx(0.1, rel=1e-3)
    assert model.key("start").qpos == pytest.approx(writer.qpos(wave(3))[0], abs=1e-9)
    writer.save(wave(3, skeleton=stick()), tmp_path / "b.xml")
    model = mujoco.MjModel.from_xml_path(str(tmp_path / "b.xml"))
    assert (model.body_mass[1:] > 0.01).all()


@pytest.mark.parametrize("joints", writer.JOINTS)
def test_a_fall_ends_on_the_floor(tmp_path: Path, joints: str) -> None:
    writer.save(wave(3), tmp_path / "a.xml", joints=joints)
    model = mujoco.MjModel.from_xml_path(str(tmp_path / "a.xml"))
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    for _ in range(1000):
        mujoco.mj_step(model, data)
    assert np.isfinite(data.qpos).all()
    assert -0.1 < data.xpos[1:, 2].min() < 0.2
    assert data.xpos[1:, 2].max() < 1.0


def test_quaternions_and_angles_do_not_jump() -> None:
    """The root turns three times; a rotation and its negative are the same, but not to who interpolates."""
    for joints in writer.JOINTS:
        states = writer.qpos(wave(60), joints=joints)
        assert np.abs(np.diff(states, axis=0)).max() < 0.6


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="joints 'slide'; expected one of ball, hinge"):
        writer.save(wave(2), tmp_path / "a.xml", joints="slide")
    with pytest.raises(ValueError, match="not finite; nothing written"):
        writer.save(replace(wave(2), root=torch.full((2, 3), torch.nan)), tmp_path / "a.xml")
    assert list(tmp_path.iterdir()) == []


def test_names_that_occur_twice(tmp_path: Path) -> None:
    twice = replace(stick(), names=("root", "arm", "arm\0", "<&>"))
    writer.save(wave(2, skeleton=twice), tmp_path / "a.xml")
    model = mujoco.MjModel.from_xml_path(str(tmp_path / "a.xml"))
    names = [model.body(index).name for index in range(1, 5)]
    assert names == ["root_2", "arm", "arm_2", "<&>"]

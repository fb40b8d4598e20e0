"""USD: pxr's own validators find nothing, its skeleton queries give the motion, its skinning gives the surface."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motionmill.extras import MissingExtraError
from motionmill.formats import usd
from motionmill.formats.files import check_writable
from motionmill.motion.body import mannequin, pose
from tests.formats.oracles import check_world, motions
from tests.formats.test_glb import stick, wave

pxr_usd = pytest.importorskip("pxr.Usd", reason="usd-core is not installed")
from pxr import Usd, UsdGeom, UsdSkel, UsdValidation  # noqa: E402


def complaints(stage: Any) -> list[str]:
    """What all validators that come with USD say about a stage."""
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    assert len(validators) > 20
    found = UsdValidation.ValidationContext(validators).Validate(stage)
    return [f"{error.GetName()}: {error.GetMessage()}" for error in found]


def animated_world(stage: Any, frames: int) -> np.ndarray:
    """(T, J, 4, 4) matrices of the joints; USD stores them by columns."""
    skeleton = UsdSkel.Skeleton(stage.GetPrimAtPath("/Character/Skeleton"))
    query = UsdSkel.Cache().GetSkelQuery(skeleton)
    poses = [query.ComputeJointSkelTransforms(Usd.TimeCode(frame)) for frame in range(frames)]
    return np.array([np.array(each) for each in poses]).swapaxes(-1, -2)


@pytest.mark.parametrize("suffix", usd.SUFFIXES)
def test_every_kind_is_valid(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"wave{suffix}"
    usd.save(wave(), path, licence="CC BY 4.0")
    assert list(tmp_path.iterdir()) == [path]
    stage = Usd.Stage.Open(str(path))
    assert complaints(stage) == []
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    assert (stage.GetTimeCodesPerSecond(), stage.GetFramesPerSecond()) == (30, 30)
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0, 39)
    assert stage.GetDefaultPrim().GetPath() == "/Character"
    layer = stage.GetRootLayer()
    assert layer.documentation == wave().name
    assert "CC BY 4.0" in layer.customLayerData["copyright"]


def test_the_validators_can_find_something(tmp_path: Path) -> None:
    usd.save(wave(3), tmp_path / "wave.usda")
    stage = Usd.Stage.Open(str(tmp_path / "wave.usda"))
    stage.ClearMetadata("upAxis")
    stage.ClearDefaultPrim()
    assert len(complaints(stage)) == 2


@settings(max_examples=15, deadline=None)
@given(data=st.data(), own=st.booleans(), suffix=st.sampled_from(usd.SUFFIXES))
def test_pxr_sees_the_motion(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, own: bool, suffix: str
) -> None:
    motion = data.draw(motions(own=own))
    path = tmp_path_factory.mktemp("usd") / f"in{suffix}"
    usd.save(motion, path)
    stage = Usd.Stage.Open(str(path))
    world = animated_world(stage, len(motion))
    check_world(motion, world[..., :3, 3], world[..., :3, :3])
    assert stage.GetTimeCodesPerSecond() == motion.fps
    assert complaints(stage) == []


def test_pxr_skins_the_mannequin(tmp_path: Path) -> None:
    motion, frame = wave(), 17
    usd.save(motion, tmp_path / "wave.usdc")
    stage = Usd.Stage.Open(str(tmp_path / "wave.usdc"))
    cache, root = UsdSkel.Cache(), UsdSkel.Root(stage.GetPrimAtPath("/Character"))
    cache.Populate(root, Usd.PrimDefaultPredicate)
    mesh = stage.GetPrimAtPath("/Character/Mannequin")
    skinning = cache.GetSkinningQuery(mesh)
    skeleton = cache.GetSkelQuery(UsdSkel.Skeleton(stage.GetPrimAtPath("/Character/Skeleton")))
    moves = skeleton.ComputeSkinningTransforms(Usd.TimeCode(frame))
    points = UsdGeom.Mesh(mesh).GetPointsAttr().Get()
    assert skinning.ComputeSkinnedPoints(moves, points, Usd.TimeCode(frame))
    surface = pose(mannequin(), motion)[frame].numpy()
    assert np.abs(np.array(points) - surface).max() < 1e-4
    low, high = UsdGeom.Boundable(root).GetExtentAttr().Get()
    assert (surface > np.array(low)).all()
    assert (surface < np.array(high)).all()


def test_names_become_paths(tmp_path: Path) -> None:
    usd.save(wave(2), tmp_path / "a.usda", names="mixamo")
    stage = Usd.Stage.Open(str(tmp_path / "a.usda"))
    joints = UsdSkel.Skeleton(stage.GetPrimAtPath("/Character/Skeleton")).GetJointsAttr().Get()
    assert joints[1] == "mixamorig_Hips/mixamorig_LeftUpLeg"
    odd = replace(stick(), names=("1 hips", "née", "n e", "toe"))
    odd = replace(odd, parents=(-1, 0, 0, 2))
    usd.save(wave(2, skeleton=odd), tmp_path / "b.usda")
    stage = Usd.Stage.Open(str(tmp_path / "b.usda"))
    joints = UsdSkel.Skeleton(stage.GetPrimAtPath("/Character/Skeleton")).GetJointsAttr().Get()
    assert list(joints) == ["_1_hips", "_1_hips/n_e", "_1_hips/n_e_2", "_1_hips/n_e_2/toe"]
    assert complaints(stage) == []


def test_what_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"a.obj: not a name for USD; expected one of .usda"):
        usd.save(wave(2), tmp_path / "a.obj")
    with pytest.raises(ValueError, match="not finite; nothing written"):
        usd.save(replace(wave(2), root=torch.full((2, 3), torch.inf)), tmp_path / "a.usda")
    monkeypatch.setitem(sys.modules, "pxr", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'motionmill\[usd\]'"):
        usd.save(wave(2), tmp_path / "a.usda")
    with pytest.raises(MissingExtraError, match="not installed"):
        check_writable(tmp_path / "a.usdz")  # before anything long is begun
    assert list(tmp_path.iterdir()) == []

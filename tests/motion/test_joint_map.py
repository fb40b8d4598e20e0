"""Joint maps, and rigs that are recognised by their bones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from motionmill.formats import bvh
from motionmill.motion import rigs, topology
from motionmill.motion.joint_map import load_joint_map
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import retarget
from motionmill.motion.skeleton import SMPL_22_NAMES, Skeleton, adult_skeleton
from motionmill.motion.transfer import bone_direction_error
from tests.motions import wandering


def nameless(skeleton: Skeleton) -> Skeleton:
    return replace(skeleton, names=tuple(f"j{index}" for index in range(skeleton.num_joints)))


def map_file(folder: Path, text: str) -> Path:
    path = folder / "map.yaml"
    path.write_text(text)
    return path


def test_bones_tell_what_names_do_not() -> None:
    rig = rigs.recognise(nameless(adult_skeleton()))
    assert dict(rig.joints) == {
        name: index for index, name in enumerate(SMPL_22_NAMES) if not name.startswith("spine")
    }
    assert rig.spine == (3, 6, 9)
    assert rig.reasons["left_knee"].startswith("bones: of the two long bones of the left leg")
    motion = wandering(1)
    unknown = replace(motion, skeleton=nameless(motion.skeleton))
    known, carried = retarget(motion), retarget(unknown)
    torch.testing.assert_close(carried.joints(), known.joints(), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "file", ["bvh_toolbox/test_mocapbank.bvh", "bvh_toolbox/test_freebvh.bvh", "mass_bvh/kick.bvh"]
)
def test_bones_of_strangers_agree_with_their_names(shared: Path, file: str) -> None:
    skeleton = bvh.load(shared / "data/originals" / file).skeleton
    named, found = rigs.recognise(skeleton), topology.find(nameless(skeleton))
    assert found is not None
    assert {part: found.joints.get(part) for part in rigs.REQUIRED} == {
        part: named.joints[part] for part in rigs.REQUIRED
    }


def test_trees_that_are_no_person_are_refused() -> None:
    chain = Skeleton(tuple("abcde"), (-1, 0, 1, 2, 3), torch.ones(5, 3))
    assert topology.find(chain) is None
    with pytest.raises(ValueError, match=r"lacks .*left_hip.*; a joint map can name them"):
        rigs.recognise(chain)
    long = Skeleton(tuple(map(str, range(1000))), (-1, *range(999)), torch.ones(1000, 3))
    assert topology.find(long) is None


def test_a_map_overrides_what_is_found(tmp_path: Path) -> None:
    skeleton = adult_skeleton()
    path = map_file(tmp_path, "left_foot: null\nneck: spine3\nspine: [spine1, spine2]\n")
    rig = rigs.recognise(skeleton, load_joint_map(path))
    assert "left_foot" not in rig.joints
    assert (rig.joints["neck"], rig.spine) == (9, (3, 6))
    assert rig.reasons["neck"] == "joint map"
    assert rig.reasons["head"] == "name, as in smpl rigs"


def test_a_map_makes_an_unknown_rig_known(tmp_path: Path) -> None:
    """A person without arms that branch where arms do is mapped by hand."""
    motion = wandering(2)
    skeleton = motion.skeleton
    names = tuple(f"bone {index}" for index in range(22))
    lines = "".join(f"{name}: bone {index}\n" for index, name in enumerate(SMPL_22_NAMES))
    odd = Motion(motion.rotations, motion.root, 30.0, replace(skeleton, names=names))
    joint_map = load_joint_map(map_file(tmp_path, lines))
    assert joint_map["spine"] == ("bone 3", "bone 6", "bone 9")
    result = retarget(odd, joint_map=joint_map)
    assert bone_direction_error(motion, result) < 0.1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("left_hipp: x", "'left_hipp' is no joint of SMPL's 22; did you mean 'left_hip'"),
        ("left_hip: [a, b]", "expected the name of a joint, or null"),
        ("left_hip: {a: b}", "expected the name of a joint, or null"),
        ("- a\n- b", "expected lines such as"),
        ("", "expected lines such as"),
        ("a: [", "not YAML"),
        ("a: !!python/object/apply:os.system ['true']", "not YAML"),
    ],
)
def test_bad_maps_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_joint_map(map_file(tmp_path, text))


def test_a_map_of_joints_that_are_not_there(tmp_path: Path) -> None:
    joint_map = load_joint_map(map_file(tmp_path, "left_hip: thigh.L\n"))
    with pytest.raises(ValueError, match=r"the skeleton has no thigh\.L; its joints are pelvis"):
        rigs.recognise(adult_skeleton(), joint_map)

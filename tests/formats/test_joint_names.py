"""Names of other tools: complete, each different, and recognised when such a file comes back."""

from __future__ import annotations

import pytest

from motionmill.formats.joint_names import PRESETS, joint_names
from motionmill.motion.rigs import recognise
from motionmill.motion.skeleton import SMPL_22_NAMES, Skeleton, adult_skeleton


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_recognised(preset: str) -> None:
    """Every joint comes back as the one it was."""
    names = joint_names(adult_skeleton(), preset)
    assert len(set(names)) == len(SMPL_22_NAMES)
    ours = adult_skeleton()
    rig = recognise(Skeleton(names, ours.parents, ours.offsets))
    assert {SMPL_22_NAMES[joint] for joint in rig.spine} == {"spine1", "spine2", "spine3"}
    assert {part: SMPL_22_NAMES[joint] for part, joint in rig.joints.items()} == {
        name: name for name in SMPL_22_NAMES if not name.startswith("spine")
    }


def test_what_the_tools_call_them() -> None:
    arm = SMPL_22_NAMES.index("left_elbow")
    found = [joint_names(adult_skeleton(), preset)[arm] for preset in PRESETS]
    assert found == ["left_elbow", "mixamorig:LeftForeArm", "lowerarm_l", "LeftLowerArm"]


def test_other_skeletons_keep_their_names() -> None:
    ours = adult_skeleton()
    part = Skeleton(ours.names[:4], ours.parents[:4], ours.offsets[:4])
    assert joint_names(part, "smpl") == ours.names[:4]
    with pytest.raises(ValueError, match=r"'unreal' are for SMPL-22; this skeleton has 4 joints"):
        joint_names(part, "unreal")

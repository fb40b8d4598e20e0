"""A motion -> the same at 30 frames a second with its joints in the world, computed once for all who measure it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from motionmill.motion.motion import Motion
from motionmill.motion.physics import MEASURE_FPS
from motionmill.motion.skeleton import SMPL_22_NAMES


@dataclass(frozen=True, eq=False)
class Kinematics:
    """What filters and descriptions measure.

    Attributes:
        motion: at 30 frames a second, on an SMPL-22 skeleton.
        joints: (T, 22, 3) world positions, metres.
        world: (T, 22, 3, 3) world rotations.
    """

    motion: Motion
    joints: Tensor
    world: Tensor

    def __len__(self) -> int:
        return len(self.joints)


def kinematics(motion: Motion) -> Kinematics:
    """One pass of forward kinematics.

    Raises:
        ValueError: the skeleton is not SMPL-22.
    """
    if motion.skeleton.names != SMPL_22_NAMES:
        raise ValueError(
            f"measured on SMPL-22 only; this skeleton has {motion.skeleton.num_joints} joints from "
            f"{motion.skeleton.names[0]}: retarget"
        )
    motion = motion.resample(MEASURE_FPS)
    return Kinematics(motion, *motion.skeleton.forward_kinematics(motion.rotations, motion.root))

"""Motion: local rotations and a root path over time on a skeleton; what every reader gives and every writer takes.

Shapes: T frames, J joints. World: Y up, metres; the soles of a standing person are at y = 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from motionmill.motion.rotations import heading, slerp, yaw_matrix
from motionmill.motion.skeleton import Skeleton, adult_skeleton, mirror_permutation


@dataclass(frozen=True, eq=False)
class Motion:
    """A clip of motion.

    Attributes:
        rotations: (T, J, 3, 3) parent-relative rotation matrices.
        root: (T, 3) world position of the root joint, metres.
        fps: frames per second.
        skeleton: names, parents and rest offsets of the joints.
        name: what the clip shows (the prompt, the file name); travels into exported files.
    """

    rotations: Tensor
    root: Tensor
    fps: float = 30.0
    skeleton: Skeleton = field(default_factory=adult_skeleton)
    name: str = ""

    def __post_init__(self) -> None:
        frames = len(self.root) if self.root.ndim else 0
        joints = self.skeleton.num_joints
        if self.rotations.shape != (frames, joints, 3, 3) or self.root.shape != (frames, 3):
            raise ValueError(
                f"motion: rotations {tuple(self.rotations.shape)} and root {tuple(self.root.shape)} do not fit; "
                f"expected (T, {joints}, 3, 3) and (T, 3)"
            )
        if frames == 0:
            raise ValueError("motion: no frames")
        if not 0 < self.fps < 10_000:
            raise ValueError(
                f"motion: {self.fps} frames per second; expected a positive rate under 10000"
            )

    def __len__(self) -> int:
        return len(self.root)

    def __getitem__(self, frames: slice) -> Motion:
        """Frames of a slice, as a Motion."""
        return replace(self, rotations=self.rotations[frames], root=self.root[frames])

    @property
    def seconds(self) -> float:
        return len(self) / self.fps

    def joints(self) -> Tensor:
        """(T, J, 3) world joint positions, metres."""
        return self.skeleton.joint_positions(self.rotations, self.root)

    def world_rotations(self) -> Tensor:
        """(T, J, 3, 3) world rotations."""
        return self.skeleton.forward_kinematics(self.rotations, self.root)[1]

    def resample(self, fps: float) -> Motion:
        """The same motion at another frame rate: rotations by slerp, root path linearly."""
        if fps == self.fps:
            return self
        if not 0 < fps < 10_000:
            raise ValueError(
                f"resample to {fps} frames per second; expected a positive rate under 10000"
            )
        last = len(self) - 1
        count = int(last * fps / self.fps + 1e-6) + 1
        times = torch.arange(count, dtype=torch.float64) * (self.fps / fps)
        lower = times.floor().long().clamp(max=last)
        upper = (lower + 1).clamp(max=last)
        weight = (times - lower).to(self.root)
        rotations = slerp(
            self.rotations[lower],
            self.rotations[upper],
            weight[:, None].expand(-1, self.skeleton.num_joints),
        )
        root = torch.lerp(self.root[lower], self.root[upper], weight[:, None])
        return replace(self, rotations=rotations, root=root, fps=float(fps))

    def mirror(self) -> Motion:
        """Left and right exchanged (reflection in the plane x = 0). For SMPL-22 skeletons."""
        if self.skeleton.num_joints != len(mirror_permutation()):
            raise ValueError(
                f"mirror: the skeleton has {self.skeleton.num_joints} joints; expected SMPL-22's 22"
            )
        flip = self.root.new_tensor([-1.0, 1.0, 1.0])
        order = list(mirror_permutation())
        rotations = self.rotations[:, order] * flip[:, None] * flip
        return replace(self, rotations=rotations, root=self.root * flip)

    def face_forward(self) -> Motion:
        """The motion turned and moved so that it starts over the origin, facing +Z. Heights stay."""
        turn = yaw_matrix(-heading(self.rotations[0, 0]))
        start = self.root[0] * self.root.new_tensor([1.0, 0.0, 1.0])
        return self.transformed(turn, -(turn @ start))

    def transformed(self, rotation: Tensor, translation: Tensor) -> Motion:
        """The motion moved rigidly: world points p become rotation @ p + translation.

        Args:
            rotation: (3, 3).
            translation: (3,), metres.
        """
        rotations = self.rotations.clone()
        rotations[:, 0] = rotation.to(rotations) @ rotations[:, 0]
        root = self.root @ rotation.to(self.root).T + translation.to(self.root)
        return replace(self, rotations=rotations, root=root)


def concatenate(motions: Sequence[Motion]) -> Motion:
    """One motion after the other; each starts where, and facing as, the one before it ended.

    Raises:
        ValueError: no motions, or different skeletons or frame rates.
    """
    if not motions:
        raise ValueError("concatenate: no motions given")
    first = motions[0]
    parts = [first]
    for motion in motions[1:]:
        if motion.fps != first.fps or motion.skeleton.names != first.skeleton.names:
            raise ValueError(
                "concatenate: the motions differ in frame rate or skeleton; resample or retarget first"
            )
        end = parts[-1]
        turn = yaw_matrix(heading(end.rotations[-1, 0]) - heading(motion.rotations[0, 0]))
        shift = end.root[-1] - turn @ motion.root[0]
        shift = shift * shift.new_tensor([1.0, 0.0, 1.0])
        parts.append(motion.transformed(turn, shift))
    return replace(
        first,
        rotations=torch.cat([part.rotations for part in parts]),
        root=torch.cat([part.root for part in parts]),
    )

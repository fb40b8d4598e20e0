"""Motions -> what is measured of each: embedding, physics, classes, and the errors of a reconstruction.

Shapes: N motions, E embedding, T frames, F features (272).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from motionmill.evaluation.evaluator import TrainedEvaluator
from motionmill.evaluation.metrics import acceleration_error, mpjpe
from motionmill.evaluation.recognition import TrainedJudge
from motionmill.motion import physics
from motionmill.motion.features import FEATURES_FPS, to_joints, to_motion
from motionmill.training.weights import load_tensors, save_tensors

PHYSICS: Final = ("foot_slide_mm", "floating_percent", "penetration_mm", "jitter")
ERRORS: Final = ("mpjpe_mm", "mpjpe_global_mm", "acceleration_error")


@dataclass(frozen=True, eq=False)
class Measured:
    """Measurements of N motions.

    Attributes:
        samples: (N,) places of their samples.
        embeddings: (N, E).
        physics: (N, 4), see `PHYSICS`.
        frames: (N,) lengths.
        classes: (N, 2) places of content and style among the judge's.
        errors: (N, 3) against the real motion, see `ERRORS`; (N, 0) where the motions are not reconstructions.
    """

    samples: Tensor
    embeddings: Tensor
    physics: Tensor
    frames: Tensor
    classes: Tensor
    errors: Tensor

    def save(self, path: Path) -> None:
        """Write, aside first and then renamed."""
        save_tensors({name: value.contiguous() for name, value in vars(self).items()}, path)

    @classmethod
    def load(cls, path: Path) -> Measured:
        """Raises FileNotFoundError or ValueError where it is not there or damaged."""
        return cls(**load_tensors(path))


@dataclass(frozen=True, eq=False)
class Instruments:
    """What motions are measured with."""

    evaluator: TrainedEvaluator
    judge: TrainedJudge

    def __call__(
        self, motions: Sequence[Tensor | None], real: Sequence[Tensor] | None = None
    ) -> Measured:
        """Measure.

        Args:
            motions: features (T, 272) of each sample's motion, None where a system has none.
            real: what the motions are reconstructions of, each at least as long.
        """
        known = [place for place, motion in enumerate(motions) if motion is not None]
        present = [motion.float() for motion in motions if motion is not None]
        longest = self.evaluator.model.config.max_frames
        judged = self.judge(present)
        contents, styles = self.judge.model.config.contents, self.judge.model.config.styles
        return Measured(
            torch.tensor(known, dtype=torch.long),
            self.evaluator.embed_motions([motion[:longest] for motion in present]),
            torch.tensor([physics_of(motion) for motion in present]).reshape(-1, len(PHYSICS)),
            torch.tensor([len(motion) for motion in present], dtype=torch.long),
            torch.tensor(
                [(contents.index(v.content), styles.index(v.style)) for v in judged],
                dtype=torch.long,
            ).reshape(-1, 2),
            torch.tensor(
                []
                if real is None
                else [errors_of(motion, real[k]) for k, motion in zip(known, present, strict=True)]
            ).reshape(len(present), 0 if real is None else len(ERRORS)),
        )


def physics_of(features: Tensor) -> tuple[float, float, float, float]:
    """(T, 272) -> foot slide, floating, penetration and jitter of the motion that they make on our skeleton."""
    motion = to_motion(features)
    skeleton = motion.skeleton
    joints = motion.joints()
    feet = joints[:, physics.foot_indices(skeleton)]
    heights = feet[..., 1] - physics.standing_heights(skeleton).to(feet)
    return (
        float(physics.foot_slide_of(feet, heights)) if len(feet) > 1 else 0.0,
        physics.floating_of(joints, skeleton),
        physics.penetration_of(heights),
        float(physics.jitter_of(joints, physics.MEASURE_FPS)),
    )


def errors_of(made: Tensor, real: Tensor) -> tuple[float, float, float]:
    """Features (T, 272) of a motion and of the one that it reconstructs -> position errors, mm, and m/s^2."""
    joints, truth = to_joints(made.double()), to_joints(real[: len(made)].double())
    return (
        1000 * mpjpe(joints, truth),
        1000 * mpjpe(joints, truth, root_aligned=False),
        acceleration_error(joints, truth, FEATURES_FPS),
    )

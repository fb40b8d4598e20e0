"""A codec knows the body that its motions are on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from motionmill.generator.release import load_release
from motionmill.motion.features import POSITIONS, from_motion, leg_length
from motionmill.motion.motion import Motion
from motionmill.motion.skeleton import adult_skeleton


def test_a_doubtful_decoder_makes_nobody_taller() -> None:
    """Means of positions are shorter than bones; on our skeleton that says nothing about the person's size."""
    skeleton = adult_skeleton()
    turns = torch.eye(3, dtype=torch.float64).expand(8, 22, 3, 3)
    root = torch.tensor([0.0, skeleton.standing_root_height, 0.0], dtype=torch.float64)
    features = from_motion(Motion(turns, root.expand(8, 3), 30.0, skeleton))
    features[:, POSITIONS] *= 0.8
    codec = load_release("mini").codec
    assert float(codec.leg_length(features)) == pytest.approx(skeleton.leg_length)
    other = replace(codec, own_skeleton=False)
    assert float(other.leg_length(features)) == pytest.approx(0.8 * skeleton.leg_length)
    assert torch.equal(other.leg_length(features), leg_length(features))

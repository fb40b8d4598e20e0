"""Tokens of one part or of several in a row -> the raw motion, softened where one part goes over into the next."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from motionmill.motion.features import to_motion
from motionmill.motion.motion import Motion
from motionmill.motion.seams import joined
from motionmill.tokenizer.encode import MotionCodec


def tokens_to_motion(
    codec: MotionCodec, tokens: Tensor, *, starts: Sequence[int] = (), name: str = ""
) -> Motion:
    """(N,) tokens -> Motion on our skeleton, on the CPU.

    Args:
        starts: at which tokens the parts but the first begin.
    """
    device = codec.tokenizer.project_out.weight.device
    features = codec.decode(tokens.to(device)).cpu()
    motion = to_motion(features, name=name, leg=codec.leg_length(features))
    return joined(motion, [start * codec.frames_per_token for start in starts])

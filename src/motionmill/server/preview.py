"""Tokens as they come -> raw frames for the browser: rotations as quaternions in 16 bits, the root in float32.

Shapes: T frames, J joints.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from motionmill.motion.features import NUM_FEATURES, to_motion
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import matrix_to_quaternion
from motionmill.tokenizer.encode import MotionCodec
from motionmill.tokenizer.stream import StreamDecoder

_UNIT = 32767


class Preview:
    """Frames of a growing motion; `restart` where it turns out to be another."""

    def __init__(self, codec: MotionCodec) -> None:
        self._codec = codec
        self.restart()

    def restart(self) -> None:
        """Forget all tokens; the next frames are from the first on."""
        self._decoder = StreamDecoder(self._codec)
        self._features = torch.empty(0, NUM_FEATURES, dtype=torch.float64)
        self._leg: Tensor | None = None
        self.num_tokens = 0

    def push(self, tokens: Sequence[int]) -> dict[str, Any] | None:
        """More tokens -> the new frames as `packed`, with the number of the first; None where none is final yet."""
        self.num_tokens += len(tokens)
        rows = self._decoder.push(tokens).cpu()
        if not len(rows):
            return None
        self._leg = self._codec.leg_length(rows) if self._leg is None else self._leg
        start = len(self._features)
        self._features = torch.cat((self._features, rows))
        piece = to_motion(self._features, leg=self._leg)[slice(start, None)]
        return {"start": start, **packed(piece)}


def packed(motion: Motion) -> dict[str, Any]:
    """Frames as JSON: `rotations` (T, J, 4) xyzw in units of 1/32767, int16, `root` (T, 3) float32, both base64."""
    quaternions = matrix_to_quaternion(motion.rotations.double().cpu())
    whole = torch.round(quaternions * _UNIT).to(torch.int16).numpy().astype("<i2")
    root = motion.root.float().cpu().numpy().astype("<f4")
    return {
        "frames": len(motion),
        "fps": motion.fps,
        "rotations": base64.b64encode(whole.tobytes()).decode(),
        "root": base64.b64encode(root.tobytes()).decode(),
    }

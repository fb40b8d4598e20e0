"""A data set and a protocol -> the samples that every system is measured on.

Source of `legacy`: the official evaluation code (60 to 200 frames, length cut to a multiple of 4, a random caption and
crop; here both are drawn by a seed). `v2`: a clip's caption is fixed by its id, and nothing is cropped.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from motionmill.data.clip import Clip
from motionmill.data.loader import load_clips
from motionmill.data.wording.captions import judge_classes
from motionmill.evaluation.config import ProtocolConfig
from motionmill.evaluation.recognition import Verdict

_LEGACY_UNIT = 4


@dataclass(frozen=True, eq=False)
class Sample:
    """One text with the real motion that it describes.

    Attributes:
        id: the clip's.
        text: the caption that systems get.
        features: (T, 272) of the real motion.
        truth: its classes, where the judge knows them.
    """

    id: str
    text: str
    features: Tensor
    truth: Verdict | None = None


def samples_of(data: Path, protocol: ProtocolConfig) -> list[Sample]:
    """The samples of a split, in the order of their ids' hashes.

    Raises:
        FileNotFoundError: no data set there.
        ValueError: too few clips of that length for one pool.
    """
    clips = [
        clip
        for clip in load_clips(data, (protocol.split,))[protocol.split]
        if protocol.min_frames <= len(clip) <= protocol.max_frames
    ]
    clips.sort(key=lambda clip: _hash(clip.id))
    clips = clips[: protocol.max_clips]
    if len(clips) < protocol.pool_size:
        raise ValueError(
            f"{data}: {len(clips)} clips of {protocol.min_frames} to {protocol.max_frames} frames in split "
            f"{protocol.split!r}; expected at least one pool of {protocol.pool_size}"
        )
    make = _legacy if protocol.name == "legacy" else _fixed
    return [make(clip) for clip in clips]


def sample_set_hash(samples: Sequence[Sample]) -> str:
    """Tells sets of samples apart: ids, texts and lengths."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(f"{sample.id}\0{sample.text}\0{len(sample.features)}\n".encode())
    return digest.hexdigest()[:16]


def _fixed(clip: Clip) -> Sample:
    captions = sorted(clip.captions, key=lambda text: _hash(f"{clip.id}/{text}"))
    return Sample(clip.id, captions[0], clip.features, _truth(clip))


def _legacy(clip: Clip) -> Sample:
    draw = random.Random(_hash(f"legacy/{clip.id}"))
    units = len(clip) // _LEGACY_UNIT
    if draw.random() < 1 / 3:
        units -= 1
    length = units * _LEGACY_UNIT
    start = draw.randint(0, len(clip) - length)
    features = clip.features[start : start + length]
    return Sample(clip.id, draw.choice(clip.captions), features, _truth(clip))


def _truth(clip: Clip) -> Verdict | None:
    content, style = judge_classes(clip.content, clip.style)
    return None if content is None or style is None else Verdict(content, style)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()

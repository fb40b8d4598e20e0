"""A clip -> the ways in which training sees it: as it is, mirrored, from later starts, each with true captions."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from motionmill.data.clip import Clip
from motionmill.data.wording.captions import mirror_caption, word_weight
from motionmill.generator.config import GeneratorDataConfig
from motionmill.motion import features as feature


class View(NamedTuple):
    """Features (T, 272) of a clip as training sees them, mirrored or from a later start."""

    clip: Clip
    features: Tensor
    captions: tuple[str, ...]
    weight: float


def views_of(
    clip: Clip,
    size: int,
    config: GeneratorDataConfig,
    unit: int,
    max_tokens: int,
    *,
    augment: bool,
) -> Iterator[View]:
    """The views of a clip whose class has `size` clips."""
    offsets = config.start_offsets if augment else (0,)
    mirrors = (False, True) if augment and config.mirror else (False,)
    weight = size ** (config.balance - 1) * config.source_weights.get(clip.source, 1.0)
    weight *= word_weight(clip.captions, config.word_weights) / len(mirrors) / len(offsets)
    count = min(
        config.max_captions, max(config.min_captions, math.ceil(config.class_captions / size))
    )
    captions = some_captions(clip, count)
    for mirrored in mirrors:
        whole = feature.mirror(clip.features) if mirrored else clip.features
        texts = tuple(map(mirror_caption, captions)) if mirrored else captions
        for offset in offsets:
            part = restart(whole, offset)
            if len(part) >= 2 * unit:
                yield View(clip, part[: max_tokens * unit], texts, weight)


def restart(features: Tensor, offset: int) -> Tensor:
    """The features of a clip that begins `offset` frames later: its first frame has no velocity and no turn."""
    if offset == 0:
        return features
    part = features[offset:].clone()
    part[:1, feature.ROOT_VELOCITY] = 0.0
    part[:1, feature.HEADING] = part.new_tensor([1.0, 0, 0, 0, 1.0, 0])
    part[:1, feature.VELOCITIES] = 0.0
    return part


def some_captions(clip: Clip, count: int) -> tuple[str, ...]:
    """`count` of a clip's captions, chosen by a hash, the same on every machine."""
    ranked = sorted(
        clip.captions, key=lambda text: hashlib.sha256(f"{clip.id}/{text}".encode()).digest()
    )
    return tuple(ranked[:count])


def label(clip: Clip) -> tuple[str, str, str | None]:
    """What a clip counts as; the recordings of a source without labels count one by one."""
    return clip.source, clip.content or clip.group, clip.style

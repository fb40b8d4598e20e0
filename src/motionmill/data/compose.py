"""Clips of gestures -> clips of gestures in styles that nobody recorded: an arm of one clip on the body of another.

Who raises both hands and waves one hand in a style has shown how that style raises one hand. Two clips of one person's
manner are composed in space: the body and one arm of the first, the other arm of the second, stretched to the first
one's length. (The idea is that of SINC, Athanasiou and others, ICCV 2023, who compose body parts of different actions.)
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

import torch

from motionmill.data.clip import Clip
from motionmill.data.describing.describe import contradicts, facts
from motionmill.data.wording.captions import judge_classes, write_captions
from motionmill.motion.features import from_motion, to_motion
from motionmill.motion.motion import Motion
from motionmill.motion.rotations import slerp

Arms = tuple[Literal["rest", "raise", "wave"], Literal["rest", "raise", "wave"]]

GESTURES: Final[Mapping[str, Arms]] = {
    "raise-up-left-hand": ("raise", "rest"),
    "raise-up-right-hand": ("rest", "raise"),
    "raise-up-both-hands": ("raise", "raise"),
    "wave-left-hand": ("wave", "rest"),
    "wave-right-hand": ("rest", "wave"),
    "wave-both-hands": ("wave", "wave"),
}
"""What the left and the right arm do in each content class."""

_ARM_JOINTS: Final = ((13, 16, 18, 20), (14, 17, 19, 21))  # collar to wrist, left and right
_MAX_STRETCH: Final = 1.4  # of an arm that acts; a resting arm may be stretched twice as much


def compose(body: Clip, arm: Clip, side: int) -> Motion:
    """The motion of `body` with one arm (0 left, 1 right) of `arm`, stretched to its length."""
    motion, other = to_motion(body.features.double()), to_motion(arm.features.double())
    joints = list(_ARM_JOINTS[side])
    places = torch.linspace(0, len(other) - 1, len(motion), dtype=torch.float64)
    lower = places.floor().long()
    upper = (lower + 1).clamp(max=len(other) - 1)
    weight = (places - lower)[:, None].expand(-1, len(joints))
    rotations = motion.rotations.clone()
    rotations[:, joints] = slerp(
        other.rotations[lower][:, joints], other.rotations[upper][:, joints], weight
    )
    return replace(motion, rotations=rotations)


def fill(clips: Sequence[Clip], count: int, *, captions: int = 32, seed: int = 0) -> list[Clip]:
    """Composed clips for every style and gesture that has fewer than `count` clips, until it has as many.

    Args:
        clips: training clips only: what is composed of them is training data.
        captions: how many each new clip gets.
    """
    by_manner: dict[tuple[str, str], dict[Arms, list[Clip]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for clip in clips:
        content, style = judge_classes(clip.content, clip.style)
        if content is not None and style is not None and content in GESTURES:
            manner = (str(clip.provenance.get("published", clip.source)), str(clip.style))
            by_manner[manner][GESTURES[content]].append(clip)
    made: list[Clip] = []
    for manner, by_arms in sorted(by_manner.items()):
        for content, arms in GESTURES.items():
            missing = count - len(by_arms.get(arms, ()))
            pairs = _pairs(by_arms, arms)
            rng = random.Random(f"{seed}/{manner}/{content}")
            for body, arm, side in rng.sample(pairs, min(max(0, missing), len(pairs))):
                made.append(_clip(body, arm, side, content, captions))
    return made


def _pairs(by_arms: Mapping[Arms, Sequence[Clip]], wanted: Arms) -> list[tuple[Clip, Clip, int]]:
    """All (body, arm, side) that show the wanted gesture, where neither clip shows it already."""
    found = []
    for (first, bodies), (second, arms), side in itertools.product(
        by_arms.items(), by_arms.items(), (0, 1)
    ):
        kept, replaced = first[1 - side], second[side]
        if wanted in (first, second) or (kept, replaced) != (wanted[1 - side], wanted[side]):
            continue
        limit = _MAX_STRETCH * (2 if replaced == "rest" else 1)
        found += [
            (body, arm, side)
            for body, arm in itertools.product(bodies, arms)
            if max(len(body), len(arm)) <= limit * min(len(body), len(arm))
        ]
    return found


def _clip(body: Clip, arm: Clip, side: int, content: str, count: int) -> Clip:
    motion = compose(body, arm, side)
    name = f"{body.id}+{('left', 'right')[side]}:{arm.id}"
    seen = facts(motion)
    rng = random.Random(hashlib.sha256(name.encode()).digest())
    labels = {"content": content, "style": body.style}
    written = write_captions(labels, seen, count=count, rng=rng)
    truthful = tuple(text for text in written if contradicts(text, seen) is None)
    return replace(
        body,
        id=name,
        features=from_motion(motion).float(),
        captions=truthful or ("a person moves",),
        content=content,
        provenance={**body.provenance, "composed_with": arm.id},
    )

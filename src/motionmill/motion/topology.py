"""A skeleton with unknown names -> which of its joints are a person's, by how its bones hang together.

The pelvis is where two legs and a trunk meet, the chest where the trunk parts into two arms. A thigh and a shin, an
upper arm and a forearm are the two long bones of a limb. Feet point forward, which tells left from right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from motionmill.motion.skeleton import Skeleton

_LONG = 0.25  # a branch with this share of the skeleton's longest reach may be a limb or the trunk
_ALIKE = 0.75  # two limbs of a pair have reaches of at least this ratio
_NEAR_BEST = 0.8
_MAX_CHAIN = 30  # joints of a limb that are looked at, from the body outwards
_LEFT_NAME = re.compile(r"left|(?:^|[^a-z])l(?:[^a-z]|$)|^l(?=[A-Z])|_l\b")
_RIGHT_NAME = re.compile(r"right|(?:^|[^a-z])r(?:[^a-z]|$)|^r(?=[A-Z])|_r\b")


@dataclass(frozen=True)
class Anatomy:
    """What was found.

    Attributes:
        joints: SMPL-22 name -> joint index, without the spine.
        spine: joints between pelvis and neck, from below.
        reasons: SMPL-22 name -> why.
    """

    joints: dict[str, int]
    spine: tuple[int, ...]
    reasons: dict[str, str]


def find(skeleton: Skeleton) -> Anatomy | None:
    """The parts of a person in a skeleton whose zero pose stands, or None where its tree is no person's."""
    tree = _Tree(skeleton)
    parts = tree.trunk_and_legs()
    if parts is None:
        return None
    pelvis, legs, trunk = parts
    spine, arms, neck = tree.chest(trunk)
    if len(arms) != 2:
        return None
    hips = [tree.limb(leg) for leg in legs]
    shoulders = [tree.limb(arm) for arm in arms]
    if any(limb is None for limb in (*hips, *shoulders)):
        return None
    joints = {"pelvis": pelvis}
    reasons = {"pelvis": "where two legs and the trunk meet"}
    left, told = tree.left([limb for limb in hips if limb], spine[-1], pelvis)
    for kind, chains, limbs in (("leg", legs, hips), ("arm", arms, shoulders)):
        names = ("hip", "knee", "ankle") if kind == "leg" else ("shoulder", "elbow", "wrist")
        middles = [tree.points[limb[1]] for limb in limbs if limb]
        first_is_left = float((middles[0] - middles[1]) @ left) > 0
        for order, (chain, limb) in enumerate(zip(chains, limbs, strict=True)):
            assert limb is not None
            side = "left" if (order == 0) == first_is_left else "right"
            for name, joint in zip(names, limb, strict=True):
                joints[f"{side}_{name}"] = joint
                reasons[f"{side}_{name}"] = f"of the two long bones of the {side} {kind} ({told})"
            before, after = _around(chain, limb)
            if kind == "arm" and before is not None:
                joints[f"{side}_collar"] = before
                reasons[f"{side}_collar"] = f"between chest and {side} upper arm"
            if kind == "leg" and after is not None:
                joints[f"{side}_foot"] = after
                reasons[f"{side}_foot"] = f"below the {side} ankle"
    for name, joint in zip(("neck", "head"), neck, strict=False):
        joints[name] = joint
        reasons[name] = "what is left above the chest"
    return Anatomy(joints, tuple(spine), reasons)


class _Tree:
    """The bones of a skeleton with their reaches."""

    def __init__(self, skeleton: Skeleton) -> None:
        self.names = skeleton.names
        self.points = skeleton.rest_joints.double()
        self.children: list[list[int]] = [[] for _ in skeleton.parents]
        self.lengths = skeleton.offsets.double().norm(dim=-1).tolist()
        for child, parent in enumerate(skeleton.parents):
            if parent >= 0:
                self.children[parent].append(child)
        self.reach = [0.0] * len(skeleton.parents)  # longest way down from a joint
        for joint in range(len(skeleton.parents) - 1, 0, -1):
            parent = skeleton.parents[joint]
            self.reach[parent] = max(self.reach[parent], self.branch(joint))
        self.least = _LONG * max(self.reach)

    def branch(self, joint: int) -> float:
        """Longest way down from a joint's parent through the joint."""
        return float(self.lengths[joint]) + self.reach[joint]

    def long_branches(self, joint: int) -> list[int]:
        return [child for child in self.children[joint] if self.branch(child) > self.least]

    def parts(self, joint: int) -> bool:
        """Whether a branch parts into several long ones."""
        while True:
            below = self.long_branches(joint)
            if len(below) != 1:
                return len(below) > 1
            joint = below[0]

    def trunk_and_legs(self) -> tuple[int, list[list[int]], int] | None:
        """The pelvis, the chains of the legs, and the first joint of the trunk."""
        joint = 0
        while len(below := self.long_branches(joint)) == 1:
            joint = below[0]
        legs = [child for child in below if not self.parts(child)]
        trunks = [child for child in below if self.parts(child)]
        if len(below) == 2 and len(trunks) == 2:  # the legs hang together on a joint of their own
            for hips, trunk in (trunks, trunks[::-1]):
                below = self.long_branches(self.parting(hips))
                if len(below) == 2 and not any(map(self.parts, below)) and self._arms_above(trunk):
                    legs, trunks = below, [trunk]
                    break
        if len(legs) != 2 or len(trunks) != 1 or not self._alike(legs):
            return None
        return joint, [self.chain(leg) for leg in legs], trunks[0]

    def parting(self, joint: int) -> int:
        while len(below := self.long_branches(joint)) == 1:
            joint = below[0]
        return joint

    def _arms_above(self, trunk: int) -> bool:
        return len(self.children[self.parting(trunk)]) >= 3

    def chest(self, trunk: int) -> tuple[list[int], list[list[int]], list[int]]:
        """The joints of the trunk from below to the chest, the chains of the arms, and the neck and head."""
        spine = [trunk]
        while len(below := self.long_branches(spine[-1])) == 1:
            spine.append(below[0])
        branches = sorted(self.children[spine[-1]], key=self.branch, reverse=True)
        pairs = [
            (one, other)
            for one in branches
            for other in branches
            if one < other and self._alike([one, other]) and self.branch(one) > self.least
        ]
        if not pairs:
            return spine, [], []
        arms = max(pairs, key=lambda pair: self.branch(pair[0]) + self.branch(pair[1]))
        others = [joint for joint in branches if joint not in arms and self.children[joint]]
        neck = self.chain(others[0])[:2] if others else []
        return spine, [self.to_hand(self.chain(arm)) for arm in arms], neck

    def _alike(self, pair: Sequence[int]) -> bool:
        short, long = sorted(map(self.branch, pair))
        return short > _ALIKE * long

    def chain(self, joint: int) -> list[int]:
        """A joint and what follows it on the longest way down."""
        chain = [joint]
        while below := self.children[chain[-1]]:
            chain.append(max(below, key=self.branch))
        return chain

    def to_hand(self, chain: list[int]) -> list[int]:
        """The chain of an arm up to where it parts into fingers."""
        for place, joint in enumerate(chain[2:], 2):
            reaches = sorted(map(self.branch, self.children[joint]))
            if len(reaches) > 1 and reaches[-2] > 0.5 * reaches[-1]:
                return chain[: place + 1]
        return chain

    def limb(self, chain: list[int]) -> tuple[int, int, int] | None:
        """Where the two long bones of a limb begin, meet and end: alike in length, and no longer than needed."""
        found = []
        chain = chain[:_MAX_CHAIN]
        for a in range(len(chain)):
            for b in range(a + 1, len(chain)):
                for c in range(b + 1, len(chain)):
                    upper = float((self.points[chain[b]] - self.points[chain[a]]).norm())
                    lower = float((self.points[chain[c]] - self.points[chain[b]]).norm())
                    found.append((min(upper, lower), upper + lower, (chain[a], chain[b], chain[c])))
        best = max((shorter for shorter, _, _ in found), default=0.0)
        near = [item for item in found if best > 0 and item[0] >= _NEAR_BEST * best]
        return min(near, key=lambda item: item[1])[2] if near else None

    def left(self, legs: list[tuple[int, int, int]], chest: int, pelvis: int) -> tuple[Tensor, str]:
        """The direction to the person's left, and how it was told."""
        up = F.normalize(self.points[chest] - self.points[pelvis], dim=0)
        toes = [self.points[self.chain(leg[2])[-1]] - self.points[leg[2]] for leg in legs]
        forward = sum(toes, torch.zeros(3, dtype=torch.float64))
        forward = forward - (forward @ up) * up
        across = self.points[legs[0][1]] - self.points[legs[1][1]]
        for leg, other, sign in ((legs[0], legs[1], 1.0), (legs[1], legs[0], -1.0)):
            name, against = self.names[leg[0]], self.names[other[0]]
            if _is(_LEFT_NAME, name) and _is(_RIGHT_NAME, against):
                return sign * across, "left by its name"
        reach = max(float(toe.norm()) for toe in toes)
        if float(forward.norm()) > 0.3 * reach > 0:
            return torch.linalg.cross(up, forward), "left as the feet point"
        facing = [0.0, 0.0, 1.0] if abs(float(up[1])) > 0.5 else [0.0, -1.0, 0.0]
        return torch.linalg.cross(up, up.new_tensor(facing)), "left if it faces the viewer"


def _is(pattern: re.Pattern[str], name: str) -> bool:
    return bool(pattern.search(name) or pattern.search(name.lower()))


def _around(chain: list[int], limb: tuple[int, int, int]) -> tuple[int | None, int | None]:
    """The joints before and after a limb in its chain."""
    first, last = chain.index(limb[0]), chain.index(limb[2])
    before = chain[first - 1] if first > 0 else None
    return before, chain[last + 1] if last + 1 < len(chain) else None

"""BVH text <-> Motion on the file's own skeleton.

Shapes: T frames, C channels. The format: M. Meredith and S. Maddock, "Motion Capture File Formats Explained", 2001,
section on BVH. Rotations are degrees, applied in the order in which the channels are listed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from motionmill.formats import bvh_text
from motionmill.formats.channels import motion_from_channels
from motionmill.formats.joint_names import joint_names
from motionmill.motion import rigs
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import upright
from motionmill.motion.rotations import euler_curves
from motionmill.motion.skeleton import Skeleton

_ORDERS = ("XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX")
_UNITS = (
    1.0,
    100 / 5.6444,
    1 / 0.0254,
    100.0,
    1000.0,
)  # m, CMU (cgspeed), inch, cm, mm: units in a metre
_ADULT_LEG = (0.55, 1.05)  # thigh plus shin, metres
_MAX_BYTES = 1 << 30


def load(path: str | os.PathLike[str], *, scale: float | None = None) -> Motion:
    """Reads a BVH file as a Motion on the skeleton in the file, in metres, Y up.

    Args:
        path: the file.
        scale: file units in a metre (100 for centimetres). By default `guess_scale` tells from the skeleton's size.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a BVH file; the message names the file, the line, what was expected and what is there.
    """
    path = Path(path)
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path.name}: {path.stat().st_size} bytes; at most {_MAX_BYTES} are read")
    if scale is not None and not 0 < scale < 1e6:
        raise ValueError(
            f"scale {scale}: expected the file's units in a metre, for example 100 for cm"
        )
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    hierarchy, values, fps = bvh_text.parse(text, path.name)
    motion = motion_from_channels(hierarchy, values, fps=fps, scale=scale or 1.0, name=path.stem)
    if scale is None:
        units = guess_scale(motion.skeleton)
        skeleton = replace(motion.skeleton, offsets=motion.skeleton.offsets / units)
        motion = replace(motion, root=motion.root / units, skeleton=skeleton)
    return upright(motion)


def save(
    motion: Motion,
    path: str | os.PathLike[str],
    *,
    order: str = "ZXY",
    scale: float = 100.0,
    names: str = "smpl",
    rest_first: bool = False,
) -> None:
    """Writes a Motion as a BVH file: the root with six channels, every other joint with three.

    Args:
        motion: on any skeleton.
        path: the file; it appears whole or not at all.
        order: in which a joint's rotations are applied, for example "ZXY".
        scale: file units in a metre; 100 writes centimetres.
        names: what the joints are called: smpl (as they are), mixamo, unreal or unity.
        rest_first: puts the rest pose (T-pose for ours) before the first frame, which some tools bind characters to.

    Raises:
        ValueError: unknown order or names, impossible scale, or values that are not finite.
    """
    if order not in _ORDERS:
        raise ValueError(f"rotation order {order!r}; expected one of {', '.join(_ORDERS)}")
    if not 0 < scale < 1e6:
        raise ValueError(f"scale {scale}: expected file units in a metre, for example 100 for cm")
    skeleton = motion.skeleton
    called = joint_names(skeleton, names)
    rotations = motion.rotations[:, skeleton.depth_first()].double().cpu()
    angles = torch.rad2deg(euler_curves(order, rotations)).flatten(1)
    values = torch.cat((motion.root.double().cpu() * scale, angles), dim=1)
    if not values.isfinite().all():
        raise ValueError(
            f"{Path(path).name}: the motion has values that are not finite; nothing written"
        )
    if rest_first:
        rest = torch.zeros_like(values[:1])
        rest[0, :3] = values[0, :3]
        rest[0, 1] = skeleton.standing_root_height * scale
        values = torch.cat((rest, values))
    rows = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in values.tolist())
    text = (
        f"HIERARCHY\n{_hierarchy_text(skeleton, called, order, scale)}MOTION\nFrames: {len(values)}\n"
        f"Frame Time: {1.0 / motion.fps:.10f}\n{rows}\n"
    )
    path = Path(path)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def guess_scale(skeleton: Skeleton) -> float:
    """Units in a metre, for a skeleton in an unknown unit: metres, inches, centimetres, millimetres or CMU's own.

    The unit in which thigh plus shin are an adult's (0.55 to 1.05 m) is taken; where none fits, or the joints have
    unknown names, the leg (half of the longest chain of bones) is made 0.8 m long.
    """
    try:
        rig = rigs.recognise(skeleton)
        leg = rigs.leg_length(rig, skeleton)
    except ValueError:
        reach = [0.0]
        for parent, offset in zip(skeleton.parents[1:], skeleton.offsets[1:], strict=True):
            reach.append(reach[parent] + float(offset.norm()))
        leg = 0.8 * max(reach)
    for units in _UNITS:
        if _ADULT_LEG[0] < leg / units < _ADULT_LEG[1]:
            return units
    return leg / 0.8 if leg > 0 else 1.0


def _hierarchy_text(skeleton: Skeleton, names: Sequence[str], order: str, scale: float) -> str:
    """The tree under HIERARCHY; leaves get an End Site that continues their bone."""
    rotations = " ".join(f"{axis}rotation" for axis in order)

    def offset(values: Tensor) -> str:
        return " ".join(f"{value:.6f}" for value in (values.double() * scale).tolist())

    def block(joint: int, depth: int) -> str:
        name = re.sub(r"[{}\s]+", " ", names[joint]).strip()
        tab = "\t" * depth
        kind = "ROOT" if depth == 0 else "JOINT"
        channels = (
            f"6 Xposition Yposition Zposition {rotations}" if depth == 0 else f"3 {rotations}"
        )
        inner = "".join(block(child, depth + 1) for child in skeleton.children(joint))
        if not inner:
            tip = offset(0.5 * skeleton.offsets[joint])
            inner = f"{tab}\tEnd Site\n{tab}\t{{\n{tab}\t\tOFFSET {tip}\n{tab}\t}}\n"
        return (
            f"{tab}{kind} {name}\n{tab}{{\n{tab}\tOFFSET {offset(skeleton.offsets[joint])}\n"
            f"{tab}\tCHANNELS {channels}\n{inner}{tab}}}\n"
        )

    return block(0, 0)

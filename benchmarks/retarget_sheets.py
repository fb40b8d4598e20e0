"""Contact sheets of how every source of motion capture is carried over to our skeleton.

    python benchmarks/retarget_sheets.py ../shared/data OUTPUT [--clips 24] [--only bandai snu2] [--ids ID ...]

Writes OUTPUT/SOURCE_N.png (source left of result, left limbs red, right limbs blue). The numbers are printed by
`motionmill inspect --retarget-report ../shared/data/SOURCE ...`.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from motionmill.formats.packed import PackedClip, read_folder
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import retarget, upright
from motionmill.motion.rig_tables import SIDES
from motionmill.motion.rigs import leg_length, recognise

SOURCES = ("bandai", "snu2", "uiprmd", "cmu2", "cmu", "cmu_acrnn", "extra", "game_cc0")
CELL, FRAMES, ROWS = 150, 7, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder that holds the folders of packed shards")
    parser.add_argument("output", type=Path)
    parser.add_argument("--clips", type=int, default=24, help="clips of a source on the sheets")
    parser.add_argument("--only", nargs="*", default=SOURCES, help="folders to do")
    parser.add_argument("--ids", nargs="*", help="clips to draw; by default evenly spread ones")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for source in arguments.only:
        clips = read_folder(arguments.data / source)
        step = max(1, len(clips) // arguments.clips)
        chosen = clips[::step][: arguments.clips]
        if arguments.ids:
            chosen = [clip for clip in clips if clip.id in arguments.ids]
        draw_sheets(chosen, arguments.output / source)


def draw_sheets(clips: list[PackedClip], stem: Path) -> None:
    """Pages of ROWS clips: FRAMES frames of each, the source's figure left of ours, in a three-quarter view."""
    for page in range(0, len(clips), ROWS):
        chosen = clips[page : page + ROWS]
        sheet = Image.new("RGB", (FRAMES * CELL * 2, len(chosen) * (CELL + 14)), "white")
        draw = ImageDraw.Draw(sheet)
        for row, clip in enumerate(chosen):
            motion = clip.motion()
            _draw_clip(draw, clip, motion, retarget(motion), row * (CELL + 14))
        sheet.save(stem.with_name(f"{stem.name}_{page // ROWS}.png"))


def _draw_clip(
    draw: ImageDraw.ImageDraw, clip: PackedClip, motion: Motion, result: Motion, top: int
) -> None:
    rig, own = recognise(motion.skeleton), recognise(result.skeleton)
    ratio = result.skeleton.leg_length / leg_length(rig, motion.skeleton)
    theirs, ours = upright(motion).joints() * ratio, result.joints()
    hips = [rig.joints[f"{side}_hip"] for side in SIDES]
    shift = (ours[:, [1, 2]].mean(dim=1) - theirs[:, hips].mean(dim=1)).median(dim=0).values
    caption = (
        f"{clip.id}  {'; '.join(clip.captions)[:90]}  {motion.fps:g} fps {motion.seconds:.1f} s"
    )
    draw.text((4, top), caption, fill="black")
    for column, frame in enumerate(torch.linspace(0, len(motion) - 1, FRAMES).long().tolist()):
        centre = ours[frame, 0] * ours.new_tensor([1.0, 0.0, 1.0])
        for half, (points, skeleton, names) in enumerate(
            (
                (theirs[frame] + shift, motion.skeleton, rig.joints),
                (ours[frame], result.skeleton, own.joints),
            )
        ):
            left = (2 * column + half) * CELL
            _draw_figure(
                draw,
                points - centre,
                skeleton.parents,
                _colours(skeleton.parents, names),
                left,
                top + 12,
            )


def _draw_figure(
    draw: ImageDraw.ImageDraw,
    points: Tensor,
    parents: tuple[int, ...],
    colours: list[str],
    left: int,
    top: int,
) -> None:
    angle = math.radians(35)
    across = points[:, 0] * math.cos(angle) - points[:, 2] * math.sin(angle)
    depth = points[:, 0] * math.sin(angle) + points[:, 2] * math.cos(angle)
    scale = CELL / 2.1
    xs = (left + CELL / 2 + across * scale).tolist()
    ys = (top + CELL * 0.88 - (points[:, 1] - 0.12 * depth) * scale).tolist()
    draw.line((left + 10, top + CELL * 0.88, left + CELL - 10, top + CELL * 0.88), fill="#cccccc")
    for joint, parent in enumerate(parents):
        if parent >= 0:
            draw.line((xs[parent], ys[parent], xs[joint], ys[joint]), fill=colours[joint], width=2)


def _colours(parents: tuple[int, ...], joints: Mapping[str, int]) -> list[str]:
    """Red for joints below a left hip or shoulder, blue for the right, grey for the rest."""
    start = {joints[f"{side}_{part}"]: colour for side, colour in zip(SIDES, ("#d02020", "#2040d0"), strict=True)
             for part in ("hip", "shoulder")}  # fmt: skip
    colours: list[str] = []
    for joint, parent in enumerate(parents):
        colours.append(start.get(joint, colours[parent] if parent >= 0 else "#606060"))
    return colours


if __name__ == "__main__":
    main()

"""Motions before and after -> pictures of the ten that came out worst: a contact sheet and an animation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from motionmill.motion import physics
from motionmill.motion.motion import Motion

COLUMNS, CELL, TALLEST = 10, 132, 2.1
BEFORE, LEFT, RIGHT, MIDDLE = "#b8b8b8", "#d02020", "#2040d0", "#303030"


def draw_worst(
    stem: Path, before: Sequence[Motion], after: Sequence[Motion], count: int = 10
) -> list[str]:
    """Writes STEM.png (a row a motion, grey as it came, coloured as it is now) and STEM.gif (all of them moving).

    Half of them are those whose feet slide most after the clean-up, half those that it moved most.

    Returns:
        A line a motion: why it is here.
    """
    slides = [physics.foot_slide(motion) for motion in after]
    moves = [
        1000 * float((a.joints() - b.joints()).norm(dim=-1).mean())
        for a, b in zip(after, before, strict=True)
    ]
    by_slide = sorted(range(len(after)), key=lambda index: -slides[index])[: count // 2]
    by_move = [
        i for i in sorted(range(len(after)), key=lambda index: -moves[index]) if i not in by_slide
    ]
    chosen = by_slide + by_move[: count - len(by_slide)]
    lines = [
        f"{after[i].name[:60]}: slide {slides[i]:.1f} mm/frame, moved {moves[i]:.0f} mm"
        for i in chosen
    ]
    pairs = [(before[i], after[i]) for i in chosen]
    _sheet(pairs, lines).save(stem.with_suffix(".png"))
    frames = [_frame(pairs, step) for step in range(0, max(len(pair[1]) for pair in pairs), 3)]
    frames[0].save(
        stem.with_suffix(".gif"), save_all=True, append_images=frames[1:], duration=100, loop=0
    )
    for number in range(0, len(frames), max(1, len(frames) // 3)):
        frames[number].save(stem.with_name(f"{stem.name}-frame-{number}.png"))
    return lines


def _sheet(pairs: Sequence[tuple[Motion, Motion]], lines: Sequence[str]) -> Image.Image:
    sheet = Image.new("RGB", (COLUMNS * CELL, len(pairs) * (CELL + 14)), "white")
    draw = ImageDraw.Draw(sheet)
    for row, ((before, after), text) in enumerate(zip(pairs, lines, strict=True)):
        top = row * (CELL + 14)
        draw.text((4, top), text, fill="black")
        places = torch.linspace(0, len(after) - 1, COLUMNS).long().tolist()
        for column, frame in enumerate(places):
            _both(draw, before, after, frame, column * CELL, top + 12)
    return sheet


def _frame(pairs: Sequence[tuple[Motion, Motion]], step: int) -> Image.Image:
    across = (len(pairs) + 1) // 2
    image = Image.new("RGB", (across * CELL, 2 * CELL), "white")
    draw = ImageDraw.Draw(image)
    for place, (before, after) in enumerate(pairs):
        _both(draw, before, after, step % len(after), place % across * CELL, place // across * CELL)
    return image


def _both(
    draw: ImageDraw.ImageDraw, before: Motion, after: Motion, frame: int, left: int, top: int
) -> None:
    floor = top + int(CELL * 0.9)
    draw.line((left + 8, floor, left + CELL - 8, floor), fill="#90c090")
    centre = after.root[frame] * after.root.new_tensor([1.0, 0.0, 1.0])
    for motion, plain in ((before, True), (after, False)):
        points = motion[frame : frame + 1].joints()[0] - centre
        _figure(draw, points, motion, left, floor, plain)


def _figure(
    draw: ImageDraw.ImageDraw, points: Tensor, motion: Motion, left: int, floor: int, plain: bool
) -> None:
    angle, scale = math.radians(35), CELL / TALLEST
    across = points[:, 0] * math.cos(angle) - points[:, 2] * math.sin(angle)
    xs = (left + CELL / 2 + across * scale).tolist()
    ys = (floor - points[:, 1] * scale).tolist()
    for joint, (name, parent) in enumerate(
        zip(motion.skeleton.names, motion.skeleton.parents, strict=True)
    ):
        if parent >= 0:
            side = (
                LEFT if name.startswith("left") else RIGHT if name.startswith("right") else MIDDLE
            )
            ends = (xs[parent], ys[parent], xs[joint], ys[joint])
            draw.line(ends, fill=BEFORE if plain else side, width=3 if plain else 1)

"""How well every source of motion capture is carried over to our skeleton: a table of errors, and contact sheets.

    python benchmarks/retarget_report.py ../shared/data OUTPUT [--clips 24] [--only bandai snu2]

Prints one row per source and rig; writes OUTPUT/SOURCE_N.png (source left of result, left limbs red, right limbs blue)
and OUTPUT/report.json.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from motionmill.formats.packed import PackedClip, read_folder
from motionmill.motion import physics
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import (
    bone_direction_error,
    bone_direction_errors,
    retarget,
    upright,
)
from motionmill.motion.rig_tables import SIDES
from motionmill.motion.rigs import leg_length, recognise
from motionmill.motion.rotations import heading

SOURCES = ("bandai", "snu2", "uiprmd", "cmu2", "cmu", "cmu_acrnn", "extra", "game_cc0")
CELL, FRAMES, ROWS = 150, 7, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder that holds the folders of packed shards")
    parser.add_argument("output", type=Path)
    parser.add_argument("--clips", type=int, default=24, help="clips of a source on the sheets")
    parser.add_argument("--every", type=int, default=1, help="measure every n-th clip")
    parser.add_argument("--only", nargs="*", default=SOURCES, help="folders to do")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    report = []
    for source in arguments.only:
        clips = read_folder(arguments.data / source)
        for row in measure(source, clips[:: arguments.every]):
            report.append(row)
            print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
        step = max(1, len(clips) // arguments.clips)
        draw_sheets(clips[::step][: arguments.clips], arguments.output / source)
    (arguments.output / "report.json").write_text(json.dumps(report, indent=1))


def measure(source: str, clips: list[PackedClip]) -> Iterator[dict[str, object]]:
    """One row of means a rig of the source."""
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    seconds: dict[str, float] = defaultdict(float)
    for clip in clips:
        start = time.perf_counter()
        motion = clip.motion()
        result = retarget(motion)
        rig = recognise(motion.skeleton).name
        seconds[rig] += time.perf_counter() - start
        found[rig].append(clip_measures(motion, result))
    for rig, rows in found.items():
        names = sorted({name for row in rows for name in row})
        means = {name: _mean([row[name] for row in rows if name in row]) for name in names}
        hours = sum(row["_seconds"] for row in rows) / 3600
        yield {
            "source": source, "rig": rig, "clips": len(rows), "hours": round(hours, 2),
            "wall_s": round(seconds[rig], 1),
        } | {name: round(value, 2) for name, value in means.items() if not name.startswith("_")}  # fmt: skip


def clip_measures(motion: Motion, result: Motion) -> dict[str, float]:
    """Errors of one clip: degrees, centimetres, shares."""
    errors = bone_direction_errors(motion, result)
    row = {
        "error_deg": bone_direction_error(motion, result),
        "with_collars_deg": _mean(list(errors.values())),
    }
    for part in ("collar", "ankle", "trunk", "neck"):
        values = [error for name, error in errors.items() if part in name]
        if values:
            row[f"{part}_deg"] = _mean(values)
    coarse = result.resample(30.0)
    lowest = 100 * physics.foot_heights(coarse).amin(dim=-1)
    resting = physics.contacts(coarse).any(dim=-1)
    if resting.any():
        row["contact_cm_p5"] = float(lowest[resting].quantile(0.05))
        row["contact_cm_p50"] = float(lowest[resting].median())
        row["contact_cm_p95"] = float(lowest[resting].quantile(0.95))
    row["contact_share"] = float(resting.double().mean())
    row["slide_mm"], row["source_slide_mm"] = slides(motion, coarse)
    forward = forward_share(coarse)
    if forward is not None:
        row["forward_share"] = forward
    row["_seconds"] = motion.seconds
    return row


def slides(motion: Motion, result: Motion) -> tuple[float, float]:
    """Foot slide of the result (30 fps) and of the source scaled to our size, over the foot joints that both have."""
    rig = recognise(motion.skeleton)
    names = [name for name in physics.FOOT_JOINTS if name in rig.joints]
    columns = [physics.FOOT_JOINTS.index(name) for name in names]
    heights = physics.foot_heights(result)[:, columns]
    ours = result.joints()[:, [result.skeleton.index(name) for name in names]]
    ratio = result.skeleton.leg_length / leg_length(rig, motion.skeleton)
    theirs = (
        upright(motion).resample(30.0).joints()[:, [rig.joints[name] for name in names]] * ratio
    )
    return float(physics.foot_slide_of(ours, heights)), float(
        physics.foot_slide_of(theirs, heights)
    )


def forward_share(motion: Motion) -> float | None:
    """Share of the fast frames (over 0.5 m/s) in which the hips move where they face, within 90 degrees."""
    step = torch.diff(motion.root[:, [0, 2]], dim=0) * motion.fps
    facing = heading(motion.rotations[1:, 0])
    along = step[:, 0] * torch.sin(facing) + step[:, 1] * torch.cos(facing)
    fast = step.norm(dim=-1) > 0.5
    return float((along[fast] > 0).double().mean()) if int(fast.sum()) > 15 else None


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


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan


if __name__ == "__main__":
    main()

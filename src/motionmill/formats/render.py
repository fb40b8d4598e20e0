"""Render: a motion -> a film (.mp4, .gif) or a contact sheet (.png) of the shaded character on a floor in metres.

Pictures are (H, W, 3) uint8, H rows and W columns. Left limbs and footprints are warm, right ones cool.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from motionmill.motion.motion import Motion

if TYPE_CHECKING:
    from PIL import Image, ImageDraw
    from PIL.ImageFont import FreeTypeFont

    from motionmill.formats.scene import Picture

SUFFIXES: Final = (".mp4", ".gif", ".png")
GIF_FPS: Final = 15.0
_MAX_FPS: Final = 60.0
_INK: Final = (44, 50, 60)
_FAINT: Final = (120, 128, 140)
_PAPER: Final = (250, 250, 251)
_GAP: Final = 6


def save(
    motion: Motion,
    path: Path | str,
    *,
    caption: str | None = None,
    size: tuple[int, int] = (640, 480),
) -> None:
    """Draws a motion into a file; the suffix says which kind.

    Args:
        motion: floor at y = 0, any skeleton (the mannequin needs SMPL-22 joints, others are drawn as capsules).
        path: `.mp4` (H.264, the motion's frame rate), `.gif` (15 frames a second) or `.png` (contact sheet: twelve
            moments and the way seen from above).
        caption: text shown in the picture; the motion's name by default, "" for none.
        size: width and height, pixels; even, 64 to 4096. A contact sheet has panels of half this size.

    Raises:
        ValueError: unknown suffix or impossible size.
        FileNotFoundError: the folder does not exist.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"{path.name}: cannot draw into {path.suffix!r}; expected one of {', '.join(SUFFIXES)}"
        )
    if any(side % 2 or not 64 <= side <= 4096 for side in size):
        raise ValueError(
            f"picture size {size[0]} x {size[1]}: expected even numbers from 64 to 4096"
        )
    caption = motion.name if caption is None else caption
    with _finished(path) as temporary:
        match path.suffix.lower():
            case ".mp4":
                _save_mp4(motion, temporary, caption, size)
            case ".gif":
                _save_gif(motion, temporary, caption, size)
            case _:
                _sheet(motion, caption, (size[0] // 2, size[1] // 2)).save(temporary)


def frames(
    motion: Motion, *, caption: str = "", size: tuple[int, int] = (640, 480)
) -> Iterator[Picture]:
    """Pictures (H, W, 3) of every frame of a motion, with its caption and the time."""
    from motionmill.formats.scene import Scene

    large = size[1] / 480
    font, small = _font(17 * large), _font(13 * large)
    lines = _wrap(caption, font, size[0] * 0.94)
    edge = 0.03 * size[1]
    top = edge + len(lines) * 22 * large
    scene = Scene(motion, size, margins=(top / size[1], 0.02))
    for index in range(len(motion)):
        image, pen = _canvas(scene.frame(index))
        for row, line in enumerate(lines):
            pen.text((edge, 0.7 * edge + row * 22 * large), line, _INK, font)
        time = f"{index / motion.fps:.2f} s"
        pen.text((edge, size[1] - 0.8 * edge), time, _FAINT, small, anchor="ls")
        yield np.asarray(image)


def contact_sheet(
    motions: Sequence[Motion],
    captions: Sequence[str],
    path: Path | str,
    *,
    columns: int = 8,
    panel: tuple[int, int] = (150, 180),
) -> None:
    """Many clips in one picture, to look through data or generations: a row a clip, its moments and its way.

    Args:
        motions: one or more clips, floor at y = 0.
        captions: one text a clip.
        path: a `.png` file.
        columns: moments shown of each clip.
        panel: width and height of one moment, pixels.

    Raises:
        ValueError: no clips, or not one caption a clip.
    """
    from PIL import Image, ImageDraw

    if not motions or len(motions) != len(captions):
        raise ValueError(
            f"contact sheet: {len(motions)} motions and {len(captions)} captions; expected at least one, a caption each"
        )
    font = _font(13)
    height = panel[1] + 22 + _GAP
    width = columns * (panel[0] + 2) + panel[1] + 2 * _GAP
    sheet = Image.new("RGB", (width, height * len(motions) + _GAP), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for row, (motion, caption) in enumerate(zip(motions, captions, strict=True)):
        top = _GAP + row * height
        text = f"{row}  {caption}  ({motion.seconds:.1f} s)"
        pen.text((_GAP, top), _wrap(text, font, width - 2 * _GAP, 1)[0], _INK, font)
        moments = _moments(motion, columns)
        for column, picture in enumerate(_panels(motion, moments, panel)):
            sheet.paste(picture, (_GAP + column * (panel[0] + 2), top + 20))
        above = _from_above(motion, (panel[1], panel[1]), moments)
        sheet.paste(above, (_GAP + columns * (panel[0] + 2), top + 20))
    with _finished(Path(path)) as temporary:
        sheet.save(temporary)


def _save_mp4(motion: Motion, path: Path, caption: str, size: tuple[int, int]) -> None:
    import av

    if motion.fps > _MAX_FPS:
        motion = motion.resample(30.0)
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    options = {"crf": "19", "preset": "veryfast"} if codec == "libx264" else {"qscale": "3"}
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        rate = Fraction(motion.fps).limit_denominator(1001)
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for picture in frames(motion, caption=caption, size=size):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def _save_gif(motion: Motion, path: Path, caption: str, size: tuple[int, int]) -> None:
    from PIL import Image

    if motion.fps > GIF_FPS:
        motion = motion.resample(GIF_FPS)
    pictures = [Image.fromarray(picture) for picture in frames(motion, caption=caption, size=size)]
    palette = _palette(pictures[:: max(1, len(pictures) // 6)])
    small = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    ends = [round(100 * (index + 1) / motion.fps) for index in range(len(small))]  # hundredths
    durations = [10 * (end - start) for start, end in zip([0, *ends], ends, strict=False)]
    small[0].save(path, "GIF", save_all=True, append_images=small[1:], duration=durations, loop=0)


def _palette(pictures: Sequence[Image.Image]) -> Image.Image:
    """256 colours for all pictures, most of them for the figure, though the floor covers far more pixels."""
    from PIL import Image

    pixels = np.concatenate([np.asarray(picture)[::2, ::2].reshape(-1, 3) for picture in pictures])
    vivid = (np.ptp(pixels, axis=1) > 14) | (pixels.max(axis=1) < 180)
    figure, floor = pixels[vivid], pixels[~vivid]
    parts = ((figure, 176), (floor, 80)) if len(figure) and len(floor) else ((pixels, 256),)
    colours: list[int] = []
    for part, count in parts:
        image = Image.fromarray(part[None]).quantize(count)
        colours += (image.getpalette() or [])[: 3 * count]
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours)
    return palette


def _sheet(motion: Motion, caption: str, panel: tuple[int, int], columns: int = 4) -> Image.Image:
    """Three rows of four moments, and below them the way from above."""
    from PIL import Image, ImageDraw

    font = _font(17)
    width = columns * (panel[0] + _GAP) + _GAP
    lines = _wrap(caption, font, width - 4 * _GAP)
    top = _GAP + 24 * len(lines)
    rows = 3
    below = top + rows * (panel[1] + _GAP)
    strip = round(panel[1] * 1.2)
    sheet = Image.new("RGB", (width, below + strip + _GAP), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for row, line in enumerate(lines):
        pen.text((2 * _GAP, _GAP + 24 * row), line, _INK, font)
    moments = _moments(motion, rows * columns)
    for index, picture in enumerate(_panels(motion, moments, panel)):
        row, column = divmod(index, columns)
        sheet.paste(picture, (_GAP + column * (panel[0] + _GAP), top + row * (panel[1] + _GAP)))
    sheet.paste(_from_above(motion, (width - 2 * _GAP, strip), moments), (_GAP, below))
    return sheet


def _panels(
    motion: Motion, moments: Sequence[int], panel: tuple[int, int]
) -> Iterator[Image.Image]:
    """Pictures of some frames, each with its time, the camera beside the person."""
    from motionmill.formats.scene import Scene

    scene = Scene(motion, panel, margins=(0.02, 0.02), follow=True)
    font = _font(max(11, panel[1] / 16))
    for index in moments:
        image, pen = _canvas(scene.frame(index))
        pen.text((5, panel[1] - 4), f"{index / motion.fps:.2f} s", _FAINT, font, anchor="ls")
        yield image


def _from_above(motion: Motion, size: tuple[int, int], moments: Sequence[int]) -> Image.Image:
    """The way seen from above; the way that the person faces first is right in a wide picture, else up. Metre grid."""
    from PIL import Image, ImageDraw

    from motionmill.formats.figure import LEFT_COLOUR, RIGHT_COLOUR
    from motionmill.formats.scene import footprints
    from motionmill.motion.rotations import heading

    motion = motion.face_forward()
    steps = footprints(motion)
    path = motion.root[:, [0, 2]].numpy()
    points = np.concatenate([path, *(step.outline for step in steps)])
    low, high = points.min(0) - 0.25, points.max(0) + 0.25
    wide = size[0] > 1.5 * size[1]
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]]) if wide else np.array([[-1.0, 0.0], [0.0, -1.0]])
    corners = np.array([low, high]) @ turn.T
    extent = np.abs(corners[1] - corners[0])
    scale = 2 * min(size[0] / extent[0], size[1] / extent[1], 220)

    def place(values: object) -> list[tuple[float, float]]:
        moved = (np.asarray(values) @ turn.T - corners.mean(0)) * scale + np.array(size)
        return [(float(x), float(y)) for x, y in moved.reshape(-1, 2)]

    image = Image.new("RGB", (2 * size[0], 2 * size[1]), (240, 241, 243))
    pen = ImageDraw.Draw(image, "RGBA")
    centre, reach = (low + high) / 2, max(size) / scale * 2 + 1
    for metre in range(-int(reach) - 1, int(reach) + 2):
        x, z = np.floor(centre) + metre
        pen.line(place([(x, centre[1] - reach), (x, centre[1] + reach)]), (205, 210, 216), 2)
        pen.line(place([(centre[0] - reach, z), (centre[0] + reach, z)]), (205, 210, 216), 2)
    for step in steps:
        colour = LEFT_COLOUR if step.left else RIGHT_COLOUR
        pen.polygon(place(step.outline), (*(round(235 * part) for part in colour), 120))
        pen.line(place(step.trace), tuple(round(170 * part) for part in colour), 4)
    pen.line(place(path), (76, 86, 102), 3, joint="curve")
    facing = heading(motion.rotations[:, 0]).numpy()
    for index in moments:
        ahead = 0.12 * np.array([np.sin(facing[index]), np.cos(facing[index])])
        start, end = place([path[index], path[index] + ahead])
        pen.line([start, end], _INK, 3)
        pen.ellipse((start[0] - 5, start[1] - 5, start[0] + 5, start[1] + 5), _INK)
    small = image.reduce(2)
    font = _font(11)
    ImageDraw.Draw(small).text((4, size[1] - 3), "from above, 1 m grid", _FAINT, font, anchor="ls")
    return small


def _moments(motion: Motion, count: int) -> list[int]:
    return [round(part) for part in np.linspace(0, len(motion) - 1, count)]


def _canvas(picture: Picture) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    from PIL import Image, ImageDraw

    image = Image.fromarray(picture)
    return image, ImageDraw.Draw(image)


def _font(size: float) -> FreeTypeFont:
    from PIL import ImageFont

    font = ImageFont.load_default(size)  # the font that Pillow carries
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _wrap(text: str, font: FreeTypeFont, width: float, most: int = 2) -> list[str]:
    """Text in at most so many lines of a width; what does not fit ends in an ellipsis."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > most:
        lines = [*lines[: most - 1], lines[most - 1] + " …"]
    for index, line in enumerate(lines):
        while font.getlength(line) > width and len(line) > 2:
            line = line.rstrip(" …")[:-1] + " …"
        lines[index] = line
    return lines


@contextlib.contextmanager
def _finished(path: Path) -> Iterator[Path]:
    """A temporary name beside a file that takes the file's name when everything is written."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: the folder {path.parent} does not exist; create it first")
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

"""What the workshop's processes do: an upload, a video or a motion of the server -> bytes of a format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

MAX_FRAMES = 30_000
MAX_VIDEO_SECONDS = 60.0
_MAX_OUTPUT_BYTES = 256 << 20
_MAX_MEGAPIXELS = 9.0
# Where it stands, and what files of these kinds have there. FFmpeg is shown no others: lists of files (HLS, DASH,
# concat) would make it open what they name.
_CONTAINERS = {
    "MP4 or MOV": (4, (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),
    "WebM or Matroska": (0, (b"\x1aE\xdf\xa3",)),
    "AVI": (8, (b"AVI ",)),
    "GIF": (0, (b"GIF8",)),
}


def convert(folder: Path, data: bytes, source: str, suffix: str, options: dict[str, Any]) -> bytes:
    """A motion file of a format `source` -> another; raises ValueError where it is none."""
    from motionmill.formats.files import load

    path = folder / f"upload.{source}"
    path.write_bytes(data)
    motion = load(path)
    if len(motion) > MAX_FRAMES:
        raise ValueError(f"{len(motion)} frames; expected {MAX_FRAMES} at most")
    return _written(motion, suffix, folder, options)


def export(folder: Path, path: Path, suffix: str, options: dict[str, Any]) -> bytes:
    """A motion of the server's own -> a format."""
    from motionmill.formats.files import load

    return _written(load(path, format="npz"), suffix, folder, options, generated=True)


def extract(
    folder: Path, data: bytes, suffix: str, person: int, options: dict[str, Any]
) -> tuple[bytes, int]:
    """A video -> the motion of one of its people, and how many they are.

    Raises:
        ValueError: no video, a long or a large one, or no such person.
        MissingExtraError: the extra `video` is not installed.
    """
    from motionmill.extras import require
    from motionmill.video.config import WHOLE_SHOTS
    from motionmill.video.extract import extract_motion
    from motionmill.video.frames import probe

    check_container(data)
    require("mediapipe", extra="video")
    path = folder / "upload.video"
    path.write_bytes(data)
    frames = WHOLE_SHOTS.frames.model_copy(update={"max_megapixels": _MAX_MEGAPIXELS})
    info = probe(path, frames)
    if not 0 < info.seconds <= MAX_VIDEO_SECONDS:
        raise ValueError(
            f"a video of {info.seconds:.0f} seconds; expected {MAX_VIDEO_SECONDS:g} at most"
        )
    people = extract_motion(path, WHOLE_SHOTS.model_copy(update={"frames": frames}))
    if not people:
        raise ValueError("nobody in the video is seen whole, well and long enough")
    if person > len(people):
        raise ValueError(f"person {person}; the video has {len(people)}")
    return _written(people[person - 1], suffix, folder, options), len(people)


def character(folder: Path) -> bytes:
    """The mannequin standing, as a GLB file."""
    import torch

    from motionmill.motion.motion import Motion
    from motionmill.motion.skeleton import adult_skeleton

    skeleton = adult_skeleton()
    stand = torch.eye(3).repeat(1, skeleton.num_joints, 1, 1)
    root = torch.tensor([[0.0, skeleton.standing_root_height, 0.0]])
    return _written(Motion(stand, root, name="stand"), "glb", folder, {})


TASKS: dict[str, Callable[..., Any]] = {
    "convert": convert,
    "export": export,
    "extract": extract,
    "character": character,
}


def check_container(data: bytes) -> None:
    """Raises ValueError for what does not begin as one of the few kinds of video that are read."""
    for place, marks in _CONTAINERS.values():
        if data[place:].startswith(marks):
            return
    raise ValueError(f"not a video that is read here; expected {', '.join(_CONTAINERS)}")


def _written(
    motion: Any, suffix: str, folder: Path, options: dict[str, Any], *, generated: bool = False
) -> bytes:
    """A motion, carried over to our skeleton and cleaned where that is asked for, as a file's bytes."""
    from motionmill.formats.files import OPTIONS, save
    from motionmill.motion.cleanup import clean
    from motionmill.motion.retarget import retarget
    from motionmill.motion.skeleton import SMPL_22_NAMES
    from motionmill.server.measures import contact_runs, measures

    if motion.skeleton.names != SMPL_22_NAMES:
        motion = retarget(motion)
    if options.get("cleanup"):
        motion = clean(motion, strength=options["cleanup"], floor_at_zero=generated)
    given = {"names": options.get("names", "smpl")}
    if suffix == "glb":
        given["extras"] = {"physics": measures(motion), "contacts": contact_runs(motion)}
    known = OPTIONS[f".{suffix}"]
    path = folder / f"motion.{suffix}"
    save(
        motion,
        path,
        licence=options.get("licence", ""),
        **{name: value for name, value in given.items() if name in known},
    )
    if path.stat().st_size > _MAX_OUTPUT_BYTES:
        raise ValueError(f"the {suffix} file is too large; ask for another format")
    return path.read_bytes()

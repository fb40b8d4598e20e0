"""A followed person -> a line in a work list for another estimator (GVHMR or any that gives SMPL), and its result back.

A work folder holds
    work.jsonl          a line a person: id, clip, boxes, frames, fps, width, height, focal, result
    lists/VIDEO.jsonl   the lines of one video, so that many processes can write at once; `gather` puts them together
    clips/ID.mp4        the pictures at an even rate, from the person's first to the last
    boxes/ID.npz        boxes (T, 4) left, top, right, bottom in pixels of the clip; seconds (T,) in the video
    results/ID.npz      what the other estimator writes: SMPL parameters that `formats.smpl` reads (.pt too), T frames

Whoever has written results runs the same extraction again: persons with a result become motion, the others stay
pending. Tracks follow from the pictures alone, so that ids are the same again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shlex
import subprocess
import zlib
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionmill.extras import require
from motionmill.formats import smpl
from motionmill.motion.cleanup import clean
from motionmill.motion.motion import Motion
from motionmill.video.boxes import inside_clip
from motionmill.video.camera import CameraPath
from motionmill.video.candidate import Failure
from motionmill.video.config import PoseConfig
from motionmill.video.frames import Frames
from motionmill.video.people import Array, Track
from motionmill.video.pose import Estimate

logger = logging.getLogger(__name__)

PENDING: Final = "pending"
_SUFFIXES: Final = (".npz", ".pt", ".pkl")
_END_BYTES: Final = 1 << 14  # of a result, by which another one is told from it
_MOST_MISSING: Final = 2  # frames by which a result may be shorter or longer than its clip


class WorkList:
    """A pose estimator that is somewhere else.

    Args:
        folder: of the work; made where it is missing.
        name: of the video; ids start with it.
        config: rate of the clips, focal length, clean-up.
    """

    def __init__(self, folder: Path, name: str, config: PoseConfig) -> None:
        self._folder = folder
        self._name = plain_name(name)
        self._list = list_of(folder, name)
        self._config = config

    def estimate(self, frames: Frames, track: Track, camera: CameraPath) -> Estimate:
        inside = inside_clip(frames, track)
        places = track.places[inside]
        first, last = (int(frames.numbers[place]) for place in places[[0, -1]])
        id = f"{self._name}.{first}-{last}.{track.number}"
        times = frames.times[places]
        count = int((times[-1] - times[0]) * self._config.fps + 1e-6) + 1
        grid = times[0] + np.arange(count) / self._config.fps
        found = result_of(self._folder, id)
        if found is not None:
            return self._result(found, count)
        self._write(id, frames, track.boxes[inside], times, grid)
        return Estimate(None, flags=(PENDING,), failure=Failure("pose", PENDING, 0.0, 1.0))

    def _result(self, path: Path, count: int) -> Estimate:
        """A result as an estimate; one that cannot be used is a failure, and said."""
        try:
            motion = smpl.load(path, fps=self._config.fps)
        except (ValueError, OSError) as error:
            logger.warning("%s", " ".join(str(error).split()))
            return Estimate(None, failure=Failure("pose", "result_readable", 0.0, 1.0))
        measurements = {"result_frames": float(len(motion))}
        if abs(len(motion) - count) > _MOST_MISSING:
            failure = Failure("pose", "result_frames", float(len(motion)), float(count))
            return Estimate(None, measurements, failure=failure)
        motion = Motion(motion.rotations.double(), motion.root.double(), self._config.fps)
        return Estimate(clean(motion) if self._config.clean else motion, measurements)

    def _write(self, id: str, frames: Frames, boxes: Array, times: Array, grid: Array) -> None:
        """The clip, the boxes, and the line of the list, where they are not there yet."""
        line = {
            "id": id,
            "clip": f"clips/{id}.mp4",
            "boxes": f"boxes/{id}.npz",
            "frames": len(grid),
            "fps": self._config.fps,
            "width": frames.width,
            "height": frames.height,
            "focal": self._config.focal * max(frames.width, frames.height),
            "result": f"results/{id}.npz",
        }
        known = read_list(self._list)
        if id in {item["id"] for item in known}:
            return
        for name in ("clips", "boxes", "results", "lists"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        pixels = boxes * np.array([frames.width, frames.height] * 2)
        even = np.column_stack([np.interp(grid, times, column) for column in pixels.T])
        _save_arrays(self._folder / str(line["boxes"]), {"boxes": even, "seconds": grid})
        nearest = np.abs(frames.times[None] - grid[:, None]).argmin(axis=1)
        _save_clip(self._folder / str(line["clip"]), frames.images, nearest, self._config.fps)
        partial = self._list.with_name(f".partial-{self._list.name}")
        text = "".join(json.dumps(item) + "\n" for item in [*known, line])
        partial.write_text(text, encoding="utf-8")
        partial.replace(self._list)


def plain_name(name: str) -> str:
    """A video's name as the first part of its people's ids and file names; other names stay other names."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def list_of(folder: Path, name: str) -> Path:
    """Where the lines of one video lie in a work folder."""
    return folder / "lists" / f"{plain_name(name)}.jsonl"


def gather(folder: Path) -> Path:
    """Put the lines of all videos into `work.jsonl`, in the order of the videos' names, and tell where that is."""
    path = folder / "work.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{path.name}")
    with partial.open("wb") as whole:
        for part in sorted(folder.glob("lists/*.jsonl")):
            whole.write(part.read_bytes())
    partial.replace(path)
    return path


def results_of(folder: Path, name: str) -> list[tuple[str, int, int]]:
    """The results that are there for one video's people: file names, sizes, and sums over their ends.

    An archive (.npz, .pt) ends with the sums of all that is in it, so that another result of the same size is seen.
    """
    found = (result_of(folder, item["id"]) for item in read_list(list_of(folder, name)))
    return [(path.name, *_seen(path)) for path in found if path is not None]


def _seen(path: Path) -> tuple[int, int]:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END_BYTES))
        return size, zlib.crc32(file.read())


def result_of(folder: Path, id: str) -> Path | None:
    """The result of a person, if it is there."""
    paths = (folder / "results" / f"{id}{suffix}" for suffix in _SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def read_work(folder: Path) -> list[dict[str, Any]]:
    """The lines of a work folder's list, in their order; none where there is no list yet.

    Raises:
        ValueError: a line that is no JSON object with an id.
    """
    return read_list(folder / "work.jsonl")


def read_list(path: Path) -> list[dict[str, Any]]:
    """The lines of a list, as `read_work`."""
    if not path.is_file():
        return []
    items = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            item = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path.name}, line {number}: not JSON ({error.msg})") from None
        if not isinstance(item, dict) or not isinstance(item.get("id"), str):
            raise ValueError(f"{path.name}, line {number}: expected an object with an id")
        items.append(item)
    return items


def pending(folder: Path) -> list[str]:
    """Ids of the work list that have no result yet."""
    return [item["id"] for item in read_work(folder) if result_of(folder, item["id"]) is None]


def run_command(command: str, folder: Path) -> None:
    """Starts another estimator on a work folder and waits for it.

    Args:
        command: words as in a shell, without a shell; {folder} and {list} stand for the work folder and its list.
        folder: of the work.

    Raises:
        ValueError: the command does not exist or ends with another exit code than 0.
    """
    places = {"folder": str(folder), "list": str(folder / "work.jsonl")}
    words = [_filled(word, places) for word in shlex.split(command)]
    if not words:
        raise ValueError("the command of the pose estimator is empty")
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ValueError(f"{words[0]}: cannot be started ({error.strerror})") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise ValueError(
            f"{words[0]} ended with exit code {done.returncode}: {said[-1][:200] if said else 'it said nothing'}"
        )


def _filled(word: str, places: Mapping[str, str]) -> str:
    for name, value in places.items():
        word = word.replace("{" + name + "}", value)
    return word


def _save_arrays(path: Path, values: dict[str, Array]) -> None:
    partial = path.with_name(f".partial-{path.name}")
    with partial.open("wb") as file:
        np.savez(file, **values)
    partial.replace(path)


def _save_clip(path: Path, images: NDArray[np.uint8], order: NDArray[np.int64], fps: float) -> None:
    """Pictures in an order -> H.264 at an even rate."""
    av = require("av", extra="video")
    partial = path.with_name(f".partial-{path.name}")
    with av.open(str(partial), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height = images.shape[2], images.shape[1]
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "18", "preset": "veryfast"}
        for place in order.tolist():
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(images[place]), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    partial.replace(path)

"""A folder that any system has filled with motion files -> motions on our skeleton, by id and seed.

`FOLDER/SEED/ID.SUFFIX`, SEED being 0, 1, 2, ..., or `FOLDER/ID.SUFFIX` where there is one seed. Every format that
`motionmill convert` reads is read here. Files that do not say their frame rate (joint positions) have that of
`FOLDER/fps.txt`, else 20, which is HumanML3D's.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from motionmill.formats import arrays
from motionmill.formats.files import load
from motionmill.formats.reading import suffixes_of
from motionmill.motion.features import NUM_FEATURES, from_motion
from motionmill.motion.humanml3d import HUMANML3D_FPS
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import retarget


class MotionFolder:
    """Motions by id and seed; what is missing or cannot be read is kept in `failures`, not raised."""

    def __init__(self, folder: Path) -> None:
        """Look at what is there.

        Raises:
            FileNotFoundError: no such folder.
            ValueError: no motion file in it, or an `fps.txt` that is no number.
        """
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: no such folder")
        self.name = folder.resolve().name
        self.failures: dict[str, str] = {}
        self._fps = _frame_rate(folder / "fps.txt")
        numbered = sorted(
            (path for path in folder.iterdir() if path.is_dir() and path.name.isdigit()),
            key=lambda path: int(path.name),
        )
        self._places = [_files(path) for path in numbered] or [_files(folder)]
        if not any(self._places):
            raise ValueError(
                f"{folder}: no motion files; expected SEED/ID.bvh, or .npz, .npy, .glb, ... for each sample's id"
            )

    @property
    def seeds(self) -> int:
        """How many seeds there are."""
        return len(self._places)

    def has(self, sample: str, seed: int) -> bool:
        """Whether there is a file."""
        return seed < len(self._places) and sample in self._places[seed]

    def read(self, sample: str, seed: int) -> Motion | None:
        """The motion of a sample on our skeleton; None where there is none that can be read."""
        path = self._places[seed].get(sample) if seed < len(self._places) else None
        if path is None:
            self.failures[f"{seed}/{sample}"] = "no file"
            return None
        try:
            return retarget(load(path, fps=self._fps if path.suffix == ".npy" else None))
        except (ValueError, OSError) as error:
            self.failures[f"{seed}/{sample}"] = str(error).splitlines()[0]
            return None

    def features(self, sample: str, seed: int) -> Tensor | None:
        """(T, 272) of the motion of a sample; files that hold just these numbers are taken as they are."""
        path = self._places[seed].get(sample) if seed < len(self._places) else None
        try:
            if path is not None and arrays.npy_shape(path)[1:] == (NUM_FEATURES,):
                return torch.from_numpy(arrays.numbers(arrays.read_npy(path), path.name)).float()
        except (ValueError, OSError):
            pass  # no such array: reading it as a motion says what is wrong
        motion = self.read(sample, seed)
        return None if motion is None else from_motion(motion).float()


def _files(folder: Path) -> dict[str, Path]:
    """Motion files by id, which is their path below the folder without the suffix."""
    suffixes = suffixes_of(None)
    found = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in suffixes)
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in found}


def _frame_rate(path: Path) -> float:
    if not path.is_file():
        return HUMANML3D_FPS
    text = path.read_text(encoding="utf-8").strip()
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 1 <= rate <= 1000:
        raise ValueError(f"{path}: {text[:40]!r}; expected frames per second, such as 30")
    return rate

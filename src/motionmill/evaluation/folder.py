"""A folder that any system has filled with motion files -> motions on our skeleton, by id and seed.

`FOLDER/SEED/ID.SUFFIX`, SEED being 0, 1, 2, ..., or `FOLDER/ID.SUFFIX` where there is one seed. Every format that
`motionmill convert` reads is read here. Files that do not say their frame rate (joint positions) have that of
`FOLDER/fps.txt`, else 20, which is HumanML3D's. Joint positions do not hold how bones turn about themselves; rotations
come from inverse kinematics, and `through_positions` tells what that costs.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from motionmill.formats import arrays
from motionmill.formats.files import load
from motionmill.formats.reading import suffixes_of
from motionmill.motion.features import NUM_FEATURES, from_motion, to_motion
from motionmill.motion.humanml3d import HUMANML3D_FPS
from motionmill.motion.humanml3d import NUM_FEATURES as HUMANML3D_FEATURES
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import retarget

MIN_FRAMES = 4  # jitter is a third difference


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
    def version(self) -> str:
        """Hash of the names, sizes and times of the files: another one where any has changed."""
        digest = hashlib.sha256(str(self._fps).encode())
        for seed, files in enumerate(self._places):
            for name, path in files.items():
                facts = path.stat()
                digest.update(f"{seed}/{name}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
        return digest.hexdigest()[:16]

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
            return self._load(path)
        except (ValueError, OSError) as error:
            self.failures[f"{seed}/{sample}"] = str(error).splitlines()[0]
            return None

    def features(self, sample: str, seed: int) -> Tensor | None:
        """(T, 272) of the motion of a sample; files that hold just these numbers are taken as they are."""
        path = self._places[seed].get(sample) if seed < len(self._places) else None
        if path is not None and _npy_shape(path)[1:] == (NUM_FEATURES,):
            try:
                numbers = torch.from_numpy(arrays.numbers(arrays.read_npy(path), path.name)).float()
            except (ValueError, OSError) as error:
                self.failures[f"{seed}/{sample}"] = str(error).splitlines()[0]
                return None
            return self._long_enough(sample, seed, numbers)
        motion = self.read(sample, seed)
        if motion is None:
            return None
        return self._long_enough(sample, seed, from_motion(motion).float())

    @property
    def holds_positions(self) -> bool:
        """Whether the motions are joint positions, or HumanML3D's 263 numbers, which come to the same."""
        shapes = (_npy_shape(path) for files in self._places for path in files.values())
        shape = next((shape for shape in shapes if shape), ())
        return len(shape) == 3 or shape[1:] == (HUMANML3D_FEATURES,)

    def through_positions(self, features: Tensor) -> Tensor:
        """(T, 272) of a motion that went into a file of joint positions of this folder's frame rate, and back."""
        joints = to_motion(features).resample(self._fps).joints()
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "motion.npy"
            np.save(path, joints.numpy())
            return from_motion(self._load(path)).float()

    def _load(self, path: Path) -> Motion:
        return retarget(load(path, fps=self._fps if path.suffix == ".npy" else None))

    def _long_enough(self, sample: str, seed: int, features: Tensor) -> Tensor | None:
        if len(features) >= MIN_FRAMES:
            return features
        reason = f"{len(features)} frames at 30 fps; expected {MIN_FRAMES} or more"
        self.failures[f"{seed}/{sample}"] = reason
        return None


def _npy_shape(path: Path) -> tuple[int, ...]:
    """The shape of the array in a file; () where there is none."""
    try:
        return arrays.npy_shape(path) if path.suffix.lower() == ".npy" else ()
    except (ValueError, OSError):
        return ()  # no such array: reading it as a motion says what is wrong


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

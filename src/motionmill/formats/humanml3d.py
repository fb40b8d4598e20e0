"""HumanML3D's 263 numbers (.npy) and folders <-> Motion.

Shapes: T frames. A folder has `new_joint_vecs/ID.npy` (T, 263), `new_joints/ID.npy` (T, 22, 3) metres, `texts/ID.txt`
with lines `caption#word/TAG word/TAG#from#to` (seconds; 0 and 0: the whole clip), `Mean.npy`, `Std.npy` and
`train.txt`, `val.txt`, `test.txt`, `all.txt`. What the numbers mean and what they cannot hold: `motion.humanml3d`.
"""

from __future__ import annotations

import functools
import io
import logging
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from motionmill.formats import arrays, clips
from motionmill.formats.clips import Caption, Clip
from motionmill.formats.motionmillion import Statistics
from motionmill.motion import humanml3d
from motionmill.motion.humanml3d import LOST, NUM_FEATURES
from motionmill.motion.motion import Motion

logger = logging.getLogger(__name__)

VECTORS, JOINTS = "new_joint_vecs", "new_joints"
_STD_BLOCKS = (
    1,
    3,
    4,
    67,
    193,
    259,
    NUM_FEATURES,
)  # ends of the blocks whose deviations are averaged


def load_features(path: str | os.PathLike[str]) -> Motion:
    """Reads a (T, 263) array as a Motion at 20 fps; rotations come from inverse kinematics, and the log says so.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no such array; the message says what is there.
    """
    path = Path(path)
    array = arrays.read_npy(path)
    if array.ndim != 2 or array.shape[1] != NUM_FEATURES or not len(array):
        raise ValueError(f"{path.name}: an array {array.shape}; expected (T, {NUM_FEATURES})")
    values = arrays.numbers(array, f"{path.name}: the features")
    if np.abs(values).max() > 1e4:
        raise ValueError(
            f"{path.name}: values up to {np.abs(values).max():g}; expected features in metres"
        )
    try:
        solution = humanml3d.to_motion(torch.from_numpy(values), name=path.stem)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None
    logger.info("%s: HumanML3D; inverse kinematics, %s. %s", path.name, solution, LOST)
    return solution.motion


def save_features(motion: Motion, path: str | os.PathLike[str]) -> None:
    """Writes a Motion on SMPL-22 as a (T, 263) float32 array at 20 fps; what is lost: see `motion.humanml3d`."""
    clips.write_aside(Path(path), _npy(humanml3d.from_motion(motion)))


def load_humanml3d(folder: str | os.PathLike[str], *, split: str = "") -> Iterator[Clip]:
    """The clips of a HumanML3D folder, in order; a clip's motion is read when it is asked for.

    Args:
        folder: with `new_joint_vecs`, or only `new_joints`, and perhaps `texts` and lists of names.
        split: "train", "val", "test" or the name of another list; all files by default.

    Raises:
        FileNotFoundError: no such folder or list.
        ValueError: a name that leads out of the folder, or a caption line that is damaged.
    """
    folder = Path(folder)
    vectors = next((folder / name for name in (VECTORS, JOINTS) if (folder / name).is_dir()), None)
    if vectors is None:
        raise FileNotFoundError(
            f"{folder}: no {VECTORS} and no {JOINTS} in it; expected a folder of HumanML3D"
        )
    read = load_features if vectors.name == VECTORS else load_joints
    if split:
        names = clips.read_list(folder / f"{clips.checked_name(split, 'split')}.txt")
    else:
        names = clips.names_below(vectors)
    for name in names:
        clips.checked_name(name, f"{folder.name}, split {split}")
        texts = folder / "texts" / f"{name}.txt"
        captions = read_captions(texts) if texts.is_file() else ()
        known = split if split in ("train", "val", "test") else ""
        yield Clip(name, captions, known, functools.partial(read, vectors / f"{name}.npy"))


def save_humanml3d(motions: Iterable[Clip], folder: str | os.PathLike[str]) -> None:
    """Writes clips on SMPL-22 as a folder of HumanML3D; the log says what is lost.

    Raises:
        ValueError: a motion on another skeleton or of less than two frames, or a name that leads out of the folder.
    """
    folder = Path(folder)
    written = []
    for clip in motions:
        name = clips.checked_name(clip.name, folder.name)
        save_features(clip.motion(), folder / VECTORS / f"{name}.npy")
        written.append(Clip(name, clip.captions, clip.split))  # its motion is not kept
    complete(folder, written)


def complete(folder: Path, described: Sequence[Clip]) -> None:
    """Writes what a folder has beside the numbers in `new_joint_vecs`: joints, texts, lists, Mean.npy and Std.npy.

    Raises:
        ValueError: no clips.
    """
    if not described:
        raise ValueError(f"{folder.name}: no clips to write")
    total = Statistics(NUM_FEATURES)
    for clip in described:
        vectors = torch.from_numpy(
            arrays.numbers(arrays.read_npy(folder / VECTORS / f"{clip.name}.npy"), clip.name)
        )
        total.add(vectors)
        joints = humanml3d.to_joints(vectors)
        clips.write_aside(folder / JOINTS / f"{clip.name}.npy", _npy(joints))
        lines = "".join(caption_line(caption) for caption in clip.captions)
        clips.write_aside(folder / "texts" / f"{clip.name}.txt", lines)
    clips.write_splits(described, folder)
    mean, std = total.mean_and_std()
    starts = (0, *_STD_BLOCKS[:-1])
    for start, end in zip(starts, _STD_BLOCKS, strict=True):
        std[start:end] = std[start:end].mean()
    clips.write_aside(folder / "Mean.npy", _npy(mean))
    clips.write_aside(folder / "Std.npy", _npy(std))
    tagged = all(caption.tokens for clip in described for caption in clip.captions)
    unknown = "" if tagged else ". Parts of speech are not known: the words are tagged OTHER"
    logger.warning("%s: %s%s", folder.name, LOST, unknown)


def read_captions(path: Path) -> tuple[Caption, ...]:
    """The lines of a text file of HumanML3D.

    Raises:
        ValueError: a line without its four fields, or with times that are no numbers.
    """
    captions = []
    for number, line in enumerate(clips.read_list(path), 1):
        fields = line.rsplit("#", 3)
        try:
            text, tokens, start, end = fields
            times = [float(start), float(end)]
        except ValueError:
            raise ValueError(
                f"{path.name}, line {number}: {line[:60]!r}; expected caption#word/TAG ...#from#to"
            ) from None
        start_seconds, end_seconds = (value if math.isfinite(value) else 0.0 for value in times)
        captions.append(Caption(text.strip(), tokens.strip(), start_seconds, end_seconds))
    return tuple(captions)


def caption_line(caption: Caption) -> str:
    """A line of a text file of HumanML3D."""
    text = " ".join(caption.text.replace("#", " ").split())
    words = "".join(sign if sign.isalnum() else " " for sign in text.lower()).split()
    tokens = caption.tokens or " ".join(f"{word}/OTHER" for word in words)
    return f"{text}#{tokens}#{caption.start_seconds}#{caption.end_seconds}\n"


def load_joints(path: Path) -> Motion:
    """A file of `new_joints`, (T, 22, 3) at 20 fps; rotations come from inverse kinematics."""
    from motionmill.formats import joint_positions

    return joint_positions.load(path, fps=humanml3d.HUMANML3D_FPS)


def _npy(values: Tensor) -> bytes:
    data = io.BytesIO()
    np.save(data, values.float().cpu().numpy(), allow_pickle=False)
    return data.getvalue()

"""A motion -> what a camera and a perfect landmark model would see of it; small video files for tests."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from motionmill.motion.motion import Motion
from motionmill.video.frames import Frames
from motionmill.video.landmarks import LANDMARKS, Landmarks, Region
from motionmill.video.people import Track, box_of

SIZE = (640, 360)

# Where landmarks are on a joint of our skeleton: joint and place in its frame, metres, of the left side.
_ON_JOINTS = {
    "nose": ("head", (0.0, 0.06 - 0.1 * np.sin(0.25), 0.1 * np.cos(0.25))),
    "eye_inner": ("head", (0.02, 0.09, 0.08)),
    "eye": ("head", (0.03, 0.09, 0.08)),
    "eye_outer": ("head", (0.04, 0.09, 0.08)),
    "ear": ("head", (0.07, 0.06, 0.0)),
    "mouth": ("head", (0.03, 0.01, 0.08)),
    "pinky": ("wrist", (0.09, 0.0, -0.04)),
    "index": ("wrist", (0.09, 0.0, 0.04)),
    "thumb": ("wrist", (0.05, 0.0, 0.05)),
    "heel": ("ankle", (0.0, -0.07, -0.05)),
    "foot_index": ("ankle", (0.0, -0.07, 0.19)),
}


def landmarks_in_world(motion: Motion) -> NDArray[np.float64]:
    """(T, 33, 3) landmarks of a motion on our skeleton, in its world."""
    joints, turns = motion.skeleton.forward_kinematics(motion.rotations, motion.root)
    index = motion.skeleton.index
    places = []
    for name in LANDMARKS:
        side = "left" if "left" in name else "right"
        part = (
            name.replace("left_", "")
            .replace("right_", "")
            .replace("_left", "")
            .replace("_right", "")
        )
        if part not in _ON_JOINTS:
            places.append(joints[:, index(f"{side}_{part}")])
            continue
        joint, offset = _ON_JOINTS[part]
        number = index(joint if joint == "head" else f"{side}_{joint}")
        sign = -1.0 if side == "right" and name != "nose" else 1.0
        local = torch.tensor([sign * offset[0], *offset[1:]], dtype=joints.dtype)
        places.append(joints[:, number] + turns[:, number] @ local)
    return torch.stack(places, dim=1).numpy()


def film(
    motion: Motion,
    *,
    distance: float = 4.0,
    height: float = 1.0,
    focal: float = 1.0,
    pan: NDArray[np.float64] | None = None,
    shift: float = 0.0,
) -> tuple[Frames, Track, NDArray[np.float64]]:
    """Blank pictures, the track of the person, and the turns (T, 3, 3) of a camera that looks along -Z.

    Args:
        motion: on our skeleton, near the origin.
        distance: of the camera, metres.
        height: of the camera over the floor, metres.
        focal: length over the longer side.
        pan: (T,) turns of the camera to the right, radians.
        shift: seconds by which the pictures start late.
    """
    count = len(motion)
    world = landmarks_in_world(motion)
    camera = (world - [0.0, height, distance]) * [1.0, -1.0, -1.0]  # x right, y down, z away
    angle = np.zeros(count) if pan is None else pan
    turns = np.zeros((count, 3, 3))
    turns[:, 0, 0] = turns[:, 2, 2] = np.cos(angle)
    turns[:, 0, 2], turns[:, 2, 0], turns[:, 1, 1] = -np.sin(angle), np.sin(angle), 1.0
    camera = np.einsum("tij,tkj->tki", turns, camera)
    pixels = focal * max(SIZE) * camera[..., :2] / camera[..., 2:] + np.array(SIZE) / 2
    hips = camera[:, [23, 24]].mean(axis=1, keepdims=True)
    # A landmark model gives the body as if seen from far away: across as in the picture, at the depth of the hips.
    flat = (pixels - np.array(SIZE) / 2) / (focal * max(SIZE)) * hips[..., 2:]
    own = np.concatenate((flat - hips[..., :2], camera[..., 2:] - hips[..., 2:]), axis=-1)
    found = tuple(
        Landmarks(pixels[t], np.ones(33), own[t], Region(*pixels[t, 23], 100.0, 0.0))
        for t in range(count)
    )
    boxes = np.stack([box_of(one) for one in found]) / np.array([*SIZE, *SIZE])
    times = shift + np.arange(count) / motion.fps
    frames = Frames(
        np.zeros((count, SIZE[1], SIZE[0], 3), np.uint8), times, np.arange(count), (0, count)
    )
    return frames, Track(0, np.arange(count), boxes, np.ones(count), "end", found), turns


def save_video(
    path: Path,
    images: Sequence[NDArray[np.uint8]],
    *,
    fps: int = 30,
    times: Sequence[float] | None = None,
) -> Path:
    """Writes pictures (H, W, 3), H and W even, at an even rate or at times in seconds."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "ultrafast"}
        stream.codec_context.time_base = Fraction(1, 1000)
        for place, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts = round(1000 * (place / fps if times is None else times[place]))
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def rotated_by_header(path: Path) -> None:
    """Changes an .mp4 so that its header asks players for a quarter turn clockwise."""
    content = bytearray(path.read_bytes())
    place = content.find(b"tkhd") + 44
    quarter = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    content[place : place + 36] = quarter
    path.write_bytes(bytes(content))


def texture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """A picture with corners everywhere."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return coarse.repeat(8, axis=0).repeat(8, axis=1)

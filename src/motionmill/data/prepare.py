"""One recording -> clips: retargeted, 30 fps, broken takes out, long takes cut, captions that the motion bears out.

Each step is a small pure function; what it leaves out becomes a Reject with its measurement.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from motionmill.data.calibration import between_t_poses
from motionmill.data.captions import true_labels, write_captions
from motionmill.data.clip import Clip, Reject
from motionmill.data.config import DataConfig
from motionmill.data.describe import contradicts, facts
from motionmill.data.sources import Recording
from motionmill.motion.features import FEATURES_FPS, from_motion
from motionmill.motion.motion import Motion
from motionmill.motion.retarget import retarget
from motionmill.motion.rotations import matrix_to_axis_angle


def prepare(recording: Recording, config: DataConfig) -> tuple[list[Clip], list[Reject]]:
    """The clips of a recording and what was left out of it."""
    if reason := excluded(recording, config):
        return [], [Reject(recording.id, "select", reason)]
    try:
        motion = retarget(recording.read()).resample(FEATURES_FPS)
    except ValueError as error:
        return [], [Reject(recording.id, "retarget", str(error))]

    clips: list[Clip] = []
    rejects: list[Reject] = []
    stretches = sound_stretches(motion, config)
    if not stretches:
        rejects.append(Reject(recording.id, "calibration", "a calibration pose throughout"))
    for first, stop in stretches:
        if stop - first < config.min_frames:
            rejects.append(
                Reject(
                    f"{recording.id}@{first}",
                    "length",
                    "too short",
                    stop - first,
                    config.min_frames,
                )
            )
            continue
        for start, end in windows(first, stop, config):
            clip_id = recording.id if end - start == len(motion) else f"{recording.id}@{start}"
            clips.append(make_clip(recording, motion, clip_id, start, end, config))
    return clips, rejects


def excluded(recording: Recording, config: DataConfig) -> str | None:
    """Why a recording is not used at all, or None."""
    if recording.id in config.exclude:
        return config.exclude[recording.id]
    if recording.unusable:
        return recording.unusable
    if recording.labels.get("primary") is False:
        return "a duplicate of another recording"
    return None


def sound_stretches(motion: Motion, config: DataConfig) -> list[tuple[int, int]]:
    """Frame ranges (start, stop) between breaks: jumps of the root in place or rotation that no person makes."""
    speed = torch.diff(motion.root, dim=0).norm(dim=-1) * motion.fps
    rotations = motion.rotations[:, 0]
    turn = matrix_to_axis_angle(rotations[:-1].transpose(-1, -2) @ rotations[1:]).norm(dim=-1)
    limit = math.radians(config.max_turn_degrees)
    broken = ((speed > config.max_root_speed) | (turn > limit)).nonzero().flatten().tolist()
    begin, end = between_t_poses(
        motion.joints()
    )  # a take often starts or ends with the calibration pose
    edges = [begin, *(frame + 1 for frame in broken if begin < frame + 1 < end), end]
    return [(start, stop) for start, stop in itertools.pairwise(edges) if stop > start]


def windows(start: int, stop: int, config: DataConfig) -> Iterator[tuple[int, int]]:
    """A range of at most `max_frames` as it is; a longer one in equal parts of about `window_frames`."""
    length = stop - start
    count = 1 if length <= config.max_frames else math.ceil(length / config.window_frames)
    for index in range(count):
        yield start + index * length // count, start + (index + 1) * length // count


def make_clip(
    recording: Recording, motion: Motion, clip_id: str, start: int, end: int, config: DataConfig
) -> Clip:
    """Frames start .. end of a retargeted recording as a Clip."""
    part = motion[start:end].face_forward()
    seen = facts(part)
    labels = true_labels(_window_labels(recording.labels, start, end), seen)
    seed = int.from_bytes(hashlib.sha256(f"{config.seed}/{clip_id}".encode()).digest()[:8])
    captions = write_captions(
        labels,
        seen,
        source=recording.source,
        count=config.captions_per_clip,
        rng=random.Random(seed),
    )
    truthful = [caption for caption in captions if contradicts(caption, seen) is None]
    return Clip(
        id=clip_id,
        features=from_motion(part).float(),
        captions=tuple(truthful or ("a person moves",)),
        source=recording.source,
        licence=recording.licence,
        commercial=recording.commercial,
        group=recording.group,
        content=labels.get("content") or labels.get("label"),
        style=labels.get("style"),
        provenance={
            "recording": recording.id,
            "start_frame": start,
            "end_frame": end,
            "published": labels.get("source", ""),
            "path": labels.get("path", ""),
            "dropped_captions": len(captions) - len(truthful),
        },
    )


def _window_labels(labels: Mapping[str, Any], start: int, end: int) -> dict[str, Any]:
    """The labels of a window: of the segments those that mostly lie in it."""
    result = dict(labels)
    if "segments" in labels:
        kept = []
        for segment in labels["segments"]:
            first, last = int(segment["start_frame"]), int(segment["end_frame"])
            overlap = min(end, last) - max(start, first)
            if overlap >= 0.5 * max(1, last - first):
                kept.append(segment)
        result["segments"] = kept
    return result

"""A video -> the motion of every person in it: the four stages in order, each candidate with its measurements."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from motionmill.video.boxes import box_measurements, first_box_failure, inside_clip
from motionmill.video.candidate import Candidate, Failure, PersonClip, RejectedCandidate
from motionmill.video.config import WHOLE_SHOTS, PoseConfig, VideoConfig
from motionmill.video.frames import Frames, Span, VideoInfo, clip_frames, probe, small_frames
from motionmill.video.shots import Shots, clips_of, find_shots

if TYPE_CHECKING:
    from motionmill.motion.motion import Motion
    from motionmill.video.people import PersonTracker, Track
    from motionmill.video.pose import Estimate, PoseEstimator

_SHOTS_SHARE = 0.1  # of the work that finding shots is


@dataclass(frozen=True, eq=False)
class Extraction:
    """What a video gave.

    Attributes:
        people: candidates that became motion, in the order of their ids.
        rejects: candidates that did not, each with its stage, reason, value and threshold.
        measurements: of the video: width, height, fps, frames, seconds, shots, clips.
        cuts: frames at which shots start, without the first.
    """

    people: list[PersonClip]
    rejects: list[RejectedCandidate]
    measurements: dict[str, float]
    cuts: list[int]

    def by_presence(self) -> list[PersonClip]:
        """People, those longest in sight first."""
        return sorted(self.people, key=lambda one: (-one.measurements["frames"], one.id))


@dataclass(frozen=True)
class _Clip:
    """A piece of a shot that people are looked for in."""

    shot: int
    number: int
    span: Span


def extract_motion(
    path: str | os.PathLike[str],
    config: VideoConfig = WHOLE_SHOTS,
    *,
    progress: Callable[[float], None] | None = None,
) -> list[Motion]:
    """The motion of every person in a video, those longest in sight first.

    Args:
        path: any video that FFmpeg decodes.
        config: options and thresholds; by default shots of up to 20 seconds stay whole.
        progress: called with the share that is done, 0..1.

    Returns:
        Motions on our skeleton at 30 fps, floor at y = 0, named after the file; none where nobody passes.

    Raises:
        FileNotFoundError, ValueError, MissingExtraError: as `extract` does.
    """
    path = Path(path)
    people = extract(path, config, progress=progress).by_presence()
    return [
        replace(one.motion, name=f"{path.stem}, person {number}")
        for number, one in enumerate(people, 1)
    ]


def extract(
    path: Path,
    config: VideoConfig,
    *,
    estimator: PoseEstimator | None = None,
    tracker: PersonTracker | None = None,
    progress: Callable[[float], None] | None = None,
) -> Extraction:
    """Shots, people, box filter, pose: a video -> motion.

    Args:
        path: any video that FFmpeg decodes.
        config: options and thresholds.
        estimator: how a followed person becomes motion; MediaPipe's landmarks, lifted, by default.
        tracker: how people are found and followed; MediaPipe's detector and landmarks by default.
        progress: called with the share that is done, 0..1.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a video, no frames, or too large; one line that names the file.
        MissingExtraError: the extra `video` is not installed.
    """
    if tracker is None:
        from motionmill.video.people import LandmarkTracker

        tracker = LandmarkTracker(config.people)
    if estimator is None:
        from motionmill.video.mediapipe_pose import MediaPipePose

        estimator = MediaPipePose(config.pose)
    tell = progress or (lambda share: None)
    info = probe(path, config.frames)
    shots = find_shots(small_frames(info), config.shots)
    clips, rejects = _clips(info, shots, config)
    tell(_SHOTS_SHARE)
    found: list[Candidate] = list(rejects)
    pictures = clip_frames(info, [clip.span for clip in clips], config.frames)
    for done, (clip, frames) in enumerate(zip(clips, pictures, strict=True), 1):
        found += _people(clip, frames, shots, tracker, estimator, config)
        tell(_SHOTS_SHARE + (1 - _SHOTS_SHARE) * done / len(clips))
    tell(1.0)
    found.sort(key=lambda one: (one.shot, one.clip, one.track))
    return Extraction(
        [one for one in found if isinstance(one, PersonClip)],
        [one for one in found if isinstance(one, RejectedCandidate)],
        {
            "width": float(info.width),
            "height": float(info.height),
            "fps": info.fps,
            "frames": float(len(shots.times)),
            "seconds": _end(shots, len(shots.times) - 1, info) if len(shots.times) else 0.0,
            "shots": float(len(shots.spans)),
            "clips": float(len(clips)),
        },
        shots.cuts,
    )


def pose_failure(measurements: Mapping[str, float], config: PoseConfig) -> Failure | None:
    """The first threshold that a pose misses: visibility of the body, distance of its joints from the picture's.

    What an estimator did not measure is not judged.
    """
    visibility, residual = measurements.get("visibility"), measurements.get("residual")
    if visibility is not None and visibility < config.min_visibility:
        return Failure("pose", "visibility", visibility, config.min_visibility)
    if residual is not None and residual > config.max_residual:
        return Failure("pose", "residual", residual, config.max_residual)
    return None


def _clips(
    info: VideoInfo, shots: Shots, config: VideoConfig
) -> tuple[list[_Clip], list[RejectedCandidate]]:
    """The clips to look for people in, and the shots that are too short or too sparse."""
    clips: list[_Clip] = []
    rejects: list[RejectedCandidate] = []
    for number, (start, end) in enumerate(shots.spans):
        seconds = _end(shots, end - 1, info) - float(shots.times[start])
        measurements = {
            "shot_frames": float(end - start),
            "shot_seconds": seconds,
            "shot_fps": (end - start) / seconds,
        }
        failure = None
        if end - start < config.shots.min_frames:
            failure = Failure("shots", "shot_frames", end - start, config.shots.min_frames)
        elif measurements["shot_fps"] < config.shots.min_fps:
            failure = Failure("shots", "shot_fps", measurements["shot_fps"], config.shots.min_fps)
        if failure is None:
            spans = clips_of((start, end), shots.times, config.shots)
            clips += [_Clip(number, part, span) for part, span in enumerate(spans)]
            continue
        times = (float(shots.times[start]), float(shots.times[start]) + seconds)
        rejects.append(
            RejectedCandidate(
                f"{number}.0", number, 0, -1, (start, end), times, measurements, failure=failure
            )
        )
    return clips, rejects


def _people(
    clip: _Clip,
    frames: Frames,
    shots: Shots,
    tracker: PersonTracker,
    estimator: PoseEstimator,
    config: VideoConfig,
) -> Iterator[Candidate]:
    """The candidates of one clip."""
    from motionmill.video.camera import camera_path

    span = clip.span
    times = (float(shots.times[span.start]), float(shots.times[span.end - 1]))
    bare = Candidate(
        f"{clip.shot}.{clip.number}", clip.shot, clip.number, -1, (span.start, span.end), times, {}
    )
    tracks = tracker.track(frames)
    tracks = [track for track in tracks if inside_clip(frames, track).any()]
    if not tracks:
        counts = {"people": 0.0, "frames": float(span.end - span.start)}
        yield _rejected(replace(bare, measurements=counts), Failure("people", "people", 0.0, 1.0))
        return
    measured = [box_measurements(frames, track, tracks) for track in tracks]
    failures = [first_box_failure(values, config.boxes) for values in measured]
    camera = None
    for track, values, failure in zip(tracks, measured, failures, strict=True):
        place = _place(bare, frames, track, values)
        seen = _sight(frames, track)
        if failure is not None:
            yield _rejected(place, failure, seen)
            continue
        camera = camera or camera_path(frames, tracks, config.pose.focal)
        estimate = estimator.estimate(frames, track, camera)
        yield _posed(
            replace(place, flags=estimate.flags), estimate, camera.measurements, seen, config
        )


def _posed(
    place: Candidate,
    estimate: Estimate,
    camera: dict[str, float],
    seen: dict[str, Any],
    config: VideoConfig,
) -> Candidate:
    place = replace(place, measurements={**place.measurements, **camera, **estimate.measurements})
    failure = estimate.failure or pose_failure(place.measurements, config.pose)
    if failure is not None:
        return _rejected(place, failure, seen | {"motion": estimate.motion})
    assert estimate.motion is not None, "an estimate has a motion or a failure"
    return PersonClip(**_fields(place), motion=estimate.motion, **seen)


def _place(bare: Candidate, frames: Frames, track: Track, values: dict[str, float]) -> Candidate:
    """The candidate of a track, where in the video it is."""
    places = track.places[inside_clip(frames, track)]
    return replace(
        bare,
        id=f"{bare.id}.{track.number}",
        track=track.number,
        frames=(int(frames.numbers[places[0]]), int(frames.numbers[places[-1]]) + 1),
        seconds=(float(frames.times[places[0]]), float(frames.times[places[-1]])),
        measurements=values | {"people": 1.0},
    )


def _sight(frames: Frames, track: Track) -> dict[str, Any]:
    inside = inside_clip(frames, track)
    return {"times": frames.times[track.places[inside]], "boxes": track.boxes[inside]}


def _rejected(
    place: Candidate, failure: Failure, seen: dict[str, Any] | None = None
) -> RejectedCandidate:
    return RejectedCandidate(**_fields(place), failure=failure, **(seen or {}))


def _fields(place: Candidate) -> dict[str, Any]:
    names = ("id", "shot", "clip", "track", "frames", "seconds", "measurements", "flags")
    return {name: getattr(place, name) for name in names}


def _end(shots: Shots, frame: int, info: VideoInfo) -> float:
    """When a frame ends: one usual step after it starts, seconds."""
    steps = np.diff(shots.times)
    return float(shots.times[frame]) + (float(np.median(steps)) if len(steps) else 1 / info.fps)

"""The pictures of a clip -> the tracks of the people in it; a change of identity breaks a track, nothing bridges it.

Each person is followed by landmarks: the circle around the body in one picture is where the next one is searched. The
detector looks for new people a few times a second. Where a track begins the detector's circle is often too large, and
before somebody is lost the landmarks slip off the body: a second look at the same picture moves them. The first are
looked at again until they stay, the last are left out. Boxes are left, top, right, bottom as shares of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from motionmill.video.config import PeopleConfig
from motionmill.video.frames import Frames, Picture
from motionmill.video.landmarks import BODY, BlazePose, Landmarks, Region, blaze_pose
from motionmill.video.opencv import opencv

Array = NDArray[np.float64]

_TORSO: Final = (11, 12, 24, 23)
_BINS: Final = (8, 8)  # of hue and saturation
_MEMORY: Final = 0.1  # of the colours of a person, share of the newest picture
_NESTED: Final = 0.7  # share of a new box inside that of somebody known
_SHORTEST: Final = 3  # frames of a track worth naming
_STEADY: Final = 0.04  # of the body's height: by how much a second look may move landmarks, mean
_IN_A_ROW: Final = 3  # pictures of steady landmarks that a track begins and ends with
_LOOKS: Final = 5  # at the picture in which a track begins


@dataclass(frozen=True, eq=False)
class Track:
    """One person over part of a clip.

    Attributes:
        number: unique in the clip.
        places: (N,) which of the clip's pictures, increasing; small gaps are possible.
        boxes: (N, 4) shares of the picture, beyond 0..1 where the body is cut off.
        scores: (N,) how surely this is a person, 0..1.
        end: why it ended: "end" of the clip, "lost", "jump", "overlap" or "likeness".
        landmarks: (N,) of each picture, where the tracker found them on its way; else empty.
    """

    number: int
    places: NDArray[np.int64]
    boxes: Array
    scores: Array
    end: str = "end"
    landmarks: tuple[Landmarks, ...] = ()

    def __len__(self) -> int:
        return len(self.places)


class PersonDetector(Protocol):
    """A picture -> the people in it."""

    def detect(self, image: Picture, *, min_score: float) -> list[Region]:
        """Circles around bodies, in pixels, the surest first."""
        ...


class PersonTracker(Protocol):
    """The pictures of a clip -> tracks."""

    def track(self, frames: Frames) -> list[Track]:
        """The tracks of all people, in the order in which they appear. Deterministic."""
        ...


class LandmarkTracker:
    """Follows people by their landmarks.

    Args:
        config: thresholds.
        detector: finds new people; MediaPipe's by default.
        model: landmarks in a region; MediaPipe's by default.
    """

    def __init__(
        self,
        config: PeopleConfig,
        *,
        detector: PersonDetector | None = None,
        model: BlazePose | None = None,
    ) -> None:
        self._config = config
        self._model = model or blaze_pose()
        self._detector = detector or self._model

    def track(self, frames: Frames) -> list[Track]:
        active: list[_Person] = []
        done: list[_Person] = []
        looked = -math.inf
        for place, (image, time) in enumerate(
            zip(frames.images, frames.times.tolist(), strict=True)
        ):
            for person in active:
                self._follow(person, image, place, time)
            self._break_overlaps(active)
            if time - looked >= self._config.detect_every_seconds - 1e-6:
                looked = time
                active += self._new_people(active, image, place, time)
            done += [person for person in active if person.end]
            restarts = [person for person in active if person.end in ("jump", "likeness")]
            active = [person for person in active if not person.end]
            active += [self._restarted(person, image, place, time) for person in restarts]
            active = sorted(active, key=lambda person: -person.region.radius)
            for person in active[self._config.max_people :]:
                person.end = "lost"
            done += active[self._config.max_people :]
            active = active[: self._config.max_people]
        for person in (*done, *active):
            self._without_loose_ends(person, frames)
        found = [person for person in (*done, *active) if len(person.places) >= _SHORTEST]
        found.sort(key=lambda person: (person.places[0], person.landmarks[0].region.x))
        size = (frames.width, frames.height)
        return [person.track(number, size) for number, person in enumerate(found)]

    def _follow(self, person: _Person, image: Picture, place: int, time: float) -> None:
        """Adds the person's next landmarks, or ends the track."""
        found = self._model.landmarks(image, person.region)
        if found is None:
            if time - person.seen > self._config.max_gap_seconds:
                person.end = "lost"
            return
        height = max(box_height(found), 1.0)
        step = np.linalg.norm(_middle(found) - _middle(person.landmarks[-1]))
        frames = max(1, place - person.places[-1])
        if step / frames > self._config.max_jump * height:
            person.end = "jump"
        elif person.likeness(image, found) < self._config.min_likeness:
            person.end = "likeness"
        else:
            person.add(place, time, image, found)

    def _break_overlaps(self, active: Sequence[_Person]) -> None:
        """Ends both of two tracks that have come to lie on one another, where they began to."""
        for index, one in enumerate(active):
            for other in active[index + 1 :]:
                if one.end or other.end or not (one.places and other.places):
                    continue
                if one.places[-1] == other.places[-1]:
                    boxes = [box_of(person.landmarks[-1]) for person in (one, other)]
                    if intersection_over_union(*boxes) > self._config.max_overlap:
                        one.end = other.end = "overlap"
                        one.drop(-1)
                        other.drop(-1)

    def _new_people(
        self, active: Sequence[_Person], image: Picture, place: int, time: float
    ) -> list[_Person]:
        people: list[_Person] = []
        going = [person for person in active if not person.end]
        known = [person.region for person in going]
        boxes = [box_of(person.landmarks[-1]) for person in going]
        for region in self._detector.detect(image, min_score=self._config.min_score):
            if any(region.is_near(other) for other in known):
                continue
            found = self._model.landmarks(image, region)
            if found is None or _is_known(found, known, boxes):
                continue
            found = self._settled(image, found)
            if _is_known(found, known, boxes):
                continue
            people.append(_started(found, image, place, time))
            known.append(found.region)
            boxes.append(box_of(found))
        return people

    def _restarted(self, person: _Person, image: Picture, place: int, time: float) -> _Person:
        """A new track for whoever is now where a broken one was going on."""
        found = self._model.landmarks(image, person.region)
        assert found is not None  # it was found, and broke the track
        return _started(self._settled(image, found), image, place, time)

    def _settled(self, image: Picture, found: Landmarks) -> Landmarks:
        """Landmarks looked for again where they were found, until they stay there."""
        for _ in range(_LOOKS):
            again = self._model.landmarks(image, found.region)
            if again is None:
                break
            moved, found = _moved(found, again), again
            if moved < _STEADY:
                break
        return found

    def _without_loose_ends(self, person: _Person, frames: Frames) -> None:
        """Drops the first pictures whose landmarks a second look would move, and the last, where the track broke."""
        for end in (0, -1) if person.end else (0,):
            places = range(len(person.places))
            steady = looked = 0
            for place in places if end == 0 else reversed(places):
                if steady == _IN_A_ROW:
                    break
                looked += 1
                steady = steady + 1 if self._stays(person, place, frames) else 0
            for _ in range(looked - steady):
                person.drop(end)

    def _stays(self, person: _Person, index: int, frames: Frames) -> bool:
        found = person.landmarks[index]
        again = self._model.landmarks(frames.images[person.places[index]], found.region)
        return again is not None and _moved(found, again) < _STEADY


@dataclass(eq=False)
class _Person:
    """A track that is growing."""

    region: Region
    seen: float
    colours: Array
    places: list[int] = field(default_factory=list)
    landmarks: list[Landmarks] = field(default_factory=list)
    end: str = ""

    def add(self, place: int, time: float, image: Picture, found: Landmarks) -> None:
        self.colours = (1 - _MEMORY) * self.colours + _MEMORY * torso_colours(image, found)
        self.region, self.seen = found.region, time
        self.places.append(place)
        self.landmarks.append(found)

    def drop(self, end: int) -> None:
        """Forgets the first (0) or the last (-1) picture."""
        self.places.pop(end)
        self.landmarks.pop(end)

    def likeness(self, image: Picture, found: Landmarks) -> float:
        """How much the colours of the torso are those of before, 0..1 (Bhattacharyya's coefficient)."""
        return float(np.sqrt(self.colours * torso_colours(image, found)).sum())

    def track(self, number: int, size: tuple[int, int]) -> Track:
        scale = np.array([*size, *size], dtype=np.float64)
        boxes = np.stack([box_of(found) for found in self.landmarks]) / scale
        scores = np.array([found.visibility[list(BODY)].mean() for found in self.landmarks])
        places = np.array(self.places, dtype=np.int64)
        return Track(number, places, boxes, scores, self.end or "end", tuple(self.landmarks))


def _started(found: Landmarks, image: Picture, place: int, time: float) -> _Person:
    person = _Person(found.region, time, torso_colours(image, found))
    person.add(place, time, image, found)
    return person


def _is_known(found: Landmarks, known: Sequence[Region], boxes: Sequence[Array]) -> bool:
    """Whether this is somebody who is followed, a limb taken for a person, or somebody who is hidden anyway."""
    box = box_of(found)
    return any(found.region.is_near(other) for other in known) or any(
        intersection(box, other) > _NESTED * _area(box) for other in boxes
    )


def _moved(found: Landmarks, again: Landmarks) -> float:
    """By how much landmarks of one picture differ, mean over the body, as a share of its height."""
    body = list(BODY)
    apart = np.linalg.norm(again.points[body] - found.points[body], axis=1).mean()
    return float(apart) / max(box_height(found), 1.0)


def box_of(found: Landmarks) -> Array:
    """(4,) left, top, right, bottom of a whole body in pixels: its landmarks, and the head over them."""
    low, high = found.points.min(axis=0), found.points.max(axis=0)
    head = 0.55 * np.linalg.norm(found.points[[11, 12]].mean(axis=0) - found.points[0])
    pad = 0.03 * float(high[1] - low[1])
    return np.array(
        [low[0] - pad, min(low[1], found.points[0, 1] - head), high[0] + pad, high[1] + pad]
    )


def box_height(found: Landmarks) -> float:
    """Height of a person's box, pixels."""
    box = box_of(found)
    return float(box[3] - box[1])


def intersection_over_union(one: Array, other: Array) -> float:
    """Of two boxes (4,), 0..1."""
    inner = intersection(one, other)
    both = _area(one) + _area(other) - inner
    return inner / both if both > 0 else 0.0


def intersection(one: Array, other: Array) -> float:
    """Area that two boxes (4,) share."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    return float(np.prod(np.maximum(high - low, 0)))


def torso_colours(image: Picture, found: Landmarks) -> Array:
    """(64,) histogram of hue and saturation between shoulders and hips, sum 1; even where nothing of it is in view."""
    cv2 = opencv()
    corners = found.points[list(_TORSO)]
    height, width = image.shape[:2]
    low = np.clip(corners.min(axis=0), 0, (width - 1, height - 1)).astype(int)
    high = np.clip(corners.max(axis=0), 0, (width - 1, height - 1)).astype(int) + 1
    step = max(1, int(high[1] - low[1]) // 24)
    part = np.ascontiguousarray(image[low[1] : high[1] : step, low[0] : high[0] : step])
    bins = _BINS[0] * _BINS[1]
    if part.size < 3 * 16:
        return np.full(bins, 1 / bins)
    colours = cv2.cvtColor(part, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([colours], [0, 1], None, list(_BINS), [0, 180, 0, 256])
    counts = cv2.GaussianBlur(counts, (3, 3), 0.7).astype(np.float64).ravel() + 1e-6
    return counts / counts.sum()


def _middle(found: Landmarks) -> Array:
    return found.points[[11, 12, 23, 24]].mean(axis=0)


def _area(box: Array) -> float:
    return float(np.prod(np.maximum(box[2:] - box[:2], 0)))

"""People are followed; a change of identity, a jump and two tracks on one person break tracks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from motionmill.video.config import PeopleConfig
from motionmill.video.frames import Frames
from motionmill.video.landmarks import Landmarks, Region
from motionmill.video.people import LandmarkTracker, intersection_over_union

pytest.importorskip("cv2")
WIDTH, HEIGHT, COUNT = 320, 180, 45
RED, BLUE = (220, 20, 20), (20, 40, 220)


@dataclass
class Actors:
    """A detector and a landmark model that know where everybody is: x of each person at each picture, or None."""

    ways: list[list[float | None]]
    colours: list[list[tuple[int, int, int]]]
    seen: dict[int, int] = field(default_factory=dict)
    wide: float = 60.0  # radius of the circle that the detector gives; 60 is that of a body
    slipping: tuple[int, ...] = ()  # pictures in which every look finds the body elsewhere

    def frames(self) -> Frames:
        images = np.full((COUNT, HEIGHT, WIDTH, 3), 128, np.uint8)
        for way, colours in zip(self.ways, self.colours, strict=True):
            for place, x in enumerate(way):
                if x is not None:
                    images[place, 60:130, int(x) - 15 : int(x) + 15] = colours[place]
        images[:, 0, 0, 0] = np.arange(COUNT)  # so that a picture says which it is
        return Frames(images, np.arange(COUNT) / 30, np.arange(COUNT), (0, COUNT))

    def detect(self, image: np.ndarray, *, min_score: float) -> list[Region]:
        place = int(image[0, 0, 0])
        return [
            Region(way[place], 100.0, self.wide, 0.0)  # type: ignore[arg-type]
            for way in self.ways
            if way[place] is not None
        ]

    def landmarks(self, image: np.ndarray, region: Region) -> Landmarks | None:
        place = int(image[0, 0, 0])
        near = [way[place] for way in self.ways if way[place] is not None]
        near = [x for x in near if abs(x - region.x) < 45]  # type: ignore[operator]
        if not near:
            return None
        x = min(near, key=lambda x: abs(x - region.x))  # type: ignore[operator]
        off = (region.radius - 60) / 2 + (region.x - x + 12 if place in self.slipping else 0)  # type: ignore[operator]
        x, radius = x + off, 60 + (region.radius - 60) / 2  # type: ignore[operator]
        points = np.full((33, 2), (x, 100.0))
        points[0] = (x, 45)
        points[[11, 12, 23, 24]] = [(x + 12, 65), (x - 12, 65), (x + 8, 105), (x - 8, 105)]
        points[[31, 32]] = [(x + 8, 160), (x - 8, 160)]
        return Landmarks(points, np.ones(33), np.zeros((33, 3)), Region(x, 100.0, radius, 0.0))


def tracks_of(actors: Actors, **options: float) -> list[tuple[int, int, str]]:
    tracker = LandmarkTracker(PeopleConfig(**options), detector=actors, model=actors)  # type: ignore[arg-type]
    frames = actors.frames()
    found = tracker.track(frames)
    again = tracker.track(frames)
    assert [track.places.tolist() for track in found] == [track.places.tolist() for track in again]
    return [(int(track.places[0]), int(track.places[-1]), track.end) for track in found]


def still(x: float, colour: tuple[int, int, int]) -> Actors:
    return Actors([[x] * COUNT], [[colour] * COUNT])


def test_two_people_who_walk_are_two_tracks() -> None:
    actors = Actors(
        [[60 + k for k in range(COUNT)], [280.0 - k for k in range(COUNT)]],
        [[RED] * COUNT, [BLUE] * COUNT],
    )
    assert tracks_of(actors) == [(0, COUNT - 1, "end"), (0, COUNT - 1, "end")]


def test_someone_who_comes_later_is_found() -> None:
    late = Actors(
        [[60.0] * COUNT, [None] * 20 + [250.0] * (COUNT - 20)], [[RED] * COUNT, [BLUE] * COUNT]
    )
    first, second = tracks_of(late)
    assert first == (0, COUNT - 1, "end")
    assert 20 <= second[0] <= 28


def test_short_gaps_stay_one_track_and_long_ones_do_not() -> None:
    short, long = still(100, RED), still(100, RED)
    short.ways[0][20:24] = [None] * 4
    long.ways[0][15:30] = [None] * 15
    assert tracks_of(short) == [(0, COUNT - 1, "end")]
    found = tracks_of(long)
    assert [end for _, _, end in found] == ["lost", "end"]
    assert found[0][1] == 14
    assert found[1][0] >= 30


def test_a_track_begins_where_a_second_look_changes_nothing() -> None:
    actors = still(100, RED)
    actors.wide = 120.0  # and the body is found 30 pixels to the right, then 15, 7.5, ...
    [track] = LandmarkTracker(PeopleConfig(), detector=actors, model=actors).track(actors.frames())  # type: ignore[arg-type]
    assert track.places.tolist() == list(range(COUNT))
    assert float(track.landmarks[0].points[15, 0]) == pytest.approx(100, abs=4)


def test_a_track_ends_before_its_landmarks_slip_off() -> None:
    lost = still(100, RED)
    lost.ways[0][30:] = [None] * (COUNT - 30)
    lost.slipping = (26, 28)
    assert tracks_of(lost) == [(0, 25, "lost")]
    going_on = still(100, RED)
    going_on.slipping = (COUNT - 1,)
    assert tracks_of(going_on) == [(0, COUNT - 1, "end")]


def test_other_colours_at_the_same_place_are_another_person() -> None:
    swapped = Actors([[100.0] * COUNT], [[RED] * 22 + [BLUE] * (COUNT - 22)])
    assert tracks_of(swapped) == [(0, 21, "likeness"), (22, COUNT - 1, "end")]


def test_a_jump_breaks_a_track() -> None:
    jumping = Actors([[100.0] * 20 + [144.0] * (COUNT - 20)], [[RED] * COUNT])
    assert tracks_of(jumping, max_jump=0.3) == [(0, 19, "jump"), (20, COUNT - 1, "end")]


def test_people_who_meet_are_broken_not_bridged() -> None:
    meeting = [100 + 3.0 * min(k, 40 - k if k < 40 else 0) for k in range(COUNT)]
    other = [190.0 - 3.0 * min(k, 40 - k if k < 40 else 0) for k in range(COUNT)]
    found = tracks_of(Actors([meeting, other], [[RED] * COUNT, [RED] * COUNT]))
    broken = [track for track in found if track[2] == "overlap"]
    assert len(broken) == 2
    assert len({end for _, end, _ in broken}) == 1
    assert all(last < 20 for _, last, _ in broken)
    assert all(first > 10 for first, _, end in found if end != "overlap")


def test_only_so_many_people_are_followed() -> None:
    crowd = Actors([[40.0] * COUNT, [130.0] * COUNT, [220.0] * COUNT], [[RED] * COUNT] * 3)
    assert sum(end == "end" for _, _, end in tracks_of(crowd, max_people=2)) == 2


def test_intersection_over_union() -> None:
    one, other = np.array([0.0, 0.0, 2.0, 2.0]), np.array([1.0, 0.0, 3.0, 2.0])
    assert intersection_over_union(one, other) == pytest.approx(1 / 3)
    assert intersection_over_union(one, one + 5) == 0

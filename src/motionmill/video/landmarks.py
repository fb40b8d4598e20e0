"""A picture -> where people are, and the 33 landmarks of one of them, by the models in MediaPipe's wheel; no network.

The wheel of mediapipe 0.10.21 carries a person detector and one model of landmarks (BlazePose "full"); its graphs are
run step by step here, so that several people can be followed and the crop around each is ours.

Source: V. Bazarevsky et al., "BlazePose: On-device Real-time Body Pose tracking", 2020.
Pictures are (H, W, 3) uint8 RGB. Points are in pixels, x to the right and y down; world points are in metres about the
middle of the hips, x to the right of the picture, y down, z away from the camera.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from motionmill.extras import require
from motionmill.video.frames import Picture
from motionmill.video.opencv import opencv

Array = NDArray[np.float64]

LANDMARKS: Final = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
    "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index",
    "left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    "left_heel", "right_heel", "left_foot_index", "right_foot_index",
)  # fmt: skip
BODY: Final = tuple(range(11, 17)) + tuple(range(23, 29))  # shoulders to wrists, hips to ankles

_CROP = 256  # pixels that the landmark model looks at
_MARGIN = 1.25  # of the crop around the circle that a body fits in
_TILE_STEP = 0.6  # between square tiles, of their side
_SAME = 0.5  # detections nearer than this, of their radius, are one person

_DETECTION_GRAPH = """
input_stream: "image"
output_stream: "detections"
node { calculator: "PoseDetectionCpu" input_stream: "IMAGE:image" output_stream: "DETECTIONS:detections" }
"""
_LANDMARK_GRAPH = """
input_stream: "image"
input_stream: "region"
output_stream: "points"
output_stream: "world"
output_stream: "circle"
node {
  calculator: "PoseLandmarkByRoiCpu"
  input_stream: "IMAGE:image"
  input_stream: "ROI:region"
  output_stream: "LANDMARKS:points"
  output_stream: "WORLD_LANDMARKS:world"
  output_stream: "AUXILIARY_LANDMARKS:circle"
}
"""


@dataclass(frozen=True)
class Region:
    """The circle that a body fits in.

    Attributes:
        x: of the middle of the hips, pixels.
        y: the same.
        radius: pixels.
        angle: by which the body is turned in the picture, radians; 0 upright, positive clockwise.
        score: of the detector, 0..1.
    """

    x: float
    y: float
    radius: float
    angle: float
    score: float = 1.0

    def is_near(self, other: Region) -> bool:
        """Whether both are one person's."""
        apart = math.hypot(self.x - other.x, self.y - other.y)
        return apart < _SAME * min(self.radius, other.radius)


@dataclass(frozen=True, eq=False)
class Landmarks:
    """One person in one picture.

    Attributes:
        points: (33, 2) pixels; beyond the picture where a body is cut off.
        visibility: (33,) 0..1, whether a landmark is in the picture and not hidden.
        world: (33, 3) metres.
        region: the circle around the body in this picture.
    """

    points: Array
    visibility: Array
    world: Array
    region: Region


class BlazePose:
    """The two models; one object a process, since building them takes a second."""

    def __init__(self) -> None:
        self._mediapipe: Any = _mediapipe()
        self._clock = 0
        with _quiet():
            self._finder = self._graph(_DETECTION_GRAPH, ("detections",))
            self._reader = self._graph(_LANDMARK_GRAPH, ("points", "world", "circle"))
            blank = np.zeros((_CROP, _CROP, 3), np.uint8)
            self.detect(blank)  # the first run of a model says things on stderr
            self.landmarks(blank, Region(_CROP / 2, _CROP / 2, _CROP / 2, 0.0))

    def detect(self, image: Picture, *, min_score: float = 0.5) -> list[Region]:
        """People in a picture, the surest first; looked for in the whole and in square tiles of it."""
        found: list[Region] = []
        for left, top, tile in _tiles(image):
            found += [
                Region(region.x + left, region.y + top, region.radius, region.angle, region.score)
                for region in self._detect_in(tile)
                if region.score >= min_score
            ]
        people: list[Region] = []
        for region in sorted(found, key=lambda region: -region.score):
            if not any(region.is_near(other) for other in people):
                people.append(region)
        return people

    def landmarks(self, image: Picture, region: Region) -> Landmarks | None:
        """The landmarks of the person in a region; None where the model sees nobody there."""
        cv2 = opencv()
        side = 2 * region.radius * _MARGIN
        sine, cosine = math.sin(region.angle), math.cos(region.angle)
        turn = np.array([[cosine, -sine], [sine, cosine]])  # of the crop into the picture
        scale = side / _CROP
        corner = np.array([region.x, region.y]) - scale * turn @ np.full(2, _CROP / 2)
        into_picture = np.column_stack((scale * turn, corner))
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(image, into_picture, (_CROP, _CROP), flags=flags)
        values = self._read(crop)
        if values is None:
            return None
        points, visibility, world, circle = values
        points = points @ (scale * turn).T + corner
        hips, edge = circle @ (scale * turn).T + corner
        world = np.column_stack((world[:, :2] @ turn.T, world[:, 2]))
        return Landmarks(points, visibility, world, _circle(hips, edge, 1.0))

    def _detect_in(self, image: Picture) -> list[Region]:
        self._clock += 1
        self._send(self._finder, "image", self._picture(image))
        self._finder.graph.wait_until_idle()
        packet = self._finder.taken("detections")
        if packet is None:
            return []
        height, width = image.shape[:2]
        size = np.array([width, height], dtype=np.float64)
        regions = []
        for detection in self._mediapipe.packet_getter.get_proto_list(packet):
            hips, edge = (
                np.array([point.x, point.y]) * size
                for point in detection.location_data.relative_keypoints[:2]
            )
            regions.append(_circle(hips, edge, float(detection.score[0])))
        return [region for region in regions if region.radius > 2]

    def _read(self, crop: Picture) -> tuple[Array, Array, Array, Array] | None:
        self._clock += 1
        region = self._mediapipe.rectangle(x_center=0.5, y_center=0.5, width=1.0, height=1.0)
        self._send(self._reader, "image", self._picture(crop))
        packet = self._mediapipe.packet_creator.create_proto(region)
        self._send(self._reader, "region", packet)
        self._reader.graph.wait_until_idle()
        packets = [self._reader.taken(name) for name in ("points", "world", "circle")]
        if any(packet is None for packet in packets):
            return None
        points, world, circle = (
            self._mediapipe.packet_getter.get_proto(packet).landmark for packet in packets
        )
        return (
            _CROP * np.array([(p.x, p.y) for p in points], dtype=np.float64),
            np.array([p.visibility for p in points], dtype=np.float64),
            np.array([(p.x, p.y, p.z) for p in world], dtype=np.float64),
            _CROP * np.array([(p.x, p.y) for p in circle], dtype=np.float64),
        )

    def _picture(self, image: Picture) -> Any:
        frame = self._mediapipe.image(
            image_format=self._mediapipe.rgb, data=np.ascontiguousarray(image)
        )
        return self._mediapipe.packet_creator.create_image_frame(frame)

    def _send(self, graph: _Graph, stream: str, packet: Any) -> None:
        graph.graph.add_packet_to_input_stream(stream, packet.at(self._clock))

    def _graph(self, text: str, outputs: tuple[str, ...]) -> _Graph:
        graph = self._mediapipe.graph(graph_config=text)
        packets: dict[str, Any] = {}
        for name in outputs:
            graph.observe_output_stream(name, packets.__setitem__, False)
        graph.start_run({})
        return _Graph(graph, packets)


@functools.cache
def blaze_pose() -> BlazePose:
    """The models of this process."""
    return BlazePose()


@dataclass(frozen=True, eq=False)
class _Graph:
    """A running graph and the packets that came out of it last."""

    graph: Any
    packets: dict[str, Any]

    def taken(self, name: str) -> Any:
        return self.packets.pop(name, None)


@dataclass(frozen=True)
class _MediaPipe:
    """What is used of the package."""

    graph: Any
    image: Any
    rgb: Any
    rectangle: Any
    packet_creator: Any
    packet_getter: Any


def _mediapipe() -> _MediaPipe:
    opencv()  # which mediapipe imports
    require("mediapipe", extra="video")
    import mediapipe
    from mediapipe.framework.formats.rect_pb2 import NormalizedRect
    from mediapipe.python import packet_creator, packet_getter
    from mediapipe.python._framework_bindings import resource_util
    from mediapipe.python._framework_bindings.calculator_graph import CalculatorGraph
    from mediapipe.python._framework_bindings.image_frame import ImageFrame

    resource_util.set_resource_dir(str(Path(mediapipe.__file__).resolve().parents[1]))
    rgb = mediapipe.ImageFormat.SRGB
    return _MediaPipe(
        CalculatorGraph, ImageFrame, rgb, NormalizedRect, packet_creator, packet_getter
    )


def _circle(hips: Array, edge: Array, score: float) -> Region:
    across, down = edge - hips
    return Region(
        float(hips[0]), float(hips[1]), math.hypot(across, down), math.atan2(across, -down), score
    )


def _tiles(image: Picture) -> Iterator[tuple[int, int, Picture]]:
    """Left, top and picture: the whole, and squares along its longer side where it is no square."""
    yield 0, 0, image
    height, width = image.shape[:2]
    short, long = min(height, width), max(height, width)
    if long < 1.2 * short:
        return
    count = math.ceil((long / short - 1) / _TILE_STEP) + 1
    for start in np.linspace(0, long - short, count).round().astype(int).tolist():
        if width >= height:
            yield start, 0, image[:, start : start + short]
        else:
            yield 0, start, image[start : start + short]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing on stderr: MediaPipe's C++ writes greetings there, whatever its log level."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)

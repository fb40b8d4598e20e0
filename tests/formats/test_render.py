"""Pictures: films and contact sheets that other programs open, with the person where and how it should be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from motionmill.formats import raster, render
from motionmill.formats.figure import capsules, figure
from motionmill.formats.raster import Camera, Mesh, look, paint
from motionmill.formats.scene import Scene, footprints
from motionmill.motion.motion import Motion
from motionmill.motion.skeleton import adult_skeleton

SIZE = (160, 120)


def standing(frames: int = 12) -> Motion:
    skeleton = adult_skeleton()
    root = torch.zeros(frames, 3, dtype=torch.float64)
    root[:, 1] = skeleton.standing_root_height
    rotations = torch.eye(3, dtype=torch.float64).expand(frames, 22, 3, 3)
    return Motion(rotations, root, 30.0, skeleton, "stands")


def pulled(metres: float, frames: int = 12) -> Motion:
    motion = standing(frames)
    root = motion.root.clone()
    root[:, 2] += torch.linspace(0, metres, frames)
    return replace(motion, root=root)


def drawn(picture: np.ndarray) -> np.ndarray:
    """(H, W) where the figure's skin is: neither floor nor backdrop is so dark or so colourful."""
    values = picture.astype(int)
    return (np.ptp(values, axis=2) > 40) | (values.max(axis=2) < 150)


def test_mp4_is_a_film_of_every_frame(tmp_path: Path) -> None:
    import av

    path = tmp_path / "clip.mp4"
    render.save(standing(), path, size=SIZE)
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        assert (stream.width, stream.height) == SIZE
        assert stream.average_rate == 30
        assert stream.codec_context.pix_fmt == "yuv420p"
        pictures = [frame.to_ndarray(format="rgb24") for frame in film.decode(stream)]
    assert len(pictures) == 12
    assert 0.01 < drawn(pictures[6]).mean() < 0.5
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip.mp4"]


def test_gif_plays_at_15_frames_a_second(tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "clip.GIF"
    render.save(pulled(0.5, 31), path, size=SIZE, caption="slides")
    with Image.open(path) as film:
        durations = []
        for index in range(film.n_frames):
            film.seek(index)
            durations.append(film.info["duration"])
    assert len(durations) == 16
    assert sum(durations) == pytest.approx(16 / 15 * 1000, abs=10)


def test_png_is_a_contact_sheet(tmp_path: Path) -> None:
    from PIL import Image

    render.save(pulled(3), tmp_path / "clip.png", size=(320, 240))
    with Image.open(tmp_path / "clip.png") as sheet:
        assert sheet.width > 600
        assert sheet.height > 400
        assert drawn(np.asarray(sheet.convert("RGB"))).mean() > 0.01


def test_contact_sheet_has_a_row_a_clip(tmp_path: Path) -> None:
    from PIL import Image

    motions = [standing(), pulled(2)]
    render.contact_sheet(motions[:1], ["one"], tmp_path / "one.png", columns=3, panel=(60, 80))
    render.contact_sheet(
        motions, ["one", "two " * 50], tmp_path / "two.png", columns=3, panel=(60, 80)
    )
    with Image.open(tmp_path / "one.png") as one, Image.open(tmp_path / "two.png") as two:
        assert one.width == two.width
        assert two.height - one.height > 80
    with pytest.raises(ValueError, match="2 motions and 1 captions"):
        render.contact_sheet(motions, ["one"], tmp_path / "three.png")


@pytest.mark.parametrize("name", ["clip.avi", "clip", "clip.mp4.txt"])
def test_unknown_suffix(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"expected one of \.mp4, \.gif, \.png"):
        render.save(standing(), tmp_path / name)


@pytest.mark.parametrize("size", [(641, 480), (10, 10), (640, 10_000)])
def test_impossible_size(tmp_path: Path, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="even numbers from 64 to 4096"):
        render.save(standing(), tmp_path / "clip.mp4", size=size)


def test_missing_folder_and_failure_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        render.save(standing(), tmp_path / "missing" / "clip.png", size=SIZE)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("full")

    monkeypatch.setattr(render, "frames", fail)
    with pytest.raises(RuntimeError, match="full"):
        render.save(standing(), tmp_path / "clip.mp4", size=SIZE)
    assert not list(tmp_path.iterdir())


def test_the_left_hand_is_on_the_right_and_warm() -> None:
    """A person who faces the camera has the left hand on the right of the picture."""
    picture = Scene(standing(), SIZE).frame(0).astype(int)
    red = picture[..., 0] - picture[..., 2]
    warm, cool = np.nonzero(red > 45)[1], np.nonzero(red < -45)[1]
    assert len(warm) > 20
    assert len(cool) > 20
    assert warm.mean() > cool.mean() + 10


@pytest.mark.parametrize("metres", [0.0, 1.5, 12.0])
@pytest.mark.parametrize("turn", [0.0, 2.0])
def test_nothing_is_cut_off(metres: float, turn: float) -> None:
    from motionmill.motion.rotations import yaw_matrix

    motion = pulled(metres, 20).transformed(
        yaw_matrix(torch.tensor(turn)).double(), torch.tensor([5.0, 0, -3])
    )
    scene = Scene(motion, SIZE)
    for index in (0, 10, 19):
        rows, columns = np.nonzero(drawn(scene.frame(index)))
        assert len(rows) > 100
        assert rows.min() > 0
        assert rows.max() < SIZE[1] - 1
        assert columns.min() > 0
        assert columns.max() < SIZE[0] - 1
        assert np.ptp(rows) > 0.3 * SIZE[1]


def test_footprints_are_where_and_when_the_feet_rest() -> None:
    steps = footprints(standing(30))
    assert [(step.left, step.start, step.end) for step in steps] == [(True, 0, 29), (False, 0, 29)]
    assert steps[0].outline[:, 0].mean() == pytest.approx(0.085, abs=0.01)
    assert footprints(pulled(5, 30)) == []


def test_any_skeleton_is_drawn_as_capsules() -> None:
    motion = standing(3)
    names = tuple(f"joint_{index}" for index in range(22))
    other = replace(motion, skeleton=replace(motion.skeleton, names=names))
    vertices = figure(other).vertices(0)
    joints = motion.joints()[0].numpy()
    assert (vertices.min(0) < joints.min(0)).all()
    assert (vertices.max(0) > joints.max(0)).all()
    assert 0.005 < drawn(Scene(other, SIZE).frame(1)).mean() < 0.5


def test_capsules_are_closed_and_face_outwards() -> None:
    body = capsules(standing(1))
    vertices, triangles = body.vertices(0), body.mesh.triangles
    a, b, c = (vertices[triangles[:, k]].astype(float) for k in range(3))
    volume = (np.cross(a, b) * c).sum() / 6
    assert 0.02 < volume < 0.2
    normals = body.mesh.normals(vertices)
    assert np.abs(np.linalg.norm(normals, axis=1) - 1).max() < 1e-3


def test_the_nearest_triangle_is_on_top_and_back_faces_are_not_seen() -> None:
    camera = Camera(np.array([0, 0, 5], np.float32), look(0.0, 0.0), 50.0, (40, 40))
    square = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32)
    vertices = np.concatenate([scale * square for scale in (1, 0.5, 1)])
    vertices[4:8, 2], vertices[8:, 2] = 1, 2
    colours = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    front = np.array([[0, 1, 2], [0, 2, 3]])
    triangles = np.concatenate((front + 4, front, front[:, ::-1] + 8))  # the last face away
    image = np.zeros((40, 40, 3), np.float32)
    paint(image, *camera.project(vertices.astype(np.float32)), (triangles, colours))
    np.testing.assert_allclose(image[20, 20], [0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(image[20, 11], [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(image[20, 2], 0)
    assert image[..., 0].sum() + image[..., 1].sum() == pytest.approx(20 * 20, rel=0.05)


def test_normals_of_a_tetrahedron_point_outwards() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    triangles = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    normals = Mesh(triangles, np.ones((4, 3), np.float32)).normals(vertices)
    assert ((vertices - vertices.mean(0)) * normals).sum(1).min() > 0


def test_looking_along_z_and_from_the_side() -> None:
    np.testing.assert_allclose(look(0.0, 0.0), [[1, 0, 0], [0, 1, 0], [0, 0, -1]], atol=1e-6)
    assert raster.look(np.pi / 2, 0.0)[2] == pytest.approx([-1, 0, 0], abs=1e-6)

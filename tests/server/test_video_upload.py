"""Motion from an uploaded video: of a real person, refused where there is none, and where the extra is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra server is not installed")

import motionmill
from motionmill.server.workshop import Workshop
from tests.server import serving_app
from tests.server.test_api import check_problem
from tests.video.test_extract import check_juggler, first_frames

BYTES = {"content-type": "application/octet-stream"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("studio")
    with serving_app.client(serving_app.pipeline(), folder, started=False) as made:
        yield made


@pytest.mark.slow
def test_a_real_person(client: Any, shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("mediapipe")
    whole = shared / "data/videos/sam2_05_default_juggle.mp4"
    video = first_frames(whole, 40, tmp_path / "juggle.mp4").read_bytes()
    answer = client.post("/v1/motions/extract?to=npz", content=video, headers=BYTES)
    assert answer.status_code == 200, answer.text
    assert answer.headers["motion-people"] == "1"
    assert answer.headers["content-disposition"] == 'attachment; filename="person-1.npz"'
    (tmp_path / "m.npz").write_bytes(answer.content)
    check_juggler(motionmill.load(tmp_path / "m.npz"), lifted=0.01)
    answer = client.post("/v1/motions/extract?person=2", content=video, headers=BYTES)
    check_problem(answer, 422)
    assert answer.json()["detail"] == "person 2; the video has 1"


@pytest.mark.slow
def test_nobody_who_is_seen_whole(client: Any, shared: Path) -> None:
    pytest.importorskip("mediapipe")
    video = (shared / "data/videos/mmpose_demo.mp4").read_bytes()  # five frames
    answer = client.post("/v1/motions/extract", content=video, headers=BYTES)
    check_problem(answer, 422)
    assert answer.json()["detail"].startswith("nobody in the video is seen whole")


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: Path) -> None:
    absent = tmp_path / "mediapipe"
    absent.mkdir()
    (absent / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'mediapipe'\", name='mediapipe')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    shop = Workshop(1)
    video = (shared / "data/videos/mmpose_demo.mp4").read_bytes()
    folder = tmp_path / "studio"
    with serving_app.client(serving_app.pipeline(), folder, started=False, videos=shop) as without:
        answer = without.post("/v1/motions/extract", content=video, headers=BYTES)
    check_problem(answer, 501)
    assert "pip install 'motionmill[video]'" in answer.json()["detail"]

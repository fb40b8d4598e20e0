"""`motionmill extract`: files of every format, several people, one line on bad input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import motionmill
from motionmill.cli import main
from motionmill.video import extract as extraction
from motionmill.video.candidate import Failure, PersonClip, RejectedCandidate
from motionmill.video.config import VideoConfig
from motionmill.video.worklist import PENDING
from tests.motions import wandering
from tests.video.filmed import save_video, texture

pytest.importorskip("scenedetect")


def person(number: int, frames: int) -> PersonClip:
    return PersonClip(
        f"0.0.{number}", 0, 0, number, (0, frames), (0.0, frames / 30), {"frames": float(frames)},
        motion=wandering(number, frames), times=np.arange(frames) / 30, boxes=np.zeros((frames, 4)),
    )  # fmt: skip


REJECT = RejectedCandidate(
    "0.0.9",
    0,
    0,
    9,
    (0, 30),
    (0.0, 1.0),
    {"frames": 30.0},
    failure=Failure("boxes", "truncation", 0.5, 0.1),
)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> extraction.Extraction:
    """What the extraction gives, whatever the video."""
    result = extraction.Extraction([person(0, 24), person(1, 40)], [REJECT], {}, [])
    monkeypatch.setattr(extraction, "extract", lambda *arguments, **options: result)
    return result


def test_several_people_into_numbered_files(
    found: extraction.Extraction, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["extract", "clip.mp4", "-o", f"{tmp_path}/a.bvh", "-o", f"{tmp_path}/a.npz"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "a-1.bvh",
        "a-2.bvh",
        "a-1.npz",
        "a-2.npz",
    }
    assert len(motionmill.load(tmp_path / "a-1.npz")) == 40  # longest in sight first
    shown = capsys.readouterr().out
    assert "left out: 0.0 to 1.0 s, boxes: truncation 0.5, threshold 0.1" in shown


def test_one_person_into_the_file_that_was_named(
    found: extraction.Extraction, tmp_path: Path
) -> None:
    assert main(["extract", "clip.mp4", "-o", f"{tmp_path}/b.glb", "--person", "2"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["b.glb"]
    assert len(motionmill.load(tmp_path / "b.glb")) == 24


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["clip.mp4", "-o", "x.bvh", "--person", "3"], "--person 3: clip.mp4 has 2"),
        (["clip.mp4", "-o", "x.docx"], "cannot write"),
        (["clip.mp4", "-o", "x.bvh", "--run", "gvhmr"], "--work"),
        (["clip.mp4", "-o", "nowhere/x.bvh"], "does not exist"),
    ],
)
def test_bad_options(
    found: extraction.Extraction,
    words: list[str],
    shown: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["extract", *words]) == 2
    error = capsys.readouterr().err
    assert shown in error
    assert error.count("\n") == 1


def test_bad_videos_are_said_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("mediapipe")
    (tmp_path / "text.mp4").write_text("no video")
    save_video(tmp_path / "one.mp4", [texture(96, 128)])
    save_video(tmp_path / "empty.mp4", [np.full((96, 128, 3), 90, np.uint8)] * 30)
    for name, words in (
        ("text.mp4", "not a video"),
        ("one.mp4", "shots: shot_frames 1, threshold 20"),
        ("empty.mp4", "nobody is seen in it"),
        ("none.mp4", "does not exist"),
    ):
        assert main(["extract", f"{tmp_path}/{name}", "-o", f"{tmp_path}/x.bvh"]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
    assert not (tmp_path / "x.bvh").exists()


def test_people_who_wait_for_another_estimator_are_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = [
        extraction.Extraction([], [replace(REJECT, flags=(PENDING,))], {}, []),
        extraction.Extraction([person(0, 24)], [], {}, []),
    ]
    monkeypatch.setattr(extraction, "extract", lambda *arguments, **options: answers[0])
    words = ["extract", "clip.mp4", "-o", f"{tmp_path}/a.bvh", "--work", f"{tmp_path}/work"]
    assert main(words) == 2
    assert "wait in" in capsys.readouterr().err
    monkeypatch.setattr(extraction, "extract", lambda *arguments, **options: answers.pop(0))
    assert main([*words, "--run", "true {list}"]) == 0
    assert (tmp_path / "a.bvh").is_file()
    assert answers == []


def test_options_reach_the_config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[VideoConfig] = []

    def extract(path: Path, config: VideoConfig, **options: object) -> extraction.Extraction:
        seen.append(config)
        return extraction.Extraction([person(0, 24)], [], {}, [])

    monkeypatch.setattr(extraction, "extract", extract)
    words = ["extract", "clip.mp4", "-o", f"{tmp_path}/a.bvh", "--boxes.max-truncation", "0.9"]
    assert main(words) == 0
    assert seen[0].boxes.max_truncation == 0.9
    assert seen[0].shots.max_seconds == 20

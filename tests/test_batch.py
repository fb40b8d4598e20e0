"""Many prompts, many samples, one thing after another: from the command line to files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from motionmill import load
from motionmill.batch import generate_file, read_parts
from motionmill.cli import main
from motionmill.pipeline import TextToMotion


@pytest.fixture(scope="module")
def pipeline() -> TextToMotion:
    return TextToMotion.from_pretrained(device="cpu")


def test_a_file_of_prompts(pipeline: TextToMotion, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("a person walks\n\na person waves\n" + "x" * 20000 + "\na person sits down\n")
    outputs = [tmp_path / "{}.npz", tmp_path / "{}.bvh"]
    made, failures = generate_file(pipeline, file, outputs, seconds=1.0, seed=10)
    assert made == 3
    assert [failure.number for failure in failures] == [4]
    names = sorted(path.name for path in tmp_path.glob("0*"))
    assert names == [f"0000{n}.{suffix}" for n in (1, 3, 5) for suffix in ("bvh", "npz")]
    alone = pipeline("a person waves", seconds=1.0, seed=13)
    assert load(tmp_path / "00003.npz").root.allclose(alone.root, atol=1e-5)
    (tmp_path / "00003.bvh").unlink()
    kept = (tmp_path / "00001.bvh").stat().st_mtime_ns
    made, _ = generate_file(pipeline, file, outputs, seconds=1.0, seed=10)
    assert made == 1  # what is there stays
    assert (tmp_path / "00001.bvh").stat().st_mtime_ns == kept


def test_a_file_of_json_lines(pipeline: TextToMotion, tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    rows = [{"prompt": "a person walks", "seconds": 2}, {"prompt": "a person jumps"}, {"text": 1}]
    file.write_text(
        "\n".join(map(json.dumps, rows)) + "\nnot json\n" + '{"prompt": "x", "seconds": -1}'
    )
    made, failures = generate_file(pipeline, file, [tmp_path / "{}.npz"], seconds=1.0)
    assert made == 2
    assert [failure.number for failure in failures] == [3, 4, 5]
    assert load(tmp_path / "00001.npz").seconds == pytest.approx(2, abs=4 / 30)
    assert load(tmp_path / "00002.npz").seconds == pytest.approx(1, abs=4 / 30)


def test_samples_and_parts_and_continuation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many = str(tmp_path / "walk-{}.bvh")
    assert main(["generate", "a person walks", "--seconds", "1", "--samples", "2", "-o", many]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"walk-0.bvh", "walk-1.bvh"}
    given, longer = str(tmp_path / "walk-1.bvh"), tmp_path / "longer.npz"
    words = ["generate", "a person waves", "--seconds", "1", "--after", given, "-o", str(longer)]
    assert main([*words, "--then", "a person sits down:1.5"]) == 0
    assert load(longer).seconds == pytest.approx(3.5, abs=0.4)
    assert "longer.npz: 3." in capsys.readouterr().out


def test_parts() -> None:
    assert read_parts(["wave:2", "count: one, two", "sit"]) == (
        ("wave", 2.0),
        ("count: one, two", None),
        ("sit", None),
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["walk", "--samples", "3", "-o", "walk.glb"], "walk-{}.glb"),
        (["walk", "--samples", "0", "-o", "walk.glb"], "1 or more"),
        (["walk", "--then", " ", "-o", "walk.glb"], "the prompt is empty"),
        (["walk", "--prompts", "file.txt", "-o", "{}.glb"], "takes the place"),
        (["--prompts", "file.txt", "-o", "{}.glb"], "file.txt"),
        (["--prompts", "file.txt", "-o", "walk.glb"], "need {} in the name"),
        (["walk", "--after", "missing.bvh", "-o", "walk.glb"], "missing.bvh"),
    ],
)
def test_bad_requests(
    words: list[str],
    expected: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["generate", *words]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1

"""Many prompts, many samples, one thing after another: from the command line to files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from motionmill import batch, load
from motionmill.batch import generate_file, read_parts
from motionmill.cli import main
from motionmill.pipeline import TextToMotion
from tests.fake_pipeline import FakePipeline


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


@pytest.fixture
def fake() -> Any:
    return FakePipeline()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.npy")}


def test_thousands_of_prompts(fake: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In parts, one output each, hard lines listed with their numbers, and a batch does not fall with one of them."""
    monkeypatch.setattr(batch, "save", lambda motion, path, licence: path.write_bytes(b"x"))
    lines = [f"a person walks {number} steps" for number in range(3000)]
    lines[7], lines[1000], lines[2999] = "impossible", "x" * 20000, "\udcff"
    lines[50] = " "
    file, seen = tmp_path / "prompts.txt", list[tuple[int, int]]()
    file.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    made, failures = generate_file(
        fake, file, [tmp_path / "{}.npy"], progress=lambda done, total: seen.append((done, total))
    )
    assert made == 2996
    assert [(failure.number, failure.reason) for failure in failures] == [
        (8, "out of memory"),
        (1001, failures[1].reason),
        (3000, "not text in UTF-8, or longer than 1048576 bytes"),
    ]
    assert max(fake.sizes) == 32  # whatever the length of the file
    assert seen[-1] == (2999, 2999)
    assert seen == sorted(seen)
    names = {f"{number:05d}.npy" for number in range(1, 3001)} - {
        f"{number:05d}.npy" for number in (8, 51, 1001, 3000)
    }
    assert set(contents(tmp_path)) == names
    fake.sizes.clear()
    assert generate_file(fake, file, [tmp_path / "{}.npy"])[0] == 0
    assert fake.sizes == [1]  # the one that failed is tried again, and no other


def test_a_killed_run_goes_on(fake: Any, tmp_path: Path) -> None:
    file, killed, whole = tmp_path / "prompts.txt", tmp_path / "killed", tmp_path / "whole"
    file.write_text("\n".join(f"a person walks {number} steps" for number in range(300)))
    killed.mkdir()
    whole.mkdir()
    words = [sys.executable, "-m", "tests.fake_pipeline", str(file), str(killed / "{}.npy")]
    root = Path(__file__).resolve().parents[1]
    source = {"PYTHONPATH": os.pathsep.join((str(root / "src"), str(root)))}
    process = subprocess.Popen(words, cwd=root, env={**os.environ, **source})
    # It takes its time from the third batch of 32 on, so that it is not done before it is killed.
    while len(list(killed.glob("*.npy"))) < 40 and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    assert process.wait(10) == -signal.SIGKILL
    done = len(contents(killed))
    assert 40 <= done < 300
    made, failures = generate_file(fake, file, [killed / "{}.npy"])
    assert (made, failures) == (300 - done, [])
    generate_file(fake, file, [whole / "{}.npy"])
    assert contents(killed) == contents(whole)


def test_failures_are_listed_at_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "prompts.jsonl"
    deep = "[" * 100_000
    rows = ['{"prompt": "nod", "seconds": 1}', "nonsense", '{"prompt": 5}', deep]
    rows += ['{"prompt": "nod", "seconds": NaN}', '{"prompt": "nod", "seconds": true}']
    file.write_text("\ufeff" + "\n".join(rows))
    assert main(["generate", "--prompts", str(file), "-o", str(tmp_path / "{}.bvh")]) == 1
    error = capsys.readouterr().err
    lines = [line for line in error.splitlines() if line]
    listed = [line for line in lines if line.startswith(f"{file}, line ")]
    assert [line.removeprefix(f"{file}, line ").split(":")[0] for line in listed] == list("23456")
    assert "1 made, 5 not" in lines[-1]
    assert "Traceback" not in error
    assert [path.name for path in tmp_path.glob("*.bvh")] == ["00001.bvh"]


def test_a_length_that_no_prompt_can_have_stops_at_once(fake: Any, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("a person nods\n" * 3)
    for seconds in (-1.0, 1e9, float("nan")):
        with pytest.raises(ValueError, match="seconds"):
            generate_file(fake, tmp_path / "prompts.txt", [tmp_path / "{}.npy"], seconds=seconds)
    assert not contents(tmp_path)


def test_lines_without_end(fake: Any, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_bytes(b"nod\n" + b"x" * (3 << 20) + b"\nnod\r\n")
    made, failures = generate_file(fake, tmp_path / "prompts.txt", [tmp_path / "{}.npy"])
    assert made == 2
    assert [failure.number for failure in failures] == [2]


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

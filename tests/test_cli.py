"""The command line: every command's help, files that it writes, one clear line and exit code 2 on bad input."""

from __future__ import annotations

from pathlib import Path

import pytest

import motionmill
from motionmill.cli import _COMMANDS, main
from motionmill.motion.motion import Motion
from tests.motion.test_features import random_motion


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    motionmill.save(random_motion(0), tmp_path / "walk.bvh")
    return tmp_path / "walk.bvh"


def test_overview_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in _COMMANDS)
    assert main([]) == 2


@pytest.mark.parametrize("group", ["data", "train", "benchmark"])
def test_overview_of_a_group(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([group, "--help"]) == 0
    shown = capsys.readouterr().out
    assert all((f"\n  {name} " in shown) == name.startswith(f"{group} ") for name in _COMMANDS)
    assert main([group]) == 2


@pytest.mark.parametrize("name", _COMMANDS)
def test_help_of_every_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*name.split(), "--help"])
    assert stopped.value.code == 0
    assert "--help" in capsys.readouterr().out


def test_convert_and_inspect(walk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = walk.with_suffix(".npz")
    assert main(["convert", str(walk), "-o", str(target), "--fps", "60"]) == 0
    loaded = motionmill.load(target)
    assert isinstance(loaded, Motion)
    assert loaded.fps == 60
    assert main(["inspect", str(target)]) == 0
    assert "foot slide" in capsys.readouterr().out


def test_generate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / "a.bvh", tmp_path / "a.glb"]
    words = ["generate", "a person waves", "--seconds", "2", "--seed", "3"]
    for file in files:
        words += ["-o", str(file)]
    assert main(words) == 0
    assert all(file.stat().st_size > 1000 for file in files)
    shown = capsys.readouterr().out
    assert "mini" in shown
    assert "CC BY-NC 4.0" in shown


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["generate", " ", "-o", "x.glb"], "the prompt is empty"),
        (["generate", "walk", "-o", "x.xyz"], ".glb"),
        (["generate", "walk", "-o", "no/such/folder/x.glb"], "folder"),
        (["generate", "walk", "-o", "x.glb", "--seconds", "999"], "seconds"),
        (["generate", "walk", "-o", "x.glb", "--model", "nonsense"], "mini"),
        (["generate", "walk", "-o", "x.glb", "--temperature", "-1"], "temperature"),
        (["generate", "walk", "-o", "x.glb", "--cleanup", "7"], "cleanup"),
        (["generate", "walk", "-o", "x.glb", "--device", "abacus"], "expected cpu"),
        (["generate", "walk", "-o", "x.glb", "--device", "cuda:99"], "not on this machine"),
        (["inspect", "missing.bvh"], "missing.bvh"),
        (["train", "tokenizer", "--recipe", "nonsense", "--data", "x", "-o", "y"], "nonsense"),
        (["train", "tokenizer", "--data", "x", "-o", "y"], "not a data set"),
        (["data", "run", "--input", "nothing", "-o", "y"], "no such file"),
        (["data", "run", "data-paper", "--input", "nothing", "-o", "y"], "no such file"),
        (["data", "run", "mine.yaml", "--input", "nothing", "-o", "y"], "mine.yaml"),
        (["generat"], "did you mean 'generate'"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str],
    shown: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert shown in error
    assert error.startswith("motionmill: ")
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("*.glb"))


def test_a_broken_bvh_says_where(
    tmp_path: Path, walk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = walk.read_text(encoding="utf-8").splitlines()
    lines[-3] = " ".join(lines[-3].split()[:-2])
    broken = tmp_path / "broken.bvh"
    broken.write_text("\n".join(lines), encoding="utf-8")
    assert main(["inspect", str(broken)]) == 2
    error = capsys.readouterr().err
    assert f"broken.bvh, line {len(lines) - 2}" in error
    assert "expected" in error


def test_unknown_options_stop_with_2() -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["generate", "walk", "-o", "x.glb", "--sed", "3"])
    assert stopped.value.code == 2

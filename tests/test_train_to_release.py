"""The commands that make the shipped weights, in small: motion capture -> data set -> runs -> release -> motion."""

from __future__ import annotations

from pathlib import Path

import pytest

from motionmill.cli import main
from motionmill.generator.release import load_release
from motionmill.pipeline import TextToMotion
from motionmill.training.checkpoint import list_checkpoints
from tests.data.engine.test_build import subset

SMALL = ["--training.steps", "4", "--training.evaluate-every", "4", "--training.log-every", "1"]


def test_from_motion_capture_to_a_model(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = subset(shared, "game_cc0", 25, tmp_path)
    data, tokenizer, run = tmp_path / "data", tmp_path / "tokenizer", tmp_path / "run"
    words = ["data", "run", "--input", str(source), "-o", str(data), "--workers", "1"]
    assert main([*words, "--labels.captions", "3"]) == 0

    words = ["train", "tokenizer", "--data", str(data), "-o", str(tokenizer), *SMALL]
    assert main([*words, "--model.width", "32", "--model.code-width", "32"]) == 0
    assert (tokenizer / "report.json").is_file()

    words = [
        "train",
        "generator",
        "--data",
        str(data),
        "--tokenizer",
        str(tokenizer),
        "-o",
        str(run),
    ]
    words += [*SMALL, "--model.width", "32", "--model.num-layers", "1"]
    assert main(words) == 0
    assert [step for step, _ in list_checkpoints(run)][-1] == 4
    assert main(words) == 0  # a finished run has nothing left to do

    ranker = tmp_path / "ranker"
    words = ["train", "ranker", "--data", str(data), "--tokenizer", str(tokenizer)]
    words += ["-o", str(ranker), *SMALL, "--model.width", "16", "--data.batch-size", "4"]
    assert main(words) == 0

    release = tmp_path / "release"
    card = tmp_path / "card.md"
    card.write_text("# mine\n\nMade in a test.\n", encoding="utf-8")
    words = ["train", "export", str(run), "-o", str(release), "--card", str(card)]
    words += ["--ranker", str(ranker), "--name", "mine", "--candidates", "2"]
    assert main(words) == 0
    assert load_release(release).config.name == "mine"
    assert load_release(release).ranker is not None
    text = (release / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert text.startswith("# mine")
    assert "parameters" in text
    motion = TextToMotion.from_pretrained(release)("a person walks", seconds=2)
    assert len(motion) == 60
    assert capsys.readouterr().err == ""

"""The benchmark's motions are made once, and a model judge rates them through a real HTTP server."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

import motionmill
from motionmill.chat import Chat, Endpoint
from motionmill.cli import main
from motionmill.evaluation.benchmark import generate_suite, read_info
from motionmill.evaluation.folder import MotionFolder
from motionmill.evaluation.model_judge import (
    JUDGE,
    agreement,
    judge_motions,
    load_scores,
    save_scores,
)
from motionmill.evaluation.ratings import CRITERIA, Score
from motionmill.evaluation.setting import setting_of
from motionmill.evaluation.suite import load_suite
from motionmill.pipeline import TextToMotion
from tests.fake_endpoint import fails, running, says
from tests.motions import wandering

LINES = (
    '{"id": "wave", "prompt": "a person waves", "category": "communication"}\n'
    '{"id": "bow", "prompt": "a person bows", "category": "communication"}\n'
)


@pytest.fixture
def suite_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.jsonl"
    path.write_text(LINES)
    return path


def test_motions_are_made_once(tmp_path: Path, suite_file: Path) -> None:
    pipeline, suite = TextToMotion.from_pretrained(), load_suite(suite_file)
    setting, output = setting_of("mini", pipeline), tmp_path / "motions"
    assert generate_suite(pipeline, setting, suite, output, seeds=2, seconds=1) == (4, 0)
    first = (output / "1" / "bow.npz").read_bytes()
    (output / "1" / "bow.npz").unlink()
    assert generate_suite(pipeline, setting, suite, output, seeds=2, seconds=1) == (1, 3)
    again = motionmill.load(output / "1" / "bow.npz")
    (tmp_path / "first.npz").write_bytes(first)
    assert again.joints().allclose(motionmill.load(tmp_path / "first.npz").joints(), atol=1e-5)
    assert read_info(output).system == "mini"
    other = setting_of("mini", pipeline, changes={"guidance": 2.0}, candidates=1)
    assert other.name == "mini, guidance 2, 1 candidate"
    assert other.version != setting.version
    for changed, cleanup in ((setting, 0.0), (other, 1.0)):
        with pytest.raises(ValueError, match="choose another folder"):
            generate_suite(pipeline, changed, suite, output, seconds=1, cleanup=cleanup)
    folder = MotionFolder(output)
    assert folder.seeds == 2
    assert folder.read("wave", 1) is not None


def motions(folder: Path) -> MotionFolder:
    for number, name in enumerate(("wave", "bow")):
        folder.mkdir(exist_ok=True)
        motionmill.save(wandering(number, 40), folder / f"{name}.npz")
    return MotionFolder(folder)


def rating(value: int) -> str:
    return json.dumps(
        dict.fromkeys(("text_alignment", "motion_smoothness", "physical_plausibility"), value)
    )


def test_a_model_judge_sees_the_sheet_and_the_prompt(tmp_path: Path, suite_file: Path) -> None:
    with running() as endpoint:
        endpoint.script = [says(rating(3))]
        chat = Chat(Endpoint(endpoint.url, "eyes"), cache=tmp_path / "answers")
        folder = motions(tmp_path / "motions")
        found = judge_motions(chat, load_suite(suite_file), folder, "ours")
        assert len(found.scores) == 6
        assert {score.rater for score in found.scores} == {JUDGE}
        content = endpoint.asked[0]["messages"][1]["content"]
        assert {"a person waves", "a person bows"} & set(content[0]["text"].split('"'))
        kind, _, data = content[1]["image_url"]["url"].partition(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data).startswith(b"\x89PNG")
        assert "ours" not in json.dumps(endpoint.asked)
        asked = len(endpoint.asked)
        judge_motions(chat, load_suite(suite_file), folder, "ours")
        assert len(endpoint.asked) == asked  # from the cache
    path = tmp_path / "judge.jsonl"
    save_scores(found.scores, path)
    assert load_scores(path) == found.scores


def test_garbage_fails_its_motion_only(tmp_path: Path, suite_file: Path) -> None:
    with running() as endpoint:
        endpoint.script = [says("four stars!"), says(rating(9)), says(rating(2))]
        chat = Chat(Endpoint(endpoint.url, "eyes"), attempts=4, sleep=lambda seconds: None)
        found = judge_motions(chat, load_suite(suite_file), motions(tmp_path / "motions"), "ours")
        assert not found.failures
        assert {score.value for score in found.scores} == {2}
        endpoint.script = [fails(500)]
        found = judge_motions(chat, load_suite(suite_file), MotionFolder(tmp_path / "motions"), "o")
        assert set(found.failures) == {"wave", "bow"}


def test_agreement_with_people() -> None:
    judge = [Score(JUDGE, f"p{k}", CRITERIA[0], "a", 1 + k % 4) for k in range(20)]
    same = [Score(f"r{r}", s.prompt, s.criterion, "a", s.value) for s in judge for r in range(2)]
    found = agreement(judge, same)
    assert found[CRITERIA[0]] == (pytest.approx(1.0), 20)
    assert found[CRITERIA[1]] == (None, 0)
    opposite = [Score("r", s.prompt, s.criterion, "a", 5 - s.value) for s in judge]
    against = agreement(judge, opposite)[CRITERIA[0]].alpha
    assert against is not None
    assert against < 0


def test_commands(tmp_path: Path, suite_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "motions"
    words = ["benchmark", "generate", "mini", "--suite", str(suite_file), "-o", str(output)]
    assert main([*words, "--seconds", "1"]) == 0
    assert "2 new motions, 0 were there" in capsys.readouterr().out
    with running() as endpoint:
        endpoint.script = [says(rating(4))]
        words = ["benchmark", "judge", str(output), "--suite", str(suite_file)]
        words += ["--endpoint", endpoint.url, "--endpoint-model", "eyes"]
        assert main([*words, "-o", str(tmp_path / "judge.jsonl")]) == 0
    assert "2 of 2 motions rated" in capsys.readouterr().out
    assert main(["benchmark", "generate", "mini", "--suite", "none", "-o", str(output)]) == 2
    assert "suites are zero-shot" in capsys.readouterr().err

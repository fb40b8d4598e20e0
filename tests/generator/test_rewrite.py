"""Prompt rewriting by a real server on this machine: sides survive, failures are told, the prompt itself remains."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from motionmill import load
from motionmill.batch import generate_file
from motionmill.chat import Chat, ChatError, Endpoint
from motionmill.cli import main
from motionmill.generator.rewrite import (
    ChatRewriter,
    Rewrite,
    Rewriting,
    chat_rewriting,
    check_directions,
)
from motionmill.pipeline import TextToMotion
from tests.fake_endpoint import (
    Behaviour,
    FakeEndpoint,
    breaks_off,
    fails,
    hangs,
    resets,
    running,
    says,
    sends,
)

PROMPT = "My boss, furious, raises his left fist and marches forward"
GOOD = {"prompt": "an angry man raises the left hand and marches forward", "seconds": 4}
SWAPPED = {**GOOD, "prompt": "an angry man raises the right hand and marches forward"}


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeEndpoint]:
    with running() as server:
        monkeypatch.setenv("MOTIONMILL_CHAT_URL", server.url)
        monkeypatch.setenv("MOTIONMILL_CHAT_MODEL", "some-model")
        monkeypatch.setenv("MOTIONMILL_CHAT_KEY", "sk-secret")
        monkeypatch.setenv("MOTIONMILL_HOME", str(tmp_path / "home"))
        yield server


def rewriter(endpoint: FakeEndpoint, timeout_seconds: float = 30.0) -> ChatRewriter:
    chat = Chat(
        Endpoint(endpoint.url, "m", "sk-secret"),
        timeout_seconds=timeout_seconds,
        attempts=2,
        sleep=lambda seconds: None,
    )
    return ChatRewriter(chat)


def test_a_prompt_in_the_models_style(endpoint: FakeEndpoint) -> None:
    endpoint.script = [says(json.dumps(GOOD))]
    made = rewriter(endpoint).rewrite(PROMPT)
    assert made == Rewrite(prompt=GOOD["prompt"], seconds=4.0)
    assert endpoint.question() == PROMPT
    assert "left, right" in endpoint.asked[0]["messages"][0]["content"]


@pytest.mark.parametrize(
    ("prompt", "rewritten"),
    [
        ("he waves with the left hand", "a person waves with the right hand"),
        ("he waves with the left hand", "a person waves"),
        ("step left, then right", "a person steps to the right, then to the left"),
        ("turn left", "a person turns left, then right"),
        ("raise both arms", "a person raises the right arm"),
        ("kick left, raise both hands", "a person raises both hands, then kicks with the left leg"),
        ("spin clockwise", "a person spins counterclockwise"),
        ("turn counter clockwise", "a person turns clockwise"),
        ("walk backwards", "a person walks forward"),
        ("walk forward and then backward", "a person walks backward, then forward"),
        ("go upstairs", "a person walks down the stairs"),
        ("walk sideways to the left", "a person walks to the left"),
        ("walk in place, moving forwards", "a person walks in place"),
    ],
)
def test_sides_and_directions_must_survive(prompt: str, rewritten: str) -> None:
    with pytest.raises(ValueError, match="where the prompt says"):
        check_directions(prompt, rewritten)


@pytest.mark.parametrize(
    ("prompt", "rewritten"),
    [
        ("he salutes", "a person raises the right hand to the forehead"),
        (
            "the left arm up, the left leg up, then right",
            "a person lifts the left arm and leg, then the right",
        ),
        ("he runs right away", "a person runs forward"),
        ("moves forwards", "a person walks forward"),
        ("lift both of your arms", "a person raises both arms"),
        ("spins anti-clockwise", "a person spins counterclockwise"),
        ("goes upstairs", "a person walks upstairs"),
    ],
)
def test_what_is_no_swap(prompt: str, rewritten: str) -> None:
    check_directions(prompt, rewritten)


def test_a_swapped_side_is_told_and_asked_again(endpoint: FakeEndpoint) -> None:
    endpoint.script = [says(json.dumps(SWAPPED)), says(json.dumps(GOOD))]
    assert "left" in rewriter(endpoint).rewrite(PROMPT).prompt
    complaint = endpoint.asked[1]["messages"][-1]["content"]
    assert "says right where the prompt says left" in complaint
    endpoint.script = [says(json.dumps(SWAPPED))]
    with pytest.raises(ChatError, match="says right where the prompt says left"):
        rewriter(endpoint).rewrite(PROMPT)


def test_any_rewriter_is_checked(caplog: pytest.LogCaptureFixture) -> None:
    class Mirror:
        def rewrite(self, prompt: str) -> Rewrite:
            return Rewrite(prompt=prompt.replace("left", "right"), seconds=3)

    made = Rewriting(Mirror())(["wave the left hand", "nod"])
    assert [(each.prompt, each.seconds) for each in made] == [
        ("wave the left hand", None),
        ("nod", 3.0),
    ]
    assert "'wave the left hand': the rewrite" in caplog.text


BAD: dict[str, tuple[Behaviour, str]] = {
    "key": (fails(401, "bad key sk-secret"), "401, the key is refused"),
    "limit": (fails(429, Retry_After="900"), "asks to wait 900 s"),
    "server": (fails(500), "the last: 500"),
    "silence": (hangs(), "no answer within"),
    "words": (says("Of course! A man marches."), "no JSON object"),
    "shape": (says('{"text": "a man marches", "seconds": 3}'), "prompt: Field required"),
    "length": (says('{"prompt": "a man marches forward", "seconds": 1e9}'), "less than or equal"),
    "cut": (says('{"prompt": "a man', finish="length"), "cut short"),
    "nothing": (sends(200, '{"choices": []}'), "no chat completion"),
    "html": (sends(200, "<html>login</html>"), "no chat completion"),
    "reset": (resets(), "no connection"),
    "broken": (breaks_off(), "no connection"),
    "swapped": (says(json.dumps(SWAPPED)), "says right where the prompt says left"),
}


@pytest.mark.parametrize("name", BAD)
def test_on_failure_the_prompt_itself_is_used(
    endpoint: FakeEndpoint, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    bad, reason = BAD[name]
    endpoint.script = [bad]
    made = Rewriting(rewriter(endpoint, 0.5 if name == "silence" else 30.0))([PROMPT])
    assert [(each.prompt, each.seconds) for each in made] == [(PROMPT, None)]
    [record] = caplog.records
    line = record.getMessage()
    assert reason in line
    assert PROMPT[:60] in line
    assert "\n" not in line
    assert "sk-secret" not in line


def test_500_then_good_and_fences(endpoint: FakeEndpoint, caplog: pytest.LogCaptureFixture) -> None:
    endpoint.script = [fails(500), says(f"```json\n{json.dumps(GOOD)}\n```")]
    [made] = Rewriting(rewriter(endpoint))([PROMPT])
    assert made.prompt == GOOD["prompt"]
    assert not caplog.records


@pytest.mark.parametrize(("bad", "asked"), [(fails(401), 1), (fails(500), 6)])
def test_a_dead_endpoint_is_left_alone(
    endpoint: FakeEndpoint, bad: Behaviour, asked: int, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.script = [bad]
    rewriting = Rewriting(rewriter(endpoint))
    for number in range(20):
        assert rewriting([f"prompt {number}"])[0].prompt == f"prompt {number}"
    assert len(endpoint.asked) == asked
    assert len(caplog.records) == 1  # a reason is told once


def test_many_prompts_at_once(endpoint: FakeEndpoint) -> None:
    endpoint.script = [says(json.dumps(GOOD))]
    prompts = [f"{PROMPT}, {number} times" for number in range(30)]
    rewriting = chat_rewriting()
    assert len(rewriting(prompts)) == 30
    assert {made.seconds for made in rewriting(prompts)} == {4.0}
    assert len(endpoint.asked) == 30  # the second time they come from the cache
    assert endpoint.headers[0]["Authorization"] == "Bearer sk-secret"


def test_the_command(
    endpoint: FakeEndpoint,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    endpoint.script = [says(json.dumps(GOOD))]
    target = tmp_path / "x.bvh"
    words = ["generate", PROMPT, "--rewrite", "--rewrite-model", "other", "-o", str(target)]
    assert main(words) == 0
    assert f"as understood: {GOOD['prompt']}, 4 s" in capsys.readouterr().out
    assert load(target).seconds == pytest.approx(4, abs=0.2)
    assert endpoint.asked[0]["model"] == "other"
    endpoint.script = [fails(403)]
    target.unlink()
    words = ["generate", "a person waves", "--rewrite", "--seconds", "1", "-o", str(target)]
    caplog.clear()
    assert main(words) == 0
    assert load(target).seconds == pytest.approx(1, abs=0.2)
    ours = [each for each in caplog.records if each.name.startswith("motionmill")]
    [record] = [each for each in ours if each.levelno >= logging.WARNING]
    assert "used as it is, 'a person waves': chat endpoint" in record.getMessage()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--rewrite"], "MOTIONMILL_CHAT_URL"),
        (["--rewrite", "--rewrite-url", "http://127.0.0.1:9"], "MOTIONMILL_CHAT_MODEL"),
        (["--rewrite-url", "http://127.0.0.1:9"], "with --rewrite only"),
    ],
)
def test_bad_options(
    words: list[str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("MOTIONMILL_CHAT_URL", raising=False)
    monkeypatch.delenv("MOTIONMILL_CHAT_MODEL", raising=False)
    assert main(["generate", "walk", "-o", "x.bvh", *words]) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1


def test_a_file_of_prompts(endpoint: FakeEndpoint, tmp_path: Path) -> None:
    endpoint.script = [says(json.dumps({"prompt": "a person nods", "seconds": 1}))]
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "nod", "seconds": 2}\n{"prompt": "nod twice"}\n')
    pipeline = TextToMotion.from_pretrained(device="cpu")
    outputs = [tmp_path / "{}.npz"]
    made, failures = generate_file(pipeline, file, outputs, rewriting=chat_rewriting())
    assert (made, failures) == (2, [])
    lengths = [load(tmp_path / f"0000{number}.npz").seconds for number in (1, 2)]
    assert lengths == pytest.approx([2, 1], abs=0.2)  # a length that was asked for stays
    generate_file(pipeline, file, outputs, rewriting=chat_rewriting())
    assert len(endpoint.asked) == 2

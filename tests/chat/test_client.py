"""The chat client against a real server on this machine: good answers, every bad one, waiting, cache, counts, keys."""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from motionmill.chat import Chat, ChatError, Endpoint, find_json, image_url
from tests.fake_endpoint import (
    Behaviour,
    FakeEndpoint,
    breaks_off,
    drips,
    fails,
    hangs,
    resets,
    running,
    says,
    sends,
)

KEY = "sk-secret-0123456789"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


class Verdict(BaseModel):
    word: str = Field(min_length=1)
    score: float = Field(ge=0, le=1)


GOOD = says('{"word": "yes", "score": 0.5}')


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    with running() as server:
        yield server


class Waits(list[float]):
    """Keeps how long it was told to sleep, and does not."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def client(endpoint: FakeEndpoint, **settings: Any) -> Chat:
    known = {"sleep": Waits(), "timeout_seconds": 10.0, **settings}
    return Chat(Endpoint(endpoint.url, "some-model", KEY), **known)


def test_an_answer_of_the_shape(endpoint: FakeEndpoint) -> None:
    endpoint.script = [GOOD]
    chat = client(endpoint)
    assert chat.ask(Verdict, "Is it so?", system="Be brief.") == Verdict(word="yes", score=0.5)
    asked = endpoint.asked[0]
    assert endpoint.paths == ["/v1/chat/completions"]
    assert endpoint.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert asked["model"] == "some-model"
    assert asked["messages"][0]["content"].startswith("Be brief.")
    assert "score" in asked["messages"][0]["content"]  # the schema is told, not only sent
    assert asked["response_format"]["json_schema"]["schema"]["required"] == ["word", "score"]
    assert endpoint.question() == "Is it so?"
    assert chat.usage.requests == 1
    assert (chat.usage.prompt_tokens, chat.usage.answer_tokens) == (100, 10)


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"word": "yes", "score": 0.5}\n```',
        'Sure! Here it is: {"word": "yes", "score": 0.5} I hope that helps {really}.',
        '<think>{"word": "no", "score": 0}? Hmm.</think>\n{"word": "yes", "score": 0.5}',
        '  {"word": "yes", "score": 0.5, "more": [1]}\n',
    ],
)
def test_decorated_answers(endpoint: FakeEndpoint, text: str) -> None:
    endpoint.script = [says(text)]
    assert client(endpoint).ask(Verdict, "?").score == 0.5
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (says("I would say yes."), "no JSON object"),
        (says('{"word": "yes"}'), "score: Field required"),
        (says('{"word": "yes", "score": 7}'), "less than or equal to 1"),
        (says('["yes", 0.5]'), "no JSON object"),
        (says('{"word": "yes", "sco'), "not complete"),
        (says('{"word": "yes", "score": NaN}'), "NaN"),
        (says("{" * 3000), "not complete"),
        (says('{"word": "forbidden", "score": 1}'), "another word, please"),
    ],
)
def test_a_wrong_answer_is_told_and_asked_again(
    endpoint: FakeEndpoint, bad: Behaviour, complaint: str
) -> None:
    def check(answer: Verdict) -> None:
        if answer.word == "forbidden":
            raise ValueError("another word, please")

    endpoint.script = [bad, bad, GOOD]
    chat = client(endpoint)
    assert chat.ask(Verdict, "?", check=check).word == "yes"
    assert len(endpoint.asked) == 3
    assert complaint in endpoint.asked[1]["messages"][-1]["content"]
    assert len(endpoint.asked[2]["messages"]) == 4  # only the last wrong answer is repeated
    endpoint.script = [bad]
    with pytest.raises(ChatError, match="in 4 attempts"):
        chat.ask(Verdict, "again?", check=check)


@pytest.mark.parametrize(
    "bad",
    [
        fails(500),
        fails(503),
        fails(429, Retry_After="7"),
        sends(200, "<html>a proxy</html>"),
        sends(200, '{"choices": []}'),
        sends(200, "[]"),
        sends(200, '{"choices": [{"message": null}]}'),
        says(None),
        says("  "),
        says([{"type": "text"}]),
        resets(),
        breaks_off(),
        sends(200, b"\xff\xfe\x00"),
    ],
)
def test_what_may_pass_is_tried_again(endpoint: FakeEndpoint, bad: Behaviour) -> None:
    endpoint.script = [bad, bad, GOOD]
    waits = Waits()
    chat = client(endpoint, sleep=waits)
    assert chat.ask(Verdict, "?").word == "yes"
    assert chat.usage.requests == 3
    assert len(waits) == 2
    assert endpoint.asked[2]["messages"] == endpoint.asked[0]["messages"]


def test_waiting_grows_and_is_bounded(endpoint: FakeEndpoint) -> None:
    endpoint.script = [fails(500)]
    waits = Waits()
    with pytest.raises(ChatError, match=r"6 attempts; the last: 500 \(no luck\)"):
        client(endpoint, sleep=waits, attempts=6, max_wait_seconds=3.0).ask(Verdict, "?")
    assert len(waits) == 5
    for number, wait in enumerate(waits):
        longest = min(3.0, 0.5 * 2**number)
        assert longest / 2 <= wait <= longest


def test_retry_after(endpoint: FakeEndpoint) -> None:
    date = formatdate(time.time() + 20, usegmt=True)
    endpoint.script = [
        fails(429, Retry_After="7"),
        fails(503, Retry_After=date),
        fails(429, Retry_After="soon"),
        GOOD,
    ]
    waits = Waits()
    client(endpoint, sleep=waits).ask(Verdict, "?")
    assert waits[0] == 7.0
    assert 15 < waits[1] <= 20
    assert waits[2] <= 2.0
    endpoint.script = [fails(429, Retry_After="3600")]
    waits.clear()
    with pytest.raises(ChatError, match="asks to wait 3600 s, 60 s are waited at most"):
        client(endpoint, sleep=waits).ask(Verdict, "?")
    assert waits == []


@pytest.mark.parametrize(
    ("bad", "permanent", "words"),
    [
        (fails(401, f"Incorrect API key {KEY}"), True, "MOTIONMILL_CHAT_KEY"),
        (fails(403), True, "the key is refused"),
        (fails(404, "model not found"), True, "no such address or model"),
        (sends(302, "", Location="http://elsewhere.test/x?a=1"), True, "http://elsewhere.test/x;"),
        (sends(307, "", Location="http://["), True, "redirects"),
        (fails(400, "context too long"), False, "context too long"),
        (fails(413), False, "413"),
    ],
)
def test_refusals_are_not_repeated(
    endpoint: FakeEndpoint, bad: Behaviour, permanent: bool, words: str
) -> None:
    endpoint.script = [bad]
    with pytest.raises(ChatError, match=words) as raised:
        client(endpoint).ask(Verdict, "?")
    assert raised.value.permanent is permanent
    assert len(endpoint.asked) == 1
    assert "\n" not in str(raised.value)
    assert endpoint.url in str(raised.value)


@pytest.mark.parametrize("bad", [hangs(), drips()])
def test_an_endpoint_that_hangs(endpoint: FakeEndpoint, bad: Behaviour) -> None:
    endpoint.script = [bad, GOOD]
    started = time.monotonic()
    assert client(endpoint, timeout_seconds=0.5, attempts=20).ask(Verdict, "?").word == "yes"
    assert time.monotonic() - started < 30  # it did not wait until the end of that
    endpoint.script = [bad]
    with pytest.raises(ChatError, match=r"no answer within 0\.25 s"):
        client(endpoint, timeout_seconds=0.25, attempts=1).ask(Verdict, "?")


def test_nobody_there() -> None:
    with running() as server:
        pass
    waits = Waits()
    with pytest.raises(ChatError, match="no connection"):
        client(server, sleep=waits, attempts=2).ask(Verdict, "?")
    assert len(waits) == 1


def test_an_answer_that_is_cut_short_gets_more_room(endpoint: FakeEndpoint) -> None:
    endpoint.script = [says('{"word": "ye', finish="length"), GOOD]
    waits = Waits()
    client(endpoint, sleep=waits).ask(Verdict, "?", max_tokens=64)
    assert [asked["max_tokens"] for asked in endpoint.asked] == [64, 128]
    assert waits == []


def test_what_an_endpoint_does_not_know_is_left_out(endpoint: FakeEndpoint) -> None:
    endpoint.script = [
        fails(400, "response_format of type json_schema is not supported"),
        fails(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
        fails(422, "unknown field seed"),
        GOOD,
    ]
    chat = client(endpoint)
    chat.ask(Verdict, "?", seed=3)
    chat.ask(Verdict, "??", seed=3)
    assert len(endpoint.asked) == 5  # it is left out from the beginning the next time
    assert not {"response_format", "max_tokens", "seed"} & set(endpoint.asked[-1])
    assert endpoint.asked[-1]["max_completion_tokens"] == 1024
    endpoint.script = [fails(400, "seed again")]
    with pytest.raises(ChatError, match="seed again"):
        chat.ask(Verdict, "???", seed=3)


def test_the_same_question_is_asked_once(endpoint: FakeEndpoint, tmp_path: Path) -> None:
    endpoint.script = [GOOD]
    for _ in range(2):
        chat = client(endpoint, cache=tmp_path)
        first = chat.ask(Verdict, "?", images=[PNG], seed=1)
    assert first.word == "yes"
    assert len(endpoint.asked) == 1
    assert (chat.usage.cached, chat.usage.requests) == (1, 0)
    others: list[dict[str, Any]] = [
        {"images": [PNG], "seed": 2},
        {"images": [PNG + b"x"], "seed": 1},
        {"seed": 1},
        {"images": [PNG], "seed": 1, "system": "x"},
        {"images": [PNG], "seed": 1, "temperature": 0.5},
    ]
    for other in others:
        chat.ask(Verdict, "?", **other)
    assert len(endpoint.asked) == 6
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 6
    assert not any(KEY in path.read_text() + path.name for path in files)
    for path in files:  # damaged files are as good as none
        path.write_text('{"word": ')
    chat.ask(Verdict, "?", seed=1)
    assert len(endpoint.asked) == 7


def test_wrong_answers_are_not_cached(endpoint: FakeEndpoint, tmp_path: Path) -> None:
    endpoint.script = [says("no"), says("no"), GOOD]
    with pytest.raises(ChatError):
        client(endpoint, cache=tmp_path, attempts=2).ask(Verdict, "?")
    assert not list(tmp_path.rglob("*.json"))
    client(endpoint, cache=tmp_path, attempts=2).ask(Verdict, "?")
    assert len(list(tmp_path.rglob("*.json"))) == 1


def test_a_cache_that_cannot_be_written(
    endpoint: FakeEndpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.script = [GOOD]
    (tmp_path / "file").write_text("in the way")
    assert client(endpoint, cache=tmp_path / "file").ask(Verdict, "?").word == "yes"
    assert "answers are not kept" in caplog.text


def test_tokens_and_dollars(endpoint: FakeEndpoint) -> None:
    endpoint.script = [
        says("wrong"),
        says('{"word": "a", "score": 1}', usage={"prompt_tokens": 1000, "cost": 0.25}),
        says('{"word": "a", "score": 1}', usage={"prompt_tokens": -4, "completion_tokens": "9"}),
    ]
    chat = Chat(Endpoint(endpoint.url, "m", "", prompt_price=2.0, answer_price=10.0))
    chat.ask(Verdict, "?")  # a wrong answer costs too
    assert (chat.usage.prompt_tokens, chat.usage.answer_tokens) == (1100, 10)
    assert chat.usage.dollars == pytest.approx(0.25 + (100 * 2 + 10 * 10) / 1e6)
    chat.ask(Verdict, "??")
    assert chat.usage.prompt_tokens == 1100
    assert "Authorization" not in endpoint.headers[0]


def test_threads_share_a_client(endpoint: FakeEndpoint, tmp_path: Path) -> None:
    endpoint.script = [GOOD]
    chat = client(endpoint, cache=tmp_path)
    made: list[Verdict] = []

    def use(number: int) -> None:
        made.append(chat.ask(Verdict, f"question {number % 10}"))

    threads = [threading.Thread(target=use, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(made) == 40
    assert chat.usage.requests + chat.usage.cached == 40
    assert chat.usage.prompt_tokens == 100 * chat.usage.requests == 100 * len(endpoint.asked)
    assert len(list(tmp_path.rglob("*.json"))) == 10
    assert not list(tmp_path.rglob(".partial-*"))


def test_pictures(endpoint: FakeEndpoint) -> None:
    endpoint.script = [GOOD]
    client(endpoint).ask(Verdict, "What is it?", images=[PNG, b"\xff\xd8\xff\xe0"])
    text, first, second = endpoint.asked[0]["messages"][1]["content"]
    assert text == {"type": "text", "text": "What is it?"}
    head, _, data = first["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data) == PNG
    assert second["image_url"]["url"].startswith("data:image/jpeg;")
    assert image_url(b"RIFF\0\0\0\0WEBPVP8 ").startswith("data:image/webp")
    for bad in (b"", b"RIFF\0\0\0\0WAVE", b"<svg>"):
        with pytest.raises(ValueError, match="expected PNG"):
            image_url(bad)


@pytest.mark.parametrize("bad", [fails(401, f"bad {KEY}"), fails(500, KEY), says(KEY), resets()])
def test_the_key_stays_secret(
    endpoint: FakeEndpoint,
    bad: Behaviour,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    endpoint.script = [bad]
    chat = client(endpoint)
    with pytest.raises(ChatError) as raised:
        chat.ask(Verdict, "?")
    output = capfd.readouterr()
    seen = [str(raised.value), repr(raised.value), caplog.text, output.out, output.err]
    seen += [repr(chat.endpoint), json.dumps(endpoint.asked[0])]
    assert not any(KEY in text for text in seen)


def test_the_key_does_not_follow_a_redirect(endpoint: FakeEndpoint) -> None:
    with running() as other:
        endpoint.script = [sends(307, "", Location=f"{other.url}/chat/completions")]
        with pytest.raises(ChatError, match="redirects"):
            client(endpoint).ask(Verdict, "?")
        assert other.asked == []


@pytest.mark.parametrize(
    ("url", "model", "key", "words"),
    [
        ("", "m", "", "MOTIONMILL_CHAT_URL"),
        ("localhost:8000", "m", "", "expected an address"),
        ("ftp://x/v1", "m", "", "expected an address"),
        ("http://[", "m", "", "expected an address"),
        ("http://x:99999/v1", "m", "", "expected an address"),
        ("http://x/v 1", "m", "", "expected an address"),
        ("http://me:pass@x/v1", "m", "", "MOTIONMILL_CHAT_KEY"),
        ("http://x/v1", " ", "", "MOTIONMILL_CHAT_MODEL"),
        ("http://x/v1", "m", "sk-\nX-Other: 1", "unprintable"),
    ],
)
def test_impossible_endpoints(url: str, model: str, key: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        Endpoint(url, model, key)
    assert "pass" not in str(raised.value).replace("password", "")
    assert "sk-" not in str(raised.value)


def test_addresses_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, address in [
        ("http://x", "http://x/v1/chat/completions"),
        ("http://x:1/v1/", "http://x:1/v1/chat/completions"),
        ("https://x/api/chat/completions", "https://x/api/chat/completions"),
        ("https://x/v1?version=2", "https://x/v1/chat/completions?version=2"),
    ]:
        assert Endpoint(given, "m").address == address
    monkeypatch.setenv("MOTIONMILL_CHAT_URL", "http://one")
    monkeypatch.setenv("MOTIONMILL_CHAT_MODEL", "small")
    monkeypatch.setenv("MOTIONMILL_CHAT_KEY", "secret\n")
    assert Endpoint.from_environment() == Endpoint("http://one", "small", "secret")
    assert Endpoint.from_environment(url="http://two", model="big").model == "big"
    with pytest.raises(ValueError, match="attempts"):
        Chat(Endpoint("http://x", "m"), attempts=0)


def test_finding_json() -> None:
    assert find_json('{x} {"a": {"b": 1}}') == {"a": {"b": 1}}
    with pytest.raises(ValueError, match="no JSON object"):
        find_json("nothing")

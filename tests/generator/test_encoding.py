"""Text states that are kept: in memory and on disk, whole or not at all, for one encoder and no other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from motionmill.generator import encoding
from motionmill.generator.encoding import CachedEncoder


class Counting:
    """An encoder of up to five words that remembers what it was given."""

    width = 3

    def __init__(self) -> None:
        self.given: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        self.given.append(list(texts))
        return [torch.full((len(text.split()[:5]) + 1, 3), float(len(text))) for text in texts]

    def cut(self, text: str) -> str:
        return " ".join(text.split()[5:])


@pytest.fixture
def counting() -> Counting:
    return Counting()


def test_a_text_is_encoded_once(counting: Counting) -> None:
    encoder = CachedEncoder(lambda: counting)
    assert not encoder.loaded
    first = encoder.encode(["one two", "", "one two", "three"])
    again = encoder.encode(["three", "four", "one two"])
    assert counting.given == [["one two", "", "three"], ["four"]]
    assert [len(states) for states in first] == [3, 1, 3, 2]
    assert torch.equal(again[2], first[0])
    assert encoder.width == 3


def test_states_on_disk(counting: Counting, tmp_path: Path) -> None:
    texts = ["a b c d e f g", "naïve 走 \n two lines", ""]
    first = CachedEncoder(lambda: counting, folder=tmp_path, identity="one").encode(texts)

    def fail() -> Counting:
        raise AssertionError("loaded")

    second = CachedEncoder(fail, folder=tmp_path, identity="one")
    for one, other in zip(first, second.encode(texts), strict=True):
        assert torch.equal(one, other)
    assert second.cut("a b c d e f g") == "f g"
    assert not second.loaded
    assert not list(tmp_path.rglob(".partial*"))
    with pytest.raises(AssertionError, match="loaded"):
        CachedEncoder(fail, folder=tmp_path, identity="another").encode(texts)
    for path in tmp_path.rglob("*.safetensors"):  # damaged files are as good as none
        path.write_bytes(path.read_bytes()[:20])
    counting.given.clear()
    CachedEncoder(lambda: counting, folder=tmp_path, identity="one").encode(texts)
    assert counting.given == [texts]


def test_a_folder_that_cannot_be_written(
    counting: Counting, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    states = CachedEncoder(lambda: counting, folder=tmp_path / "file").encode(["one"])
    assert len(states[0]) == 2
    assert "are not kept" in caplog.text


def test_what_is_cut_is_quoted_once(
    counting: Counting, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = CachedEncoder(lambda: counting, folder=tmp_path)
    for _ in range(3):
        encoder.encode(["a b c d e six\nseven", "short"])
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["the prompt is too long; cut off and not used: 'six seven'"]
    assert caplog.records[0].levelno == logging.WARNING
    caplog.clear()
    CachedEncoder(lambda: counting, folder=tmp_path).encode(["a b c d e six\nseven"])
    assert len(caplog.records) == 1  # from disk too
    caplog.clear()
    encoder.encode(["word " * 1000])
    assert "characters more" in caplog.text
    assert len(caplog.records[0].getMessage()) < 400


def test_letting_go(counting: Counting) -> None:
    made: list[int] = []

    def load() -> Counting:
        made.append(1)
        return counting

    encoder = CachedEncoder(load)
    encoder.encode(["one"])
    encoder.unload()
    assert not encoder.loaded
    encoder.encode(["one"])
    assert len(made) == 1
    encoder.encode(["two"])
    assert len(made) == 2


def test_memory_is_bounded(counting: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "_IN_MEMORY", 4)
    encoder = CachedEncoder(lambda: counting)
    texts = [f"text {number}" for number in range(10)]
    assert len(encoder.encode(texts)) == 10
    encoder.encode(texts[-4:])
    assert len(counting.given) == 1
    encoder.encode(texts[:1])
    assert counting.given[1:] == [texts[:1]]


def test_threads(counting: Counting, tmp_path: Path) -> None:
    encoder = CachedEncoder(lambda: counting, folder=tmp_path)

    def use(number: int) -> None:
        for each in range(20):
            [states] = encoder.encode(["w" * (1 + (number + each) % 7)])
            assert states[0, 0] == 1 + (number + each) % 7
        encoder.unload()

    threads = [threading.Thread(target=use, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(text for texts in counting.given for text in texts) == [
        "w" * (n + 1) for n in range(7)
    ]

"""Text states: each text is encoded once, ragged on disk, and read where it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from motionmill.generator.text_states import TextStates, digests_of
from motionmill.training.mapped import map_tensors


class Counting:
    """As many states as letters; counts what it is asked."""

    width = 4

    def __init__(self) -> None:
        self.seen: list[str] = []

    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        self.seen += texts
        return [torch.full((len(text), 4), float(len(text))) for text in texts]

    def cut(self, text: str) -> str:
        return ""


TEXTS = ["walk", "run", "a person waves", "walk", "run"]


def test_each_text_once_and_again_from_disk(tmp_path: Path) -> None:
    encoder = Counting()
    states = TextStates(lambda: encoder, tmp_path)
    states.add(TEXTS, chunk=2)
    assert sorted(encoder.seen) == sorted(set(TEXTS))
    states.add(["jump", "walk"])
    assert encoder.seen.count("walk") == 1
    again = TextStates(lambda: pytest.fail("encoded again"), tmp_path)
    again.add([*TEXTS, "jump"])
    for text in {*TEXTS, "jump"}:
        assert torch.equal(again[text], torch.full((len(text), 4), float(len(text))))
    with pytest.raises(KeyError):
        again["never seen"]
    rows = again.rows(digests_of(["run", "never seen", "walk"]))
    assert rows[1] == -1
    assert again.lengths(rows[[0, 2]]).tolist() == [3, 4]


def test_they_are_stored_raggedly_and_not_read_whole(tmp_path: Path) -> None:
    states = TextStates(Counting, tmp_path)
    states.add(TEXTS)
    (path,) = tmp_path.glob("*.safetensors")
    tensors = map_tensors(path)
    assert tensors["states"].shape == (sum(map(len, set(TEXTS))), 4)
    assert tensors["states"].dtype == np.float16
    assert isinstance(tensors["states"], np.memmap)


def test_damage_is_noticed(tmp_path: Path) -> None:
    TextStates(Counting, tmp_path).add(TEXTS)
    (path,) = tmp_path.glob("*.safetensors")
    data = path.read_bytes()
    for harmed in (data[:-8], b"\xff" * 16, data[:4], data.replace(b'"F16"', b'"F99"')):
        path.write_bytes(harmed)
        with pytest.raises(ValueError, match="damaged"):
            TextStates(Counting, tmp_path).add(["x"])

"""The best of several motions: as the ranker says, but for those that contradict the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from motionmill.generator import choose as module
from motionmill.generator.choose import choose

STATES = torch.zeros(1, 4)


class Ranker:
    def __init__(self, scores: Sequence[float]) -> None:
        self._scores = torch.tensor(scores)

    def scores(self, states: Tensor, motions: Sequence[Tensor]) -> Tensor:
        return self._scores


def chosen(scores: Sequence[float], wrong: Sequence[bool], prompt: str) -> tuple[int, int]:
    """Which is chosen, and how many motions were looked at for what they do."""
    looked = []
    motions: Any = [torch.full((8, 272), float(place)) for place in range(len(scores))]

    def contradicts(prompt: str, place: int) -> str | None:
        looked.append(place)
        return "another way" if wrong[place] else None

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "to_motion", lambda motion: int(motion[0, 0]))
        patched.setattr(module, "facts", lambda place: place)
        patched.setattr(module, "contradicts", contradicts)
        ranker: Any = Ranker(scores)
        return choose(ranker, prompt, STATES, motions), len(looked)


@given(
    st.lists(st.tuples(st.floats(-0.875, 0.875, width=32), st.booleans()), min_size=1, max_size=8)
)
def test_as_if_all_were_looked_at(rows: list[tuple[float, bool]]) -> None:
    scores, wrong = [row[0] for row in rows], [row[1] for row in rows]
    all_seen = torch.tensor(scores) - 2 * torch.tensor(wrong).float()
    best, _ = chosen(scores, wrong, "a person walks forward")
    assert wrong[best] == wrong[int(all_seen.argmax())]
    assert scores[best] == scores[int(all_seen.argmax())]


def test_only_what_could_be_taken_is_looked_at() -> None:
    assert chosen([0.1, 0.9, 0.5], [False, True, False], "a person walks forward") == (2, 2)
    assert chosen([0.1, 0.9, 0.5], [True, True, True], "a person walks forward") == (1, 3)
    assert chosen([0.1, 0.9, 0.5], [True, True, True], "a person bows") == (1, 0)

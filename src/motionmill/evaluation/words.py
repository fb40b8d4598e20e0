"""Texts -> what the evaluator reads: the states of the words, without the mean that the generator gets in front."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from motionmill.generator.text import MiniLM


class MiniLMWords:
    """The shipped MiniLM, one state (384 numbers) a word piece."""

    width = MiniLM.width

    def __init__(self) -> None:
        self._model = MiniLM()

    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        return [states[1:] for states in self._model.encode(texts)]

    def cut(self, text: str) -> str:
        return self._model.cut(text)

"""The paper's released evaluator checkpoint -> an evaluator of ours, without running any code that it may hold.

A Lightning file: `{'state_dict': {'textencoder.*', 'motionencoder.*', others}}`. Its text encoder holds a DistilBERT,
whose vocabulary is that of the shipped MiniLM, so that nothing is downloaded. Source of names and shapes: the official
implementation.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from motionmill.evaluation.config import EvaluatorConfig
from motionmill.evaluation.evaluator import Evaluator, TrainedEvaluator
from motionmill.generator.text import minilm_folder
from motionmill.motion.features import Normalizer

_NAMES = (
    (r"^textencoder\.projection\.1\.", "text.input."),
    (r"^motionencoder\.skel_embedding\.", "motion.input."),
    (r"^textencoder\.", "text."),
    (r"^motionencoder\.", "motion."),
    (r"\.seqTransEncoder\.", "."),
    (r"\.mu_token$", ".mean_token"),
    (r"\.logvar_token$", ".log_variance_token"),
)
_WORDS = "textencoder.text_model."
_COMPUTED = (".pe", "position_ids")  # tables that follow from the sizes


class DistilBert:
    """DistilBERT: one state (768 numbers) a word piece, first and last included."""

    def __init__(
        self, state: Mapping[str, Tensor], *, num_heads: int, max_pieces: int = 512
    ) -> None:
        """Take over its parameters.

        Raises:
            ValueError: they are not those of a DistilBERT.
        """
        from tokenizers import Tokenizer as PieceTokenizer
        from transformers import DistilBertConfig, DistilBertModel

        vocabulary, self.width = state["embeddings.word_embeddings.weight"].shape
        longest = len(state["embeddings.position_embeddings.weight"])
        layers = {int(found[1]) for key in state if (found := re.search(r"\.layer\.(\d+)\.", key))}
        config: Any = DistilBertConfig(
            vocab_size=vocabulary,
            dim=self.width,
            n_layers=len(layers),
            n_heads=num_heads,
            hidden_dim=len(state["transformer.layer.0.ffn.lin1.bias"]),
            max_position_embeddings=longest,
        )
        self._model: Any = DistilBertModel(config).eval()
        self._model.load_state_dict(dict(state))
        self._pieces: Any = PieceTokenizer.from_file(str(minilm_folder() / "tokenizer.json"))
        self._pieces.enable_truncation(min(max_pieces, longest))
        self._pieces.enable_padding()

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        batch = self._pieces.encode_batch(list(texts))
        ids = torch.tensor([row.ids for row in batch])
        return self.states(ids, torch.tensor([row.attention_mask for row in batch]))

    @torch.inference_mode()
    def states(self, ids: Tensor, mask: Tensor) -> list[Tensor]:
        """(B, P) ids of word pieces and their mask -> B tensors (P_i, width)."""
        hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
        return [row[: int(count)].clone() for row, count in zip(hidden, mask.sum(1), strict=True)]

    def cut(self, text: str) -> str:
        row = self._pieces.encode(text)
        return text[row.offsets[-2][1] :].strip() if row.overflowing else ""


def load_official_evaluator(
    path: Path, normalizer: Normalizer, *, num_heads: int = 4, num_word_heads: int = 12
) -> TrainedEvaluator:
    """Read the released checkpoint.

    Args:
        path: the `.ckpt` file.
        normalizer: the official mean and standard deviation of the features.
        num_heads: of the two encoders; shapes do not tell them.
        num_word_heads: of DistilBERT.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not such a checkpoint, or tensors missing, unknown or of another shape.
    """
    state = _read(path)
    words = {
        key.removeprefix(_WORDS): value for key, value in state.items() if key.startswith(_WORDS)
    }
    named: dict[str, Tensor] = {}
    for key, value in state.items():
        ours = key.startswith(("textencoder.", "motionencoder.")) and not key.startswith(_WORDS)
        if ours and not key.endswith(_COMPUTED):
            named[_our_name(key)] = value
    try:
        config = _config(named, num_heads)
        model = Evaluator(config)
        encoder = DistilBert(
            {key: value for key, value in words.items() if not key.endswith(_COMPUTED)},
            num_heads=num_word_heads,
        )
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"{path}: not the official evaluator; {_first_line(error)}") from None
    expected = model.state_dict()
    wrong = sorted(set(expected) ^ set(named)) or [
        key for key, value in expected.items() if value.shape != named[key].shape
    ]
    if wrong:
        raise ValueError(
            f"{path}: not the official evaluator; missing, unknown or of another shape: {', '.join(wrong[:4])}"
        )
    model.load_state_dict(named)
    return TrainedEvaluator(model.eval(), normalizer, encoder)


def _read(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        state = content["state_dict"]
        return {str(key): value for key, value in state.items() if isinstance(value, Tensor)}
    except (
        OSError,
        RuntimeError,
        pickle.UnpicklingError,
        EOFError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        raise ValueError(
            f"{path}: expected a checkpoint with 'state_dict'; {_first_line(error)}"
        ) from None


def _our_name(key: str) -> str:
    for pattern, ours in _NAMES:
        key = re.sub(pattern, ours, key)
    return key


def _config(named: Mapping[str, Tensor], num_heads: int) -> EvaluatorConfig:
    width, text_width = named["text.input.weight"].shape
    layers = {key.split(".")[2] for key in named if key.startswith("motion.layers.")}
    return EvaluatorConfig(
        width=width,
        text_width=text_width,
        num_layers=len(layers),
        num_heads=num_heads,
        feed_forward=len(named["motion.layers.0.linear1.bias"]),
    )


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]

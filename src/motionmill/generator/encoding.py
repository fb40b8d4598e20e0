"""A text encoder that is there when it is needed: states are kept by text, in memory and on disk, and it can be let go.

Shapes: P states, E width of the text model.
"""

from __future__ import annotations

import gc
import hashlib
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from motionmill.generator.config import ReleaseConfig
from motionmill.generator.text import T5, MiniLM, TextEncoder, version_of

logger = logging.getLogger(__name__)

_IN_MEMORY = 256  # texts
_MAX_QUOTE = 200  # characters


class Encoded(NamedTuple):
    """(P, E) states of a text, and the end of the text that was too much."""

    states: Tensor
    cut: str


class CachedEncoder:
    """Another encoder, loaded when a text comes that is not known; threads may share it.

    A text that is longer than the encoder can take is cut, with a warning in the log that quotes what is lost.
    """

    def __init__(
        self,
        load: Callable[[], TextEncoder],
        *,
        folder: Path | None = None,
        identity: str = "",
    ) -> None:
        """Nothing is loaded yet.

        Args:
            folder: where states are kept, float32, a file a text; none by default.
            identity: tells the encoder, its version and settings from others in the same folder.
        """
        self._load = load
        self._encoder: TextEncoder | None = None
        self._folder = None if folder is None else folder / _digest(identity)
        self._known: OrderedDict[str, Encoded] = OrderedDict()
        self._lock = threading.Lock()  # of what is known
        self._using = (
            threading.RLock()
        )  # of the encoder; who asks for known texts does not wait for it

    @property
    def loaded(self) -> bool:
        return self._encoder is not None

    @property
    def width(self) -> int:
        return self.load().width

    def load(self) -> TextEncoder:
        """The encoder itself, loaded now if it is not yet."""
        with self._using:
            if self._encoder is None:
                self._encoder = self._load()
            return self._encoder

    def unload(self) -> None:
        """Free the encoder's memory; known texts stay known, and another text loads it again."""
        with self._using:
            self._encoder = None
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        """One (P, E) float32 tensor a text, on the CPU."""
        found = {text: known for text in texts if (known := self._find(text))}
        if any(text not in found for text in texts):
            with self._using:
                found |= self._new([text for text in dict.fromkeys(texts) if text not in found])
        with self._lock:
            for text, encoded in found.items():
                self._keep(text, encoded)
        return [found[text].states for text in texts]

    def cut(self, text: str) -> str:
        """What of a text is too much for the encoder; empty where all of it is understood."""
        known = self._find(text)
        if known is not None:
            return known.cut
        with self._using:
            return self.load().cut(text)

    def _new(self, texts: Sequence[str]) -> dict[str, Encoded]:
        """Texts that were not known a moment ago; another thread may have encoded some since."""
        found = {text: known for text in texts if (known := self._find(text))}
        new = [text for text in texts if text not in found]
        if new:
            encoder = self.load()
            for text, states in zip(new, encoder.encode(new), strict=True):
                found[text] = Encoded(states, encoder.cut(text))
                self._write(text, found[text])
        return found

    def _keep(self, text: str, encoded: Encoded) -> None:
        """Into memory, where the oldest gives way; a text that comes there is warned of if it was cut."""
        if encoded.cut and text not in self._known:
            logger.warning("the prompt is too long; cut off and not used: %s", _quoted(encoded.cut))
        self._known[text] = encoded
        self._known.move_to_end(text)
        while len(self._known) > _IN_MEMORY:
            self._known.popitem(last=False)

    def _find(self, text: str) -> Encoded | None:
        """From memory or from disk; a file that is damaged or of another text is as good as none."""
        from safetensors import SafetensorError, safe_open

        known = self._known.get(text)
        if known is not None or self._folder is None:
            return known
        path = self._folder / f"{_digest(text)}.safetensors"
        try:
            with safe_open(path, framework="pt") as file:
                about = file.metadata() or {}
                if about.get("text") != text:
                    return None
                return Encoded(file.get_tensor("states"), about.get("cut", ""))
        except (OSError, SafetensorError):
            return None

    def _write(self, text: str, encoded: Encoded) -> None:
        from safetensors.torch import save_file

        if self._folder is None:
            return
        name = f"{_digest(text)}.safetensors"
        partial = self._folder / f".partial-{os.getpid()}-{threading.get_ident()}-{name}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            tensors = {"states": encoded.states.float().contiguous()}
            save_file(tensors, partial, {"text": text, "cut": encoded.cut})
            partial.replace(self._folder / name)
        except OSError as error:
            logger.warning("%s: text states are not kept (%s)", self._folder, error)


def load_encoder(
    config: ReleaseConfig, *, device: torch.device | None = None, cache: Path | None = None
) -> CachedEncoder:
    """The text encoder that a model was trained with; loaded when it is first needed."""
    if config.text_encoder == "minilm":
        return CachedEncoder(MiniLM, folder=cache, identity="minilm")
    path = config.text_encoder_path
    return CachedEncoder(
        lambda: T5(path, device=device), folder=cache, identity=f"t5 {version_of(path)}"
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _quoted(text: str) -> str:
    """A text in quotes and in one line; of a very long one the beginning and how much there is."""
    line = " ".join(text.split())
    if len(line) <= _MAX_QUOTE:
        return repr(line)
    return f"{line[:_MAX_QUOTE]!r} and {len(line) - _MAX_QUOTE} characters more"

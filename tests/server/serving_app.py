"""The shipped model behind the application, without the language model: texts become numbers of their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from fastapi.testclient import TestClient
from torch import Tensor

from motionmill.generator.release import load_release
from motionmill.pipeline import TextToMotion
from motionmill.server.app import studio_app
from motionmill.server.runner import Limits, Runner
from motionmill.server.serving import prepare_files
from motionmill.server.store import Store
from motionmill.server.workshop import Workshop


class HashEncoder:
    """States that differ from text to text and mean nothing."""

    width = 384

    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        return [self._state(text) for text in texts]

    def cut(self, text: str) -> str:
        return ""

    def _state(self, text: str) -> Tensor:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])
        return torch.randn(6, self.width, generator=torch.Generator().manual_seed(seed)) * 0.05


def pipeline() -> TextToMotion:
    return TextToMotion(load_release("mini", device=torch.device("cpu")), HashEncoder())


@contextmanager
def client(
    pipeline: TextToMotion,
    folder: Path,
    *,
    workshop: Workshop | None = None,
    limits: Limits | None = None,
    max_queued: int = 64,
    started: bool = True,
    **settings: Any,
) -> Iterator[TestClient]:
    """A client of a server; one that is not started takes requests and makes nothing."""
    store = Store(folder, max_queued=max_queued)
    shop = workshop or Workshop(1)
    runner = Runner(pipeline, store, limits or Limits(), prepare_files(store, shop, pipeline))
    if not started:
        runner.start = lambda: None  # type: ignore[method-assign]
    app = studio_app(runner, shop, **settings)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as made:
        yield made

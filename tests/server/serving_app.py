"""The shipped model behind the application, without the language model: texts become numbers of their hash."""

from __future__ import annotations

import atexit
import hashlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
import uvicorn
from fastapi.testclient import TestClient
from torch import Tensor

from motionmill.generator.release import load_release
from motionmill.pipeline import TextToMotion
from motionmill.server.app import studio_app
from motionmill.server.guard import Application
from motionmill.server.ratings import Ratings
from motionmill.server.runner import Limits, Runner
from motionmill.server.serving import prepare_files, server_config
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


@cache
def pipeline() -> TextToMotion:
    return TextToMotion(load_release("mini", device=torch.device("cpu")), HashEncoder())


class LastingWorkshop(Workshop):
    """Processes that all servers of a test run use, one after another."""

    def close(self) -> None:
        """Not yet."""


@cache
def workshop() -> Workshop:
    made = LastingWorkshop(1)
    atexit.register(Workshop.close, made)
    return made


def application(
    pipeline: TextToMotion,
    folder: Path,
    *,
    shop: Workshop | None = None,
    limits: Limits | None = None,
    max_queued: int = 64,
    started: bool = True,
    **settings: Any,
) -> Application:
    """A server; one that is not started takes requests and makes nothing."""
    store = Store(folder, max_queued=max_queued)
    shop = shop or workshop()
    runner = Runner(pipeline, store, limits or Limits(), prepare_files(store, shop, pipeline))
    if not started:
        runner.start = lambda: None  # type: ignore[method-assign]
    return studio_app(runner, shop, Ratings(folder / "ratings"), **settings)


@contextmanager
def client(pipeline: TextToMotion, folder: Path, **settings: Any) -> Iterator[TestClient]:
    """A client of a server in this process, without sockets."""
    app = application(pipeline, folder, **settings)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as made:
        yield made


@contextmanager
def listening(pipeline: TextToMotion, folder: Path, **settings: Any) -> Iterator[str]:
    """The address of a server that listens, as `motionmill serve` does, in a thread."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(server_config(application(pipeline, folder, **settings)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the server ended at its start"
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)

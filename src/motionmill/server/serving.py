"""Arguments of a command -> a server that runs until it is told to stop."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

from motionmill.evaluation.suite import load_suite
from motionmill.server.arena import Arena
from motionmill.server.arena_app import arena_app
from motionmill.server.arena_tasks import Kind


def serve_arena(
    motions: Sequence[Path],
    database: Path,
    suite: str,
    *,
    num_raters: int,
    kinds: Sequence[Kind],
    host: str,
    port: int,
) -> None:
    """Print the raters' addresses and serve them.

    Raises:
        ValueError, FileNotFoundError: see `Arena`; or a port that is taken.
    """
    import uvicorn

    if not motions:
        raise ValueError("no motions; give folders of `motionmill benchmark generate`")
    arena = Arena(load_suite(suite), motions, database, kinds=kinds)
    for name, reason in list(arena.unreadable.items())[:10]:
        print(f"left out: {name}: {reason}")
    arena.store.add_raters(num_raters)
    listening = _listen(host, port)
    address = f"http://{host}:{listening.getsockname()[1]}"
    for rater, link in arena.store.links().items():
        print(f"{rater}: {address}/rate/{link}/", flush=True)
    config = uvicorn.Config(arena_app(arena), log_level="warning", timeout_graceful_shutdown=5)
    uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ValueError(
            f"cannot listen on {host}:{port} ({error.strerror}); name another port"
        ) from None
    return listening

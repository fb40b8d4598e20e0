"""Arguments of a command -> a server that runs until it is told to stop."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import secrets
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from motionmill.evaluation.suite import load_suite
from motionmill.server.arena import Arena
from motionmill.server.arena_app import arena_app
from motionmill.server.arena_tasks import Kind
from motionmill.server.schemas import Suffix

if TYPE_CHECKING:
    from motionmill.generator.config import Precision
    from motionmill.pipeline import TextToMotion
    from motionmill.server.runner import Limits
    from motionmill.server.store import Store, StoredJob
    from motionmill.server.workshop import Workshop


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
    for system, prompts in arena.missing.items():
        if prompts:
            print(f"{system}: no motion of {len(prompts)} prompts, such as {prompts[0]}")
    arena.store.add_raters(num_raters)
    listening = _listen(host, port)
    listening.listen()  # who opens a link as soon as it is printed waits instead of being turned away
    address = f"http://{host}:{listening.getsockname()[1]}"
    for rater, link in arena.store.links().items():
        print(f"{rater}: {address}/rate/{link}/", flush=True)
    config = uvicorn.Config(arena_app(arena), log_level="warning", timeout_graceful_shutdown=5)
    uvicorn.Server(config).run(sockets=[listening])


def serve_studio(
    model: str,
    folder: Path,
    *,
    host: str,
    port: int,
    token_file: Path | None,
    limits: Limits,
    max_queued: int,
    workers: int,
    device: str | None,
    precision: Precision,
) -> None:
    """Load the model, print the address, serve until SIGTERM or Ctrl-C.

    Raises:
        ValueError, FileNotFoundError: see `TextToMotion.from_pretrained`, `Store`; a port that is taken; another host
            without a token.
    """
    import uvicorn

    from motionmill.pipeline import TextToMotion
    from motionmill.server.app import studio_app
    from motionmill.server.runner import Runner
    from motionmill.server.store import Store
    from motionmill.server.workshop import Workshop

    loopback = is_loopback(host)
    token = None if token_file is None else read_token(token_file)
    if token is None and not loopback:
        raise ValueError(
            f"--host {host} lets other machines in; give --token-file FILE (it is made if it is not there)"
        )
    listening = _listen(host, port)
    store = Store(folder, max_queued=max_queued)
    workshop = Workshop(workers)
    pipeline = TextToMotion.from_pretrained(model, device=device, precision=precision)
    runner = Runner(pipeline, store, limits, prepare=prepare_files(store, workshop, pipeline))
    name = f"[{host}]" if ":" in host else host
    address = f"http://{name}:{listening.getsockname()[1]}/"
    _allow_many_connections()

    def ready() -> None:
        workshop.warm()
        print(f"motionmill studio: {address} (model {model}, results in {folder})", flush=True)

    app = studio_app(runner, workshop, token=token, only_loopback=token is None, on_start=ready)
    config = uvicorn.Config(
        app,
        http="h11",
        log_level="warning",
        timeout_graceful_shutdown=2,
        limit_concurrency=4000,
        server_header=False,
    )

    class Server(uvicorn.Server):
        """Lets event streams go as soon as it is told to stop."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            runner.announce_stop()
            super().handle_exit(sig, frame)

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until uvicorn has its own
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises the signal again at its end
        Server(config).run(sockets=[listening])
    # All that counts is on disk; a file that is still being written for nobody must not hold the process.
    os._exit(0)


def prepare_files(
    store: Store, workshop: Workshop, pipeline: TextToMotion
) -> Callable[[StoredJob, list[dict[str, Any]]], None]:
    """What makes the formats that a job asked for, before it is told to be done."""

    def prepare(job: StoredJob, motions: list[dict[str, Any]]) -> None:
        cleanup = job.request.get("cleanup", 1.0)
        for motion in motions:
            raw = store.motions / f"{motion['id']}.npz"
            for suffix in job.request.get("formats", ()):
                if suffix != "npz":
                    licence = pipeline.release.config.licence
                    data = workshop.export(raw, suffix, cleanup=cleanup, licence=licence)
                    aside = raw.with_name(f".{motion['id']}.{suffix}")
                    aside.write_bytes(data)
                    aside.replace(raw.with_suffix(f".{suffix}"))
            motion["files"] = {
                suffix.value: f"/v1/motions/{motion['id']}.{suffix.value}" for suffix in Suffix
            }

    return prepare


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server on this host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(path: Path) -> str:
    """The token of a file; a new one is made and written, for its owner only, where there is no file.

    Raises:
        ValueError: a token that is short or has spaces in it.
    """
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
    token = path.read_text(encoding="ascii", errors="replace").strip()
    if len(token) < 16 or not token.isascii() or len(token.split()) != 1:
        raise ValueError(f"{path}: no token; expected one word of 16 characters or more")
    return token


def _allow_many_connections() -> None:
    """As many open files as this user may have: an event stream is one."""
    try:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    except (ImportError, OSError, ValueError):
        return


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

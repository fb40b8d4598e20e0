"""Arguments of a command -> a server that runs until it is told to stop."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import secrets
import signal
import socket
import sys
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
    import uvicorn

    from motionmill.generator.config import Precision
    from motionmill.pipeline import TextToMotion
    from motionmill.server.runner import Limits, Runner
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
    arena = _folders_to_rate(motions, database, suite, num_raters, kinds)
    listening = _listen(host, port)
    _print_raters(arena, f"http://{host}:{listening.getsockname()[1]}/")
    uvicorn.Server(server_config(arena_app(arena))).run(sockets=[listening])


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
    rate: Sequence[Path],
    suite: str,
    num_raters: int,
) -> None:
    """Load the model, print the address, serve until SIGTERM or Ctrl-C.

    Args:
        rate, suite, num_raters: folders of motions to be rated on the same pages, as in `serve_arena`.

    Raises:
        ValueError, FileNotFoundError: see `TextToMotion.from_pretrained`, `Store`; a port that is taken; another host
            without a token.
    """
    from motionmill.server.app import studio_app
    from motionmill.server.ratings import Ratings
    from motionmill.server.store import Store
    from motionmill.server.workshop import Workshop

    token = None if token_file is None else read_token(token_file)
    if token is None and not is_loopback(host):
        raise ValueError(
            f"--host {host} lets other machines in; give --token-file FILE (it is made if it is not there)"
        )
    with _listen(host, port) as listening:
        name = f"[{host}]" if ":" in host else host
        address = f"http://{name}:{listening.getsockname()[1]}/"
        store, ratings = Store(folder, max_queued=max_queued), Ratings(folder / "ratings")
        rated = _folders_to_rate(rate, folder / "votes.db", suite, num_raters) if rate else None
        workshop = Workshop(workers)
        runner = _runner(model, store, workshop, limits, device=device, precision=precision)

        def ready() -> None:
            workshop.warm()
            print(f"motionmill studio: {address} (model {model}, results in {folder})", flush=True)
            if rated is not None:
                ratings.lend(rated)
                _print_raters(rated, address)

        app = studio_app(
            runner, workshop, ratings, token=token, only_loopback=token is None, on_start=ready
        )
        _serve(app, listening, runner)


def _runner(
    model: str,
    store: Store,
    workshop: Workshop,
    limits: Limits,
    *,
    device: str | None,
    precision: Precision,
) -> Runner:
    """The model, and what makes motions with it."""
    import torch

    from motionmill.pipeline import TextToMotion
    from motionmill.server.helper import Process, Thread
    from motionmill.server.runner import Runner

    # Half of the cores draw tokens; the others choose, decode and answer meanwhile.
    torch.set_num_threads(max(1, torch.get_num_threads() // 2))
    # Between two small tensor operations the engine waits for whoever has Python's lock: by default for 5 ms.
    sys.setswitchinterval(0.0002)
    pipeline = TextToMotion.from_pretrained(model, device=device, precision=precision)
    prepare = prepare_files(store, workshop, pipeline)
    helper = Process if pipeline.device.type == "cpu" else Thread
    return Runner(pipeline, store, limits, prepare, helper=helper)


def _serve(app: Any, listening: socket.socket, runner: Runner) -> None:
    """Until SIGTERM or Ctrl-C; ends the process."""
    import uvicorn

    class Server(uvicorn.Server):
        """Lets event streams go as soon as it is told to stop."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            runner.announce_stop()
            super().handle_exit(sig, frame)

    _allow_many_connections()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until uvicorn has its own
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises the signal again at its end
        Server(server_config(app)).run(sockets=[listening])
    # All that counts is on disk; a file that is still being written for nobody must not hold the process.
    os._exit(0)


def _folders_to_rate(
    motions: Sequence[Path],
    database: Path,
    suite: str,
    num_raters: int,
    kinds: Sequence[Kind] = ("pair", "single", "check"),
) -> Arena:
    arena = Arena(load_suite(suite), motions, database, kinds=kinds)
    for name, reason in list(arena.unreadable.items())[:10]:
        print(f"left out: {name}: {reason}")
    for system, prompts in arena.missing.items():
        if prompts:
            print(f"{system}: no motion of {len(prompts)} prompts, such as {prompts[0]}")
    arena.store.add_raters(num_raters)
    return arena


def _print_raters(arena: Arena, address: str) -> None:
    for rater, link in arena.store.links().items():
        print(f"{rater}: {address}rate/{link}/", flush=True)


def server_config(app: Any) -> uvicorn.Config:
    """How connections are handled, for an application that is served."""
    import uvicorn

    from motionmill.server.connections import BoundedProtocol

    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        log_level="warning",
        timeout_graceful_shutdown=2,
        limit_concurrency=4000,
        server_header=False,
    )


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
                    store.keep(motion["id"], suffix, data)
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
        listening.listen(2048)  # from now on clients wait; they are not refused
    except OSError as error:
        listening.close()
        raise ValueError(
            f"cannot listen on {host}:{port} ({error.strerror}); name another port"
        ) from None
    return listening

"""`motionmill serve`: the studio in the browser, and the HTTP interface."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from motionmill.generator.config import Precision


def serve(
    *,
    model: str = "mini",
    folder: Path = Path("motionmill-studio"),
    host: str = "127.0.0.1",
    port: int = 8000,
    token_file: Path | None = None,
    max_queued: int = 64,
    max_running: int = 16,
    job_seconds: float = 300.0,
    keep_days: float = 7.0,
    keep_gigabytes: float = 2.0,
    workers: Literal[1, 2, 3, 4] = 2,
    device: str | None = None,
    precision: Precision = "float32",
    rate: tuple[Path, ...] = (),
    suite: str = "zero-shot",
    raters: int = 3,
) -> None:
    """The studio in the browser: type a prompt, watch the character, take the file; other programs by HTTP.

    Args:
        model: a model's name or a release folder.
        folder: gets the jobs and the motions; what is in it is there again after a restart.
        host: where to listen; another than this machine's needs --token-file.
        port: the port; 0 for any free one.
        token_file: file with the token that requests must carry; made, readable for you only, if it is not there.
        max_queued: jobs that may wait; more are told to come again (429).
        max_running: samples that are made at the same time.
        job_seconds: a job that runs longer has failed.
        keep_days: results are forgotten after so many days.
        keep_gigabytes: the oldest results are forgotten when there are more.
        workers: processes that read uploads and write files.
        device: cpu, cuda, mps.
        precision: of the generator: float32, bfloat16 or int8.
        rate: folders of motions (as of `benchmark generate`) to be rated blindly on pages of this site.
        suite: the suite that these motions are of.
        raters: how many people get a link to rate them; the votes are in the folder, in votes.db.
    """
    from motionmill.extras import require

    for needed in ("fastapi", "uvicorn"):
        require(needed, extra="server")
    for name, value in (
        ("--max-queued", max_queued),
        ("--max-running", max_running),
        ("--job-seconds", job_seconds),
        ("--keep-days", keep_days),
        ("--keep-gigabytes", keep_gigabytes),
    ):
        if not value > 0:
            raise ValueError(f"{name} {value}; expected more than 0")
    from motionmill.server.runner import Limits
    from motionmill.server.serving import serve_studio

    serve_studio(
        model,
        folder,
        host=host,
        port=port,
        token_file=token_file,
        limits=Limits(
            job_seconds=job_seconds,
            max_running=max_running,
            max_age_seconds=keep_days * 86400,
            max_bytes=int(keep_gigabytes * (1 << 30)),
        ),
        max_queued=max_queued,
        workers=workers,
        device=device,
        precision=precision,
        rate=rate,
        suite=suite,
        num_raters=raters,
    )

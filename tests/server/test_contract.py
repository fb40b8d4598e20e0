"""The OpenAPI document is kept: whatever is sent, the server does not fail, and every answer is one that it names."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra server is not installed")
pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from motionmill.server.runner import Limits
from tests.ports import free_port
from tests.server import serving_app
from tests.web.browser import Served

# A cancelled job is still there, with its end: DELETE cancels. And JSON Schema cannot say all that makes no sense (a
# blank prompt, too many seconds in all), nor which bytes are a motion.
UNSAID = "use_after_free,positive_data_acceptance"


def explore(address: str, folder: Path, *options: str, seconds: float) -> str:
    """Runs schemathesis on a server and returns its report; fails with it where something is not as documented."""
    command = [Path(sys.executable).with_name("schemathesis"), "run", f"{address}/v1/openapi.json"]
    words = ["--exclude-checks", UNSAID, "--no-color", "--request-timeout", "60", *options]
    done = subprocess.run(
        [*command, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_answer_is_documented(tmp_path: Path) -> None:
    # Jobs end at once, so that time goes into requests; all that happens to a job is looked at all the same.
    limits = Limits(job_seconds=1e-6)
    with serving_app.listening(serving_app.pipeline(), tmp_path, limits=limits) as address:
        report = explore(
            address, tmp_path, "--max-examples", "3", "--seed", "1", "--no-shrink", seconds=120
        )
    assert "Tested: 15" in report


@pytest.mark.slow
def test_every_answer_is_documented_by_a_process(tmp_path: Path) -> None:
    port = free_port()
    words = ["--folder", str(tmp_path / "s"), "--port", str(port), "--job-seconds", "1"]
    server = Served(["serve", *words], lines=1)
    try:
        explore(f"http://127.0.0.1:{port}", tmp_path, "--max-examples", "60", seconds=580)
        assert server.process.poll() is None
    finally:
        server.kill()
    shutil.rmtree(tmp_path / "s")

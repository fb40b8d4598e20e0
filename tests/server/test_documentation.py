"""The snippets of docs/server.md do what they say, each in its own language."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra server is not installed")

import motionmill
from tests.web.browser import Served, free_port

pytestmark = pytest.mark.slow
PAGE = Path(__file__).resolve().parents[2] / "docs/server.md"


def snippet(language: str, mark: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return next(text for text in found if mark in text)


def test_curl_python_javascript(tmp_path: Path) -> None:
    port = free_port()
    server = Served(["serve", "--folder", str(tmp_path / "s"), "--port", str(port)], lines=1)

    def run(command: list[str], text: str) -> str:
        text = text.replace("localhost:8000", f"localhost:{port}")
        done = subprocess.run(
            [*command, text], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    try:
        if shutil.which("curl"):
            run(["bash", "-euc"], snippet("bash", "# curl"))
            assert len(motionmill.load(tmp_path / "bow.glb")) == 60
        run([sys.executable, "-c"], snippet("python", "# Python"))
        assert len(list(tmp_path.glob("wave-*.bvh"))) == 2
        if shutil.which("node"):
            size = run(["node", "--input-type=module", "-e"], snippet("javascript", "fetch"))
            assert int(size) > 100_000
    finally:
        server.kill()

"""The snippets of docs/server.md do what they say, each in its own language; so does the example."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra server is not installed")

import motionmill
from motionmill.evaluation.ratings import CRITERIA
from tests.ports import free_port
from tests.video.test_extract import first_frames
from tests.web.browser import Served

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/server.md"


def snippet(language: str, mark: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return next(text for text in found if mark in text)


def test_curl_python_javascript(tmp_path: Path, shared: Path) -> None:
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
            run(["bash", "-euc"], snippet("bash", "# curl: ask"))
            assert len(motionmill.load(tmp_path / "bow.glb")) == 60
            pytest.importorskip("mediapipe")
            video = shared / "data/videos/sam2_05_default_juggle.mp4"
            first_frames(video, 40, tmp_path / "video.mp4")
            run(["bash", "-euc"], snippet("bash", "# curl: the motion of the first person"))
            assert len(motionmill.load(tmp_path / "person.bvh")) > 40
        run([sys.executable, "-c"], snippet("python", "# Python, without"))
        assert len(list(tmp_path.glob("wave-*.bvh"))) == 2
        pages = run([sys.executable, "-c"], snippet("python", "/v1/ratings")).split()
        assert pages[::2] == ["rater-1", "rater-2"]
        with urllib.request.urlopen(pages[1]) as answer:
            assert b"Rate motions" in answer.read()
        if shutil.which("node"):
            size = run(["node", "--input-type=module", "-e"], snippet("javascript", "fetch"))
            assert int(size) > 100_000
    finally:
        server.kill()


def test_the_example_is_rated(tmp_path: Path) -> None:
    text = (ROOT / "examples/06_serve_and_rate.py").read_text(encoding="utf-8")
    script = tmp_path / "example.py"
    port = free_port()
    script.write_text(text.replace("8123", str(port)), encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, script.name],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as example:
        assert example.stdin is not None
        assert example.stdout is not None
        assert "motionmill studio" in example.stdout.readline()
        page = example.stdout.readline().split()[1]
        assert example.stdout.readline().startswith("rater-2: ")
        with urllib.request.urlopen(f"{page}task") as answer:
            task = json.load(answer)["task"]
        answers = dict.fromkeys(CRITERIA, -1 if task["kind"] == "pair" else 4)
        urllib.request.urlopen(
            urllib.request.Request(
                f"{page}task/{task['name']}",
                json.dumps({"answers": answers}).encode(),
                {"Content-Type": "application/json"},
            )
        ).close()
        said, _ = example.communicate("\n", timeout=60)
        assert example.returncode == 0
    results = json.loads(said)
    assert set(results) == {"raw", "cleaned"}
    assert all(set(results[system]) == set(CRITERIA) for system in results)

"""A headless Chromium, and a command of ours that serves pages beside it."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


START_SECONDS = 300.0  # after which a server that says nothing is killed
SOFTWARE_3D = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


@contextmanager
def chromium(*, webgl: bool = False) -> Iterator[Any]:
    """A browser; the test is skipped where there is none."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = _program()
    if program is None:
        pytest.skip("no Chromium on this machine")
    flags = [flag for flag in FLAGS if flag != "--disable-gpu"] if webgl else list(FLAGS)
    flags += SOFTWARE_3D if webgl else ()
    browser = _playwright().chromium.launch(executable_path=program, args=flags)
    try:
        yield browser
    finally:
        browser.close()


@functools.cache
def _program() -> str | None:
    """A Chromium that starts; some systems have one of its names for a hint how to install it."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path and subprocess.run([path, "--version"], capture_output=True).returncode == 0:
            return path
    return None


@functools.cache
def _playwright() -> Any:
    """Playwright, started once: a second one beside it is refused."""
    from playwright.sync_api import sync_playwright

    playwright = sync_playwright().start()
    atexit.register(playwright.stop)
    return playwright


class Served:
    """A command that serves until it is killed; its output by line."""

    def __init__(self, words: Sequence[str], lines: int) -> None:
        """Start it and wait for so many lines."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "motionmill", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        self.lines: list[str] = []
        late = threading.Timer(START_SECONDS, self.process.kill)
        late.start()
        try:
            for line in self.process.stdout:
                self.lines.append(line.rstrip())
                if len(self.lines) == lines:
                    break
            else:
                raise AssertionError("\n".join(self.lines))
        finally:
            late.cancel()
        self.reader = threading.Thread(target=self.process.stdout.read, daemon=True)
        self.reader.start()

    def kill(self) -> None:
        """As the power going off."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self.reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()

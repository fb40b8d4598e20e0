"""The studio in a browser: a served page that is watched for errors and for requests that leave the server."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.web.browser import Served

WAIT = 120_000  # milliseconds; 3D is drawn by the processor here
PARTS = [{"prompt": "a person walks", "seconds": 60}, {"prompt": "a person waves", "seconds": 60}]
HEAVY = {"timeline": PARTS, "samples": 8, "candidates": 16}  # as much as one may ask for
_DROP = """([name, text]) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const carried = new DataTransfer();
    carried.items.add(new File([bytes], name));
    return carried;
}"""


class Studio:
    """A server of the studio, and pages of it in a browser."""

    def __init__(self, browser: Any, folder: Path) -> None:
        self.browser, self.port = browser, free_port()
        self.words = ["serve", "--folder", str(folder), "--port", str(self.port), "--workers", "1"]
        self.address = f"http://127.0.0.1:{self.port}/"
        self.start()

    def start(self) -> None:
        self.server = Served(self.words, lines=1)

    def call(self, path: str, value: Any = None, method: str = "GET") -> Any:
        """A request of somebody who has no browser."""
        request = urllib.request.Request(
            self.address + path,
            None if value is None else json.dumps(value).encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=WAIT / 1000) as answer:
            return json.load(answer)

    @contextmanager
    def busy(self, jobs: int) -> Iterator[None]:
        """The engine is at long jobs of somebody else until the end: of one the others' share is small, two fill it."""
        names = [self.call("v1/motions", HEAVY, "POST")["id"] for _ in range(jobs)]
        try:
            yield
        finally:
            for name in names:
                with suppress(urllib.error.HTTPError):  # it has ended
                    self.call(f"v1/jobs/{name}", method="DELETE")

    @contextmanager
    def page(self, end: str = "", **settings: Any) -> Iterator[Page]:
        """A page of a new visitor; at its end there was no error and no request to anywhere else."""
        settings = {"viewport": {"width": 1000, "height": 620}, "accept_downloads": True} | settings
        context = self.browser.new_context(**settings)
        page = Page(context.new_page(), self.address)
        page.go(end)
        try:
            yield page
        finally:
            context.close()
        assert page.errors == []
        assert page.strangers == []


class Page:
    """One page; what a visitor does on it."""

    def __init__(self, inner: Any, address: str) -> None:
        self.inner, self.address = inner, address
        self.errors: list[str] = []
        self.strangers: list[str] = []
        inner.set_default_timeout(WAIT)
        inner.on("pageerror", lambda error: self.errors.append(str(error)))
        inner.on("console", self._console)
        inner.on("request", lambda request: self._request(request.url))

    def _console(self, message: Any) -> None:
        refusal = message.text.startswith("Failed to load resource")  # a 4xx that the page shows
        if message.type == "error" and not refusal:
            self.errors.append(message.text)

    def _request(self, url: str) -> None:
        if not url.startswith((self.address, "data:", f"blob:{self.address}")):
            self.strangers.append(url)

    def go(self, end: str = "") -> None:
        self.inner.goto(self.address + end)
        self.inner.wait_for_selector('body[data-ready="true"]')

    def ask(self, *prompts: tuple[str, float], samples: int = 1, seed: int | None = None) -> None:
        """Write prompts with their seconds into the form, and press Enter in the last."""
        areas = self.inner.locator("#parts textarea")
        while areas.count() < len(prompts):
            self.inner.click("#add")
        while areas.count() > len(prompts):
            self.inner.locator("#parts button").last.click()
        for place, (prompt, seconds) in enumerate(prompts):
            areas.nth(place).fill(prompt)
            self.inner.locator("#parts input").nth(place).fill(f"{seconds:g}")
        self.inner.locator("#samples label").nth(samples - 1).click()
        if seed is not None:
            self.inner.fill("#seed", str(seed))
            self.inner.check("#lock")
        self.inner.evaluate("delete document.body.dataset.state")  # of what was asked for before
        areas.last.press("Enter")

    def state(self, name: str) -> None:
        self.inner.wait_for_selector(f'body[data-state="{name}"]')

    def press(self, *keys: str) -> None:
        """Keys on the characters."""
        self.inner.locator("#canvas").focus()
        for key in keys:
            self.inner.keyboard.press(key)

    def inside(self, expression: str) -> Any:
        """What an expression of the page's `player`, `show` and `stage` says."""
        script = "import('/static/studio.js').then(({player, show, stage}) => " + expression + ")"
        return self.inner.evaluate(script)

    def wait(self, condition: str) -> None:
        """Until an expression is true; by a promise, because the page's policy forbids what evaluates text later."""
        refusal = f"setTimeout(() => refuse(new Error({json.dumps(condition)})), {WAIT});"
        look = (
            f"const look = () => {{ if ({condition}) done(); else setTimeout(look, 10); }}; look();"
        )
        self.inner.evaluate(f"new Promise((done, refuse) => {{ {refusal} {look} }})")

    @property
    def frame(self) -> tuple[int, int]:
        """The frame that is shown, and the last."""
        shown, _, last = self.inner.inner_text("#clock").partition(" / ")
        return int(shown), int(last)

    def picture(self) -> bytes:
        """The characters as they are seen, after all that was asked for has been drawn."""
        self.inner.evaluate(
            "new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))"
        )
        return bytes(self.inner.locator("#canvas").screenshot())

    def becomes(self, wanted: Callable[[bytes], bool]) -> bytes:
        """The picture once it is as wanted; the characters may have something to load first."""
        end = time.monotonic() + WAIT / 1000
        while time.monotonic() < end:
            if wanted(seen := self.picture()):
                return seen
        raise AssertionError("the picture does not become as expected")

    def settled(self) -> bytes:
        """The picture once nothing changes it any more: all numbers are there, and two in a row are the same."""
        self.wait("!document.querySelector('#physics td').textContent.includes('–')")
        before = self.picture()
        while (seen := self.picture()) != before:
            before = seen
        return seen

    def drop(self, path: Path, name: str = "") -> None:
        """Let a file go above the characters."""
        text = base64.b64encode(path.read_bytes()).decode()
        carried = self.inner.evaluate_handle(_DROP, [name or path.name, text])
        self.inner.dispatch_event("#stage", "drop", {"dataTransfer": carried})

    def download(self, target: Path) -> Path:
        """Take what is chosen in the export menu."""
        with self.inner.expect_download() as download:
            self.inner.click("#take")
        download.value.save_as(target)
        return target

"""The studio with a server whose answers come late, in another order, or not at all the first time."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tests.web.browser import Served, chromium
from tests.web.studio_page import Page, Studio

pytestmark = [pytest.mark.web, pytest.mark.slow]
LIST = "**/v1/jobs?limit=*"
ENTRIES = "document.querySelectorAll('#history .entry')"


def test_an_older_list_does_not_replace_a_newer_one(studio: Studio) -> None:
    held: list[tuple[Any, Any]] = []
    with studio.page() as page:
        page.ask(("a person bows", 1), seed=3)
        page.state("done")
        page.inner.wait_for_selector("#history .entry")
        before = page.inner.locator("#history .entry").first.get_attribute("data-id")
        # The first list is taken now and arrives after all others.
        page.inner.route(LIST, lambda route: held.append((route, route.fetch())), times=1)
        page.inner.evaluate("location.hash += '&frame=1'")
        page.wait("document.getElementById('time').value === '1'")
        while not held:
            page.picture()
        page.ask(("a person nods", 1), seed=4)
        page.state("done")
        page.wait(f"{ENTRIES}[0].dataset.id !== '{before}' && {ENTRIES}[0].querySelector('img')")
        newest = page.inner.locator("#history .entry").first.get_attribute("data-id")
        for route, answer in held:
            assert before == json.loads(answer.text())["jobs"][0]["id"]
            with page.inner.expect_event("requestfinished"):
                route.fulfill(response=answer)
        page.picture()
        assert page.inner.locator("#history .entry").first.get_attribute("data-id") == newest
        assert page.inner.locator("#history .gone").count() == 0  # nor call what it lacks forgotten


def test_whoever_is_in_the_history_stays_there(studio: Studio) -> None:
    with studio.page() as page:
        page.ask(("a person bows", 1), seed=3)
        page.state("done")
        page.wait(f"{ENTRIES}[0]?.getAttribute('aria-current') === 'true'")
        page.inner.locator("#history .entry").first.focus()
        page.inner.evaluate(f"{ENTRIES}[0].old = true")
        page.inner.evaluate("location.hash += '&frame=1'")  # which shows it again
        page.wait(f"!{ENTRIES}[0].old")
        assert page.inner.evaluate(f"document.activeElement === {ENTRIES}[0]")


def test_a_file_that_does_not_come_is_asked_for_again(studio: Studio) -> None:
    """The server goes away between the end of the job and the file of its motion."""
    broken = []

    def break_off(route: Any) -> None:
        broken.append(route.request.url)
        route.abort("connectionrefused")

    with studio.page() as page:
        page.inner.route(re.compile(r"/v1/motions/[^/]+\.glb\?cleanup=1"), break_off, times=2)
        page.ask(("a person bows", 1), seed=3)
        page.state("done")
        assert len(broken) == 2
        assert page.frame[1] > 20
        assert page.inner.inner_text("#problem") == ""


def test_a_token_is_asked_for_once(tmp_path: Path) -> None:
    """A refusal that arrives after the token was entered does not ask for it again."""
    (tmp_path / "token.txt").write_text("a-token-of-some-length\n")
    port, held = free_port(), list[Any]()
    words = ["serve", "--folder", str(tmp_path / "studio"), "--port", str(port)]
    server = Served([*words, "--token-file", str(tmp_path / "token.txt")], lines=1)
    try:
        with chromium(webgl=True) as browser:
            inner = browser.new_context().new_page()
            page = Page(inner, f"http://127.0.0.1:{port}/")
            inner.route(LIST, lambda route: held.append((route, route.fetch())), times=1)
            page.go()
            inner.wait_for_selector("#door[open]")
            while not held:
                inner.wait_for_timeout(20)
            inner.fill("#token", "a-token-of-some-length")
            inner.click("#door button")
            page.wait("document.getElementById('model').textContent !== ''")
            [(route, refusal)] = held
            assert refusal.status == 401
            with inner.expect_response(lambda answer: answer.ok and "limit=" in answer.url):
                route.fulfill(response=refusal)
            inner.wait_for_selector("#nothing:visible")
            assert not inner.is_visible("#door")
            assert page.errors == []
    finally:
        server.kill()
